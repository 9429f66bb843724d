"""A stateful Stripe on loopback: Checkout Sessions, idempotency keys, signed events.

In a test: `with FakeStripe() as fake:` listens at `fake.url`. Sessions are paid, failed or ended by
its methods, as buyers and banks would; `event` makes what Stripe would send, signed by code of its
own, and the test decides what is delivered, when, how often and by which secret. `requests` is what
came in; what is put into `troubles` is answered instead of the next ones.
"""

import hashlib
import hmac
import itertools
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from stripe.params.checkout import _session_create_params as known

Json = dict[str, Any]
Form = dict[str, str]

_HALF_AN_HOUR_S, _DAY_S = 1_800, 86_400
_TAKEN_BY = {
    "alipay": "AUD CAD CNY EUR GBP HKD JPY MYR NZD SGD USD",
    "wechat_pay": "CNY HKD JPY USD",
}
_SESSION = re.compile(r"/v1/checkout/sessions/(cs_[A-Za-z0-9_]+)")


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Form


@dataclass(frozen=True)
class Trouble:
    """An answer that has nothing to do with the question; a slow one comes byte by byte."""

    status: int = 200
    body: bytes = b"{}"
    is_silent: bool = False
    is_slow: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """A signed event, as it arrives at a notify address."""

    body: bytes
    headers: dict[str, str]


class Refused(Exception):
    """A question that Stripe answers with an error."""

    def __init__(self, status: int, kind: str, code: str = "", said: str = "") -> None:
        super().__init__(said)
        self.status = status
        self.body = {"error": {"type": kind, "code": code or None, "message": said or kind}}


