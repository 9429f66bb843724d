"""Our client and httpx, asked the same by the same server: they must see the same answer.

Answers are made up from seeds, framing x coding x chunking x headers x faults, so that a difference
is told by one number: `made(number)`. Where our client is strict on purpose, `stricter` says so.
"""

import gzip
import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import pytest

from relay.upstream import HttpxUpstream, Upstream, UpstreamError, UpstreamResponse, WireUpstream
from tests.plugins.proof import size

from .peers import PRIVATE, SOON, Peer, Server, serving

pytestmark = [
    pytest.mark.proof,
    pytest.mark.asyncio(loop_factories=["uvloop"]),
    pytest.mark.timeout(size(120, proof=1_800)),
]

CASES = size(250, proof=20_000)
STATUSES = (
    *(b"200 OK",) * 8,
    b"201 Created",
    b"200",
    b"202 ",
    b"204 No Content",
    b"304 Not Modified",
    b"307 Temporary Redirect",
    b"400 Bad Request",
    b"401 Unauthorized",
    b"404 Not Found",
    b"413 Content Too Large",
    b"429 Too Many Requests",
    b"500 Internal Server Error",
    b"503 Service Unavailable",
    b"599 Odd",
)
HEADERS = (
    b"Content-Type: application/json",
    b"content-type: text/event-stream; charset=utf-8",
    b"X-Request-Id: req_1",
    b"retry-after: 7",
    b"Retry-After:7",
    b"set-cookie: a=1",
    b"set-cookie: b=2",
    b"x-empty:",
    b"x-spaces: \t a  b \t ",
    b"x-latin: \xe9\xff",
    b"x-long: " + b"y" * 4_000,
    b"openai-processing-ms: 42",
    b"x-quoted: \"a, b\"; c='d'",
    b"x-colon: a:b: c",
    b"date: Sun, 22 Nov 2026 15:00:00 GMT",
    b"vary: accept-encoding",
    b"keep-alive: timeout=5",
)


@dataclass
class Reply:
    """What a server sends, in these pieces; afterwards it closes."""

    pieces: list[bytes]
    stricter: bool = False


def made(number: int, *, is_head: bool) -> Reply:
    """Return the answer of a seed."""
    rng = random.Random(number)
    coding, body, is_sound = _coded(rng, _body(rng))
    status = rng.choice(STATUSES)
    lines, wire, stricter = _framed(rng, body, kinds=12 if is_sound else 9)
    lines += [b"content-encoding: %b" % coding] if coding else []
    lines += rng.sample(HEADERS, rng.randrange(6))
    lines += rng.choice(([], [], [b"connection: close"], [b"Connection: Keep-Alive"]))
    rng.shuffle(lines)
    head = b"HTTP/1.%d %b\r\n" % (rng.random() < 0.9, status)
    head += b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    if status[:3] in (b"204", b"304") or is_head:
        wire = b""
    wire = rng.choice(INTERIMS) + head + wire
    if is_sound and rng.random() < 0.25:  # of two faults each client may meet another first
        wire = wire[: rng.randrange(len(wire))]
    return Reply(_pieces(rng, wire), stricter)


INTERIMS = (
    *(b"",) * 6,
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 2,
)


def _body(rng: random.Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return b""
    if kind == 1:
        return rng.randbytes(rng.randrange(1, 5_000))
    if kind == 2:
        return b'data: {"choices":[{"delta":{"content":"\xe5\xad\x97"}}]}\r\n\r\n' * rng.randrange(
            50
        )
    if kind == 3:
        return b"x" * rng.choice((1, 65_535, 65_536, 262_144, 300_000))
    return b'{"choices":[{"message":{"content":"%b"}}]}' % (b"word " * rng.randrange(400))


def packed(data: bytes) -> bytes:
    """Return gzip that is the same at any time."""
    return gzip.compress(data, mtime=0)


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODERS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    *((b"", bytes),) * 8,
    (b"identity", bytes),
    (b"gzip", packed),
    (b"GZIP", packed),
    (b"x-gzip", packed),
    (b"gzip", lambda data: packed(data[:7]) + packed(data[7:])),
    (b"deflate", zlib.compress),
    (b"deflate", _raw_deflate),
    (b"br", bytes),
    (b"zstd", bytes),
)
BROKEN_CODERS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"gzip", bytes),
    (b"deflate", lambda data: b"\xff\xff" + data),
    (b"gzip", lambda data: packed(data)[:-5]),
    (b"gzip", lambda data: packed(data)[:-8] + b"\0" * 8),
    (b"gzip", lambda data: packed(data) + b"more"),
)


