"""Admin of orders. Money and keys are looked at; what can be done has a button.

No page here shows the secret link of an order or a sealed key: who works in a shop can send the
buyer a mail and can replace nothing unseen.
"""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from billing import keys, orders, outbox
from billing.models import CouponUse, Delivery, Order, OrderLine, Receipt
from billing.orders import deliveries
from billing.scoping import tenant_scope
from portal import amounts
from portal.admin import money, steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.deliveries import STATES
from portal.admin.order_parts import OrderLineInline, PaymentInline, short
from portal.admin.payments import ask_for
from portal.admin.receipts import links_to
from portal.admin.roles import READ_ONLY

_MAILS = {OrderLine.TRIAL: "trial", OrderLine.TOP_UP: "top_up"}


@admin.register(Order)
class OrderAdmin(ScopedAdmin):
    """What buyers have bought. Nothing of it can be edited."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        "number",
        values.worded(Order, "status"),
        values.worded(Order, "delivery_status"),
        "email",
        "total",
        "bought",
        "created_at",
    )
    list_filter = (
        ("status", values.WordsFilter),
        ("delivery_status", values.WordsFilter),
        "created_at",
    )
    search_fields = ("number",)
    search_help_text = _("Order number, e-mail, public id, key id or a whole key")
    ordering = ("-id",)
    inlines = (OrderLineInline, PaymentInline)
    actions_detail = (
        "money_arrived",
        "ask_provider",
        "deliver_again",
        "mail_again",
        "refund",
        "cancel",
    )
    readonly_fields = (
        values.worded(Order, "status"),
        values.worded(Order, "delivery_status"),
        values.worded(Order, "language"),
        "total",
        "discount",
        "delivered_keys",
        "receipts",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "tenant",
                    "number",
                    values.worded(Order, "status"),
                    values.worded(Order, "delivery_status"),
                    "total",
                    "discount",
                    "delivered_keys",
                    "receipts",
                )
            },
        ),
        (_("Buyer"), {"fields": ("email", values.worded(Order, "language"), "agreement_version")}),
        (_("Times"), {"fields": ("created_at", "expires_at", "paid_at", "public_id")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        lines = Prefetch("lines", OrderLine.objects.order_by("pk"))
        return super().get_queryset(request).prefetch_related(lines)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> Any:
        """Find by what a buyer may name; a pasted key is cut down to its public id at once."""
        text = search_term.strip()
        return (queryset.filter(_named(text)), True) if text else (queryset, False)

    def hidden_actions(self, row: Any) -> set[str]:
        """Hide what can't be done in the order's state."""
        is_paid = row.status in (Order.PAID, Order.PARTLY_REFUNDED, Order.REFUNDED)
        hidden = {"ask_provider"} if is_paid else set()
        hidden |= set() if row.status == Order.PENDING else {"cancel"}
        payment = money.to_refund(row)
        hidden |= set() if payment and money.can_refund(payment) else {"refund"}
        hidden |= set() if money.to_await(row) else {"money_arrived"}
        return hidden | (set() if _waits_for_delivery(row) else {"deliver_again"})

    @display(description=_("Order total"), ordering="total_minor")
    def total(self, order: Order) -> str:
        """Show the sum."""
        return amounts.money(order.total_minor, order.currency)

    @display(description=_("Taken off"))
    def discount(self, order: Order) -> str:
        """Show what a coupon has taken off."""
        use = CouponUse.objects.filter(order=order).select_related("coupon").first()
        if use is None:
            return "-"
        return f"{amounts.money(use.discount_minor, order.currency)} ({use.coupon})"

    @display(description=_("Receipts"))
    def receipts(self, order: Order) -> SafeString | str:
        """Lead to its receipts and counter-receipts."""
        return links_to(Receipt.objects.filter(payment__order=order))

    @display(description=_("Bought"))
    def bought(self, order: Order) -> str:
        """Show what was bought in a few words."""
        words = [f"{line.quantity} × {line.name or short(line)}" for line in order.lines.all()]
        return ", ".join(words)

    @display(description=_("Delivered keys"))
    def delivered_keys(self, order: Order) -> SafeString | str:
        """Show which keys it brought, or topped up, and where they are."""
        now = timezone.now()
        rows = Delivery.objects.filter(line__order=order).select_related("key").order_by("pk")
        links = [
            (
                reverse("admin:billing_delivery_change", args=[row.pk]),
                row.key.masked,
                STATES[deliveries.state_of(row, now=now)],
            )
            for row in rows
        ]
        return format_html_join(" ", '<p><a href="{}">{}</a> {}</p>', links) if links else "-"

    @action(
        description=_("Ask the provider again"),
        url_path="ask",
        permissions=["act"],
        icon="sync",
    )
    def ask_provider(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how its payments stand, and book what is said."""
        order = steps.row_or_404(self, request, object_id)
        return ask_for(
            self,
            request,
            order,
            title=_("Ask for the payment of %(order)s") % {"order": order},
            ids=order.payments.order_by("pk").values_list("pk", flat=True),
            said=lambda: self._said_how_it_stands(request, order),
        )

    @action(
        description=_("Deliver again"),
        url_path="deliver",
        permissions=["act"],
        icon="local_shipping",
    )
    def deliver_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Try once more to deliver what was paid."""
        order = steps.row_or_404(self, request, object_id)

        def deliver(_values: dict[str, Any]) -> HttpResponse:
            with tenant_scope(order.tenant_id):
                orders.deliver(order)
            self.log_change(request, order, str(_("It was delivered by hand.")))
            return self._said_how_it_stands(request, order)

        return steps.step(
            self,
            request,
            deed=deliver,
            form=forms.Form(steps.posted(request)),
            row=order,
            title=_("Deliver %(order)s again") % {"order": order},
            sentence=_(
                "A paid order waits for a person where its key can't be topped up. Make the key or "
                "its wallet usable first; then this delivers what was paid."
            ),
            button=_("Deliver again"),
        )

    @action(
        description=_("Send the mail again"),
        url_path="mail",
        permissions=["act"],
        icon="mail",
    )
    def mail_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Write the mail of the order anew."""
        order = steps.row_or_404(self, request, object_id)

        def send(given: dict[str, Any]) -> HttpResponse:
            with tenant_scope(order.tenant_id):
                outbox.write(
                    kind=_mail_of(order),
                    subject_id=order.pk,
                    recipient=order.email,
                    language=order.language,
                    once=f"order:{order.pk}:{given['once']}",
                    tenant_id=order.tenant_id,
                )
            self.log_change(request, order, str(_("Its mail was sent again.")))
            messages.success(request, _("The mail is on its way."))
            return redirect("admin:billing_order_change", order.pk)

        return steps.step(
            self,
            request,
            deed=send,
            form=steps.once_form(request),
            row=order,
            title=_("Send the mail of %(order)s again") % {"order": order},
            sentence=_("%(email)s gets the link of the order. Nobody else can see it, nor you.")
            % {"email": order.email},
            button=_("Send the mail"),
        )

    @action(description=_("Refund"), url_path="refund", permissions=["act"], icon="undo")
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give money back that was paid for it."""
        order = steps.row_or_404(self, request, object_id)
        return money.refund(self, request, order, money.to_refund(order))

    @action(
        description=_("Money has arrived"), url_path="arrived", permissions=["act"], icon="savings"
    )
    def money_arrived(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Book money that was sent by hand."""
        order = steps.row_or_404(self, request, object_id)
        return money.arrived(self, request, order, money.to_await(order))

    @action(description=_("Cancel"), url_path="cancel", permissions=["act"], icon="close")
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End an order that waits to be paid."""
        order = steps.row_or_404(self, request, object_id)

        def end(_values: dict[str, Any]) -> HttpResponse:
            with tenant_scope(order.tenant_id):
                orders.cancel(order)
            self.log_change(request, order, str(_("It was cancelled.")))
            return self._said_how_it_stands(request, order)

        return steps.step(
            self,
            request,
            deed=end,
            form=forms.Form(steps.posted(request)),
            row=order,
            title=_("Cancel %(order)s") % {"order": order},
            sentence=_(
                "Its buyer can't pay any more. What was paid all the same is found, and then it is "
                "delivered."
            ),
            button=_("Cancel the order"),
            is_destructive=True,
        )

    def _said_how_it_stands(self, request: HttpRequest, order: Order) -> HttpResponse:
        order.refresh_from_db()
        words = {
            "order": order,
            "status": values.word(Order, "status", order.status),
            "delivery": values.word(Order, "delivery_status", order.delivery_status),
        }
        messages.success(request, _("%(order)s: %(status)s, %(delivery)s.") % words)
        return redirect("admin:billing_order_change", order.pk)


def _named(text: str) -> Q:
    """Return which orders a text can mean."""
    pasted = keys.parse(text)
    if pasted or len(text) == keys.KID_LENGTH:
        kid = pasted.kid if pasted else text
        by_key = Q(lines__deliveries__key__kid=kid) | Q(lines__key__kid=kid)
        return by_key if pasted else by_key | Q(number__istartswith=text)
    if "@" in text:
        return Q(email__iexact=text)
    try:
        public_id = UUID(text)
    except ValueError:
        return Q(number__istartswith=text) | Q(payments__references__reference=text)
    return (
        Q(public_id=public_id)
        | Q(payments__public_id=public_id)
        | Q(lines__deliveries__public_id=public_id)
    )


def _mail_of(order: Order) -> str:
    """Return the kind of mail that tells of an order as it stands."""
    line = order.lines.order_by("pk").first()
    if order.delivery_status != Order.DELIVERED or line is None:
        return "order_link"
    return _MAILS.get(line.kind, "order")


def _waits_for_delivery(order: Order) -> bool:
    return order.status == Order.PAID and order.delivery_status == Order.REVIEW