class FakeStripe:
    """The server; `keys` are the API keys that it knows, each with whether its money is real."""

    def __init__(self) -> None:
        self.keys = {"sk_test_north": False}
        self.sessions: dict[str, Json] = {}
        self.requests: list[Request] = []
        self.troubles: list[Trouble] = []
        self._answers: dict[tuple[str, str], tuple[Form, Json]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.is_over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        poll = {"poll_interval": 0.01}
        threading.Thread(target=self._server.serve_forever, kwargs=poll, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> tuple[int, Json]:
        """Return status and body for a request."""
        with self._lock:
            self.requests.append(request)
            try:
                return 200, self._answer(request)
            except Refused as refusal:
                return refusal.status, refusal.body

    def _answer(self, request: Request) -> Json:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if key not in self.keys:
            raise Refused(401, "invalid_request_error", said=f"Invalid API Key provided: {key}")
        if (request.method, request.path) == ("POST", "/v1/checkout/sessions"):
            return self._once(key, request)
        found = _SESSION.fullmatch(request.path)
        session = self.sessions.get(found[1]) if found else None
        if request.method != "GET" or not session or session["livemode"] != self.keys[key]:
            raise Refused(404, "invalid_request_error", "resource_missing")
        if request.form != {"expand[0]": "payment_intent.latest_charge"}:
            return session | {"payment_intent": (session["payment_intent"] or {}).get("id")}
        return session

    def _once(self, key: str, request: Request) -> Json:
        name = (key, request.headers["Idempotency-Key"])
        asked, answer = self._answers.get(name, (request.form, None))
        if asked != request.form:
            raise Refused(400, "idempotency_error")
        if answer is None:
            answer = dict(self._create(request.form, is_live=self.keys[key]))
            self._answers[name] = request.form, answer
        return answer

    def _create(self, form: Form, *, is_live: bool) -> Json:
        _check(form)
        mode = "live" if is_live else "test"
        session_id = f"cs_{mode}_a{next(self._numbers):057d}"
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "livemode": is_live,
            "status": "open",
            "payment_status": "unpaid",
            "amount_total": int(form["line_items[0][price_data][unit_amount]"]),
            "currency": form["line_items[0][price_data][currency]"],
            "client_reference_id": form.get("client_reference_id"),
            "expires_at": int(form["expires_at"]),
            "metadata": _inside(form, "metadata"),
            "payment_intent": None,
            "url": f"https://checkout.stripe.example/c/pay/{session_id}",
        }
        return self.sessions[session_id]

    def pay(self, session_id: str, **changes: Any) -> Json:
        """Let the buyer pay; return the session. `changes` make it another than was agreed."""
        return self._end(session_id, "complete", "paid", "succeeded", changes)

    def pay_later(self, session_id: str) -> Json:
        """Let the buyer choose a way to pay that takes its time."""
        return self._end(session_id, "complete", "unpaid", "processing", {})

    def fail(self, session_id: str) -> Json:
        """Let what takes its time fail."""
        return self._end(session_id, "complete", "unpaid", "requires_payment_method", {})

    def expire(self, session_id: str) -> Json:
        """Let the time of a session be over."""
        session = self.sessions[session_id]
        session["status"] = "expired"
        return session

    def refund(self, session_id: str, amount: int) -> None:
        """Let the shop give money back, on Stripe's own pages."""
        self.sessions[session_id]["payment_intent"]["latest_charge"]["amount_refunded"] += amount

    def _end(self, session_id: str, status: str, paid: str, intent: str, changes: Json) -> Json:
        session = self.sessions[session_id]
        session |= {"status": status, "payment_status": paid, **changes}
        charge = {"object": "charge", "amount_refunded": 0} if paid == "paid" else None
        session["payment_intent"] = {
            "id": "pi_1",
            "object": "payment_intent",
            "status": intent,
            "metadata": session["metadata"],
            "latest_charge": charge,
        }
        return session

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
        event = {
            "id": event_id or f"evt_{next(self._numbers)}",
            "object": "event",
            "type": kind,
            "livemode": is_live,
            "data": {"object": subject},
        }
        return signed(json.dumps(event).encode(), secret=secret, signed_at=signed_at)


def signed(body: bytes, *, secret: str, signed_at: int | None = None) -> Event:
    """Sign a body as Stripe does."""
    moment = str(int(time.time()) if signed_at is None else signed_at)
    mac = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return Event(body, {"stripe-signature": f"t={moment},v1={mac.hexdigest()}"})


def _check(form: Form) -> None:
    """Refuse what Stripe refuses."""
    for name in form:
        if not _is_known(re.findall(r"[^\[\]]+", name)):
            raise Refused(400, "invalid_request_error", "parameter_unknown", name)
    currency = form["line_items[0][price_data][currency]"].upper()
    methods = set(_inside(form, "allowed_payment_method_types").values())
    shown = [name for name in methods if currency in _TAKEN_BY.get(name, currency)]
    left_s = int(form["expires_at"]) - time.time()
    wrong = {
        "mode": form["mode"] != "payment",
        "success_url": not form.get("success_url"),
        "client_reference_id": len(form["client_reference_id"]) > 200,
        "expires_at": not _HALF_AN_HOUR_S <= left_s <= _DAY_S,
        "allowed_payment_method_types": not shown,
        "payment_method_options": "wechat_pay" in methods
        and form.get("payment_method_options[wechat_pay][client]") != "web",
    }
    for name in wrong:
        if wrong[name]:
            raise Refused(400, "invalid_request_error", "parameter_invalid", name)


def _is_known(path: list[str]) -> bool:
    """Tell whether the library's own types have a parameter of this path."""
    types: Any = known.SessionCreateParams
    names = [name for name in path if not name.isdigit()]
    for place, name in enumerate(names, start=1):
        note = str(types.__annotations__.get(name))
        inner = re.search(r"SessionCreateParams\w+", note)
        if inner is None:
            return note != "None" and (place == len(names) or "Dict[" in note)
        types = getattr(known, inner[0])
    return True


def _inside(form: Form, name: str) -> Form:
    found = ((re.fullmatch(rf"{name}\[(\w+)\]", key), value) for key, value in form.items())
    return {match[1]: value for match, value in found if match}


def _handler_of(fake: FakeStripe) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # else headers and body leave apart, and the second waits 40 ms

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = dict(parse_qsl(text or parts.query, keep_blank_values=True))
            request = Request(self.command, parts.path, dict(self.headers), form)
            status, answer = fake.answer(request)
            trouble = fake.troubles.pop(0) if fake.troubles else None
            if trouble and trouble.is_silent:
                fake.is_over.wait(timeout=30)
                return
            body = trouble.body if trouble else json.dumps(answer).encode()
            self.send_response(trouble.status if trouble else status)
            for name, value in (trouble.headers if trouble else {}).items():
                self.send_header(name, value)
            self.send_header("Request-Id", "req_fake1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for byte in body if trouble and trouble.is_slow else ():
                if fake.is_over.wait(timeout=0.05):
                    return
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            self.wfile.write(body)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    return Handler
