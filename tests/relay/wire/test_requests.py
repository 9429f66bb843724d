"""What goes out: exact bytes, refused injections, base URLs, big bodies."""

import asyncio

import pytest

from relay.upstream import (
    HeadTemplate,
    Origin,
    UpstreamRequest,
    WireUpstream,
    parse_base_url,
)
from relay.wire.errors import InvalidRequest
from relay.wire.messages import render_head

from .peers import PRIVATE, SOON, Peer, plain, replying, serving

HOME = Origin("https", "api.example.com", 443)


def request(**changes: object) -> UpstreamRequest:
    values: dict[str, object] = {"method": "POST", "origin": HOME, "path": b"/v1/x", "headers": []}
    return UpstreamRequest(**{**values, **changes})  # type: ignore[arg-type]


def test_a_head_is_rendered_exactly() -> None:
    made = request(headers=[(b"authorization", b"Bearer a b")], body=b"{}")
    assert render_head(made) == (
        b"POST /v1/x HTTP/1.1\r\nhost: api.example.com\r\nauthorization: Bearer a b\r\n"
        b"accept-encoding: identity\r\ncontent-length: 2\r\n\r\n"
    )


def test_a_template_renders_what_a_request_by_hand_does() -> None:
    template = HeadTemplate(method="POST", origin=HOME, path=b"/v1/x", headers=[(b"a", b"1")])
    by_hand = request(headers=[(b"a", b"1")], body=b"xyz")
    assert render_head(template.request(b"xyz")) == render_head(by_hand)


def test_a_template_takes_headers_of_one_request() -> None:
    template = HeadTemplate(method="POST", origin=HOME, path=b"/v1/x", headers=[(b"a", b"1")])
    made = template.request(b"", headers=[(b"b", b"2")])
    assert made.headers == [(b"a", b"1"), (b"b", b"2")]
    assert b"\r\na: 1\r\n" in render_head(made)
    assert b"\r\nb: 2\r\n" in render_head(made)
    assert b"\r\nb: 2\r\n" not in render_head(template.request(b""))


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_methods_without_body_send_no_length(method: str) -> None:
    assert b"content-length" not in render_head(request(method=method))


def test_a_post_without_body_says_so() -> None:
    assert b"content-length: 0\r\n" in render_head(request())


def test_asking_for_an_encoding_replaces_identity() -> None:
    head = render_head(request(headers=[(b"Accept-Encoding", b"gzip")]))
    assert head.lower().count(b"accept-encoding") == 1


INJECTIONS: dict[str, dict[str, object]] = {
    "CRLF in value": {"headers": [(b"x", b"1\r\nevil: 2")]},
    "LF in value": {"headers": [(b"x", b"1\nevil: 2")]},
    "CR in value": {"headers": [(b"x", b"1\revil: 2")]},
    "NUL in value": {"headers": [(b"x", b"1\x00")]},
    "escape in value": {"headers": [(b"x", b"\x1b[0m")]},
    "final line feed": {"headers": [(b"x", b"1\n")]},
    "CRLF in name": {"headers": [(b"x: 1\r\nevil", b"2")]},
    "space in name": {"headers": [(b"x y", b"1")]},
    "colon in name": {"headers": [(b"x:", b"1")]},
    "empty name": {"headers": [(b"", b"1")]},
    "non-ASCII name": {"headers": [("é".encode(), b"1")]},
    "final line feed in name": {"headers": [(b"x\n", b"1")]},
    "host": {"headers": [(b"Host", b"evil.example")]},
    "content-length": {"headers": [(b"Content-Length", b"0")]},
    "transfer-encoding": {"headers": [(b"Transfer-Encoding", b"chunked")]},
    "connection": {"headers": [(b"connection", b"close")]},
    "upgrade": {"headers": [(b"Upgrade", b"h2c")]},
    "expect": {"headers": [(b"Expect", b"100-continue")]},
    "te": {"headers": [(b"TE", b"trailers")]},
    "keep-alive": {"headers": [(b"Keep-Alive", b"1")]},
    "proxy credentials": {"headers": [(b"Proxy-Authorization", b"x")]},
    "giant value": {"headers": [(b"x", b"a" * 20_000)]},
    "too many": {"headers": [(b"x", b"1")] * 101},
    "space in path": {"path": b"/v1/x HTTP/1.1"},
    "CRLF in path": {"path": b"/v1/x\r\nevil: 1"},
    "fragment in path": {"path": b"/v1/x#y"},
    "relative path": {"path": b"v1/x"},
    "absolute URL": {"path": b"http://evil.example/"},
    "empty path": {"path": b""},
    "non-ASCII path": {"path": "/é".encode()},
    "final line feed in path": {"path": b"/v1\n"},
    "method with space": {"method": "POST /evil"},
    "method with CRLF": {"method": "GET\r\n"},
    "lower-case method": {"method": "post"},
    "empty method": {"method": ""},
}


