"""How long a channel's upstream may take for each phase of an answer, and its outbound proxy."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes.forward_proxy import ForwardProxy
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, events, said
from tests.relay.conftest import Shop


def ask(client: httpx.Client, key: str, text: str = "Hello", **fields: object) -> httpx.Response:
    """Send a chat."""
    return client.post(CHAT, headers=bearer(key), json=chat(text, **fields))


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of an answer that is an error."""
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("name", ["first_byte_timeout_ms", "total_timeout_ms"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_upstream_that_says_nothing_is_given_up(
    shop: Shop, fake: FakeUpstream, client: httpx.Client, name: str, stream: bool
) -> None:
    shop.change_channel(shop.fake_channel(fake), **{name: 200})
    shop.wait_for_relays()
    began = time.monotonic()
    answer = ask(client, shop.key(), "[fake hang=1]", stream=stream)
    assert error_of(answer) == (504, "upstream_timeout")
    assert time.monotonic() - began < 5
    assert shop.settled()[0].charged_ubt == 0


@pytest.mark.parametrize("name", ["idle_timeout_ms", "total_timeout_ms"])
def test_a_stream_that_falls_silent_ends_with_an_error_and_is_charged_for_what_came(
    shop: Shop, fake: FakeUpstream, client: httpx.Client, name: str
) -> None:
    shop.change_channel(shop.fake_channel(fake), **{name: 300})
    shop.wait_for_relays()
    with pytest.raises(httpx.RemoteProtocolError):
        ask(client, shop.key(), "[fake tokens=9 pause_ms=5000]", stream=True)
    (record,) = shop.settled()
    assert (record.error_type, record.usage_source) == ("upstream_timeout", "counted")
    assert record.charged_ubt > 0


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of an upstream that takes connections and reads nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_an_upstream_that_takes_no_request_is_given_up(
    shop: Shop, client: httpx.Client, deaf: int
) -> None:
    url = f"http://127.0.0.1:{deaf}/v1"
    fields: dict[str, Any] = {"base_url": url, "credential": "sk-x", "allow_private_network": True}
    shop.change_channel(shop.channel(provider="openai", **fields), write_timeout_ms=200)
    shop.wait_for_relays()
    answer = ask(client, shop.key(1_000_000_000), "x" * 9_000_000)
    assert error_of(answer) == (504, "upstream_timeout")


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """The port of an upstream that completes no further connection."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def test_an_upstream_that_does_not_connect_is_given_up(
    shop: Shop, client: httpx.Client, full_backlog: int
) -> None:
    url = f"http://127.0.0.1:{full_backlog}/v1"
    fields: dict[str, Any] = {"base_url": url, "credential": "sk-x", "allow_private_network": True}
    shop.change_channel(shop.channel(provider="openai", **fields), connect_timeout_ms=200)
    shop.wait_for_relays()
    assert error_of(ask(client, shop.key())) == (504, "upstream_timeout")


@pytest.mark.parametrize("stream", [True, False])
def test_a_channel_with_a_proxy_is_reached_through_it(
    shop: Shop, fake: FakeUpstream, client: httpx.Client, stream: bool
) -> None:
    with ForwardProxy() as proxy:
        channel = shop.fake_channel(fake)
        shop.change_channel(channel, proxy_url=f"http://127.0.0.1:{proxy.port}")
        shop.wait_for_relays()
        answer = ask(client, shop.key(), stream=stream)
        assert answer.status_code == 200
        assert proxy.asked == [f"POST {fake.base_url}/chat/completions HTTP/1.1"]
    text = said(answer) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text == fake.truth[0].text
    assert not stream or events(answer)[-1] == "[DONE]"
    assert shop.settled()[0].usage_source == "upstream"


def test_a_proxy_is_given_its_password_and_the_upstream_is_not(
    shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    word = base64.b64encode(b"user:word").decode()
    with ForwardProxy(authorization=f"Basic {word}") as proxy:
        channel = shop.fake_channel(fake)
        shop.change_channel(channel, proxy_url=f"http://user:word@127.0.0.1:{proxy.port}")
        shop.wait_for_relays()
        assert ask(client, shop.key()).status_code == 200


def test_a_proxy_that_can_be_none_takes_its_channel_out_of_service(
    shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    shop.change_channel(shop.fake_channel(fake, priority=9), proxy_url="socks5://127.0.0.1:1")
    shop.channel()
    shop.wait_for_relays()
    assert ask(client, shop.key()).status_code == 200
    assert fake.truth == []


def test_a_proxy_that_is_away_is_an_upstream_that_is_away(
    shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    shop.change_channel(shop.fake_channel(fake), proxy_url="http://user:word@127.0.0.1:1")
    shop.wait_for_relays()
    answer = ask(client, shop.key())
    assert error_of(answer) == (503, "no_available_channel")
    assert "word" not in json.dumps(answer.json())
