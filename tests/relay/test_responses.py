"""Responses through a running relay: what clients get, what is charged, what is kept."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from openai import APIError, OpenAI, RateLimitError

from billing.models import UsageRecord
from billing.scoping import tenant_scope
from relay.models import UpstreamObject
from tests.fakes.responses import FakeResponses
from tests.fakes.vendor import Truth
from tests.relay.asking import bearer, events, raw_request, read_until, until
from tests.relay.conftest import Shop
from tests.relay.protocols.codex import codex
from tests.relay.server import RelayServer

RESPONSES = "/v1/responses"
# Base tokens for each unit.
PRICES = {
    "input": Decimal(2),
    "cached_input": Decimal("0.2"),
    "output": Decimal(8),
    "reasoning": Decimal(9),
    "search": Decimal(5_000),
}


@pytest.fixture
def fake() -> Iterator[FakeResponses]:
    """A fake of OpenAI's Responses API."""
    with FakeResponses() as fake:
        yield fake


@pytest.fixture
def key(shop: Shop, fake: FakeResponses) -> str:
    """A key worth 1,000,000 base tokens, of a shop whose only channel is the fake."""
    shop.reprice("gpt-5-codex", **PRICES)
    shop.fake_channel(fake)
    return shop.key(1_000_000)


@pytest.fixture
def library(demo_key: str, relay_server: RelayServer) -> Iterator[OpenAI]:
    """OpenAI's own library, at a relay with the demo channel."""
    with OpenAI(base_url=f"{relay_server.url}/v1", api_key=demo_key, max_retries=0) as library:
        yield library


def ask(client: httpx.Client, key: str, text: str = "Hello", **fields: Any) -> httpx.Response:
    """Ask for a response."""
    body = {"model": "gpt-5-codex", "input": text} | fields
    return client.post(RESPONSES, headers=bearer(key), json=body)


def broken_off(client: httpx.Client, key: str, text: str) -> str:
    """Return what arrives of a stream that does not end well."""
    body, arrived = {"model": "gpt-5-codex", "input": text, "stream": True}, ""
    asked = client.stream("POST", RESPONSES, headers=bearer(key), json=body)
    with asked as answer, pytest.raises(httpx.RemoteProtocolError):
        for piece in answer.iter_text():
            arrived += piece
    return arrived


def kept(shop: Shop) -> int:
    """Return how many responses are remembered."""
    with tenant_scope(shop.tenant.pk):
        return UpstreamObject.objects.count()


