"""What mails about money that goes back say: refunds to buyers, disputes to the shop.

Called by `portal.mail.letters`, which says what a letter is.
"""

from django.db.models import Sum
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.models import Dispute, Order, OrderLine, Payment, Refund, Tenant, Transfer, Wallet
from portal import amounts, offers
from portal.links import origin_of
from portal.mail import parts
from portal.mail.parts import Fact, Letter, Line, NothingToTell


def refund(refund_id: int, shop: Tenant) -> Letter:
    """Tell the buyer how much goes back, of which order, and what was taken back for it."""
    found = parts.found(Refund, refund_id)
    payment = found.payment
    words = {
        "sum": amounts.money(found.amount_minor, payment.currency),
        "number": payment.order.number,
    }
    return Letter(
        subject=_("%(sum)s refunded (order %(number)s)") % words,
        title=_("Money is on its way back"),
        lead=_("%(sum)s of order %(number)s went back.") % words + parts.gap() + _way(payment),
        button=_("Open the order"),
        url=parts.order_url(payment.order, shop),
        facts=_facts_of_refund(found, payment),
        closing=[*parts.receipt(payment.order, shop, of=found), *parts.contact(shop)],
    )


def dispute(dispute_id: int, shop: Tenant) -> Letter:
    """Tell the shop that a buyer's bank wants money back, what was done and what is to do."""
    found = parts.found(Dispute, dispute_id)
    if found.status != Dispute.OPEN:
        raise NothingToTell("the case is closed")
    payment = found.payment
    words = {
        "sum": amounts.money(found.amount_minor, payment.currency),
        "number": payment.order.number,
        "provider": offers.paid_by(payment),
    }
    return Letter(
        subject=_("Payment disputed: %(sum)s, order %(number)s") % words,
        title=_("A buyer's bank wants %(sum)s back") % words,
        lead=_frozen(found),
        button=_("See the payment"),
        url=origin_of(shop) + reverse("admin:billing_payment_change", args=[payment.pk]),
        note=_(
            "Answer the case on the pages of %(provider)s. They name the day until which evidence "
            "counts, often 7 to 21 days from now; a case without an answer is lost."
        )
        % words,
        facts=_facts_of_dispute(found, payment),
        closing=[
            Line(_("Won: the base tokens go back and the wallets are usable again.")),
            Line(_("Lost: the payment counts as refunded, and a counter-receipt is written.")),
        ],
    )


def _way(payment: Payment) -> str:
    """Say how the money travels."""
    if payment.instance is None:
        return _("It returns the way it came; a bank may need a few days.")
    words = {"method": offers.paid_by(payment)}
    return _("It returns by %(method)s, as it was paid; a bank may need a few days.") % words


def _facts_of_refund(found: Refund, payment: Payment) -> list[Fact]:
    order = payment.order
    wallets = _wallets(order)
    facts = [
        Fact(_("Refunded"), amounts.money(found.amount_minor, payment.currency)),
        Fact(_("Order number"), order.number, is_code=True),
    ]
    taken = Transfer.objects.filter(
        wallet_id__in=wallets, source="refund", source_id__contains=str(found.public_id)
    )
    taken_ubt = taken.aggregate(sum=Sum("amount_ubt"))["sum"] or 0
    if taken_ubt:
        facts.append(Fact(_("Base tokens taken back"), amounts.used_base_tokens(taken_ubt)))
    debt_ubt = Wallet.objects.filter(pk__in=wallets).aggregate(sum=Sum("debt_ubt"))["sum"] or 0
    if debt_ubt:
        owed = _("%(amount)s, which the next top-up pays first")
        told = owed % {"amount": amounts.used_base_tokens(debt_ubt)}
        facts.append(Fact(_("Of these already used"), told))
    return facts


def _facts_of_dispute(found: Dispute, payment: Payment) -> list[Fact]:
    facts = [
        Fact(_("Disputed amount"), amounts.money(found.amount_minor, payment.currency)),
        Fact(_("Order number"), payment.order.number, is_code=True),
        Fact(_("Paid with"), offers.paid_by(payment)),
        Fact(_("The case"), found.reference, is_code=True),
    ]
    return [*facts, Fact(_("Its reason"), found.reason)] if found.reason else facts


def _frozen(found: Dispute) -> str:
    count = len(found.frozen_wallets)
    if not count:
        return _("Nothing was frozen: no wallet still holds anything of this payment.")
    return ngettext(
        "%(count)d wallet is frozen, its keys are refused, and the base tokens of the payment were "
        "taken back, until the case is decided.",
        "%(count)d wallets are frozen, their keys are refused, and the base tokens of the payment "
        "were taken back, until the case is decided.",
        count,
    ) % {"count": count}


def _wallets(order: Order) -> set[int]:
    """Return the wallets that an order has credited."""
    lines = OrderLine.objects.filter(order=order)
    pairs = lines.values_list("wallet_id", "deliveries__wallet_id")
    return {pk for pair in pairs for pk in pair if pk}
