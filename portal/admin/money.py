"""Steps that move money, for the pages of orders and of payments: give it back, note that it came.

Both pages lead here with a payment; the deed is billing's, and is done once for each form.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from billing import orders, payments
from billing.errors import StateInvalid
from billing.ids import uuid7
from billing.models import ManualReceipt, Order, Payment, Refund
from billing.payments.base import Refunding
from billing.payments.manual import MANUAL
from billing.scoping import tenant_scope
from portal import amounts
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import MoneyField
from portal.admin.shop_form import count_in

_PAID = (Payment.CONFIRMED, Payment.PARTLY_REFUNDED, Payment.REVIEW)
_UNPAID = (
    Payment.CREATED,
    Payment.PENDING,
    Payment.FAILED,
    Payment.CANCELLED,
    Payment.EXPIRED,
)
_SAID = {
    Refund.DONE: (messages.SUCCESS, _("%(amount)s went back.")),
    Refund.PENDING: (
        messages.SUCCESS,
        _("The provider is asked to give %(amount)s back. What it says is booked by itself."),
    ),
    Refund.REVIEW: (
        messages.WARNING,
        _("Nobody knows whether %(amount)s went back. Look at the provider's, then settle it."),
    ),
    Refund.FAILED: (messages.ERROR, _("The provider gives nothing back: %(failure)s")),
}


def can_refund(payment: Payment) -> bool:
    """Tell whether something of a payment can go back."""
    return payment.status in _PAID and orders.quote(payment).left_minor > 0


def to_refund(order: Order) -> Payment | None:
    """Return the payment of an order that a refund is about: what has paid it, else a stray one."""
    found = list(order.payments.order_by("-pk"))
    first = [payment for payment in found if payment.status in _PAID and payment.confirmed_at]
    stray = [payment for payment in found if payment.status == Payment.REVIEW]
    over = [payment for payment in found if payment.received_minor or payment.confirmed_at]
    return next(iter([*first, *stray, *over]), None)


def awaits_money(payment: Payment) -> bool:
    """Tell whether somebody may say that the money for a payment by hand has come."""
    is_open = payment.provider == MANUAL and payment.status in _UNPAID
    return is_open and not ManualReceipt.objects.filter(payment=payment).exists()


def to_await(order: Order) -> Payment | None:
    """Return the payment by hand that may still pay an order."""
    if order.paid_at:
        return None
    found = order.payments.filter(provider=MANUAL).order_by("-pk")
    return next((payment for payment in found if awaits_money(payment)), None)


class RefundForm(forms.Form):
    """How much goes back, and why. `once` makes a form that is sent twice one refund.

    It names its payment: on the page of an order, that may be another one by the time it is sent.
    """

    once = forms.UUIDField(widget=forms.HiddenInput)
    payment = forms.UUIDField(widget=forms.HiddenInput)
    amount_minor = MoneyField(label=_("Amount"))
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Kept for good, with your name. The buyer does not see it."),
    )

    def __init__(self, request: HttpRequest, payment: Payment, found: orders.RefundQuote) -> None:
        most = found.most_without_debt_minor
        is_whole = payment.status == Payment.REVIEW
        amount = found.left_minor if is_whole else most or None
        initial = {"once": uuid7(), "payment": payment.public_id, "amount_minor": amount}
        super().__init__(steps.posted(request), initial=initial)
        count_in(self, payment.currency)
        self._payment, self._left, self._is_whole = payment, found.left_minor, is_whole
        self.fields["amount_minor"].help_text = (
            _("In %(currency)s.") % {"currency": payment.currency}
            if is_whole
            else _("In %(currency)s. More than %(most)s leaves a debt on the buyer's balance.")
            % {"currency": payment.currency, "most": amounts.money(most, payment.currency)}
        )

    def clean_amount_minor(self) -> int:
        """Take no more than is left, unless the same form has been here before."""
        amount_minor = int(self.cleaned_data["amount_minor"])
        once = self.cleaned_data.get("once")
        if once and Refund.objects.filter(public_id=once).exists():
            return amount_minor
        left = amounts.money(self._left, self._payment.currency)
        if not 0 < amount_minor <= self._left:
            raise forms.ValidationError(_("At most %(left)s can go back.") % {"left": left})
        if self._is_whole and amount_minor != self._left:
            raise forms.ValidationError(
                _("A payment in review goes back whole: %(left)s.") % {"left": left}
            )
        return amount_minor

    def clean(self) -> dict[str, Any]:
        """Take the payment of which the page has spoken, and no other."""
        found = super().clean() or self.cleaned_data
        if found.get("payment") != self._payment.public_id:
            raise forms.ValidationError(steps.refusal_text(StateInvalid()))
        return found


def refund(
    page: ScopedAdmin, request: HttpRequest, row: Order | Payment, payment: Payment | None
) -> HttpResponse:
    """Ask how much of a payment goes back, then give it back."""
    if payment is None:
        messages.error(request, _("Nothing was paid for it."))
        return _back(row)
    with tenant_scope(payment.tenant_id):
        found = orders.quote(payment)

    def give(given: dict[str, Any]) -> HttpResponse:
        with tenant_scope(payment.tenant_id):
            is_known = Refund.objects.filter(public_id=given["once"]).exists()
            made = orders.refund(
                payment.pk,
                refund_id=given["once"],
                amount_minor=given["amount_minor"],
                actor=str(request.user)[:64],
                reason=given["reason"],
            )
        amount = amounts.money(made.amount_minor, payment.currency)
        if not is_known:
            page.log_change(request, row, f"{_('Refund')}: {amount}, {given['reason']}")
        level, text = _SAID[made.status]
        messages.add_message(request, level, text % {"amount": amount, "failure": made.failure})
        return _back(row)

    return steps.step(
        page,
        request,
        deed=give,
        form=RefundForm(request, payment, found),
        row=row,
        title=_("Refund of %(order)s") % {"order": payment.order},
        sentence=_how_it_goes_back(payment),
        facts=_sums(payment, found),
        button=_("Give it back"),
        is_destructive=True,
    )


def _how_it_goes_back(payment: Payment) -> Any:
    by_hand = not isinstance(payments.REGISTRY.get(payment.provider), Refunding)
    if payment.status == Payment.REVIEW:
        if by_hand:
            return _(
                "Nothing was delivered for this payment. Send the money back by hand, all of it: "
                "nobody else does. This books that it is gone."
            )
        return _(
            "Nothing was delivered for this payment. The provider is asked to give all of it back."
        )
    if by_hand:
        return _(
            "Send the money back by hand: nobody else does. This books that it is gone, and takes "
            "as large a part of the base tokens from the buyer's balance."
        )
    return _(
        "The provider is asked to give money back, and as large a part of the base tokens is taken "
        "from the buyer's balance. What is not there any more becomes a debt, which top-ups pay."
    )


def _sums(payment: Payment, found: orders.RefundQuote) -> list[tuple[Any, str]]:
    rows = [
        (_("Received"), found.received_minor),
        (_("Gone back or on the way"), found.refunded_minor),
        (_("Left"), found.left_minor),
    ]
    if payment.status != Payment.REVIEW:
        rows.append((_("Most without a debt"), found.most_without_debt_minor))
    return [(label, amounts.money(minor, payment.currency)) for label, minor in rows]


class ArrivalForm(forms.Form):
    """What came. Another sum than what is due has to be meant."""

    amount_minor = MoneyField(label=_("What has arrived"))
    note = forms.CharField(
        label=_("Note"),
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("For yourselves: which account, whose name, which remark."),
    )
    is_meant = forms.BooleanField(
        label=_("Another sum has arrived; leave the payment to a person"),
        required=False,
        widget=forms.HiddenInput,
    )

    def __init__(self, request: HttpRequest, payment: Payment) -> None:
        super().__init__(steps.posted(request), initial={"amount_minor": payment.amount_minor})
        count_in(self, payment.currency)
        self._payment = payment
        self.fields["amount_minor"].help_text = _("In %(currency)s.") % {
            "currency": payment.currency
        }

    def clean(self) -> dict[str, Any]:
        """Warn before a payment goes into review."""
        found = super().clean() or self.cleaned_data
        amount_minor, due = found.get("amount_minor"), self._payment.amount_minor
        if amount_minor == 0:
            self.add_error("amount_minor", _("What has arrived is more than nothing."))
        elif amount_minor is not None and amount_minor != due:
            self.fields["is_meant"].widget = UnfoldBooleanWidget()
            if not found.get("is_meant"):
                money = amounts.money(due, self._payment.currency)
                self.add_error(
                    "amount_minor",
                    _(
                        "%(due)s is due. With another sum nothing is delivered: the payment waits "
                        "for a person, who can only give it back."
                    )
                    % {"due": money},
                )
        return found


def arrived(
    page: ScopedAdmin, request: HttpRequest, row: Order | Payment, payment: Payment | None
) -> HttpResponse:
    """Ask what has arrived, then book it."""
    if payment is None:
        messages.error(request, _("It does not wait for money."))
        return _back(row)

    def book(given: dict[str, Any]) -> HttpResponse:
        with tenant_scope(payment.tenant_id):
            is_known = ManualReceipt.objects.filter(payment=payment).exists()
            now = orders.money_arrived(
                payment.pk,
                amount_minor=given["amount_minor"],
                note=given["note"],
                actor=str(request.user)[:64],
            )
        amount = amounts.money(given["amount_minor"], payment.currency)
        if not is_known:
            page.log_change(request, row, f"{_('Money has arrived')}: {amount} {given['note']}")
        state = values.word(Payment, "status", now.status)
        messages.success(request, _("The payment: %(status)s.") % {"status": state})
        return _back(row)

    return steps.step(
        page,
        request,
        deed=book,
        form=ArrivalForm(request, payment),
        row=row,
        title=_("Money for %(order)s") % {"order": payment.order},
        sentence=_(
            "Look at your account first: with this the order is paid and delivered, and that can't "
            "be undone but by a refund."
        ),
        facts=[
            (_("To be paid"), amounts.money(payment.amount_minor, payment.currency)),
            (_("Order number, to be in the remark"), payment.order.number),
            (_("Buyer"), payment.order.email),
        ],
        button=_("The money has arrived"),
    )


def _back(row: Order | Payment) -> HttpResponse:
    return redirect(reverse(f"admin:billing_{row._meta.model_name}_change", args=[row.pk]))
