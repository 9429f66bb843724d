"""Stripe: a buyer pays on a page of Stripe's, a hosted Checkout Session. Called by the registry.

An account needs `api_key` and `webhook_secret`; `methods` lists the ways to pay, parted by commas.
The id of a session is kept as the payment's `ProviderReference`, by which it is found again.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from billing.errors import CallbackRefused, PaymentAway
from billing.models import Payment, PaymentInstance, ProviderReference, Refund
from billing.payments import stripe_events
from billing.payments.base import (
    Callback,
    Heard,
    Opening,
    Outcome,
    ProviderState,
    RefundState,
    Standing,
)
from billing.payments.stripe_accounts import Account, account_of, needed_account
from billing.payments.stripe_answers import (
    Json,
    charge_of,
    check_session,
    intent_of,
    is_paid,
    refund_of,
    refund_state,
    state_of,
    together,
)
from billing.payments.stripe_sums import to_stripe

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams
    from stripe.params.checkout import SessionCreateParams

LIVES_AT_LEAST = timedelta(minutes=31)
"""Stripe refuses sessions of less than 30 minutes, by its own clock."""
LIVES_AT_MOST = timedelta(hours=23)
"""And sessions of more than a day; an order that waits for a transfer lives longer."""

_LONGEST_ADDRESS = 2_000


class StripeProvider:
    """Implements all of `base` by Checkout Sessions, their charges, refunds and disputes."""

    name = "stripe"
    repeats_refunds = True

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Offer it once both secrets are there."""
        return account_of(instance) is not None

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> Opening:
        """Create the session of this payment, or find it; return its page at Stripe."""
        from billing.payments import stripe_client

        account = needed_account(payment)
        params = _params(payment, methods=account.methods, return_url=return_url)
        session = stripe_client.create_session(
            params, api_key=account.api_key, idempotency_key=_idempotency_key(payment, params)
        )
        check_session(session, is_live=account.is_live)
        if session.get("client_reference_id") != payment.public_id.hex:
            raise PaymentAway("Stripe created a session of another payment.")
        address = session.get("url")
        if not isinstance(address, str) or not 0 < len(address) <= _LONGEST_ADDRESS:
            raise PaymentAway("Stripe named no page to pay on.")
        _keep_reference(payment, session["id"])
        return Opening(address)

    def fetch(self, payment: Payment) -> ProviderState:
        """Ask how the session stands.

        There are several where the first could not be shown to the buyer; any may be paid then.
        """
        account = needed_account(payment)
        states = [_asked(session, account) for session in _sessions(payment, account)]
        if not states:
            return ProviderState(Standing.OPEN, payment.amount_minor, payment.currency)
        return together(states)

    def hear(self, instance: PaymentInstance, callback: Callback) -> Heard:
        """Verify an event by the account's secret. Raises CallbackRefused."""
        account = account_of(instance)
        if account is None:
            raise CallbackRefused("The account has no secret to verify by.")
        return stripe_events.hear(account, callback)

    def refund(self, refund: Refund) -> RefundState:
        """Give money back, once however often and however late it is called.

        Stripe forgets idempotency keys after a day, so a refund is looked for before it is made.
        """
        from billing.payments import stripe_client

        account = needed_account(refund.payment)
        intents = _paid_intents(refund.payment, account)
        if len(intents) != 1:
            return RefundState(Outcome.FAILED, failure=f"Stripe has {len(intents)} payments of it.")
        params = _refund_params(refund, intents[0])
        known = stripe_client.list_refunds(intents[0], api_key=account.api_key)
        found = refund_of(refund.public_id, among=known)
        try:
            made = found or stripe_client.create_refund(
                params, api_key=account.api_key, idempotency_key=f"{refund.public_id.hex}-refund"
            )
        except stripe_client.StripeRefused as refusal:
            return RefundState(Outcome.FAILED, failure=str(refusal))
        return refund_state(made, amount=params["amount"])

    def fetch_refund(self, refund: Refund) -> RefundState:
        """Ask how a refund stands that Stripe has named."""
        from billing.payments import stripe_client

        account, payment = needed_account(refund.payment), refund.payment
        if not refund.reference:
            raise PaymentAway("Stripe has not named this refund yet.")
        made = stripe_client.fetch_refund(refund.reference, api_key=account.api_key)
        return refund_state(made, amount=to_stripe(refund.amount_minor, payment.currency))

    def close(self, payment: Payment) -> None:
        """End the sessions that still wait to be paid."""
        from billing.payments import stripe_client

        account = needed_account(payment)
        for session in _sessions(payment, account):
            if session.get("status") == "open":
                stripe_client.expire_session(session["id"], api_key=account.api_key)

    def test(self, instance: PaymentInstance) -> None:
        """Read one of each thing that payments need to read."""
        from billing.payments import stripe_client

        account = account_of(instance)
        if account is None:
            raise PaymentAway("api_key (sk_..., rk_...) or webhook_secret is not there or not one.")
        if not account.webhook_secret.startswith("whsec_"):
            raise PaymentAway("webhook_secret is none: those of Stripe begin with whsec_.")
        stripe_client.try_rights(api_key=account.api_key)


