"""Comments that keep the connections of quiet streams alive."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, events, raw_request, read_until, said
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay

PING = b": ping\n\n"


@pytest.fixture
def lively(shop: Shop) -> Iterator[RelayServer]:
    """A relay that keeps streams alive."""
    with running_relay(keepalive_s=0.15) as server:
        yield server


def ask(server: RelayServer, key: str, text: str, *, stream: bool = True) -> httpx.Response:
    """Send a chat."""
    url = server.url + CHAT
    return httpx.post(url, headers=bearer(key), json=chat(text, stream=stream), timeout=20)


def test_a_slow_first_word_is_waited_for_with_comments(
    fake_key: str, shop: Shop, lively: RelayServer
) -> None:
    answer = ask(lively, fake_key, "[fake silent_ms=700 tokens=3]")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content.startswith(PING * 2)
    assert events(answer)[-1] == "[DONE]"
    assert shop.settled()[0].usage_source == "upstream"


def test_silence_between_two_events_is_filled_with_whole_comments(
    fake_key: str, fake: FakeUpstream, lively: RelayServer
) -> None:
    answer = ask(lively, fake_key, "[fake pause_ms=700 tokens=3]")
    assert PING * 2 in answer.content
    assert said(answer) == fake.truth[0].text


def test_a_busy_stream_needs_no_comments(fake_key: str, lively: RelayServer) -> None:
    answer = ask(lively, fake_key, "[fake tokens=30 delay_ms=20]")
    assert PING not in answer.content


def test_what_fails_after_a_comment_is_told_by_an_event(
    fake_key: str, shop: Shop, lively: RelayServer
) -> None:
    with raw_request(
        lively.port, fake_key, chat("[fake silent_ms=500 status=500]", stream=True)
    ) as sock:
        answer = read_until(sock, b"nothing else")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    data = body[body.index(b"data: ") + 6 :].split(b"\n")[0]
    assert json.loads(data)["error"]["code"] == "no_available_channel"
    assert b"[DONE]" not in body
    assert not body.endswith(b"0\r\n\r\n")
    assert shop.settled()[0].charged_ubt == 0


def test_another_channel_is_still_tried_after_a_comment(
    shop: Shop, fake: FakeUpstream, lively: RelayServer
) -> None:
    shop.fake_channel(fake, "/silent_ms=500/status=500/v1", priority=9)
    shop.fake_channel(fake)
    shop.wait_for_relays()
    answer = ask(lively, shop.key(), "[fake tokens=3]")
    assert answer.content.startswith(PING)
    assert events(answer)[-1] == "[DONE]"


def test_a_whole_answer_is_never_begun_by_a_comment(fake_key: str, lively: RelayServer) -> None:
    answer = ask(lively, fake_key, "[fake silent_ms=500]", stream=False)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["choices"]


def test_without_the_setting_nothing_is_sent_into_silence(
    fake_key: str, client: httpx.Client
) -> None:
    body = chat("[fake silent_ms=500 tokens=3]", stream=True)
    answer = client.post(CHAT, headers=bearer(fake_key), json=body)
    assert PING not in answer.content
