"""Gemini's endpoints through a running relay: passed on as they are, charged to the token."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from billing.models import UsageRecord
from billing.scoping import tenant_scope
from relay.models import Channel
from relay.probes import probe
from tests.fakes.gemini import FakeGemini, told
from tests.fakes.vendor import Truth
from tests.relay.asking import bearer, raw_request, read_until, until
from tests.relay.conftest import Shop
from tests.relay.protocols.gemini_requests import said
from tests.relay.server import RelayServer, running_relay

MODEL = "gemini-2.5-flash"
WHOLE, STREAM = "generateContent", "streamGenerateContent"
# Base tokens for each unit.
PRICES = {
    "input": Decimal(3),
    "cached_input": Decimal("0.75"),
    "output": Decimal(10),
    "reasoning": Decimal(12),
    "audio_in": Decimal(7),
    "audio_out": Decimal(20),
    "image": Decimal(30_000),
    "search": Decimal(35_000),
}


@pytest.fixture
def fake() -> Iterator[FakeGemini]:
    """A fake of Google's API."""
    with FakeGemini() as fake:
        yield fake


@pytest.fixture
def key(shop: Shop, fake: FakeGemini) -> str:
    """A key worth 2,000,000 base tokens, of a shop whose only channel is the fake."""
    for model in (MODEL, "gemini-embedding-001"):
        shop.reprice(model, **PRICES)
    add_channel(shop, fake)
    return shop.key(2_000_000)


def add_channel(shop: Shop, fake: FakeGemini, path: str = "", **fields: Any) -> int:
    """Add a channel to the fake; directives for all its requests may stand in the path."""
    fields.setdefault("credential", "sk-fake-credential")
    fields.setdefault("name", f"fake{path}")
    base_url = fake.origin + path
    return shop.channel(provider="gemini", base_url=base_url, allow_private_network=True, **fields)


def at(verb: str, model: str = MODEL, version: str = "v1beta") -> str:
    """Return the address of what is to be done with a model; a stream's as libraries write it."""
    return f"/{version}/models/{model}:{verb}" + ("?alt=sse" if verb == STREAM else "")


def ask(
    client: httpx.Client, key: str, text: str = "Hello", path: str = at(WHOLE), **fields: Any
) -> httpx.Response:
    """Ask for content, with the key where Google's clients have it."""
    body = {"contents": said({"text": text})} | fields
    return client.post(path, headers={"x-goog-api-key": key}, json=body)


def owed(truth: Truth, *, searches: int = 0, images: int = 0) -> int:
    """Return what a request costs by the vendor's own count, in millionths."""
    usage = truth.usage or {}
    heard = [d["tokenCount"] for d in usage["promptTokensDetails"] if d["modality"] == "AUDIO"]
    details = {d["modality"]: d["tokenCount"] for d in usage.get("candidatesTokensDetails", ())}
    cached = usage.get("cachedContentTokenCount", 0)
    counted = {
        "input": usage["promptTokenCount"] - cached - sum(heard),
        "cached_input": cached,
        "audio_in": sum(heard),
        "output": usage["candidatesTokenCount"] - sum(details.values()),
        "audio_out": details.get("AUDIO", 0),
        "reasoning": usage.get("thoughtsTokenCount", 0),
        "image": images,
        "search": searches,
    }
    counted["input"] += usage.get("toolUsePromptTokenCount", 0)
    return int(sum(PRICES[name] * count for name, count in counted.items()) * 1_000_000)


def check_charged(shop: Shop, fake: FakeGemini, **units: int) -> UsageRecord:
    """Fail unless the one request was charged what the vendor counts; return its record."""
    (record,) = shop.settled()
    assert record.charged_ubt == owed(fake.truth[-1], **units)
    assert (record.usage_source, record.absorbed_ubt) == ("upstream", 0)
    shop.check_books()
    return record


