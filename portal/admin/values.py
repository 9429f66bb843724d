"""Columns of few values: what each value is called, its colour as a badge, and a filter by it.

Used by the pages of the admin. A value that is in no table here is shown as it is stored.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.contrib.admin import FieldListFilter
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from billing.models import Order, Payment
from billing.models.shop import Terms

GOOD, FAIR, BAD = "success", "warning", "danger"

_TERMS = {
    Terms.KEY: _("New key"),
    Terms.TOP_UP: _("Top-up"),
    Terms.TRIAL: _("Trial"),
    Terms.CREDIT: _("Account credit"),
}
_LANGUAGES = {"zh-hans": _("Chinese"), "en": _("English"), "": _("Every language")}
_PROVIDERS = {
    "demo": _("Demo"),
    "epay": _("epay"),
    "free": _("Free of charge"),
    "manual": _("Transfer by hand"),
    "stripe": "Stripe",
    "voucher": _("Redemption code"),
}
_REFUNDED = {
    "partly_refunded": _("Partly refunded"),
    "refunded": _("Refunded"),
}

VALUES: dict[str, dict[str, Any]] = {
    "Product.kind": _TERMS,
    "OrderLine.kind": _TERMS,
    "CodeBatch.kind": _TERMS,
    "Order.language": _LANGUAGES,
    "Mail.language": _LANGUAGES,
    "Announcement.language": _LANGUAGES,
    "LegalText.language": _LANGUAGES,
    "Tenant.language": _LANGUAGES,
    "Order.status": {
        "pending": _("Unpaid"),
        "paid": _("Paid"),
        "expired": _("Timed out"),
        "cancelled": _("Cancelled"),
        **_REFUNDED,
    },
    "Order.delivery_status": {
        "none": _("Not delivered"),
        "delivered": _("Delivered"),
        "review": _("Needs review"),
    },
    "Payment.status": {
        "created": _("Begun"),
        "pending": _("Waiting"),
        "confirmed": _("Confirmed"),
        "review": _("Needs review"),
        "failed": _("Failed"),
        "cancelled": _("Cancelled"),
        "expired": _("Timed out"),
        **_REFUNDED,
        "disputed": _("Disputed"),
    },
    "Refund.status": {
        "pending": _("Under way"),
        "done": _("Done"),
        "failed": _("Failed"),
        "review": _("Needs review"),
    },
    "Refund.origin": {"shop": _("The shop"), "provider": _("The provider")},
    "Dispute.status": {"open": _("Undecided"), "won": _("Won"), "lost": _("Lost")},
    "Mail.status": {
        "waiting": _("Waits"),
        "sent": _("Sent"),
        "failed": _("Failed"),
    },
    "Mail.kind": {
        "order": _("Order"),
        "trial": _("Trial"),
        "top_up": _("Top-up"),
        "order_link": _("Link of an order"),
        "key_replaced": _("Key replaced"),
        "key_rotated": _("Key replaced on the usage page"),
        "expiry": _("End of a balance"),
        "low_balance": _("Low balance"),
        "refund": _("Refund"),
        "dispute": _("Dispute"),
        "transfer": _("Transfer by hand"),
        "sign_in": _("Sign-in"),
    },
    "LegalText.purpose": {
        "agreement": _("Agreement"),
        "privacy": _("Privacy"),
    },
    "Transfer.kind": {
        "purchase": _("Purchase"),
        "redeem": _("Redeemed code"),
        "promo": _("Gift"),
        "refund": _("Refund"),
        "chargeback": _("Chargeback"),
        "chargeback_reversal": _("Chargeback taken back"),
        "expiry": _("Expiry"),
        "adjustment": _("Adjustment"),
        "correction": _("Correction"),
        "debt": _("Debt"),
        "debt_recovery": _("Debt paid back"),
        "move_in": _("Moved in"),
        "move_out": _("Moved out"),
    },
    "Transfer.source": {
        "payment": _("Payment"),
        "admin": _("By hand"),
        "key": _("New key"),
        "expiry": _("Expiry"),
        "reverse": _("Reversal"),
        "transfer": _("Transfer"),
        "refund": _("Refund"),
        "dispute": _("Dispute"),
        "late_settle": _("Late settlement"),
        "job_failed": _("Failed job"),
        "job_failed_wholesale": _("Failed job"),
    },
    "UpstreamObject.kind": {
        "video": _("Video"),
        "task": _("Task of a route"),
        "deleted": _("Deleted"),
    },
    "UpstreamObject.state": {
        "running": _("Running"),
        "done": _("Done"),
        "failed": _("Failed"),
        "lost": _("Lost sight of"),
    },
    "Wallet.status": {"active": _("Usable"), "frozen": _("Frozen")},
    "ApiKey.status": {"active": _("Usable"), "disabled": _("Paused")},
    "UsageRecord.resolution": {
        "settled": _("Settled"),
        "voided": _("Nothing charged"),
        "reaped": _("Settled after a crash"),
    },
    "UsageRecord.usage_source": {
        "upstream": _("Upstream"),
        "counted": _("Our own count"),
        "checkpoint": _("Last checkpoint"),
        "none": _("Nothing to count"),
    },
    "PriceBook.purpose": {
        "retail": _("Retail"),
        "wholesale": _("Wholesale"),
        "cost": _("Cost"),
    },
    "Member.role": {
        "owner": _("Owner"),
        "manager": _("Manager"),
        "support": _("Support"),
        "viewer": _("Viewer"),
    },
    "Payment.provider": _PROVIDERS,
    "PaymentInstance.provider": _PROVIDERS,
}

COLOURS: dict[str, dict[str, str]] = {
    "Order.status": {
        Order.PAID: GOOD,
        Order.PENDING: FAIR,
        Order.PARTLY_REFUNDED: BAD,
        Order.REFUNDED: BAD,
    },
    "Order.delivery_status": {Order.DELIVERED: GOOD, Order.REVIEW: BAD},
    "Payment.status": {
        Payment.CONFIRMED: GOOD,
        Payment.CREATED: FAIR,
        Payment.PENDING: FAIR,
        Payment.REVIEW: BAD,
        Payment.DISPUTED: BAD,
    },
    "Refund.status": {"done": GOOD, "pending": FAIR, "failed": BAD, "review": BAD},
    "Dispute.status": {"open": BAD, "won": GOOD, "lost": BAD},
    "Mail.status": {"sent": GOOD, "waiting": FAIR, "failed": BAD},
    "UpstreamObject.state": {"running": FAIR, "done": GOOD, "failed": BAD, "lost": BAD},
    "Wallet.status": {"active": GOOD, "frozen": BAD},
}


class Badge(tuple[str, Any]):
    """A value and its word: a coloured badge in a list, the word alone on a page of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(self[1])


