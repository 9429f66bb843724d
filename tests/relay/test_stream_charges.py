"""What streams are charged when events are huge, usage comes early, or the end is no end."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, events, raw_request, said, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay

HELLO = {"content": "one two three four five six seven"}


def chunk(*, delta: dict[str, str] | None = None, finish: str | None = None) -> bytes:
    """Return a chunk of a stream."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode()


def usage(prompt: int, completion: int) -> bytes:
    """Return a chunk that has usage and nothing else."""
    told = {"prompt_tokens": prompt, "completion_tokens": completion}
    return b"data: %b\n\n" % json.dumps({"choices": [], "usage": told}).encode()


@contextmanager
def vendor_that_sends(*pieces: bytes) -> Iterator[str]:
    """Answer one request with a stream of these bytes, then close; yield the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            sock.sendall(b"".join(pieces))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    thread.join(5)
    listener.close()


def ask(client: httpx.Client, shop: Shop, *pieces: bytes, credit: int = 90_000) -> str:
    """Return what arrives of a stream from a vendor that sends these bytes."""
    with vendor_that_sends(*pieces) as url:
        shop.channel(
            provider="openai", base_url=url, credential="sk-fake", allow_private_network=True
        )
        key, text = shop.key(credit), ""
        shop.wait_for_relays()
        try:
            with client.stream("POST", CHAT, headers=bearer(key), json=chat(stream=True)) as answer:
                for piece in answer.iter_text():
                    text += piece
        except httpx.RemoteProtocolError:
            pass
    return text


def test_an_answer_in_one_huge_event_is_delivered_if_the_balance_affords_it(
    shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    shop.fake_channel(fake)
    key = shop.key(10_000_000)
    shop.wait_for_relays()
    body = chat("[fake tokens=4000 chunk_chars=20000]", stream=True)
    answer = client.post(CHAT, headers=bearer(key), json=body)
    assert len(said(answer).split()) == 4000
    assert events(answer)[-1] == "[DONE]"
    shop.settled()


def test_an_event_that_only_its_bytes_make_dear_is_counted_and_delivered(
    shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    shop.fake_channel(fake)
    key = shop.key(60_000)  # 1,400 tokens of output, in 7,000 bytes
    shop.wait_for_relays()
    body = chat("[fake tokens=1300 chunk_chars=20000]", stream=True)
    answer = client.post(CHAT, headers=bearer(key), json=body)
    assert len(said(answer).split()) == 1300
    (record,) = shop.settled()
    assert (record.absorbed_ubt, record.usage_source) == (0, "upstream")


def test_usage_that_was_read_ahead_is_not_charged_when_credit_ends_before_it(
    shop: Shop, client: httpx.Client
) -> None:
    """R4: what the client did not get is not charged, whatever the upstream says it wrote."""
    huge = chunk(delta={"content": "word " * 4_000})
    end = chunk(finish="stop") + usage(9, 4_000) + b"data: [DONE]\n\n"
    text = ask(client, shop, chunk(delta=HELLO), huge, end, credit=8_000)
    assert '"insufficient_quota"' in text
    (record,) = shop.settled()
    assert (record.output_count, record.error_type) == (7, "policy_quota")
    assert record.absorbed_ubt == 0
    shop.check_books()


def test_usage_told_before_the_text_does_not_make_a_cut_stream_free(
    shop: Shop, client: httpx.Client
) -> None:
    text = ask(client, shop, usage(9, 0), chunk(delta=HELLO))
    assert '"no_available_channel"' in text
    (record,) = shop.settled()
    assert (record.input_count, record.output_count) == (9, 7)
    assert (record.usage_source, record.error_type) == ("counted", "upstream_cut")


def test_usage_told_only_before_the_text_does_not_make_a_whole_stream_free(
    shop: Shop, client: httpx.Client
) -> None:
    text = ask(
        client, shop, usage(9, 0), chunk(delta=HELLO), chunk(finish="stop"), b"data: [DONE]\n\n"
    )
    assert text.endswith("data: [DONE]\n\n")
    (record,) = shop.settled()
    assert (record.input_count, record.output_count, record.error_type) == (9, 7, "")


def test_the_last_usage_of_a_whole_stream_wins_even_if_it_is_less_than_the_count(
    shop: Shop, client: httpx.Client
) -> None:
    """R6."""
    ask(client, shop, chunk(delta=HELLO), chunk(finish="stop"), usage(9, 2), b"data: [DONE]\n\n")
    (record,) = shop.settled()
    assert (record.input_count, record.output_count, record.usage_source) == (9, 2, "upstream")


def test_a_stream_cut_after_one_of_its_choices_has_ended_is_no_whole_answer(
    shop: Shop, client: httpx.Client
) -> None:
    text = ask(client, shop, chunk(delta=HELLO), chunk(finish="stop"), chunk(delta=HELLO))
    assert '"no_available_channel"' in text
    (record,) = shop.settled()
    assert record.error_type == "upstream_cut"


def test_a_client_that_does_not_read_the_end_of_its_stream_is_given_up(
    shop: Shop, fake: FakeUpstream
) -> None:
    shop.fake_channel(fake, "/no_finish/no_done/usage=none/v1")
    body = json.dumps(chat("[fake tokens=560000 chunk_chars=4000000]", stream=True)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {shop.key(10**9)}\r\n"
    with running_relay(stalled_reader_s=0.5) as server, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before it connects
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(b"%bcontent-length: %d\r\n\r\n%b" % (head.encode(), len(body), body))
        (record,) = until(shop.usage, within_s=20)
        until(lambda: not server.services.calls)
    assert (record.output_count, record.resolution) == (560_000, "client_gone")


def test_a_stream_that_the_relay_must_stop_says_so(
    fake_key: str, relay_server: RelayServer
) -> None:
    body = chat("[fake tokens=2000 delay_ms=10]", stream=True)
    with raw_request(relay_server.port, fake_key, body) as sock:
        data = sock.recv(65536)
        relay_server.begin_to_stop()
        while piece := sock.recv(65536):
            data += piece
    last = [line for line in data.split(b"\n") if line.startswith(b"data: ")][-1]
    assert json.loads(last[6:])["error"]["code"] == "overloaded"
