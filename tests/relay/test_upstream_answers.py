"""Answers in one piece, in every framing and coding that vendors use, through a running relay."""

import gzip
import zlib

import httpx

from tests.relay.asking import chat
from tests.relay.conftest import Shop
from tests.relay.server import running_relay
from tests.relay.vendors import (
    EVENTS,
    JSON,
    OK,
    Got,
    add_channel,
    ask,
    by_id,
    by_prompt,
    finish,
    said,
    selling,
    streamed,
    usage,
    used,
    vendor,
    whole,
)
from tests.relay.wire.peers import Peer, chunk, plain

BODY = whole("one two", usage=used(11, 22))
STREAM = said("one two") + finish() + usage(11, 22) + b"data: [DONE]\n\n"
HTML = b"<html><body>busy</body></html>"


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def coded(coding: bytes, body: bytes, kind: bytes = JSON) -> list[bytes]:
    return [plain(body, extra=kind + b"content-encoding: %b\r\n" % coding)]


def asked_for(shop: Shop, client: httpx.Client, answers: dict[str, list[bytes]]) -> dict[str, Got]:
    """Return what a client gets of each answer; those whose name says so are asked as streams."""
    with selling(shop, by_prompt(answers)) as key:
        return {
            name: ask(client, key, chat(name, stream=name.endswith("stream"))) for name in answers
        }


