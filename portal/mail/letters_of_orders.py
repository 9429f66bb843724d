"""What mails about buying say: what was delivered, how to pay by hand, where the order is.

Called by `portal.mail.letters`, which says what a letter is.
"""

import structlog
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.models import Delivery, Order, OrderLine, Tenant
from billing.orders import deliveries
from billing.payments.manual import MANUAL
from portal import amounts
from portal.links import origin_of
from portal.mail import parts
from portal.mail.parts import Fact, Letter, Line, NothingToTell

_log = structlog.get_logger(__name__)


def order(order_id: int, shop: Tenant) -> Letter:
    """Say that keys are ready; a shop that mails keys puts them in."""
    found = parts.found(Order, order_id)
    lines = list(found.lines.all())
    count = sum(line.quantity for line in lines)
    title = ngettext("Your key is ready", "Your keys are ready", count)
    mailed = _keys(found) if shop.mails_keys else []
    return Letter(
        subject=_("%(title)s (order %(number)s)") % {"title": title, "number": found.number},
        title=title,
        lead=parts.granted(lines),
        button=_("Open the order") if mailed else _("Open the order to get the key"),
        url=parts.order_url(found, shop),
        note=_safely(found, shop) if mailed else parts.kept_until(found, shop),
        facts=[*mailed, *parts.addresses(shop), *parts.paid(found)],
        closing=[
            *parts.receipt(found, shop),
            parts.lost_link(shop),
            Line(_not_yours()),
            *parts.contact(shop),
        ],
    )


def trial(order_id: int, shop: Tenant) -> Letter:
    """Say that a trial key is ready."""
    found = parts.found(Order, order_id)
    title = _("Your trial key is ready")
    return Letter(
        subject=title,
        title=title,
        lead=parts.granted(list(found.lines.all())),
        button=_("Open the order to get the key"),
        url=parts.order_url(found, shop),
        note=parts.kept_until(found, shop),
        facts=[*parts.addresses(shop), *parts.paid(found)],
        closing=[parts.lost_link(shop), Line(_not_yours()), *parts.contact(shop)],
    )


def top_up(order_id: int, shop: Tenant) -> Letter:
    """Say that a key or an account has more now."""
    found = parts.found(Order, order_id)
    credit = found.lines.select_related("wallet").filter(kind=OrderLine.CREDIT).first()
    if credit is not None:
        return _credited(found, credit, shop)
    delivered = Delivery.objects.select_related("line", "key__wallet").filter(line__order=found)
    delivery = delivered.first()
    if delivery is None:
        raise NothingToTell("nothing was delivered")
    words = {
        "amount": parts.offer(delivery.line.grant_ubt),
        "key": delivery.key.masked,
        "number": found.number,
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
        facts=[*parts.state(delivery.key, shop), *parts.paid(found)],
        closing=_of_order(found, shop),
    )


def _credited(found: Order, line: OrderLine, shop: Tenant) -> Letter:
    words = {"amount": parts.offer(line.grant_ubt), "number": found.number}
    return Letter(
        subject=_("%(amount)s base tokens added (order %(number)s)") % words,
        title=_("Your account is topped up"),
        lead=_("%(amount)s base tokens were added to your account. All its keys can use them.")
        % words,
        button=_("Open your account"),
        url=origin_of(shop) + parts.ACCOUNT_PATH,
        facts=[*parts.balance(line.wallet, shop), *parts.paid(found)] if line.wallet else [],
        closing=_of_order(found, shop),
    )


def key_replaced(delivery_id: int, shop: Tenant) -> Letter:
    """Say that the order's page has made a new key."""
    delivery = parts.found(Delivery, delivery_id)
    found = delivery.line.order
    return Letter(
        subject=_("Your key was replaced (order %(number)s)") % {"number": found.number},
        title=_("Your key was replaced"),
        lead=_(
            "The old key no longer works. The new one is on the order's page, with the balance "
            "that was left."
        ),
        button=_("Open the order to get the key"),
        url=parts.order_url(found, shop),
        note=parts.kept_until(found, shop),
        facts=[*parts.state(delivery.key, shop), *parts.paid(found)],
        closing=[
            Line(_("You didn't do this? Replace the key again on the order's page and tell us.")),
            *parts.contact(shop),
        ],
    )


def order_link(order_id: int, shop: Tenant) -> Letter:
    """Send the link of an order to who has asked for it."""
    found = parts.found(Order, order_id)
    return Letter(
        subject=_("The link to your order %(number)s") % {"number": found.number},
        title=_("The link to your order"),
        lead=_(
            "Somebody asked for it with the order number and this address. The order's page shows "
            "what was bought and can replace a lost key; the balance stays."
        ),
        button=_("Open the order"),
        url=parts.order_url(found, shop),
        facts=parts.paid(found),
        closing=[
            Line(_("You didn't ask for it? You need not do anything: it went to you alone.")),
            *parts.contact(shop),
        ],
    )


def transfer(order_id: int, shop: Tenant) -> Letter:
    """Say how to pay an order by hand, for as long as it waits."""
    found = parts.found(Order, order_id)
    payments = found.payments.select_related("instance").filter(provider=MANUAL)
    payment = payments.order_by("-pk").first()
    if payment is None or payment.instance is None or found.status != Order.PENDING:
        raise NothingToTell("it waits for no transfer")
    words = {"sum": amounts.money(payment.amount_minor, payment.currency), "number": found.number}
    return Letter(
        subject=_("Pay %(sum)s for order %(number)s") % words,
        title=_("How to pay your order"),
        lead=_(
            "Transfer %(sum)s and give the order number as the purpose. When the shop has seen the "
            "money arrive, the order is delivered and you get another mail."
        )
        % words,
        quote=payment.instance.instructions,
        button=_("Open the order"),
        url=parts.order_url(found, shop),
        facts=[
            Fact(_("To pay"), words["sum"]),
            Fact(_("Payment purpose"), found.number, is_code=True),
            Fact(_("The order waits until"), parts.moment(found.expires_at, shop)),
        ],
        closing=[Line(_not_yours()), *parts.contact(shop)],
    )


def _keys(found: Order) -> list[Fact]:
    """Return the keys that can still be revealed, in plain text, for this one mail."""
    mailed = deliveries.sealed_keys(found)
    if mailed:
        _log.info("keys_mailed", deliveries=[str(one.public_id) for one, _key in mailed])
    return [Fact(_("Key"), key, is_code=True) for _delivery, key in mailed]


def _safely(found: Order, shop: Tenant) -> str:
    words = _("Who reads this mail can use the key. Move the key to a safe place.")
    return f"{words}{'' if amounts.is_chinese() else ' '}{parts.kept_until(found, shop)}"


def _of_order(found: Order, shop: Tenant) -> list[Line]:
    url = parts.order_url(found, shop)
    order_line = Line(_("The order:"), url, found.number)
    return [order_line, *parts.receipt(found, shop), *parts.contact(shop)]


def _not_yours() -> str:
    return _("Didn't buy anything? Somebody mistyped an address; you can ignore this mail.")
