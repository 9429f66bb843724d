"""What Stripe's objects say of a payment, its refunds and its disputes. Pure; called by `stripe`.

Each function raises PaymentAway for what none of Stripe's objects should say: nothing is booked by
an answer that is not understood.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from billing.errors import PaymentAway
from billing.payments.base import DisputeState, Outcome, ProviderState, RefundState, Standing
from billing.payments.stripe_sums import from_stripe

Json = dict[str, Any]

LONGEST_ID = 128
"""Of what Stripe names a thing."""

_LONGEST_REASON = 64
_NOBODY = UUID(int=0)
_CODE = re.compile(r"[a-z0-9_]{1,60}")
_BEST_FIRST = (Standing.PAID, Standing.OPEN, Standing.FAILED, Standing.EXPIRED)
_STANDINGS = {
    ("open", "unpaid"): Standing.OPEN,
    ("complete", "paid"): Standing.PAID,
    ("expired", "unpaid"): Standing.EXPIRED,
}
_REFUNDS = {
    "pending": Outcome.OPEN,
    "requires_action": Outcome.OPEN,
    "succeeded": Outcome.DONE,
    "failed": Outcome.FAILED,
    "canceled": Outcome.FAILED,
}
_INQUIRIES = ("warning_needs_response", "warning_under_review", "warning_closed")
_DISPUTES = {
    "needs_response": Outcome.OPEN,
    "under_review": Outcome.OPEN,
    "appeal_needs_response": Outcome.OPEN,
    "appeal_under_review": Outcome.OPEN,
    "won": Outcome.WON,
    "lost": Outcome.LOST,
}


def check_session(session: Json, *, is_live: bool) -> Json:
    """Return a session if it is one, with money as real as the account's."""
    if not _is_name(session.get("id")):
        raise PaymentAway("Stripe sent a session without an id.")
    if session.get("livemode") is not is_live:
        raise PaymentAway("Stripe sent a session of the other mode.")
    return session


def state_of(session: Json, *, refunds: Sequence[Json], disputes: Sequence[Json]) -> ProviderState:
    """Return what a session says, with what was given back of it and the cases about it."""
    amount, currency = session.get("amount_total"), session.get("currency")
    if type(amount) is not int or not isinstance(currency, str):
        raise PaymentAway("Stripe sent a session without a sum.")
    currency = currency.upper()
    gross_minor = from_stripe(amount, currency)
    cases = (_dispute(case, currency=currency, most_minor=gross_minor) for case in disputes)
    return ProviderState(
        status=_standing(session),
        amount_minor=gross_minor,
        currency=currency,
        reference=session["id"],
        payment=uuid_in(session.get("client_reference_id")) or _NOBODY,
        refunded_minor=from_stripe(sum(map(_given_back, refunds)), currency),
        disputes=tuple(case for case in cases if case),
        also_known_as=_other_names(session),
    )


def together(states: Sequence[ProviderState]) -> ProviderState:
    """Return what the sessions of one payment say: what was paid in any of them was paid.

    Somebody who has paid two of them has paid too much, which is for a person to see.
    """
    paid = [state for state in states if state.status == Standing.PAID]
    if len(paid) < 2:
        return min(states, key=lambda state: _BEST_FIRST.index(state.status))
    names = (name for state in paid for name in (state.reference, *state.also_known_as))
    return replace(
        paid[0],
        amount_minor=sum(state.amount_minor for state in paid),
        refunded_minor=sum(state.refunded_minor for state in paid),
        disputes=tuple(case for state in paid for case in state.disputes),
        also_known_as=tuple(name for name in names if name != paid[0].reference),
    )


def intent_of(session: Json) -> str:
    """Return the name of a session's payment intent, "" while it has none."""
    name = part(session, "payment_intent").get("id")
    return name if isinstance(name, str) and _is_name(name) else ""


def charge_of(session: Json) -> Json:
    """Return the charge that a session has led to, nothing while there is none."""
    return part(part(session, "payment_intent"), "latest_charge")