@pytest.mark.parametrize("verb", [WHOLE, STREAM])
def test_content_is_passed_on_as_it_is_and_charged_by_every_bucket(
    verb: str, key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    text = "[fake cached=900 reasoning=80 audio_in=50 audio_out=25 tools_read=11 searched images=2]"
    asked = {"contents": said({"text": text}), "generation_config": {"topK": 5}, "made_up": [1]}
    body = json.dumps(asked, indent=1)
    headers = {"x-goog-api-key": key, "content-type": "application/json"}
    answer = client.post(at(verb), headers=headers, content=body)
    assert answer.status_code == 200
    assert fake.truth[0].body == body
    if verb == WHOLE:
        assert answer.json()["usageMetadata"] == fake.truth[0].usage
    else:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert told(answer.text, as_events=True)[-1]["usageMetadata"] == fake.truth[0].usage
    record = check_charged(shop, fake, searches=1, images=2)
    assert (record.endpoint, record.stream) == ("gemini_generate", verb == STREAM)
    assert (record.reasoning_count, record.audio_out_count, record.image_count) == (80, 25, 2)


def test_without_asking_for_events_a_stream_is_an_array(
    key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    answer = ask(client, key, "[fake tokens=5]", path=f"/v1beta/models/{MODEL}:{STREAM}")
    assert answer.headers["content-type"] == "application/json"
    elements = told(answer.text, as_events=False)
    assert [one["candidates"][0].get("finishReason") for one in elements] == [None] * 4 + ["STOP"]
    assert fake.truth[0].query == "alt=sse"
    check_charged(shop, fake)


@pytest.mark.parametrize(
    "path",
    [
        at(WHOLE, version="v1"),
        f"/v1beta/models/models%2F{MODEL}:{WHOLE}",
        f"/openai/v1beta//models/{MODEL}:{WHOLE}/",
    ],
)
def test_every_form_of_the_address_leads_to_the_model(
    path: str, key: str, fake: FakeGemini, client: httpx.Client
) -> None:
    assert ask(client, key, path=path).status_code == 200
    assert fake.truth[0].model == MODEL


def test_the_channels_own_name_of_a_model_stands_in_the_address(
    shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    shop.reprice("cheap", **PRICES)
    add_channel(shop, fake, models={"cheap": "gemini-2.5-flash-lite"})
    key = shop.key()
    shop.wait_for_relays()
    for verb in (WHOLE, STREAM, "countTokens"):
        assert ask(client, key, path=at(verb, "cheap")).status_code == 200
    assert {truth.model for truth in fake.truth} == {"gemini-2.5-flash-lite"}
    assert [record.model_asked for record in shop.settled(3)] == ["cheap"] * 3


def test_the_key_may_stand_in_the_address_and_goes_no_further(
    key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    body = {"contents": said({"text": "Hello"})}
    for verb in (WHOLE, STREAM):
        path = at(verb).partition("?")[0]
        answer = client.post(f"{path}?key={key}&alt=sse&fields=candidates", json=body)
        assert answer.status_code == 200
    assert [truth.query for truth in fake.truth] == ["", "alt=sse"]
    assert key not in str([truth.headers for truth in fake.truth])
    shop.settled(2)


def test_a_key_in_any_other_address_is_none(key: str, client: httpx.Client) -> None:
    answer = client.post(f"/v1/chat/completions?key={key}", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_only_the_credential_reaches_the_vendor(
    key: str, fake: FakeGemini, client: httpx.Client
) -> None:
    headers = bearer(key) | {"cookie": "a=b", "x-goog-api-client": "genai", "x-server-timeout": "9"}
    client.post(at(WHOLE), headers=headers, json={"contents": said({"text": "Hi"})})
    sent = fake.truth[0].headers
    assert sent["x-goog-api-key"] == "sk-fake-credential"
    assert not {"authorization", "cookie", "x-goog-api-client", "x-server-timeout"} & set(sent)


@pytest.mark.parametrize("verb", [WHOLE, STREAM])
def test_content_without_usage_is_counted(
    verb: str, key: str, shop: Shop, client: httpx.Client
) -> None:
    ask(client, key, "[fake usage=none tokens=40]", path=at(verb))
    (record,) = shop.settled()
    assert record.usage_source == "counted"
    assert 30 <= record.output_count <= 60
    assert record.input_count > 5


@pytest.mark.parametrize("verb", [WHOLE, STREAM])
def test_a_blocked_prompt_is_charged_as_a_prompt(
    verb: str, key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = ask(client, key, "[fake blocked]", path=at(verb))
    assert "SAFETY" in answer.text
    (record,) = shop.settled()
    assert (record.status, record.output_count, record.usage_source) == (200, 0, "upstream")
    assert record.charged_ubt == record.input_count * 3_000_000 > 0


@pytest.mark.parametrize("verb", [WHOLE, STREAM])
def test_a_small_balance_lowers_the_limit_and_the_budget_for_thinking(
    verb: str, key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    """R3."""
    config = {"maxOutputTokens": 60_000, "thinkingConfig": {"thinkingBudget": 24_000}}
    small = shop.key(20_000)
    ask(client, small, path=at(verb), generationConfig=config)
    ask(client, small, path=at(verb))
    for truth in fake.truth:
        asked = json.loads(truth.body)["generationConfig"]
        assert 100 < asked["maxOutputTokens"] < 20_000 / 12
        assert asked.get("thinkingConfig", {}).get("thinkingBudget", 0) <= asked["maxOutputTokens"]
    assert [record.status for record in shop.settled(2)] == [200, 200]


def test_counting_tokens_costs_nothing(
    key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    answer = ask(client, key, path=at("countTokens"))
    assert answer.json() == {"totalTokens": 8}
    (record,) = shop.settled()
    assert (record.endpoint, record.charged_ubt) == ("gemini_count_tokens", 0)


def test_embeddings_are_counted_by_us_one_or_several(
    key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    model = "gemini-embedding-001"
    one = {"model": f"models/{model}", "content": {"parts": [{"text": "one two three four"}]}}
    for verb, body in (("embedContent", one), ("batchEmbedContents", {"requests": [one, one]})):
        answer = client.post(at(verb, model), headers={"x-goog-api-key": key}, json=body)
        assert answer.status_code == 200, answer.text
    assert [truth.path for truth in fake.truth] == ["embedContent", "batchEmbedContents"]
    records = shop.settled(2)
    assert [(r.endpoint, r.usage_source) for r in records] == [("gemini_embed", "counted")] * 2
    assert [(r.input_count, r.output_count) for r in records] == [(4, 0), (8, 0)]


@pytest.mark.parametrize("as_events", [True, False])
@pytest.mark.parametrize("directive", ["cut=5", "error_event=5", "junk=5", "no_finish tokens=5"])
def test_a_stream_that_breaks_ends_with_an_error_and_is_charged_for_what_was_delivered(
    directive: str, as_events: bool, key: str, shop: Shop, client: httpx.Client
) -> None:
    """R7."""
    path, text = at(STREAM) if as_events else at(STREAM).partition("?")[0], ""
    body = {"contents": said({"text": f"[fake {directive} cached=50 delay_ms=5]"})}
    with client.stream("POST", path, headers={"x-goog-api-key": key}, json=body) as answer:
        try:
            for piece in answer.iter_text():
                text += piece
        except httpx.RemoteProtocolError:
            pass
    *parts, last = told(text, as_events=as_events)
    assert (len(parts), last["error"]["status"]) == (5, "UNAVAILABLE")
    assert "AIza" not in text
    (record,) = shop.settled()
    assert (record.cached_input_count, record.output_count) == (50, 5)
    shop.check_books()


@pytest.mark.parametrize("as_events", [True, False])
def test_credit_used_up_in_mid_stream_ends_it_in_the_streams_own_shape(
    as_events: bool, key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    """R6: an upstream that writes more than it was told to is stopped where the hold ends."""
    path, text = at(STREAM) if as_events else at(STREAM).partition("?")[0], ""
    small = shop.key(4_000)
    body = {"contents": said({"text": "[fake tokens=2000 usage=none deaf]"})}
    with client.stream("POST", path, headers={"x-goog-api-key": small}, json=body) as answer:
        try:
            for piece in answer.iter_text():
                text += piece
        except httpx.RemoteProtocolError:
            pass
    last = told(text, as_events=as_events)[-1]
    assert last["error"]["status"] == "RESOURCE_EXHAUSTED"
    (record,) = shop.settled()
    assert 0 < record.charged_ubt <= 4_000 * 1_000_000
    shop.check_books()


@pytest.mark.parametrize("trouble", ["/status=503", "/status=429", "/cut=0", "/empty", "/html"])
def test_what_another_channel_may_cure_is_tried_there(
    trouble: str, key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    add_channel(shop, fake, trouble, priority=1)
    shop.wait_for_relays()
    answer = ask(client, key, path=at(STREAM))
    assert told(answer.text, as_events=True)[-1]["candidates"][0]["finishReason"] == "STOP"
    record = check_charged(shop, fake)
    assert record.attempts == 2


def test_a_channel_is_tested_by_its_list_and_a_short_answer(shop: Shop, fake: FakeGemini) -> None:
    channel_id = add_channel(shop, fake)
    with tenant_scope(shop.tenant.pk):
        result = probe(Channel.objects.get(pk=channel_id))
    assert (result.is_ok, result.model, result.error) == (True, MODEL, "")
    assert result.models == ["aqa", MODEL, "gemini-embedding-001"]
    assert json.loads(fake.truth[0].body)["generationConfig"] == {"maxOutputTokens": 16}


def test_our_credential_is_ours_to_mend(shop: Shop, fake: FakeGemini, client: httpx.Client) -> None:
    shop.reprice(MODEL, **PRICES)
    add_channel(shop, fake, credential="sk-wrong")
    key = shop.key()
    shop.wait_for_relays()
    error = ask(client, key).json()["error"]
    assert (error["code"], error["status"]) == (502, "UNAVAILABLE")
    assert error["details"][0]["reason"] == "upstream_credentials"
    shop.settled()


def test_the_vendors_refusal_is_passed_on_without_traces_of_our_account(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = ask(client, key, "[fake status=400 headers]", path=at(STREAM))
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"].startswith("Fake trouble 400")
    assert not any(trace in answer.text for trace in ("AIza", "12345678", "sk-fake"))
    (record,) = shop.settled()
    assert (record.charged_ubt, record.attempts) == (0, 1)


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        (at(WHOLE, "gemini-9"), 404, "NOT_FOUND"),
        (at("doSomething"), 405, "UNIMPLEMENTED"),
        ("/v1beta/unheard/of", 404, "NOT_FOUND"),
        (at(WHOLE, "x" * 65), 400, "INVALID_ARGUMENT"),
    ],
)
def test_errors_have_geminis_shape(
    path: str, code: int, status: str, key: str, client: httpx.Client
) -> None:
    answer = ask(client, key, path=path)
    assert answer.status_code == code
    assert (answer.json()["error"]["code"], answer.json()["error"]["status"]) == (code, status)


def test_a_key_that_is_unknown_or_empty_is_told_in_geminis_shape(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    wrong = ask(client, "ak-wrong")
    assert (wrong.status_code, wrong.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    spent = ask(client, shop.key(0))
    assert (spent.status_code, spent.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert spent.headers["x-should-retry"] == "false"


def test_a_client_that_leaves_pays_for_what_it_got(
    key: str, shop: Shop, fake: FakeGemini, relay_server: RelayServer
) -> None:
    """R7: the upstream is cancelled at once."""
    body = {"contents": said({"text": "[fake tokens=500 delay_ms=10 cached=50]"})}
    with raw_request(relay_server.port, key, body, path=at(STREAM)) as sock:
        read_until(sock, b"time")
    until(lambda: fake.truth[0].closed_by_client)
    (record,) = shop.settled()
    assert record.resolution == "client_gone"
    assert (record.cached_input_count, 0 < record.output_count < 100) == (50, True)


def test_a_quiet_stream_is_kept_alive_by_empty_lines(key: str, fake: FakeGemini) -> None:
    """Google's own library takes a comment for a broken answer."""
    body = {"contents": said({"text": "[fake silent_ms=500 tokens=3]"})}
    with running_relay(keepalive_s=0.1) as server:
        headers = {"x-goog-api-key": key}
        answer = httpx.post(server.url + at(STREAM), headers=headers, json=body, timeout=20)
    assert answer.text.startswith("\n\n")
    assert ":" not in answer.text.partition("data")[0]
    assert len(told(answer.text, as_events=True)) == 3


def test_a_key_for_other_endpoints_may_not_ask(key: str, shop: Shop, client: httpx.Client) -> None:
    other = shop.key(allowed_endpoints=["chat_completions"])
    answer = ask(client, other, path=at(STREAM))
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
