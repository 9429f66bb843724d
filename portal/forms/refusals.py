"""What a buyer is told when an order can't be placed. For the forms of checkout and usage page."""

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from billing.errors import OrderInvalid

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def refusal(error: OrderInvalid) -> "StrOrPromise":
    """Return why an order can't be placed, and what to do about it."""
    known: dict[tuple[str, str], StrOrPromise] = {
        ("email", "invalid"): _("That is no complete address; it looks like name@example.com."),
        ("product", "unknown"): _("This is no longer on sale. Nothing was charged."),
        ("product", "other_kind"): _("This can't be added to that key. Buy it as a new key."),
        ("product", "too_much"): _("The key's balance can't become that large."),
        ("key", "revoked"): _("This key was revoked or replaced, so it can't be topped up."),
        ("key", "shared"): _("This key belongs to an account; it is topped up there."),
        ("key", "frozen"): _("This key is paused. Ask the shop before you top it up."),
    }
    return known.get((error.field, error.code)) or _(
        "That can't be ordered as it is. Nothing was charged."
    )