def is_paid(session: Json) -> bool:
    """Tell whether the money of a session has arrived."""
    return _standing(session) == Standing.PAID


def refund_of(refund_id: UUID, *, among: Sequence[Json]) -> Json | None:
    """Return the one of Stripe's refunds that was asked for as this one of ours."""
    named = (one for one in among if part(one, "metadata").get("refund") == refund_id.hex)
    return next(named, None)


def refund_state(refund: Json, *, amount: int) -> RefundState:
    """Return how a refund of this amount, in Stripe's units, stands."""
    name, status = refund.get("id"), refund.get("status")
    if not isinstance(name, str) or not _is_name(name) or status not in _REFUNDS:
        raise PaymentAway("Stripe sent a refund in a state that is not expected.")
    if refund.get("amount") != amount:
        raise PaymentAway("Stripe sent a refund of another amount.")
    outcome = _REFUNDS[status]
    why = refund.get("failure_reason")
    said = why if isinstance(why, str) and _CODE.fullmatch(why) else status
    return RefundState(outcome, name, failure=said if outcome == Outcome.FAILED else "")


def part(whole: Json, name: str) -> Json:
    """Return an object in another one, an empty one if there is none."""
    inner = whole.get(name)
    return inner if isinstance(inner, dict) else {}


def uuid_in(text: object) -> UUID | None:
    """Return the public id that 32 hex digits are, None for anything else."""
    is_one = isinstance(text, str) and re.fullmatch(r"[0-9a-f]{32}", text)
    return UUID(text) if isinstance(text, str) and is_one else None


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= LONGEST_ID


def _other_names(session: Json) -> tuple[str, ...]:
    """Return what events about refunds and disputes call the payment of a session."""
    charge = charge_of(session).get("id")
    return tuple(name for name in (intent_of(session), charge) if name and _is_name(name))


def _standing(session: Json) -> Standing:
    said = session.get("status"), session.get("payment_status")
    if said == ("complete", "unpaid"):
        # A way to pay that takes its time. Where it has failed, the intent wants another one.
        has_failed = part(session, "payment_intent").get("status") in (
            "requires_payment_method",
            "canceled",
        )
        return Standing.FAILED if has_failed else Standing.OPEN
    if said not in _STANDINGS:
        raise PaymentAway("Stripe sent a session in a state that is not expected.")
    return _STANDINGS[said]


def _given_back(refund: Json) -> int:
    """Return what a refund has moved by now: one that is pending may fail yet."""
    amount = refund.get("amount")
    if type(amount) is not int or amount < 0:
        raise PaymentAway("Stripe sent a refund without a sum.")
    return amount if refund.get("status") == "succeeded" else 0


def _dispute(case: Json, *, currency: str, most_minor: int) -> DisputeState | None:
    """Return how a case stands, None for one that asks for no money back."""
    name, status, amount = case.get("id"), case.get("status"), case.get("amount")
    if not isinstance(name, str) or not _is_name(name) or type(amount) is not int or amount < 1:
        raise PaymentAway("Stripe sent a dispute without an id or a sum.")
    if status in _INQUIRIES or (status == "prevented" and not _has_taken_money(case)):
        return None
    outcome = Outcome.LOST if status == "prevented" else _DISPUTES.get(str(status))
    if outcome is None:
        raise PaymentAway("Stripe sent a dispute in a state that is not expected.")
    is_ours = case.get("currency") == currency.lower()
    # A bank may count in its own currency, or ask for more than was paid: then it is about all.
    amount_minor = min(from_stripe(amount, currency), most_minor) if is_ours else most_minor
    return DisputeState(name, outcome, amount_minor, str(case.get("reason", ""))[:_LONGEST_REASON])


def _has_taken_money(case: Json) -> bool:
    """Tell whether a case that was settled before it became one has cost the shop the money."""
    moves = case.get("balance_transactions")
    found = [move.get("amount") for move in moves] if isinstance(moves, list) else []
    return sum(amount for amount in found if type(amount) is int) < 0