GOOD = {
    "length": [plain(BODY, extra=JSON)],
    "chunks": [OK + JSON + b"transfer-encoding: chunked\r\n\r\n", chunk(BODY), b"0\r\n\r\n"],
    "trailers": [
        OK + JSON + b"transfer-encoding: chunked\r\n\r\n",
        b"%x;a=b\r\n%b\r\n0\r\nx-sum: 1\r\n\r\n" % (len(BODY), BODY),
    ],
    "its connection's end": [OK + JSON + b"\r\n" + BODY, b""],
    "HTTP/1.0": [b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n" + BODY, b""],
    "HTTP/1.0 with a length": [
        b"HTTP/1.0 200 OK\r\n" + JSON + b"content-length: %d\r\n\r\n" % len(BODY) + BODY,
        b"",
    ],
    "continue first": [b"HTTP/1.1 100 Continue\r\n\r\n" + plain(BODY, extra=JSON)],
    "hints first": [b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3, plain(BODY, extra=JSON)],
    "continue first, stream": [b"HTTP/1.1 100 Continue\r\n\r\n", *streamed(STREAM)],
    "HTTP/1.0, stream": [b"HTTP/1.0 200 OK\r\n" + EVENTS + b"\r\n" + STREAM, b""],
    "a length, stream": [plain(STREAM, extra=EVENTS)],
    "bytes behind it": [plain(BODY, extra=JSON) + b"HTTP/1.1 200 OK\r\n"],
    "byte by byte": [bytes([byte]) for byte in plain(BODY, extra=JSON)],
    "created": [plain(BODY, status=b"201 Created", extra=JSON)],
    "gzip": coded(b"gzip", gzip.compress(BODY)),
    "x-gzip": coded(b"X-Gzip", gzip.compress(BODY)),
    "two members of gzip": coded(b"gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
    "deflate": coded(b"deflate", zlib.compress(BODY)),
    "deflate without its wrapper": coded(b"deflate", raw_deflate(BODY)),
    "identity": coded(b"identity", BODY),
    "gzip, stream": coded(b"gzip", gzip.compress(STREAM), EVENTS),
    "deflate, stream": coded(b"deflate", zlib.compress(STREAM), EVENTS),
    "JSON, asked as a stream": [plain(BODY, extra=JSON)],
}


def test_an_answer_in_any_framing_and_coding_is_delivered_and_charged(
    shop: Shop, client: httpx.Client
) -> None:
    seen = asked_for(shop, client, GOOD)
    records = by_id(shop.settled(len(GOOD)))
    for name, got in seen.items():
        assert (got.text, got.is_whole) == ("one two", True), name
        assert "content-encoding" not in got.headers, name
        record = records[got.request_id]
        assert (record.input_count, record.output_count) == (11, 22), name
        assert record.usage_source == "upstream", name
    shop.check_books()


BAD = {
    "brotli": coded(b"br", b"\x0b\x02\x80abc\x03"),
    "zstd": coded(b"zstd", b"\x28\xb5\x2f\xfd\x04\x00"),
    "compress": coded(b"compress", b"\x1f\x9d\x90"),
    "gzip twice": coded(b"gzip, gzip", gzip.compress(gzip.compress(BODY))),
    "gzip that is none": coded(b"gzip", BODY),
    "gzip, cut": coded(b"gzip", gzip.compress(BODY)[:-9]),
    "gzip with a wrong sum": coded(b"gzip", gzip.compress(BODY)[:-8] + b"\0" * 8),
    "gzip without bounds": coded(b"gzip", gzip.compress(b"\0" * 64_000_000)),
    "brotli, stream": coded(b"br", b"\x0b\x02\x80abc\x03", EVENTS),
    "gzip that is none, stream": coded(b"gzip", STREAM, EVENTS),
    "HTML": [plain(HTML, extra=b"content-type: text/html\r\n")],
    "HTML, stream": [plain(HTML, extra=b"content-type: text/html\r\n")],
    "much HTML, stream": [plain(HTML * 20_000, extra=b"content-type: text/html\r\n")],
    "HTML with blank lines, stream": [
        plain((HTML + b"\n\n") * 20_000, extra=b"content-type: text/html\r\n")
    ],
    "HTML of a gateway": [plain(HTML, status=b"502 Bad Gateway")],
    "HTML of a gateway, stream": [plain(HTML, status=b"502 Bad Gateway")],
    "a redirect": [plain(b"", status=b"302 Found", extra=b"location: http://127.0.0.1:1/\r\n")],
    "nothing": [plain(b"", extra=JSON)],
    "nothing, stream": [plain(b"", extra=EVENTS)],
    "no content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "white space": [plain(b"  \n", extra=JSON)],
    "null": [plain(b"null", extra=JSON)],
    "a list": [plain(b"[]", extra=JSON)],
    "half of it": [plain(BODY[:60], extra=JSON)],
    "no UTF-8": [plain(BODY.replace(b"one", b"\xff\xfe\xff"), extra=JSON)],
    "a length too short": [
        OK + JSON + b"content-length: %d\r\n\r\n" % (len(BODY) - 9) + BODY,
    ],
    "a length too long": [OK + JSON + b"content-length: %d\r\n\r\n" % (len(BODY) + 9) + BODY, b""],
    "two lengths": [OK + JSON + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!"],
    "a length and chunks": [
        OK + JSON + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        chunk(BODY) + b"0\r\n\r\n",
    ],
    "an unknown transfer coding": [OK + JSON + b"transfer-encoding: gzip, chunked\r\n\r\n"],
    "chunks, cut": [OK + JSON + b"transfer-encoding: chunked\r\n\r\n" + chunk(BODY), b""],
    "chunks with a wrong size": [
        OK + JSON + b"transfer-encoding: chunked\r\n\r\nzz\r\n%b\r\n0\r\n\r\n" % BODY
    ],
    "a head, cut": [OK + b"content-ty", b""],
    "another protocol": [b"SSH-2.0-OpenSSH_9.2\r\n", b""],
    "hang up at once": [b""],
    "hang up at once, stream": [b""],
}


def test_an_answer_that_is_none_is_refused_clearly_and_costs_nothing(
    shop: Shop, client: httpx.Client
) -> None:
    """R5."""
    seen = asked_for(shop, client, BAD)
    for name, got in seen.items():
        assert (got.status, got.error) == (503, "no_available_channel"), name
        assert b"busy" not in got.body, name
    records = shop.settled(len(BAD))
    assert {(record.charged_ubt, record.resolution) for record in records} == {(0, "voided")}
    shop.check_books()


def test_a_compressed_stream_is_passed_on_as_it_is_flushed(
    shop: Shop, client: httpx.Client
) -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(said("one")) + packer.flush(zlib.Z_SYNC_FLUSH)
    head = OK + EVENTS + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    answers = {"Hello": [head, chunk(first), b""]}
    with selling(shop, by_prompt(answers, pause_s=0.05)) as key:
        got = ask(client, key)
    assert (got.text, got.is_whole) == ("one", False)
    (record,) = shop.settled()
    assert (record.output_count, record.error_type) == (1, "upstream_cut")


def test_a_reused_connection_that_has_died_is_replaced_and_charged_once(
    shop: Shop, client: httpx.Client
) -> None:
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.request()
        await peer.send(plain(BODY, extra=JSON))
        await peer.request()

    with selling(shop, script) as key:
        seen = [ask(client, key, chat()) for _ in range(3)]
    assert [got.status for got in seen] == [200, 200, 200]
    assert [len(peer.requests) for peer in peers] == [2, 2, 1]
    records = shop.settled(3)
    assert {(record.attempts, record.output_count) for record in records} == {(1, 22)}


def test_a_request_is_not_sent_again_once_its_answer_has_begun(
    shop: Shop, client: httpx.Client
) -> None:
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.request()
        await peer.send(plain(BODY, extra=JSON))
        await peer.request()
        await peer.send(b"H")

    with selling(shop, script) as key:
        assert [ask(client, key, chat()).status for _ in range(2)] == [200, 503]
    assert [len(peer.requests) for peer in peers] == [2]


def test_bodies_of_25_megabytes_pass_both_ways(shop: Shop) -> None:
    picture = "data:image/png;base64," + "A" * 25_000_000
    content = [{"type": "image_url", "image_url": {"url": picture}}]
    sizes: list[int] = []

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            sizes.append(len(request.body))
            await peer.send(plain(whole("x" * 25_000_000, usage=used(11, 22)), extra=JSON))

    with (
        running_relay(max_body_bytes=30_000_000) as server,
        selling(shop, script) as key,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        got = ask(client, key, chat() | {"messages": [{"role": "user", "content": content}]})
    assert (got.status, len(got.text)) == (200, 25_000_000)
    assert sizes[0] > 25_000_000
    (record,) = shop.settled()
    assert record.output_count == 22


def test_an_answer_beyond_every_bound_is_given_up(shop: Shop) -> None:
    answers = {"Hello": [plain(whole("x" * 2_000_000, usage=used(11, 22)), extra=JSON)]}
    with (
        running_relay(max_answer_bytes=1_000_000) as server,
        selling(shop, by_prompt(answers)) as key,
        httpx.Client(base_url=server.url) as client,
    ):
        got = ask(client, key, chat())
    assert (got.status, got.error) == (503, "no_available_channel")
    (record,) = shop.settled()
    assert record.charged_ubt == 0


def test_a_stream_that_falls_silent_is_ended_and_charged_for_what_came(
    shop: Shop, client: httpx.Client
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(streamed()[0], chunk(said("one two")))
        await peer.reader.read()

    with vendor(script) as server:
        shop.change_channel(add_channel(shop, server), idle_timeout_ms=200)
        key = shop.key()
        shop.wait_for_relays()
        got = ask(client, key)
    assert (got.text, got.is_whole) == ("one two", False)
    assert got.error == "no_available_channel"
    (record,) = shop.settled()
    assert (record.output_count, record.error_type) == (2, "upstream_timeout")
