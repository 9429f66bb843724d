"""What a buyer is told when an order can't be placed. For the forms of checkout and usage page."""

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from billing.errors import OrderInvalid

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


_OF_WALLETS: "dict[tuple[str, str], StrOrPromise]" = {
    ("wallet", "missing"): _("This is credit for an account. Sign in first."),
    ("wallet", "unknown"): _("You are not signed in any more. Sign in and try once more."),
    ("wallet", "frozen"): _("Your account is paused. Ask the shop before you top it up."),
}
_OF_COUPONS: "dict[tuple[str, str], StrOrPromise]" = {
    ("coupon", "unknown"): _("This shop has no such coupon. Compare it letter by letter."),
    ("coupon", "early"): _("This coupon can't be used yet."),
    ("coupon", "over"): _("The time of this coupon is over."),
    ("coupon", "used_up"): _("This coupon was used as often as it may be."),
    ("coupon", "person"): _("This coupon was used with your address as often as it may be."),
    ("coupon", "product"): _("This coupon is not for this pack."),
    ("coupon", "minimum"): _("The sum is too small for this coupon."),
}
_OF_CODES: "dict[tuple[str, str], StrOrPromise]" = {
    ("code", "unknown"): _("This shop has no such code. Copy it whole: 20 letters and digits."),
    ("code", "used"): _("This code was used already."),
    ("code", "revoked"): _("This code was withdrawn. Ask whoever gave it to you."),
    ("code", "over"): _("The time of this code is over."),
}


def refusal(error: OrderInvalid) -> "StrOrPromise":
    """Return why an order can't be placed, and what to do about it."""
    known: dict[tuple[str, str], StrOrPromise] = {
        ("email", "invalid"): _("That is no complete address; it looks like name@example.com."),
        ("product", "unknown"): _("This is no longer on sale. Nothing was charged."),
        ("product", "other_kind"): _("This can't be added to that key. Buy it as a new key."),
        ("product", "too_much"): _("The key's balance can't become that large."),
        ("product", "not_on_sale"): _("This is not on sale now. Nothing was charged."),
        ("product", "person"): _(
            "That is more of this than one person may buy. Orders that wait to be paid count, too."
        ),
        ("product", "day"): _(
            "That is more of this than one person may buy in 24 hours. Try again tomorrow."
        ),
        ("key", "missing"): _("This is for a key that you have. Paste that key."),
        ("key", "revoked"): _("This key was revoked or replaced, so it can't be topped up."),
        ("key", "shared"): _("This key belongs to an account; it is topped up there."),
        ("key", "frozen"): _("This key is paused. Ask the shop before you top it up."),
    }
    known |= _OF_WALLETS | _OF_COUPONS | _OF_CODES
    return known.get((error.field, error.code)) or _(
        "That can't be ordered as it is. Nothing was charged."
    )
