"""Disputes: a buyer's bank wants a payment back. Called by `confirm` with the provider's word.

While one is open, the wallets that the payment was delivered to are frozen, and what a refund would
take is taken back. Won, both is undone; lost, it stays, and the payment counts as refunded. Each
case is booked by its name, once, in whatever order and however often its news arrive.
"""

import structlog

from billing import outbox
from billing.ledger.clock import database_now
from billing.models import Dispute, Order, Payment, Tenant, Wallet
from billing.orders import returns
from billing.payments.base import DisputeState, Outcome

_ENDS = {Outcome.WON: Dispute.WON, Outcome.LOST: Dispute.LOST}
_MOST_REASON = 64
_log = structlog.get_logger(__name__)


def book(order: Order, payment: Payment, said: tuple[DisputeState, ...]) -> None:
    """Take over what a provider says of the disputes about a locked payment.

    The paper about one that is lost is left to the end of the caller's transaction.
    """
    for state in said:
        if state.amount_minor > 0 and state.reference:
            _book(order, payment, state)


def _book(order: Order, payment: Payment, state: DisputeState) -> None:
    known = payment.disputes.select_for_update().filter(reference=state.reference).first()
    end = _ENDS.get(state.outcome)
    if known is None:
        known = _opened(payment, state, is_won=end == Dispute.WON)
    elif known.status != Dispute.OPEN or end is None:
        return
    if end is not None:
        _end(payment, known, end)
    returns.conclude(order, payment)
    _log.warning("disputed", order=order.number, dispute=state.reference, status=known.status)


def _opened(payment: Payment, state: DisputeState, *, is_won: bool) -> Dispute:
    """Write a case down; unless it is over and won, freeze, take back and warn the shop."""
    is_empty = payment.status == Payment.REFUNDED
    dispute = Dispute.objects.create(
        tenant_id=payment.tenant_id,
        payment=payment,
        reference=state.reference,
        amount_minor=state.amount_minor,
        reason=state.reason[:_MOST_REASON],
    )
    if is_won:
        return dispute
    if not is_empty:
        dispute.frozen_wallets = _freeze(payment)
        dispute.save(update_fields=["frozen_wallets"])
        returns.take_back(payment, dispute)
    shop = Tenant.objects.get(pk=payment.tenant_id)
    outbox.write(
        kind="dispute",
        subject_id=dispute.pk,
        recipient=shop.contact_email,
        language=shop.language,
        once=f"dispute:{dispute.pk}",
        tenant_id=shop.pk,
    )
    return dispute


def _end(payment: Payment, dispute: Dispute, status: str) -> None:
    dispute.status, dispute.closed_at = status, database_now()
    dispute.save(update_fields=["status", "closed_at"])
    if status == Dispute.WON:
        _unfreeze(payment, dispute)
        returns.give_back(payment, dispute)


def _freeze(payment: Payment) -> list[int]:
    """Freeze the wallets of a payment; return those that are frozen because of disputes.

    One that a person has frozen is not among them: nobody else is to let it go.
    """
    wallets = _locked(payment)
    held = _held_by_disputes(payment.tenant_id)
    ours = [pk for pk, status in wallets.items() if status == Wallet.ACTIVE or pk in held]
    Wallet.objects.filter(pk__in=ours, status=Wallet.ACTIVE).update(status=Wallet.FROZEN)
    return ours


def _unfreeze(payment: Payment, dispute: Dispute) -> None:
    """Let the wallets of a dispute go, but not those that another one holds as well."""
    wallets = _locked(payment, *dispute.frozen_wallets)
    free = wallets.keys() & set(dispute.frozen_wallets) - _held_by_disputes(dispute.tenant_id)
    Wallet.objects.filter(pk__in=free, status=Wallet.FROZEN).update(status=Wallet.ACTIVE)


def _locked(payment: Payment, *others: int) -> dict[int, str]:
    """Lock the wallets of a payment, and others, in one order; return their states."""
    ids = {*others, *(grant.wallet_id for grant in returns.grants_of(payment))}
    wallets = Wallet.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    return dict(wallets.values_list("pk", "status"))


def _held_by_disputes(tenant_id: int) -> set[int]:
    """Return the wallets that are frozen because of disputes that were not won."""
    disputes = Dispute.objects.filter(tenant_id=tenant_id).exclude(status=Dispute.WON)
    return {pk for ids in disputes.values_list("frozen_wallets", flat=True) for pk in ids}
