"""What the mails of a shop say, by kind, in the words of the letter's language.

A letter is made when it is sent, from the row that its mail is about, in that row's tenant scope.
HTML and plain text are rendered from the same letter, so they can't say different things. The only
secret in any of them is the link of an order, and that shows no key before a button is pressed.
"""

from collections.abc import Callable
from typing import TypeVar

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.models import ApiKey, Delivery, Mail, Notice, Order, Tenant, Wallet
from billing.scoping import ScopedModel
from portal import amounts
from portal.links import origin_of
from portal.mail import parts
from portal.mail.parts import Fact, Letter, Line

Row = TypeVar("Row", bound=ScopedModel)


class NothingToTell(Exception):
    """What a mail is about is not there, or no longer so."""


def write(mail: Mail, shop: Tenant) -> Letter:
    """Return what a mail says. Raises NothingToTell."""
    writer = _WRITERS.get(mail.kind)
    if writer is None:
        raise NothingToTell(f"no letter is of kind {mail.kind}")
    return writer(mail.subject_id, shop)


def _order(order_id: int, shop: Tenant) -> Letter:
    order = _found(Order, order_id)
    lines = list(order.lines.all())
    count = sum(line.quantity for line in lines)
    title = ngettext("Your key is ready", "Your keys are ready", count)
    return Letter(
        subject=_("%(title)s (order %(number)s)") % {"title": title, "number": order.number},
        title=title,
        lead=parts.granted(lines),
        button=_("Open the order to get the key"),
        url=parts.order_url(order, shop),
        note=parts.kept_until(order, shop),
        facts=[*parts.addresses(shop), *parts.paid(order)],
        closing=[parts.lost_link(shop), Line(_not_yours()), *parts.contact(shop)],
    )


def _trial(order_id: int, shop: Tenant) -> Letter:
    order = _found(Order, order_id)
    title = _("Your trial key is ready")
    return Letter(
        subject=title,
        title=title,
        lead=parts.granted(list(order.lines.all())),
        button=_("Open the order to get the key"),
        url=parts.order_url(order, shop),
        note=parts.kept_until(order, shop),
        facts=[*parts.addresses(shop), *parts.paid(order)],
        closing=[parts.lost_link(shop), Line(_not_yours()), *parts.contact(shop)],
    )


def _top_up(order_id: int, shop: Tenant) -> Letter:
    order = _found(Order, order_id)
    delivered = Delivery.objects.select_related("line", "key__wallet").filter(line__order=order)
    delivery = delivered.first()
    if delivery is None:
        raise NothingToTell("nothing was delivered")
    words = {
        "amount": parts.offer(delivery.line.grant_ubt),
        "key": delivery.key.masked,
        "number": order.number,
    }
    return Letter(
        subject=_("%(amount)s base tokens added (order %(number)s)") % words,
        title=_("Your key is topped up"),
        lead=_(
            "%(amount)s base tokens were added to %(key)s. The key stays the same, so nothing has "
            "to be changed in your programs."
        )
        % words,
        button=_("See balance and usage"),
        url=origin_of(shop) + parts.USAGE_PATH,
        facts=[*parts.state(delivery.key, shop), *parts.paid(order)],
        closing=[
            Line(_("The order:"), parts.order_url(order, shop), order.number),
            *parts.contact(shop),
        ],
    )


def _key_replaced(delivery_id: int, shop: Tenant) -> Letter:
    delivery = _found(Delivery, delivery_id)
    order = delivery.line.order
    return Letter(
        subject=_("Your key was replaced (order %(number)s)") % {"number": order.number},
        title=_("Your key was replaced"),
        lead=_(
            "The old key no longer works. The new one is on the order's page, with the balance "
            "that was left."
        ),
        button=_("Open the order to get the key"),
        url=parts.order_url(order, shop),
        note=parts.kept_until(order, shop),
        facts=[*parts.state(delivery.key, shop), *parts.paid(order)],
        closing=[
            Line(_("You didn't do this? Replace the key again on the order's page and tell us.")),
            *parts.contact(shop),
        ],
    )