def _sessions(payment: Payment, account: Account) -> list[Json]:
    """Ask for the sessions of a payment, the last one first."""
    from billing.payments import stripe_client

    references = payment.references.filter(instance=payment.instance, reference__startswith="cs_")
    return [
        check_session(
            stripe_client.fetch_session(session_id, api_key=account.api_key),
            is_live=account.is_live,
        )
        for session_id in references.order_by("-pk").values_list("reference", flat=True)
    ]


def _asked(session: Json, account: Account) -> ProviderState:
    """Return what a session says, having asked for its refunds and disputes if it has any."""
    from billing.payments import stripe_client

    charge, intent = charge_of(session), intent_of(session)
    refunds: list[Json] = []
    disputes: list[Json] = []
    if intent and charge.get("amount_refunded", 0) != 0:
        refunds = stripe_client.list_refunds(intent, api_key=account.api_key)
    if intent and charge.get("disputed", False) is not False:
        disputes = stripe_client.list_disputes(intent, api_key=account.api_key)
    return state_of(session, refunds=refunds, disputes=disputes)


def _paid_intents(payment: Payment, account: Account) -> list[str]:
    sessions = _sessions(payment, account)
    return [intent_of(session) for session in sessions if is_paid(session) and intent_of(session)]


def _refund_params(refund: Refund, intent: str) -> "RefundCreateParams":
    payment = refund.payment
    return {
        "payment_intent": intent,
        "amount": to_stripe(refund.amount_minor, payment.currency),
        "metadata": {**_metadata(payment), "refund": refund.public_id.hex},
    }


def _params(payment: Payment, *, methods: Sequence[str], return_url: str) -> "SessionCreateParams":
    """Return what Stripe is told: sums and numbers, nothing about the goods or the buyer."""
    order, ours = payment.order, _metadata(payment)
    params: SessionCreateParams = {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": payment.currency.lower(),
                    "unit_amount": to_stripe(payment.amount_minor, payment.currency),
                    "product_data": {"name": order.number},
                },
            }
        ],
        # Of these Stripe shows what the shop has switched on there and the currency allows.
        "allowed_payment_method_types": list(methods),
        "client_reference_id": payment.public_id.hex,
        "metadata": ours,
        "payment_intent_data": {"metadata": ours},
        "success_url": return_url,
        "cancel_url": return_url,
        "expires_at": int(_end_of(payment, timezone.now()).timestamp()),
        # What the buyer is asked for is the sum of the order, in its currency.
        "adaptive_pricing": {"enabled": False},
        "locale": "zh" if order.language.startswith("zh") else "auto",
    }
    if "wechat_pay" in methods:
        params["payment_method_options"] = {"wechat_pay": {"client": "web"}}
    return params


def _metadata(payment: Payment) -> dict[str, str]:
    return {
        "tenant": str(payment.tenant_id),
        "order": payment.order.number,
        "payment": payment.public_id.hex,
    }


def _end_of(payment: Payment, now: datetime) -> datetime:
    """Return when a session ends: with its order, or half an hour after it where Stripe insists.

    Not half an hour or a day from now: a question that is asked again must be the same question.
    """
    ends_at = payment.order.expires_at
    if ends_at - now < LIVES_AT_LEAST:
        ends_at += LIVES_AT_LEAST
    days = (now + LIVES_AT_LEAST - payment.created_at) // LIVES_AT_MOST + 1
    return min(ends_at, payment.created_at + days * LIVES_AT_MOST)


def _idempotency_key(payment: Payment, params: "SessionCreateParams") -> str:
    """Return one name for one question: Stripe refuses a name that comes with another question."""
    question = json.dumps(params, sort_keys=True).encode()
    return f"{payment.public_id.hex}-{hashlib.sha256(question).hexdigest()[:32]}"


def _keep_reference(payment: Payment, session_id: str) -> None:
    with transaction.atomic(durable=True):
        known, _ = ProviderReference.objects.get_or_create(
            tenant_id=payment.tenant_id,
            instance_id=payment.instance_id,
            reference=session_id,
            defaults={"payment": payment},
        )
    if known.payment_id != payment.pk:
        raise PaymentAway("Stripe named a session of another payment.")
