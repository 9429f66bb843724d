"""What goes back of a payment: how much of its money, and which base tokens with it.

Called by refunds and disputes, each inside its transaction, which has locked order and payment. A
payment's grants are the transfers that it was delivered by. Of each, so much is taken back in all
as of the money: `floor(granted x returned / received)`, less what was taken before. So parts add up
to the whole, however they are cut.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet, Sum

from billing.ledger import transfers
from billing.models import Dispute, Order, Payment, Refund, Transfer, Wallet
from billing.orders import states

Cause = Refund | Dispute


@dataclass(frozen=True)
class RefundQuote:
    """What can go back of a payment, in minor units.

    `refunded_minor` counts what has gone back or is about to, by refund or by dispute, and
    `most_without_debt_minor` is the most for which no wallet would owe anything.
    """

    received_minor: int
    refunded_minor: int
    left_minor: int
    most_without_debt_minor: int


def quote(payment: Payment) -> RefundQuote:
    """Return what of a payment can go back."""
    received_minor, begun_minor = received(payment), begun(payment)
    left_minor = received_minor - begun_minor
    most_minor = min(left_minor, _most_without_debt(payment, received_minor) - begun_minor)
    return RefundQuote(received_minor, begun_minor, left_minor, max(most_minor, 0))


def received(payment: Payment) -> int:
    """Return what came of a payment and was not given back before it was booked."""
    if payment.received_minor is not None:
        return payment.received_minor
    return payment.amount_minor if payment.confirmed_at else 0


def begun(payment: Payment) -> int:
    """Return what has gone back, or is about to."""
    refunds = payment.refunds.exclude(status=Refund.FAILED)
    disputes = payment.disputes.exclude(status=Dispute.WON)
    return min(received(payment), _sum(refunds) + _sum(disputes))


def done(payment: Payment) -> int:
    """Return what has gone back for good."""
    refunds = payment.refunds.filter(status=Refund.DONE)
    disputes = payment.disputes.filter(status=Dispute.LOST)
    return min(received(payment), _sum(refunds) + _sum(disputes))


def _sum(rows: QuerySet[Refund] | QuerySet[Dispute]) -> int:
    return int(rows.aggregate(sum=Sum("amount_minor"))["sum"] or 0)


def grants_of(payment: Payment) -> list[Transfer]:
    """Return the transfers that a payment was delivered by, in the order of their wallets."""
    ids = [
        f"{payment.public_id}:{line_id}:{index}"
        for line_id, quantity in payment.order.lines.values_list("pk", "quantity")
        for index in range(quantity)
    ]
    grants = Transfer.objects.filter(
        tenant_id=payment.tenant_id,
        source="payment",
        source_id__in=ids,
        direction=transfers.CREDIT,
        reversed_by=None,
    )
    return list(grants.order_by("wallet_id", "pk"))


def take_back(payment: Payment, cause: Cause, *, actor: str = "", again: bool = False) -> None:
    """Take back of each grant what is due by now, by transfers that name their cause.

    What a wallet lacks becomes its debt. `again` does so after the cause was undone, for what
    others have had to leave to it.
    """
    grants = grants_of(payment)
    taken, returned, whole = _taken(payment, grants), begun(payment), received(payment)
    kind, source = ("refund", "refund") if isinstance(cause, Refund) else ("chargeback", "dispute")
    for grant in grants:
        amount_ubt = grant.amount_ubt * returned // whole - taken[grant.pk]
        if amount_ubt > 0:
            transfers.debit(
                wallet_id=grant.wallet_id,
                kind=kind,
                amount_ubt=amount_ubt,
                source=source,
                source_id=_again(grant, cause) if again else _name(grant, cause),
                actor=actor,
                reason=cause.reason,
                allow_debt=True,
            )


def give_back(payment: Payment, cause: Cause, *, actor: str = "") -> None:
    """Reverse what was taken for a cause that came to nothing; its row says so already.

    What others had left to it is taken for them afterwards.
    """
    grants = grants_of(payment)
    again = {_again(grant, other) for grant in grants for other in _causes(payment)}
    names = again | {_name(grant, cause) for grant in grants}
    for transfer in _taking(payment, names).order_by("wallet_id", "pk"):
        transfers.reverse(transfer_id=transfer.pk, actor=actor, reason=cause.reason)
    take_back(payment, cause, actor=actor, again=True)


def _name(grant: Transfer, cause: Cause) -> str:
    return f"{grant.pk}:{cause.public_id}"


def _again(grant: Transfer, cause: Cause) -> str:
    return f"{_name(grant, cause)}:again"


def _causes(payment: Payment) -> list[Cause]:
    return [*payment.refunds.all(), *payment.disputes.all()]


def _taking(payment: Payment, names: Iterable[str]) -> QuerySet[Transfer]:
    """Return the transfers of these names that have taken something and were not reversed."""
    return Transfer.objects.filter(
        tenant_id=payment.tenant_id,
        source__in=("refund", "dispute"),
        source_id__in=list(names),
        kind__in=("refund", "chargeback"),
        reversed_by=None,
    )


def _taken(payment: Payment, grants: list[Transfer]) -> dict[int, int]:
    """Return what has been taken back so far, by the id of the grant."""
    owners = {
        name: grant.pk
        for grant in grants
        for cause in _causes(payment)
        for name in (_name(grant, cause), _again(grant, cause))
    }
    taken = dict.fromkeys((grant.pk for grant in grants), 0)
    for source_id, amount_ubt in _taking(payment, owners).values_list("source_id", "amount_ubt"):
        taken[owners[source_id]] += amount_ubt
    return taken


def _most_without_debt(payment: Payment, whole: int) -> int:
    """Return how much money may have gone back in all before some wallet would owe tokens."""
    grants = grants_of(payment)
    taken = _taken(payment, grants)
    wallets = Wallet.objects.in_bulk([grant.wallet_id for grant in grants])
    most = whole
    for grant in grants:
        affordable_ubt = taken[grant.pk] + wallets[grant.wallet_id].available_ubt
        most = min(most, ((affordable_ubt + 1) * whole - 1) // grant.amount_ubt)
    return most


def conclude(order: Order, payment: Payment) -> None:
    """Give a payment and its order the states that follow from what has gone back by now."""
    returned, whole = done(payment), received(payment)
    is_whole = returned >= whole > 0
    status = _status(payment, is_whole=is_whole, has_part=returned > 0)
    if status != payment.status:
        states.check(states.PAYMENT, payment.status, status)
        payment.status = status
        payment.save(update_fields=["status"])
    if payment.confirmed_at is not None and returned:
        _move_order(order, Order.REFUNDED if is_whole else Order.PARTLY_REFUNDED)
    _end_review(order)


def _status(payment: Payment, *, is_whole: bool, has_part: bool) -> str:
    if payment.status == Payment.REFUNDED:
        return Payment.REFUNDED
    if payment.confirmed_at is None:
        return Payment.REFUNDED if is_whole else payment.status
    if payment.disputes.filter(status=Dispute.OPEN).exists():
        return Payment.DISPUTED
    if is_whole:
        return Payment.REFUNDED
    return Payment.PARTLY_REFUNDED if has_part else Payment.CONFIRMED


def _move_order(order: Order, status: str) -> None:
    if order.status != status:
        states.check(states.ORDER, order.status, status)
        order.status = status
        order.save(update_fields=["status"])


def _end_review(order: Order) -> None:
    """Let nobody look any more at an order of which no payment is left to decide upon."""
    waits = order.status in (Order.PAID, Order.PARTLY_REFUNDED)
    waits = waits or order.payments.filter(status=Payment.REVIEW).exists()
    if order.delivery_status == Order.REVIEW and not waits:
        states.check(states.DELIVERY_STATUS, order.delivery_status, Order.NONE)
        order.delivery_status = Order.NONE
        order.save(update_fields=["delivery_status"])
