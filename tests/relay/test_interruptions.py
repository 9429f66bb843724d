"""What is charged when an answer does not end as it should: R5, R6, R7, R8, and R12's drain."""

import json
import time
from functools import partial

import httpx
import pytest

from relay import tokens
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, raw_request, read_until, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay


def broken_stream(client: httpx.Client, key: str, directives: str) -> str:
    """Return what arrives of a stream that must not end cleanly."""
    body = chat(f"[fake {directives} delay_ms=5]", stream=True)
    text = ""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("POST", CHAT, headers=bearer(key), json=body) as answer,
    ):
        for piece in answer.iter_text():
            text += piece
    return text


@pytest.mark.parametrize("trouble", ["cut=7", "error_event=7", "junk=7"])
def test_a_stream_that_breaks_upstream_is_charged_for_what_was_delivered(
    trouble: str, fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    """R7: prompt and delivery are charged; the client is told, and sees no clean end."""
    text = broken_stream(client, fake_key, trouble)
    last = text.rstrip().rpartition("data: ")[2]
    assert json.loads(last)["error"]["code"] == "no_available_channel"
    assert "[DONE]" not in text
    (record,) = shop.settled()
    assert record.usage_source == "counted"
    assert record.output_count == tokens.count(fake.truth[0].text, "gpt-4")
    assert record.input_count > 5
    assert record.error_type in {"upstream_cut", "upstream_error_event"}
    shop.check_books()


def test_an_upstreams_error_text_is_never_output(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R7: what an upstream says of its own failure is neither passed on nor charged."""
    text = broken_stream(client, fake_key, "error_event=3")
    assert "Fake trouble" not in text
    (record,) = shop.settled()
    assert record.output_count <= 4


def test_a_broken_stream_is_charged_by_the_usage_it_had_told(
    fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    broken_stream(client, fake_key, "cut=7 usage=each")
    (record,) = shop.settled()
    used = fake.truth[0].usage
    assert used is not None
    assert record.usage_source == "upstream"
    assert record.output_count == used["completion_tokens"]


@pytest.mark.parametrize("missing", ["no_done", "no_finish"])
def test_a_stream_that_forgets_one_of_its_ends_is_whole_all_the_same(
    missing: str, fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    body = chat(f"[fake {missing}]", stream=True)
    assert client.post(CHAT, headers=bearer(fake_key), json=body).status_code == 200
    (record,) = shop.settled()
    assert (record.usage_source, record.error_type) == ("upstream", "")


def test_an_answer_without_text_is_charged_by_its_usage(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R6: hidden reasoning is delivery, and upstream's usage says so."""
    body = chat("[fake tokens=0 reasoning=50]", stream=True)
    assert client.post(CHAT, headers=bearer(fake_key), json=body).status_code == 200
    (record,) = shop.settled()
    assert (record.reasoning_count, record.output_count) == (50, 0)
    assert record.charged_ubt > 50 * 40_000_000


@pytest.mark.parametrize("kind", ["tool", "refusal"])
@pytest.mark.parametrize("stream", [True, False])
def test_calls_and_refusals_are_delivery(
    kind: str, stream: bool, fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R6: counted like text when no usage is told."""
    body = chat(f"[fake {kind} usage=none]", stream=stream)
    assert client.post(CHAT, headers=bearer(fake_key), json=body).status_code == 200
    (record,) = shop.settled()
    assert record.usage_source == "counted"
    assert record.output_count >= 8


def test_cached_tokens_are_charged_at_their_own_price(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R6: cached tokens stand inside OpenAI's prompt tokens and are taken out of them."""
    shop.reprice("gpt-4", input=20, cached_input=5, output=40)
    shop.wait_for_relays()
    client.post(CHAT, headers=bearer(fake_key), json=chat("[fake cached=100]"))
    (record,) = shop.settled()
    assert record.cached_input_count == 100
    assert record.charged_ubt == 1_000_000 * (
        20 * record.input_count + 5 * 100 + 40 * record.output_count
    )


def test_a_client_that_leaves_a_stream_pays_for_what_it_got(
    fake_key: str, shop: Shop, fake: FakeUpstream, relay_server: RelayServer
) -> None:
    """R7: the upstream is cancelled at once; prompt and delivery are charged."""
    body = chat("[fake tokens=500 delay_ms=10]", stream=True)
    with raw_request(relay_server.port, fake_key, body) as sock:
        read_until(sock, b"water")
    until(lambda: fake.truth[0].closed_by_client)
    (record,) = shop.settled()
    assert (record.resolution, record.usage_source) == ("client_gone", "counted")
    assert 4 <= record.output_count <= fake.truth[0].pieces < 300
    assert record.status == 499
    shop.check_books()


def test_a_client_that_leaves_before_the_first_content_pays_nothing(
    fake_key: str, shop: Shop, fake: FakeUpstream, relay_server: RelayServer
) -> None:
    """R5: nothing delivered, nothing charged."""
    body = chat("[fake silent_ms=5000]", stream=True)
    with raw_request(relay_server.port, fake_key, body):
        until(lambda: fake.truth)
    until(lambda: fake.truth[0].closed_by_client)
    (record,) = shop.settled()
    assert (record.charged_ubt, record.resolution) == (0, "client_gone")


def test_a_client_that_leaves_a_whole_answer_pays_nothing_and_upstream_is_cancelled(
    fake_key: str, shop: Shop, fake: FakeUpstream, relay_server: RelayServer
) -> None:
    """R8."""
    with raw_request(relay_server.port, fake_key, chat("[fake silent_ms=5000]")):
        until(lambda: fake.truth)
    until(lambda: fake.truth[0].closed_by_client)
    (record,) = shop.settled()
    assert (record.charged_ubt, record.resolution) == (0, "client_gone")
    shop.check_books()


def test_a_client_that_left_just_before_its_answer_came_pays_nothing(
    fake_key: str, shop: Shop, fake: FakeUpstream, relay_server: RelayServer
) -> None:
    """R8: also when the answer is quicker than the watch."""
    with raw_request(relay_server.port, fake_key, chat("[fake silent_ms=60]")):
        until(lambda: fake.truth)
    (record,) = shop.settled()
    assert (record.charged_ubt, record.resolution) == (0, "client_gone")


def test_a_tenant_may_have_abandoned_answers_finished_and_charged(
    fake_key: str, shop: Shop, fake: FakeUpstream, relay_server: RelayServer
) -> None:
    """R8: the switch."""
    shop.change_tenant(finishes_abandoned=True)
    shop.wait_for_relays()
    with raw_request(relay_server.port, fake_key, chat("[fake silent_ms=400]")):
        until(lambda: fake.truth)
    (record,) = shop.settled()
    assert fake.truth[0].finished
    assert (record.resolution, record.usage_source) == ("client_gone", "upstream")
    assert record.charged_ubt > 0


def test_a_key_that_abandons_often_pays_for_the_rest_of_the_day(
    fake_key: str, shop: Shop, fake: FakeUpstream, relay_server: RelayServer
) -> None:
    """R8: on for a key after 20 of a day."""
    for number in range(1, 22):
        with raw_request(relay_server.port, fake_key, chat("[fake silent_ms=40]")):
            until(partial(_has_asked, fake, number))
        shop.settled(number)
    *free, last = shop.usage()
    assert {record.charged_ubt for record in free} == {0}
    assert last.charged_ubt > 0


def _has_asked(fake: FakeUpstream, count: int) -> bool:
    return len(fake.truth) >= count


def test_clients_that_leave_at_any_moment_leave_no_hold(
    fake_key: str, shop: Shop, relay_server: RelayServer
) -> None:
    for number in range(40):
        body = chat(f"[fake silent_ms={number % 5} tokens=20 delay_ms=1]", stream=number % 2 == 0)
        with raw_request(relay_server.port, fake_key, body):
            time.sleep(number % 8 / 1000)
    until(lambda: not relay_server.services.calls)
    until(lambda: not shop.holds())
    until(lambda: not relay_server.services.ledger.open)
    shop.check_books()


def test_a_relay_that_stops_lets_streams_end_for_a_while(
    fake_key: str, shop: Shop, fake: FakeUpstream
) -> None:
    """R12: within the drain time a running stream goes on to its end."""
    with running_relay() as server:
        body = chat("[fake tokens=40 delay_ms=10]", stream=True)
        with raw_request(server.port, fake_key, body) as sock:
            read_until(sock, b"water")
            server.begin_to_stop()
            assert b"[DONE]" in read_until(sock, b"0\r\n\r\n")
    (record,) = shop.settled()
    assert record.usage_source == "upstream"


def test_a_relay_that_must_stop_settles_what_was_delivered(
    fake_key: str, shop: Shop, fake: FakeUpstream
) -> None:
    """R12: no money lives in memory only."""
    with running_relay() as server:
        body = chat("[fake tokens=2000 delay_ms=10]", stream=True)
        with raw_request(server.port, fake_key, body) as sock:
            read_until(sock, b"water")
            server.stop()
    (record,) = shop.settled()
    assert (record.usage_source, record.error_type) == ("counted", "relay_stopping")
    assert record.output_count > 100
    shop.check_books()