@pytest.mark.parametrize("case", INJECTIONS)
async def test_injections_are_refused_before_anything_is_sent(
    client: WireUpstream, case: str
) -> None:
    async with serving(replying(plain(b""))) as server:
        unsafe = request(**{"origin": server.origin, **INJECTIONS[case]})
        with pytest.raises(InvalidRequest):
            await client.send(unsafe, SOON, PRIVATE)
        assert server.peers == []


def test_templates_refuse_injections_too() -> None:
    template = HeadTemplate(method="POST", origin=HOME, path=b"/", headers=[])
    with pytest.raises(InvalidRequest):
        template.request(b"", headers=[(b"x", b"1\r\nevil: 2")])
    with pytest.raises(InvalidRequest):
        HeadTemplate(method="POST", origin=HOME, path=b"/", headers=[(b"x", b"\n")])


BASE_URLS = {
    "https://api.example.com": (HOME, b""),
    "https://api.example.com/": (HOME, b""),
    "HTTPS://API.Example.COM/v1/": (HOME, b"/v1"),
    "https://api.example.com./v1": (HOME, b"/v1"),
    "https://api.example.com:443/v1": (HOME, b"/v1"),
    "https://api.example.com:8443/a/b": (HOME._replace(port=8443), b"/a/b"),
    "http://127.0.0.1:8000/v1": (Origin("http", "127.0.0.1", 8000), b"/v1"),
    "http://[::1]:8000/v1": (Origin("http", "::1", 8000), b"/v1"),
    "http://[0:0:0:0:0:0:0:1]": (Origin("http", "::1", 80), b""),
    "http://my_vllm:8000": (Origin("http", "my_vllm", 8000), b""),
    "https://xn--bcher-kva.example": (Origin("https", "xn--bcher-kva.example", 443), b""),
}


@pytest.mark.parametrize("url", BASE_URLS)
def test_a_base_url_is_split(url: str) -> None:
    assert parse_base_url(url) == BASE_URLS[url]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example", "a.example"),
        ("https://a.example:444", "a.example:444"),
        ("http://[::1]:80", "[::1]"),
        ("http://[::1]:81", "[::1]:81"),
    ],
)
def test_the_host_header_names_the_port_only_when_it_must(url: str, host: str) -> None:
    assert parse_base_url(url)[0].authority == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "//api.example.com",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "https://",
        "https:///v1",
        "https://user@api.example.com",
        "https://user:pass@api.example.com",
        "https://api.example.com@evil.example",
        "https://api.example.com\\@evil.example",
        "https://api.example.com?x=1",
        "https://api.example.com#x",
        "https://api.example.com/v1?",
        "https://api.example.com/v1#",
        "https://api.example.com/a b",
        "https://api.example.com/\r\nx: y",
        "https://api.exa\tmple.com",
        " https://api.example.com",
        "https://api.example.com\n",
        "https://api.example.com:",
        "https://api.example.com:0",
        "https://api.example.com:65536",
        "https://api.example.com:-1",
        "https://api.example.com:x",
        "https://-a.example.com",
        "https://a..example.com",
        "https://.example.com",
        "https://exa%6dple.com",
        "https://例え.example",
        "https://１２７.0.0.1",
        "https://127.1",
        "https://0177.0.0.1",
        "https://0x7f000001",
        "https://0x7f.0.0.1",
        "https://2130706433",
        "https://127.0.0.1.0x1",
        "https://[::1",
        "https://[::1%25eth0]",
        "https://[fe80::1%eth0]",
        "https://[v1.x]",
        "https://[127.0.0.1]",
        "https://" + "a" * 300 + ".example",
    ],
)
def test_an_ambiguous_base_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_base_url(url)


async def test_a_big_body_arrives_whole_and_its_connection_stays(client: WireUpstream) -> None:
    body = b"".join(b"%07d\n" % number for number in range(1_000_000))
    async with serving(replying(plain(b"ok"))) as server:
        for _ in range(2):
            await (await client.send(server.post(body), SOON, PRIVATE)).read(10)
        assert [each.body == body for each in server.requests] == [True, True]
        assert len(server.peers) == 1


async def test_a_big_body_waits_in_pieces_while_the_upstream_is_slow(client: WireUpstream) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go.wait()
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await peer.request()
        await peer.send(plain(b"ok"))

    async with serving(script) as server:
        sending = asyncio.ensure_future(client.send(server.post(b"a" * 30_000_000), SOON, PRIVATE))
        await asyncio.sleep(0.2)
        (exchange,) = client._sweeper.watched  # type: ignore[union-attr]
        assert exchange.connection is not None
        assert exchange.connection.transport.get_write_buffer_size() < 300_000
        go.set()
        assert await (await sending).read(10) == b"ok"
        assert len(server.requests[0].body) == 30_000_000


async def test_an_answer_before_the_end_of_a_big_body_is_taken(client: WireUpstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(plain(b"too big", status=b"413 Too Large"))
        await asyncio.sleep(0.2)

    async with serving(script) as server:
        response = await client.send(server.post(b"a" * 30_000_000), SOON, PRIVATE)
        assert (response.status, await response.read(100)) == (413, b"too big")
        assert client.open_connections == 0
