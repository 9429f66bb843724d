"""What letters are put together from: their shape, and the sentences and facts that recur.

Called by `portal.mail.letters`, in the shop's scope, language and time zone.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from billing.models import (
    ApiKey,
    Delivery,
    Order,
    OrderLine,
    Receipt,
    Refund,
    Tenant,
    Wallet,
)
from billing.orders import links
from billing.scoping import ScopedModel
from portal import amounts
from portal.links import origin, origin_of, public_lines_of
from portal.templatetags.shop import local_text

LOOK_UP_PATH, USAGE_PATH, ACCOUNT_PATH = "/orders/", "/usage/", "/account/"

Row = TypeVar("Row", bound=ScopedModel)


class NothingToTell(Exception):
    """What a mail is about is not there, or no longer so."""


@dataclass(frozen=True)
class Fact:
    """A line of the small table; addresses and numbers to copy are set as code."""

    label: str
    value: str
    is_code: bool = False

    @property
    def line(self) -> str:
        """The same for plain text."""
        return _("%(label)s: %(value)s") % {"label": self.label, "value": self.value}


@dataclass(frozen=True)
class Line:
    """A sentence under the letter, and where it leads if it leads anywhere."""

    text: str
    url: str = ""
    shown: str = ""

    @property
    def start(self) -> str:
        """The sentence as something follows it: a full-width colon brings its own space."""
        return self.text if self.text.endswith("：") else f"{self.text} "


@dataclass(frozen=True)
class Letter:
    """The content of a mail. `url` is where its button leads, `note` stands right below that.

    `quote` is text of the shop's own, of several lines, above the button.
    """

    subject: str
    title: str
    lead: str
    button: str
    url: str
    note: str = ""
    quote: str = ""
    facts: list[Fact] = field(default_factory=list)
    closing: list[Line] = field(default_factory=list)

    @property
    def call(self) -> str:
        """The button for plain text: what the address below it is for."""
        return _("%(button)s:") % {"button": self.button}


def found(model: type[Row], pk: int) -> Row:
    """Return the row that a mail is about. Raises NothingToTell."""
    row = model.objects.filter(pk=pk).first()
    if row is None:
        raise NothingToTell(f"{model.__name__} {pk} is gone")
    return row


def gap() -> str:
    """Return what parts two sentences: a Chinese full stop brings its own space."""
    return "" if amounts.is_chinese() else " "


def offer(amount_ubt: int) -> str:
    """Return an amount to stand before the words "base tokens": "5M", "500 万", "9,000 "."""
    unit = amounts.amount(amount_ubt).unit
    space = " " if amounts.is_chinese() and not unit else ""
    return amounts.amount_text(amount_ubt) + space


def moment(at: datetime, shop: Tenant) -> str:
    """Return a time in the shop's zone, and which zone that is: mails are read anywhere."""
    zone = ZoneInfo(shop.time_zone)
    offset = f"{at.astimezone(zone):%z}"
    return f"{local_text(at, zone=zone, form='minute')} (UTC{offset[:3]}:{offset[3:]})"


def day(at: datetime, shop: Tenant) -> str:
    """Return a day in the shop's zone."""
    return local_text(at, zone=ZoneInfo(shop.time_zone), form="date")


def granted(lines: list[OrderLine]) -> str:
    """Say what was bought: how much for each key, how many of them, until when."""
    sentences = []
    for line in lines:
        words = {"amount": offer(line.grant_ubt), "count": line.quantity}
        if line.quantity > 1:
            bought = _("%(count)s keys with %(amount)s base tokens each") % words
        else:
            bought = _("%(amount)s base tokens") % words
        days = line.valid_days
        end = _("valid for %(days)s days") % {"days": days} if days else _("no expiry")
        sentences.append(_("%(bought)s, %(end)s.") % {"bought": bought, "end": end})
    return " ".join(sentences)


def order_url(order: Order, shop: Tenant) -> str:
    """Return the secret address of an order's page."""
    return origin_of(shop) + links.path_of(order)


def kept_until(order: Order, shop: Tenant) -> str:
    """Say how long the page shows the key, and that nothing is lost afterwards."""
    sealed = Delivery.objects.filter(line__order=order, sealed_until__isnull=False)
    end = sealed.order_by("sealed_until").values_list("sealed_until", flat=True).first()
    if end is None:
        return _("If the key gets lost, the same page replaces it; the balance stays.")
    return _(
        "The page shows the key until %(end)s, or until you say that you have saved it. "
        "Afterwards the same page can replace it; the balance stays."
    ) % {"end": moment(end, shop)}


def addresses(shop: Tenant) -> list[Fact]:
    """Return the addresses of the relay, the first one first."""
    facts = []
    for place, line in enumerate(public_lines_of(shop)[:5]):
        usual = _("Spare base URL") if place else _("Base URL")
        facts.append(Fact(line.label or usual, origin(line.hostname), is_code=True))
    return facts


def paid(order: Order) -> list[Fact]:
    """Return the order's number, what was taken off, and what was paid how."""
    facts = [Fact(_("Order number"), order.number, is_code=True)]
    booked = order.payments.select_related("instance").filter(confirmed_at__isnull=False)
    payment = booked.first() if order.total_minor else None
    if payment is None:
        return facts
    if order.discount_minor:
        facts.append(Fact(_("Discount"), amounts.money(-order.discount_minor, order.currency)))
    facts.append(Fact(_("Paid"), amounts.money(payment.amount_minor, payment.currency)))
    if payment.instance and payment.instance.name:
        facts.append(Fact(_("Paid with"), payment.instance.name))
    return facts


def receipt(order: Order, shop: Tenant, *, of: Refund | None = None) -> list[Line]:
    """Say where the receipt of an order is, or of a refund of it; nothing if there is none."""
    paper = Receipt.objects.filter(payment__order=order, refund=of, dispute=None).first()
    if paper is None:
        return []
    text = _("Counter-receipt:") if of else _("Receipt:")
    return [Line(text, f"{order_url(order, shop)}receipts/{paper.number}/", paper.number)]


def state(key: ApiKey, shop: Tenant) -> list[Fact]:
    """Return how a key stands now: what is left, and until when."""
    ends = [end for end in (key.expires_at, key.wallet.expires_at) if end]
    return [
        Fact(_("Key"), key.masked, is_code=True),
        *_left(key.wallet, min(ends) if ends else None, shop),
    ]


def balance(wallet: Wallet, shop: Tenant) -> list[Fact]:
    """Return how an account's wallet stands now."""
    return _left(wallet, wallet.expires_at, shop)


def _left(wallet: Wallet, end: datetime | None, shop: Tenant) -> list[Fact]:
    facts = [Fact(_("Base tokens left"), amounts.base_tokens(wallet.available_ubt))]
    return [*facts, Fact(_("Valid until"), moment(end, shop))] if end else facts


def lost_link(shop: Tenant) -> Line:
    """Say how to get the link again."""
    text = _("Lost the link? Order number and this address get a new one:")
    return Line(text, origin_of(shop) + LOOK_UP_PATH, _("look up an order"))


def contact(shop: Tenant) -> list[Line]:
    """Say how to reach the shop, as far as it can be reached."""
    lines = []
    if shop.contact_email:
        lines.append(Line(_("Answer this mail to reach us.")))
    if shop.contact_url:
        lines.append(Line(_("Help:"), shop.contact_url, shop.contact_url))
    return lines