def _key_rotated(key_id: int, shop: Tenant) -> Letter:
    key = _found(ApiKey, key_id)
    delivery = Delivery.objects.select_related("line__order").filter(key=key).first()
    closing = parts.contact(shop)
    if delivery is not None:
        order = delivery.line.order
        words = _("You didn't do this? Then somebody else has your key. Take it back here:")
        closing = [Line(words, parts.order_url(order, shop), order.number), *closing]
    return Letter(
        subject=_("Your key was replaced by %(key)s") % {"key": key.masked},
        title=_("Your key was replaced"),
        lead=_(
            "Somebody who has the old key did this on the usage page. The new key was shown there "
            "once and is in no mail; the balance has moved along."
        ),
        button=_("See balance and usage"),
        url=origin_of(shop) + parts.USAGE_PATH,
        facts=parts.state(key, shop),
        closing=closing,
    )


def _order_link(order_id: int, shop: Tenant) -> Letter:
    order = _found(Order, order_id)
    return Letter(
        subject=_("The link to your order %(number)s") % {"number": order.number},
        title=_("The link to your order"),
        lead=_(
            "Somebody asked for it with the order number and this address. The order's page shows "
            "what was bought and can replace a lost key; the balance stays."
        ),
        button=_("Open the order"),
        url=parts.order_url(order, shop),
        facts=parts.paid(order),
        closing=[
            Line(_("You didn't ask for it? You need not do anything: it went to you alone.")),
            *parts.contact(shop),
        ],
    )


def _expiry(notice_id: int, shop: Tenant) -> Letter:
    kind, _colon, pk = _found(Notice, notice_id).subject.partition(":")
    key = _found(ApiKey, int(pk)) if kind == "key" else _key_of(int(pk))
    ending: ApiKey | Wallet = key if kind == "key" else key.wallet
    if ending.expires_at is None:
        raise NothingToTell("it no longer ends")
    words = {
        "amount": amounts.base_tokens(key.wallet.available_ubt),
        "end": parts.moment(ending.expires_at, shop),
        "day": parts.day(ending.expires_at, shop),
        "key": key.masked,
    }
    return Letter(
        subject=_("%(key)s ends on %(day)s") % words,
        title=_("Your balance ends soon"),
        lead=_(
            "%(amount)s base tokens are left on %(key)s and lapse on %(end)s. A top-up moves the "
            "end."
        )
        % words,
        button=_("Top up"),
        url=origin_of(shop) + parts.USAGE_PATH,
        facts=parts.state(key, shop),
        closing=[Line(_why_told()), *parts.contact(shop)],
    )


def _low_balance(wallet_id: int, shop: Tenant) -> Letter:
    key = _key_of(wallet_id)
    words = {"amount": amounts.base_tokens(key.wallet.available_ubt), "key": key.masked}
    return Letter(
        subject=_("%(amount)s base tokens left on %(key)s") % words,
        title=_("Your balance is low"),
        lead=_(
            "%(key)s has fallen below the mark that was set for it. When it is used up, calls are "
            "refused and nothing is charged for them."
        )
        % words,
        button=_("Top up"),
        url=origin_of(shop) + parts.USAGE_PATH,
        facts=[
            *parts.state(key, shop),
            Fact(_("The mark"), amounts.base_tokens(key.wallet.alert_below_ubt or 0)),
        ],
        closing=[Line(_why_told()), *parts.contact(shop)],
    )


def _not_yours() -> str:
    return _("Didn't buy anything? Somebody mistyped an address; you can ignore this mail.")


def _why_told() -> str:
    return _("The usage page of the key says who gets such notices, and turns them off.")


def _key_of(wallet_id: int) -> ApiKey:
    """Return the key that a wallet is known by: the newest that works, else the newest."""
    keys = ApiKey.objects.select_related("wallet").filter(wallet_id=wallet_id)
    key = keys.filter(revoked_at__isnull=True).order_by("-pk").first() or keys.last()
    if key is None:
        raise NothingToTell("the wallet has no key")
    return key


def _found(model: type[Row], pk: int) -> Row:
    row = model.objects.filter(pk=pk).first()
    if row is None:
        raise NothingToTell(f"{model.__name__} {pk} is gone")
    return row


_WRITERS: dict[str, Callable[[int, Tenant], Letter]] = {
    "order": _order,
    "trial": _trial,
    "top_up": _top_up,
    "key_replaced": _key_replaced,
    "key_rotated": _key_rotated,
    "order_link": _order_link,
    "expiry": _expiry,
    "low_balance": _low_balance,
}
KINDS = frozenset(_WRITERS)
NOTICES = frozenset({"expiry", "low_balance"})
"""Mails that nobody has asked for at that moment."""