def told(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return what the events of a stream say."""
    return [json.loads(data) for data in events(answer)]


def owed(truth: Truth, *, searches: int = 0) -> int:
    """Return what a request costs by the vendor's own count, in millionths."""
    usage = truth.usage or {}
    cached = usage["input_tokens_details"]["cached_tokens"]
    reasoning = usage["output_tokens_details"]["reasoning_tokens"]
    counted = {
        "input": usage["input_tokens"] - cached,
        "cached_input": cached,
        "output": usage["output_tokens"] - reasoning,
        "reasoning": reasoning,
        "search": searches,
    }
    return int(sum(PRICES[name] * count for name, count in counted.items()) * 1_000_000)


def check_charged(shop: Shop, fake: FakeResponses, *, searches: int = 0) -> UsageRecord:
    """Fail unless the one request was charged what the vendor counts; return its record."""
    (record,) = shop.settled()
    until(lambda: fake.truth[-1].finished)
    assert record.charged_ubt == owed(fake.truth[-1], searches=searches)
    assert (record.usage_source, record.endpoint) == ("upstream", "responses")
    shop.check_books()
    return record


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_passed_on_as_it_is_and_charged_by_every_bucket(
    stream: bool, key: str, shop: Shop, fake: FakeResponses, client: httpx.Client
) -> None:
    text = "[fake cached=900 reasoning=8 searched=2]"
    asked = {"model": "gpt-5-codex", "input": text, "stream": stream, "made_up": {"x": [1]}}
    body = json.dumps(asked, indent=1)
    answer = client.post(RESPONSES, headers=bearer(key), content=body)
    assert answer.status_code == 200
    assert fake.truth[0].body == body
    until(lambda: fake.truth[0].finished)
    if stream:
        assert told(answer)[-1]["response"]["usage"] == fake.truth[0].usage
    else:
        assert answer.json()["usage"] == fake.truth[0].usage
    record = check_charged(shop, fake, searches=2)
    assert (record.stream, record.reasoning_count, record.search_count) == (stream, 8, 2)


def test_codex_first_turn_is_served(
    key: str, shop: Shop, fake: FakeResponses, client: httpx.Client
) -> None:
    answer = client.post(RESPONSES, headers=bearer(key), json=codex())
    assert told(answer)[-1]["type"] == "response.completed"
    assert json.loads(fake.truth[0].body) == codex()
    check_charged(shop, fake)


def test_a_small_balance_limits_the_answer_under_its_own_name(
    shop: Shop, key: str, fake: FakeResponses, client: httpx.Client
) -> None:
    ask(client, shop.key(1_000), "[fake tokens=500]")
    limit = json.loads(fake.truth[0].body)["max_output_tokens"]
    assert 16 <= limit < 150
    record = check_charged(shop, fake)
    assert (record.output_count, record.absorbed_ubt) == (limit, 0)


def test_an_interrupted_stream_is_charged_for_what_was_delivered(
    key: str, shop: Shop, fake: FakeResponses, client: httpx.Client
) -> None:
    told = broken_off(client, key, "[fake tokens=30 cut=20 searched=1]")
    assert [part.split("\n")[0] for part in told.split("event: ")][-2:] == [
        "error",
        "response.failed",
    ]
    (record,) = shop.settled()
    assert (record.usage_source, record.search_count) == ("counted", 1)
    assert 15 <= record.output_count <= 25
    shop.check_books()


def test_a_client_that_leaves_stops_the_vendor(
    key: str, relay_server: RelayServer, shop: Shop, fake: FakeResponses
) -> None:
    body = {"model": "gpt-5-codex", "input": "[fake tokens=900 delay_ms=10]", "stream": True}
    with raw_request(relay_server.port, key, body, path=RESPONSES) as sock:
        read_until(sock, b"output_text.delta")
    until(lambda: fake.truth[0].closed_by_client)
    (record,) = shop.settled()
    assert (record.resolution, record.usage_source) == ("client_gone", "counted")
    assert 0 < record.output_count < 900


@pytest.mark.parametrize("failure", ["role_then_error", "status=503", "status=429", "html"])
def test_another_channel_answers_instead(
    failure: str, key: str, shop: Shop, fake: FakeResponses, client: httpx.Client
) -> None:
    shop.fake_channel(fake, f"/{failure}/v1", priority=9)
    shop.wait_for_relays()
    answer = ask(client, key, stream=True)
    assert told(answer)[-1]["type"] == "response.completed"
    assert check_charged(shop, fake).attempts == 2


def test_a_stream_that_fails_in_its_own_way_is_charged_for_what_was_delivered(
    key: str, shop: Shop, fake: FakeResponses, client: httpx.Client
) -> None:
    told = broken_off(client, key, "[fake tokens=30 failed=9 pause_ms=50]")
    assert "response.failed" in told
    assert "FakeOrg" not in told
    (record,) = shop.settled()
    assert (record.output_count, record.error_type) == (9, "upstream_error_event")


def test_a_clients_mistake_is_told_in_the_vendors_words(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = ask(client, key, "[fake status=400 code=invalid_prompt]")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_prompt")
    assert shop.settled()[0].charged_ubt == 0


def test_a_response_is_gone_on_with_where_it_is(
    key: str, shop: Shop, fake: FakeResponses, client: httpx.Client
) -> None:
    first = ask(client, key).json()
    second = ask(client, key, previous_response_id=first["id"])
    assert second.status_code == 200
    assert len(shop.settled(2)) == 2
    assert shop.usage()[1].held_ubt > shop.usage()[0].held_ubt


@pytest.mark.parametrize("fields", [{"previous_response_id": "resp_x"}, {"conversation": "conv_x"}])
def test_what_another_wallet_keeps_is_unknown(
    fields: dict[str, str], key: str, fake: FakeResponses, client: httpx.Client
) -> None:
    answer = ask(client, key, **fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        400,
        "previous_response_not_found",
    )
    assert not fake.truth


def test_a_response_that_was_paid_in_part_cannot_be_had_whole_later(
    key: str, relay_server: RelayServer, shop: Shop, client: httpx.Client
) -> None:
    body = {"model": "gpt-5-codex", "input": "[fake tokens=900 delay_ms=10]", "stream": True}
    with raw_request(relay_server.port, key, body, path=RESPONSES) as sock:
        begun = read_until(sock, b"output_text.delta")
    response_id = re.search(rb"resp_fake\w+", begun)
    assert response_id
    shop.settled()
    until(lambda: not kept(shop))
    answer = client.get(f"{RESPONSES}/{response_id[0].decode()}", headers=bearer(key))
    assert answer.status_code == 404


def test_a_streamed_response_is_gone_on_with_too(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    first = told(ask(client, key, stream=True))[-1]["response"]
    shop.settled()
    assert ask(client, key, previous_response_id=first["id"]).status_code == 200


def test_a_response_that_is_not_stored_is_not_remembered(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    first = ask(client, key, store=False).json()
    assert ask(client, key, previous_response_id=first["id"]).status_code == 400


def test_the_library_gets_whole_responses(library: OpenAI, shop: Shop) -> None:
    response = library.responses.create(model="gpt-4", input="Hello", instructions="Be short")
    assert "You wrote: “Hello”" in response.output_text
    (record,) = shop.settled()
    assert response.usage is not None
    assert record.input_count == response.usage.input_tokens
    assert record.output_count == response.usage.output_tokens


def test_the_library_gets_streams(library: OpenAI, shop: Shop) -> None:
    with library.responses.stream(model="gpt-4", input="Hello") as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.output_text == text
    (record,) = shop.settled()
    assert final.usage is not None
    assert (record.stream, record.output_count) == (True, final.usage.output_tokens)


def test_the_library_calls_tools(library: OpenAI) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    response = library.responses.create(
        model="gpt-4",
        input="Weather? [demo tool]",
        tools=[{"type": "function", "name": "f", "parameters": parameters, "strict": False}],
    )
    (call,) = response.output
    assert call.type == "function_call"
    assert json.loads(call.arguments) == {"city": "demo"}


def test_the_library_looks_a_response_up_and_deletes_it(library: OpenAI) -> None:
    made = library.responses.create(model="gpt-4", input="Hello")
    found = library.responses.retrieve(made.id)
    assert (found.id, found.output_text) == (made.id, "The demo keeps no text.")
    assert library.responses.input_items.list(made.id).data == []
    library.responses.delete(made.id)


@pytest.mark.parametrize("trouble", ["error_event=6", "cut=6"])
def test_the_library_raises_when_a_stream_fails(library: OpenAI, trouble: str) -> None:
    asked = f"Hello [demo {trouble}]"
    with pytest.raises(APIError):
        list(library.responses.create(model="gpt-4", input=asked, stream=True))


def test_the_library_raises_when_the_balance_is_used_up(
    shop: Shop, library: OpenAI, relay_server: RelayServer
) -> None:
    poor = library.with_options(api_key=shop.key(1))
    with pytest.raises(RateLimitError) as refusal:
        poor.responses.create(model="gpt-4", input="Hello")
    assert refusal.value.code == "insufficient_quota"


def test_the_library_raises_when_a_stream_outlives_the_balance(
    key: str, shop: Shop, relay_server: RelayServer
) -> None:
    asked = "[fake tokens=2000 boundless]"
    library = OpenAI(base_url=f"{relay_server.url}/v1", api_key=shop.key(3_000), max_retries=0)
    with library as poor, pytest.raises(APIError) as failure:
        list(poor.responses.create(model="gpt-5-codex", input=asked, stream=True))
    assert failure.value.code == "insufficient_quota"
    (record,) = shop.settled()
    assert 2_000_000_000 < record.charged_ubt <= 3_000_000_000
    assert record.absorbed_ubt == 0
