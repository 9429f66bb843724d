"""What this Stripe knows, and what buyers, banks and a shop's staff do to it.

Sessions hold their payment intent and that its charge, as they are when both are expanded. Every
act writes the events that Stripe would write and hands each to `heard`.
"""

import itertools
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.fakes.stripe.params import Form, Refused, inside

Json = dict[str, Any]

_TAKES_NO_MONEY = ("warning_needs_response", "warning_under_review", "warning_closed")


class Books:
    """The state of one Stripe, for all of its accounts."""

    def __init__(self) -> None:
        self.sessions: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.events: list[Json] = []
        self.refunds_wait = False
        self.heard: Callable[[Json], None] = lambda event: None
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)

    def open_session(self, form: Form, *, is_live: bool, pages: str) -> Json:
        """Write a session down; its page is at an address below `pages`."""
        session_id = f"cs_{'live' if is_live else 'test'}_a{next(self._numbers):057d}"
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
            "metadata": inside(form, "metadata"),
            "payment_intent": None,
            "success_url": form["success_url"],
            "cancel_url": form.get("cancel_url"),
            "url": f"{pages}/c/pay/{session_id}",
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
        with self.lock:
            session = self.sessions[session_id]
            session["status"] = "expired"
            self._note("checkout.session.expired", session, is_live=session["livemode"])
            return session

    def refund(self, session_id: str, amount: int | None = None) -> Json:
        """Let the shop give money back, on Stripe's own pages: all of it, or a part."""
        intent = self.sessions[session_id]["payment_intent"]
        return self.give_back(intent, amount=amount, metadata={})

    def give_back(self, intent: Json, *, amount: int | None, metadata: Form) -> Json:
        """Make a refund of a payment intent, a pending one while `refunds_wait`."""
        with self.lock:
            charge = self._refundable(intent, amount)
            left = charge["amount"] - charge["amount_refunded"]
            refund = {
                "id": f"re_{next(self._numbers)}",
                "object": "refund",
                "amount": left if amount is None else amount,
                "currency": charge["currency"],
                "charge": charge["id"],
                "payment_intent": intent["id"],
                "metadata": metadata,
                "status": "pending" if self.refunds_wait else "succeeded",
                "failure_reason": None,
            }
            self.refunds[refund["id"]] = refund
            charge["amount_refunded"] += refund["amount"]
            self._note("refund.created", refund, is_live=charge["livemode"])
            self._note("charge.refunded", charge, is_live=charge["livemode"])
            return refund

    def end_refund(self, refund_id: str, status: str, *, reason: str | None = None) -> Json:
        """Let a refund be `succeeded`, `failed` or `canceled` at last."""
        with self.lock:
            refund = self.refunds[refund_id]
            refund |= {"status": status, "failure_reason": reason}
            charge = self._charge(refund["charge"])
            if status != "succeeded":
                charge["amount_refunded"] -= refund["amount"]
            kind = "refund.failed" if status == "failed" else "refund.updated"
            self._note(kind, refund, is_live=charge["livemode"])
            return refund

    def dispute(self, session_id: str, **facts: Any) -> Json:
        """Let the buyer's bank make a case; `facts` tell it from the usual one about all of it."""
        with self.lock:
            intent = self.sessions[session_id]["payment_intent"]
            charge = intent["latest_charge"]
            case = {
                "id": f"du_{next(self._numbers)}",
                "object": "dispute",
                "livemode": charge["livemode"],
                "amount": charge["amount"],
                "currency": charge["currency"],
                "charge": charge["id"],
                "payment_intent": intent["id"],
                "metadata": {},
                "reason": "fraudulent",
                "status": "needs_response",
                "balance_transactions": [],
                **facts,
            }
            charge["disputed"] = True
            if case["status"] not in _TAKES_NO_MONEY:
                case["balance_transactions"] = [{"amount": -case["amount"]}]
            self.disputes[case["id"]] = case
            self._note("charge.dispute.created", case, is_live=case["livemode"])
            return case

    def end_dispute(self, dispute_id: str, status: str) -> Json:
        """Let a case be `won`, `lost`, or move on to another status."""
        with self.lock:
            case = self.disputes[dispute_id]
            case["status"] = status
            if status == "won":
                case["balance_transactions"].append({"amount": case["amount"]})
            has_ended = status in ("won", "lost", "warning_closed", "prevented")
            kind = f"charge.dispute.{'closed' if has_ended else 'updated'}"
            self._note(kind, case, is_live=case["livemode"])
            return case

    def intent(self, intent_id: str) -> Json:
        """Return a payment intent. Raises Refused."""
        intents = [session["payment_intent"] for session in self.sessions.values()]
        for intent in filter(None, intents):
            if intent["id"] == intent_id:
                found: Json = intent
                return found
        raise Refused(404, "invalid_request_error", "resource_missing")

    def _refundable(self, intent: Json, amount: int | None) -> Json:
        """Return the charge to give back of. Raises Refused for what Stripe does not give back."""
        charge: Json | None = intent["latest_charge"]
        if charge is None:
            raise Refused(400, "invalid_request_error", said="There is no successful charge.")
        left = charge["amount"] - charge["amount_refunded"]
        if not left:
            raise Refused(400, "invalid_request_error", "charge_already_refunded")
        if amount is not None and not 0 < amount <= left:
            said = f"Refund amount ({amount}) is greater than unrefunded amount ({left})."
            raise Refused(400, "invalid_request_error", said=said)
        cases = [case for case in self.disputes.values() if case["charge"] == charge["id"]]
        if any(case["status"] not in (*_TAKES_NO_MONEY, "won") for case in cases):
            raise Refused(400, "invalid_request_error", "charge_disputed")
        return charge

    def _charge(self, charge_id: str) -> Json:
        charges = (
            session["payment_intent"]["latest_charge"]
            for session in self.sessions.values()
            if session["payment_intent"]
        )
        return next(one for one in charges if one and one["id"] == charge_id)

    def _end(self, session_id: str, status: str, paid: str, intent: str, changes: Json) -> Json:
        with self.lock:
            session = self.sessions[session_id]
            was_open = session["status"] == "open"
            session |= {"status": status, "payment_status": paid, **changes}
            session["payment_intent"] = session["payment_intent"] or self._new_intent(session)
            session["payment_intent"]["status"] = intent
            if paid == "paid" and session["payment_intent"]["latest_charge"] is None:
                session["payment_intent"]["latest_charge"] = self._new_charge(session)
            outcome = "succeeded" if paid == "paid" else "failed"
            kind = "completed" if was_open else f"async_payment_{outcome}"
            self._note(f"checkout.session.{kind}", session, is_live=session["livemode"])
            return session

    def _new_intent(self, session: Json) -> Json:
        return {
            "id": f"pi_{next(self._numbers)}",
            "object": "payment_intent",
            "livemode": session["livemode"],
            "metadata": session["metadata"],
            "latest_charge": None,
        }

    def _new_charge(self, session: Json) -> Json:
        return {
            "id": f"ch_{next(self._numbers)}",
            "object": "charge",
            "livemode": session["livemode"],
            "amount": session["amount_total"],
            "amount_refunded": 0,
            "currency": session["currency"],
            "disputed": False,
            "metadata": session["metadata"],
            "payment_intent": session["payment_intent"]["id"],
        }

    def event_of(self, kind: str, subject: Json, *, event_id: str = "", is_live: bool) -> Json:
        """Return an event about an object as it is now."""
        return {
            "id": event_id or f"evt_{next(self._numbers)}",
            "object": "event",
            "type": kind,
            "created": int(time.time()),
            "livemode": is_live,
            "data": {"object": deepcopy(subject)},
        }

    def _note(self, kind: str, subject: Json, *, is_live: bool) -> None:
        event = self.event_of(kind, folded(subject), is_live=is_live)
        self.events.insert(0, event)
        self.heard(event)


def folded(thing: Json) -> Json:
    """Return an object with the ids of those in it, as Stripe shows it unless it is asked."""
    names = ("payment_intent", "latest_charge")
    inner = {name: thing[name]["id"] for name in names if isinstance(thing.get(name), dict)}
    return {**thing, **inner}