def word(model: type[Model], column: str, value: Any) -> Any:
    """Return what a value is called; an empty one is a dash."""
    return VALUES.get(_name(model, column), {}).get(value, value) or "-"


@cache
def worded(model: type[Model], column: str) -> Any:
    """Return the cell that says a column's value in words, as a badge where it has colours."""
    field: Any = model._meta.get_field(column)

    def plain(row: Any) -> Any:
        return word(model, column, getattr(row, column))

    def badge(row: Any) -> Badge:
        return Badge((getattr(row, column), plain(row)))

    name = _name(model, column)
    colours = COLOURS.get(name)
    cell = badge if colours else plain
    cell.__name__ = f"{column}_word"
    label = {value: colours.get(value, "") for value in VALUES[name]} if colours else None
    show = display(description=field.verbose_name, ordering=column, label=label)
    return show(cell)


class WordsFilter(FieldListFilter):
    """Filters by a column of few values, by their words and without looking them up in the rows."""

    def __init__(
        self,
        field: Any,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: type[Model],
        model_admin: Any,
        field_path: str,
    ) -> None:
        self.lookup_kwarg = f"{field_path}__exact"
        self.words = VALUES[_name(field.model, field.name)]
        chosen = params.get(self.lookup_kwarg)
        self.chosen = chosen[-1] if chosen else None
        super().__init__(field, request, params, model, model_admin, field_path)

    def expected_parameters(self) -> list[str | None]:
        """Return the parameter that this filter reads."""
        return [self.lookup_kwarg]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Offer every value that there can be."""
        for value, title in ((None, _("All")), *self.words.items()):
            query = changelist.get_query_string(
                {} if value is None else {self.lookup_kwarg: value},
                [self.lookup_kwarg] if value is None else [],
            )
            yield {"selected": self.chosen == value, "query_string": query, "display": title}


def choices_of(model: type[Model], column: str) -> list[tuple[str, Any]]:
    """Return the values of a column with their words, for a form."""
    return list(VALUES[_name(model, column)].items())


def _name(model: type[Model], column: str) -> str:
    return f"{model.__name__}.{column}"
