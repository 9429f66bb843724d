"""Receipts: a numbered paper for what a payment brought, and for each part of it that went back.

Called by `billing.orders`, at the end of the transaction that books the cause: the counter of a
shop's numbers is the last lock that is taken. Numbers have no gaps, because the counter is raised
by the transaction that writes the paper. Nothing here is ever changed; what was said in error, or
is no longer so, is cancelled by a counter-receipt.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Sum

from billing.ledger.clock import database_now
from billing.models import Dispute, Payment, Receipt, ReceiptCounter, Refund, Tenant


def bring_up_to_date(payment: Payment) -> None:
    """Write the papers that a locked payment lacks: its own, and one for all that went back.

    What costs nothing has none, and neither has a payment that was never booked as paid.
    """
    if payment.confirmed_at is None or not payment.amount_minor:
        return
    receipt = issue(payment)
    for refund in payment.refunds.filter(status=Refund.DONE, receipt=None).order_by("pk"):
        counter(receipt, refund.amount_minor, refund=refund)
    for dispute in payment.disputes.filter(status=Dispute.LOST, receipt=None).order_by("pk"):
        counter(receipt, dispute.amount_minor, dispute=dispute)


def issue(payment: Payment) -> Receipt:
    """Return the receipt of a locked payment that is paid; it is written if there is none."""
    receipt = Receipt.objects.filter(payment=payment, cancels=None).first()
    return receipt or _write(payment, payment.amount_minor)


def counter(
    receipt: Receipt,
    amount_minor: int,
    *,
    refund: Refund | None = None,
    dispute: Dispute | None = None,
) -> Receipt | None:
    """Cancel a receipt in part or whole, for one cause; never more than is left of it.

    Returns None if nothing is left: a bank may take back what had been given back before.
    """
    cancelled = receipt.counters.aggregate(sum=Sum("amount_minor"))["sum"] or 0
    amount_minor = min(amount_minor, receipt.amount_minor - cancelled)
    if amount_minor <= 0:
        return None
    return _write(receipt.payment, amount_minor, cancels=receipt, refund=refund, dispute=dispute)


def _write(
    payment: Payment, amount_minor: int, **cause: Receipt | Refund | Dispute | None
) -> Receipt:
    tenant = Tenant.objects.get(pk=payment.tenant_id)
    return Receipt.objects.create(
        tenant_id=tenant.pk,
        number=_next_number(tenant, database_now()),
        payment=payment,
        amount_minor=amount_minor,
        currency=payment.currency,
        seller=tenant.seller or tenant.name,
        **cause,
    )


def _next_number(tenant: Tenant, now: datetime) -> str:
    """Return the next number of the year in which the shop is, like `NO-2026-000042`."""
    year = now.astimezone(ZoneInfo(tenant.time_zone)).year
    counter, _ = ReceiptCounter.objects.select_for_update().get_or_create(
        tenant_id=tenant.pk, year=year
    )
    counter.last += 1
    counter.save(update_fields=["last"])
    shop = tenant.slug.replace("-", "")[:2].upper()
    return f"{shop}-{year}-{counter.last:06d}"
