"""Stripe's API, as far as Checkout needs it: routes, keys and their rights, idempotency, lists.

Parameters that the library's own types do not have are refused, as Stripe refuses them.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from stripe import params as known
from stripe.params import checkout

from tests.fakes.stripe.books import Books, Json, folded
from tests.fakes.stripe.params import Form, Refused, check_names, inside

_HALF_AN_HOUR_S, _DAY_S = 1_800, 86_400
_TAKEN_BY = {
    "alipay": "AUD CAD CNY EUR GBP HKD JPY MYR NZD SGD USD",
    "wechat_pay": "CNY HKD JPY USD",
}
_USUAL_LENGTH, _MOST_LENGTH = 10, 100


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Form


@dataclass(frozen=True)
class Call:
    """A request of a key that may make it: what its path names, whether its money is real."""

    named: str
    form: Form
    is_live: bool


Endpoint = Callable[[Call], Json]


class Api:
    """Answers questions from the books; `keys` says of each key whether its money is real.

    `lacking` names what a key may not touch, by the path: `disputes`, or `refunds_write`.
    """

    def __init__(self, books: Books, *, pages: str) -> None:
        self.keys = {"sk_test_north": False}
        self.lacking: dict[str, set[str]] = {}
        self._books, self._pages = books, pages
        self._answers: dict[tuple[str, str], tuple[Form, bytes]] = {}

    def answer(self, request: Request) -> tuple[int, bytes]:
        """Return status and body for a request."""
        with self._books.lock:
            try:
                return 200, self._answer(request)
            except Refused as refusal:
                return refusal.status, json.dumps(refusal.body).encode()

    def forget(self) -> None:
        """Forget all idempotency keys, as Stripe does after a day."""
        self._answers.clear()

    def _answer(self, request: Request) -> bytes:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if key not in self.keys:
            raise Refused(401, "invalid_request_error", said=f"Invalid API Key provided: {key}")
        endpoint, types, named = self._route(request)
        self._check_right(key, request)
        check_names(request.form, types)
        call = Call(named, request.form, self.keys[key])
        return self._once(key, request, lambda: json.dumps(endpoint(call)).encode())

    def _route(self, request: Request) -> tuple[Endpoint, type, str]:
        for method, path, types, endpoint in self._routes():
            found = re.fullmatch(path, request.path)
            if found and method == request.method:
                return endpoint, types, found[1] if found.groups() else ""
        raise Refused(404, "invalid_request_error")

    def _routes(self) -> Iterable[tuple[str, str, type, Endpoint]]:
        sessions, refunds, disputes = "/v1/checkout/sessions", "/v1/refunds", "/v1/disputes"
        intents, events = "/v1/payment_intents", "/v1/events"
        return (
            ("POST", sessions, checkout.SessionCreateParams, self._create_session),
            ("GET", sessions, checkout.SessionListParams, self._list_sessions),
            ("GET", rf"{sessions}/(\w+)", checkout.SessionRetrieveParams, self._session),
            ("POST", rf"{sessions}/(\w+)/expire", checkout.SessionExpireParams, self._expire),
            ("GET", intents, known.PaymentIntentListParams, self._list_intents),
            ("GET", rf"{intents}/(\w+)", known.PaymentIntentRetrieveParams, self._intent),
            ("POST", refunds, known.RefundCreateParams, self._create_refund),
            ("GET", refunds, known.RefundListParams, self._list_refunds),
            ("GET", rf"{refunds}/(\w+)", known.RefundRetrieveParams, self._refund),
            ("GET", disputes, known.DisputeListParams, self._list_disputes),
            ("GET", rf"{disputes}/(\w+)", known.DisputeRetrieveParams, self._dispute),
            ("GET", events, known.EventListParams, self._list_events),
        )

    def _check_right(self, key: str, request: Request) -> None:
        thing = request.path.split("/")[2]
        writes = {f"{thing}_write"} if request.method == "POST" else set()
        if self.lacking.get(key, set()) & {thing, *writes}:
            raise Refused(403, "invalid_request_error", said=f"{key} lacks a permission.")

    def _once(self, key: str, request: Request, work: Callable[[], bytes]) -> bytes:
        """Answer the same question by the same name as before."""
        name = request.headers.get("Idempotency-Key")
        if request.method != "POST" or name is None:
            return work()
        asked, answer = self._answers.get((key, name), (request.form, None))
        if asked != request.form:
            raise Refused(400, "idempotency_error")
        if answer is None:
            answer = work()
            self._answers[key, name] = request.form, answer
        return answer

    def _create_session(self, call: Call) -> Json:
        _check_session(call.form)
        made = self._books.open_session(call.form, is_live=call.is_live, pages=self._pages)
        return _shown(made, call.form)

    def _session(self, call: Call) -> Json:
        return _shown(_one(self._books.sessions, call), call.form)

    def _expire(self, call: Call) -> Json:
        session = _one(self._books.sessions, call)
        if session["status"] != "open":
            raise Refused(400, "invalid_request_error", said="Only open sessions can be expired.")
        return _shown(self._books.expire(call.named), call.form)

    def _list_sessions(self, call: Call) -> Json:
        return _listed(self._books.sessions.values(), call)

    def _intent(self, call: Call) -> Json:
        return folded(_one({call.named: self._books.intent(call.named)}, call))

    def _list_intents(self, call: Call) -> Json:
        intents = (session["payment_intent"] for session in self._books.sessions.values())
        return _listed(filter(None, intents), call)

    def _create_refund(self, call: Call) -> Json:
        form, amount = call.form, call.form.get("amount")
        if amount is not None and not amount.isdecimal():
            raise Refused(400, "invalid_request_error", "parameter_invalid_integer", "amount")
        if not form.get("payment_intent"):
            raise Refused(400, "invalid_request_error", "parameter_missing", "payment_intent")
        intent = self._books.intent(form["payment_intent"])
        _one({call.named: intent}, call)
        return self._books.give_back(
            intent,
            amount=None if amount is None else int(amount),
            metadata=inside(form, "metadata"),
        )

    def _refund(self, call: Call) -> Json:
        return _one({refund["id"]: refund for refund in self._refunds(call)}, call)

    def _list_refunds(self, call: Call) -> Json:
        return _listed(self._refunds(call), call)

    def _refunds(self, call: Call) -> list[Json]:
        """Return the refunds of a mode; they do not say it themselves."""
        refunds = self._books.refunds.values()
        intent = self._books.intent
        return [one for one in refunds if intent(one["payment_intent"])["livemode"] is call.is_live]

    def _dispute(self, call: Call) -> Json:
        return _one(self._books.disputes, call)

    def _list_disputes(self, call: Call) -> Json:
        return _listed(self._books.disputes.values(), call)

    def _list_events(self, call: Call) -> Json:
        kinds = set(inside(call.form, "types").values()) | {call.form.get("type", "*")} - {"*"}
        events = self._books.events
        return _listed([one for one in events if not kinds or one["type"] in kinds], call)


def _one(things: Mapping[str, Json], call: Call) -> Json:
    """Return what a path names, if it is of the key's mode."""
    thing = things.get(call.named)
    if thing is None or thing.get("livemode", call.is_live) is not call.is_live:
        raise Refused(404, "invalid_request_error", "resource_missing")
    return thing


