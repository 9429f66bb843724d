"""What the relay's tests ask for, and how they wait for what the ledger books a moment later."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

CHAT = "/v1/chat/completions"


def bearer(key: str) -> dict[str, str]:
    """Return the header in which most clients send their key."""
    return {"authorization": f"Bearer {key}"}


def chat(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """Return the body of a chat with one message."""
    return {"model": "gpt-4", "messages": [{"role": "user", "content": text}], **fields}


def until(probe: Callable[[], T], *, within_s: float = 5.0) -> T:
    """Return the first true value of `probe`; fails when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (value := probe()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def events(answer: httpx.Response) -> list[str]:
    """Return the data of each event of a stream."""
    return [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]


def said(answer: httpx.Response) -> str:
    """Return the text of a stream."""
    chunks = [json.loads(data) for data in events(answer) if data != "[DONE]"]
    choices = [chunk["choices"][0] for chunk in chunks if chunk.get("choices")]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@contextmanager
def raw_request(
    port: int, key: str, body: dict[str, Any], *, path: str = CHAT
) -> Iterator[socket.socket]:
    """Send a request over a socket of one's own, which the caller may drop at any moment."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(head.encode() + data)
        yield sock


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    """Return what arrives up to a mark, or up to the end."""
    data = b""
    while mark not in data:
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    return data