def _coded(rng: random.Random, body: bytes) -> tuple[bytes, bytes, bool]:
    """Return the name of a coding, the coded body, and whether it is what its name says."""
    is_sound = rng.random() < 0.9
    coding, code = rng.choice(CODERS if is_sound else BROKEN_CODERS)
    return coding, code(body), is_sound


def _framed(rng: random.Random, body: bytes, *, kinds: int) -> tuple[list[bytes], bytes, bool]:
    """Return header lines, the body on the wire, and whether we refuse what httpx may take."""
    kind = rng.randrange(kinds)
    if kind < 4:
        return [b"Content-Length: %d" % len(body)], body, False
    if kind < 8:
        name = rng.choice((b"chunked", b"Chunked"))
        return [b"transfer-encoding: %b" % name], _chunks(rng, body), False
    if kind == 8:
        return [], body, False
    if kind == 9:
        return [b"content-length: %d" % (len(body) + rng.randrange(1, 9))], body, False
    if kind == 10:
        return [b"content-length: %d" % len(body)] * 2, body, True
    lines = [b"content-length: %d" % len(body), b"transfer-encoding: chunked"]
    return lines, _chunks(rng, body), True


def _chunks(rng: random.Random, body: bytes) -> bytes:
    wire, at = b"", 0
    extension = rng.choice((b"", b"", b";a=b", b';name="value"'))
    while at < len(body):
        piece = body[at : at + rng.choice((1, 7, 100, 5_000, 100_000))]
        if at and len(piece) == 1:
            piece = body[at : at + 999]
        wire += b"%b%b\r\n%b\r\n" % (rng.choice((b"%x", b"%X")) % len(piece), extension, piece)
        at += len(piece)
    if rng.random() < 0.05:
        return wire + b"zz\r\n"
    return wire + rng.choice((b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nx-sum: 1\r\n\r\n"))


def _pieces(rng: random.Random, wire: bytes) -> list[bytes]:
    places = sorted(rng.randrange(len(wire) + 1) for _ in range(rng.randrange(5)))
    edges = [0, *places, len(wire)]
    return [wire[a:b] for a, b in pairwise(edges) if a < b]


class Seen(NamedTuple):
    """What a client made of an answer: the class of its error is "" if there was none."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    error: str


async def answer(peer: Peer) -> None:
    """Send the answer whose number is the path, and close."""
    request = await peer.request()
    if request is None:
        return
    method, path, _ = request.head.split(b" ", 2)
    reply = made(int(path.rpartition(b"/")[2]), is_head=method == b"HEAD")
    for piece in reply.pieces:
        await peer.send(piece)


async def look(upstream: Upstream, server: Server, number: int) -> Seen:
    """Ask for an answer and read it to its end, as a stream or whole."""
    method = "HEAD" if number % 17 == 0 else "POST"
    request = server.ask(method, b"/v1/%d" % number)
    response: UpstreamResponse | None = None
    body = b""
    try:
        response = await upstream.send(request, SOON, PRIVATE, stream=number % 2 == 0)
        while piece := await response.next_chunk():
            body += piece
    except UpstreamError as error:
        if response is None:
            return Seen(0, [], b"", type(error).__name__)
        return Seen(response.status, passed(response), body, type(error).__name__)
    return Seen(response.status, passed(response), body, "")


def passed(response: UpstreamResponse) -> list[tuple[bytes, bytes]]:
    """Return the headers that are more than the framing, in which httpx changes the case."""
    return sorted(each for each in response.headers if each[0] != b"transfer-encoding")


def is_same(seen: Seen, expected: Seen, *, waits: bool) -> bool:
    """Compare; before an error one client may have come further than the other.

    Of an answer that it `waits` for, ours shows nothing at all when it breaks.
    """
    if not seen.error:
        return seen == expected
    if waits and not seen.status:
        return seen.error == expected.error
    longer, shorter = sorted((seen.body, expected.body), key=len, reverse=True)
    return seen[:2] == expected[:2] and seen[3] == expected[3] and longer.startswith(shorter)


async def test_both_clients_see_the_same_in_answers_of_every_kind() -> None:
    outcomes: Counter[str] = Counter()
    ours, theirs = WireUpstream(), HttpxUpstream()
    async with serving(answer) as server:
        for number in range(CASES):
            seen, expected = await look(ours, server, number), await look(theirs, server, number)
            outcomes[seen.error] += 1
            if made(number, is_head=number % 17 == 0).stricter and seen.error:
                assert seen.error in {"ProtocolViolation", "ConnectionLost"}, number
                continue
            assert is_same(seen, expected, waits=number % 2 == 1), number
    await ours.aclose()
    await theirs.aclose()
    assert min(outcomes[""], outcomes["ConnectionLost"], outcomes["ProtocolViolation"]) > 20