def _listed(things: Iterable[Json], call: Call) -> Json:
    """Return what a list asks for: of this mode, of this payment, so many."""
    names = ("payment_intent", "charge", "status")
    wanted = {name: call.form[name] for name in names if name in call.form}
    most = int(call.form.get("limit", _USUAL_LENGTH))
    if not 1 <= most <= _MOST_LENGTH:
        raise Refused(400, "invalid_request_error", "parameter_invalid_integer", "limit")
    found = [
        _shown(thing, call.form)
        for thing in things
        if thing.get("livemode", call.is_live) is call.is_live
        and wanted.items() <= folded(thing).items()
    ]
    return {"object": "list", "data": found[:most], "has_more": len(found) > most}


def _shown(thing: Json, form: Form) -> Json:
    """Return an object as it was asked for: what is in it are ids, unless they are expanded."""
    expanded = {path.removeprefix("data.") for path in inside(form, "expand").values()}
    if "payment_intent.latest_charge" in expanded:
        return thing
    if "payment_intent" in expanded and thing["payment_intent"]:
        return {**thing, "payment_intent": folded(thing["payment_intent"])}
    return folded(thing)


def _check_session(form: Form) -> None:
    """Refuse what Stripe refuses."""
    currency = form["line_items[0][price_data][currency]"].upper()
    methods = set(inside(form, "allowed_payment_method_types").values())
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
