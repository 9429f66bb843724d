"""The server: the API below `/v1/`, pages for a browser elsewhere, and troubles of tests."""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.stripe import pages
from tests.fakes.stripe.api import Api, Request
from tests.fakes.stripe.books import Books, Json
from tests.fakes.stripe.notifying import Notifier
from tests.fakes.stripe.signing import Event, signed

_PAGE = re.compile(r"/c/pay/(cs_\w+)(?:/([a-z-]+))?")
_LEADS_BACK = ("pay", "pay-later")


@dataclass(frozen=True)
class Trouble:
    """An answer that has nothing to do with the question; a slow one comes byte by byte."""

    status: int = 200
    body: bytes = b"{}"
    is_silent: bool = False
    is_slow: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeStripe(Books):
    """A Stripe that listens; `keys` are its API keys, `lacking` what they may not do.

    A trouble that is None leaves one answer as it is.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.troubles: list[Trouble | None] = []
        self.is_over = threading.Event()
        self.notifier: Notifier | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.api = Api(self, pages=self.url)
        self.keys, self.lacking = self.api.keys, self.api.lacking

    def __enter__(self) -> Self:
        poll = {"poll_interval": 0.01}
        threading.Thread(target=self._server.serve_forever, kwargs=poll, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.is_over.set()
        if self.notifier:
            self.notifier.stop()
        self._server.shutdown()
        self._server.server_close()

    def notify(self, url: str, *, secret: str) -> Notifier:
        """Deliver every event from now on to an address, signed by a secret."""
        self.notifier = Notifier(url, secret)
        self.notifier.start()
        self.heard = self.notifier.tell
        return self.notifier

    def event(
        self,
        kind: str,
        subject: Json,
        *,
        secret: str,
        event_id: str = "",
        signed_at: int | None = None,
        is_live: bool = False,
    ) -> Event:
        """Return what Stripe would send about an object, signed by the secret at that time."""
        event = self.event_of(kind, subject, event_id=event_id, is_live=is_live)
        return signed(json.dumps(event).encode(), secret=secret, signed_at=signed_at)

    def do(self, session_id: str, act: str) -> str:
        """Press a button of a session's page; return where that leads, once the shop was told."""
        session = self.sessions[session_id]
        with self.lock:
            if act in pages.possible(self, session):
                pages.ACTS[act][1](self, session_id)
        if self.notifier:
            self.notifier.wait()
        return str(session["success_url"] if act in _LEADS_BACK else session["url"])


def _handler_of(fake: FakeStripe) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # else headers and body leave apart, and the second waits 40 ms

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if not parts.path.startswith("/v1/"):
                self._show(parts.path)
                return
            form = dict(parse_qsl(text or parts.query, keep_blank_values=True))
            request = Request(self.command, parts.path, dict(self.headers), form)
            fake.requests.append(request)
            status, answer = fake.api.answer(request)
            trouble = fake.troubles.pop(0) if fake.troubles else None
            if not trouble or not trouble.is_silent:
                self._send(trouble or Trouble(status, answer))
            else:
                fake.is_over.wait(timeout=30)

        def _show(self, path: str) -> None:
            """Show a page, or press a button of it."""
            found = _PAGE.fullmatch(path)
            session = fake.sessions.get(found[1]) if found else None
            html = {"Content-Type": "text/html; charset=utf-8"}
            if path == "/":
                self._send(Trouble(200, pages.front(fake).encode(), headers=html))
            elif not found or not session or (self.command == "POST") != bool(found[2]):
                self._send(Trouble(404, b"There is no such page.", headers=html))
            elif found[2]:
                self._send(Trouble(303, b"", headers={"Location": fake.do(found[1], found[2])}))
            else:
                self._send(Trouble(200, pages.page_of(fake, session).encode(), headers=html))

        def _send(self, answer: Trouble) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Request-Id", "req_fake1")
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if not answer.is_slow:
                self.wfile.write(answer.body)
            for byte in answer.body if answer.is_slow else b"":
                if fake.is_over.wait(timeout=0.05):
                    return
                self.wfile.write(bytes([byte]))
                self.wfile.flush()

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    return Handler
