"""Compressed answers are inflated within bounds."""

import gzip
import tracemalloc
import zlib

import pytest

from relay.upstream import WireUpstream
from relay.wire.encoding import MAX_RATIO, STEP_BYTES, BodyDecoder, decoder_for
from relay.wire.errors import BodyTooLarge, ProtocolViolation

from .peers import CHUNKED, PRIVATE, SOON, Server, chunk, plain, replying, serving

TEXT = b"".join(b'{"number":%d},' % number for number in range(8_000))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODINGS = {
    b"gzip": gzip.compress(TEXT),
    b"x-gzip": gzip.compress(TEXT),
    b"GZIP": gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:]),
    b"deflate": zlib.compress(TEXT),
    b" deflate": raw_deflate(TEXT),
    b"identity": TEXT,
}


def inflate(decoder: BodyDecoder, data: bytes, *, step: int) -> bytes:
    plain_bytes = b""
    for at in range(0, len(data), step):
        decoder.feed(data[at : at + step])
        while piece := decoder.take():
            assert len(piece) <= STEP_BYTES
            plain_bytes += piece
    decoder.finish()
    return plain_bytes


async def fetch(client: WireUpstream, server: Server, limit_bytes: int = 10_000_000) -> bytes:
    response = await client.send(server.post(), SOON, PRIVATE, stream=True)
    return await response.read(limit_bytes)


@pytest.mark.parametrize("step", [1, 777, 10_000_000])
@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"deflate", b" deflate"])
def test_compressed_bytes_may_come_in_any_pieces(coding: bytes, step: int) -> None:
    decoder = decoder_for(coding)
    assert decoder is not None
    assert inflate(decoder, CODINGS[coding], step=step) == TEXT


@pytest.mark.parametrize("size", [STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 2 * STEP_BYTES])
def test_bodies_that_fill_a_step_exactly_are_whole(size: int) -> None:
    assert inflate(BodyDecoder(b"gzip"), gzip.compress(b"a" * size), step=10**6) == b"a" * size


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_compressed_answer_is_read_plain(client: WireUpstream, coding: bytes) -> None:
    reply = plain(CODINGS[coding], extra=b"content-encoding: %b\r\n" % coding)
    async with serving(replying(reply)) as server:
        for _ in range(2):
            assert await fetch(client, server) == TEXT
        assert len(server.peers) == 1


async def test_headers_of_an_inflated_answer_describe_the_plain_body(client: WireUpstream) -> None:
    reply = plain(CODINGS[b"gzip"], extra=b"x-a: 1\r\ncontent-encoding: gzip\r\n")
    async with serving(replying(reply)) as server:
        response = await client.send(server.post(), SOON, PRIVATE)
        assert response.headers == [(b"x-a", b"1")]
        response.close()


async def test_a_compressed_stream_comes_as_it_is_flushed(client: WireUpstream) -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    second = packer.compress(b"data: 2\n\n") + packer.flush()
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    pieces = (head, chunk(first), chunk(second), b"0\r\n\r\n")
    async with serving(replying(*pieces, pause_s=0.03)) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        assert await response.next_chunk() == b"data: 1\n\n"
        assert await response.next_chunk() == b"data: 2\n\n"
        assert await response.next_chunk() == b""


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"compress", b"x"])
async def test_codings_we_cannot_bound_are_refused(client: WireUpstream, coding: bytes) -> None:
    reply = plain(b"abc", extra=b"content-encoding: %b\r\n" % coding)
    async with serving(replying(reply)) as server:
        with pytest.raises(ProtocolViolation):
            await fetch(client, server)


BROKEN = {
    "cut": CODINGS[b"gzip"][:-9],
    "no gzip": b"plain text",
    "one byte": b"\x1f",
    "bad sum": CODINGS[b"gzip"][:-8] + b"\0" * 8,
    "bytes behind": CODINGS[b"gzip"] + b"more",
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_compressed_body_is_refused(client: WireUpstream, case: str) -> None:
    reply = plain(BROKEN[case], extra=b"content-encoding: gzip\r\n")
    async with serving(replying(reply)) as server:
        with pytest.raises(ProtocolViolation) as caught:
            await fetch(client, server)
        assert caught.value.response_started


async def test_an_empty_compressed_body_is_empty(client: WireUpstream) -> None:
    async with serving(replying(plain(b"", extra=b"content-encoding: gzip\r\n"))) as server:
        assert await fetch(client, server) == b""


async def test_a_bomb_costs_little_memory_and_an_error(client: WireUpstream) -> None:
    bomb = gzip.compress(b"\0" * 256 * 1024 * 1024, compresslevel=9)
    async with serving(replying(plain(bomb, extra=b"content-encoding: gzip\r\n"))) as server:
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        with pytest.raises(BodyTooLarge):
            response = await client.send(server.post(), SOON, PRIVATE, stream=True)
            while await response.next_chunk():
                pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak - before < 5_000_000
        assert client.running == 0


async def test_the_readers_limit_counts_plain_bytes(client: WireUpstream) -> None:
    reply = plain(gzip.compress(TEXT), extra=b"content-encoding: gzip\r\n")
    async with serving(replying(reply)) as server:
        with pytest.raises(BodyTooLarge):
            await fetch(client, server, limit_bytes=len(TEXT) - 1)
        assert await fetch(client, server, limit_bytes=len(TEXT)) == TEXT


def test_the_ratio_lets_short_repetitive_text_pass() -> None:
    text = b'{"choices":[{"index":0,"delta":{"content":" token"}}]}\n' * 18_000
    packed = gzip.compress(text)
    assert len(text) / len(packed) > MAX_RATIO
    assert inflate(BodyDecoder(b"gzip"), packed, step=100) == text
