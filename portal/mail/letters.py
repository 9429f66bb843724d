"""What the mails of a shop say, by kind, in the words of the letter's language.

A letter is made when it is sent, from the row that its mail is about, in that row's tenant scope.
HTML and plain text are rendered from the same letter, so they can't say different things. The only
secrets in any of them are links: that of an order shows no key before a button is pressed, and one
to sign in works once. A shop may choose to mail the keys of an order themselves.

Letters about orders and about money that goes back have files of their own; those to who holds a
key or an account are here.
"""

from collections.abc import Callable

from django.conf import settings
from django.utils.translation import gettext as _

from billing import sign_in
from billing.errors import NotFound
from billing.models import ApiKey, Delivery, Mail, Notice, Tenant, Wallet
from portal import amounts
from portal.links import origin_of
from portal.mail import letters_of_orders as of_orders
from portal.mail import letters_of_returns as of_returns
from portal.mail import parts
from portal.mail.parts import Fact, Letter, Line, NothingToTell

__all__ = ["KINDS", "NOTICES", "NothingToTell", "write"]


def write(mail: Mail, shop: Tenant) -> Letter:
    """Return what a mail says. Raises NothingToTell."""
    writer = _WRITERS.get(mail.kind)
    if writer is None:
        raise NothingToTell(f"no letter is of kind {mail.kind}")
    return writer(mail.subject_id, shop)


def _key_rotated(key_id: int, shop: Tenant) -> Letter:
    key = parts.found(ApiKey, key_id)
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


def _expiry(notice_id: int, shop: Tenant) -> Letter:
    kind, _colon, pk = parts.found(Notice, notice_id).subject.partition(":")
    key = parts.found(ApiKey, int(pk)) if kind == "key" else _key_of(int(pk))
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


def _why_told() -> str:
    return _("The usage page of the key says who gets such notices, and turns them off.")


def _key_of(wallet_id: int) -> ApiKey:
    """Return the key that a wallet is known by: the newest that works, else the newest."""
    keys = ApiKey.objects.select_related("wallet").filter(wallet_id=wallet_id)
    key = keys.filter(revoked_at__isnull=True).order_by("-pk").first() or keys.last()
    if key is None:
        raise NothingToTell("the wallet has no key")
    return key


def _sign_in(mail_id: int, shop: Tenant) -> Letter:
    try:
        path = sign_in.path_of(mail_id)
    except NotFound as error:
        raise NothingToTell(str(error)) from None
    words = {"shop": shop.name, "minutes": settings.PASSWORD_RESET_TIMEOUT // 60}
    return Letter(
        subject=_("Sign in to %(shop)s") % words,
        title=_("Sign in"),
        lead=_("Somebody asked for a link that signs you in to %(shop)s.") % words,
        button=_("Sign in"),
        url=origin_of(shop) + path,
        note=_("The link works once, for %(minutes)s minutes.") % words,
        closing=[
            Line(_("You didn't ask for it? Leave it: without the link nobody gets in.")),
            *parts.contact(shop),
        ],
    )


_WRITERS: dict[str, Callable[[int, Tenant], Letter]] = {
    "order": of_orders.order,
    "trial": of_orders.trial,
    "top_up": of_orders.top_up,
    "order_link": of_orders.order_link,
    "transfer": of_orders.transfer,
    "key_replaced": of_orders.key_replaced,
    "refund": of_returns.refund,
    "dispute": of_returns.dispute,
    "key_rotated": _key_rotated,
    "expiry": _expiry,
    "low_balance": _low_balance,
    "sign_in": _sign_in,
}
KINDS = frozenset(_WRITERS)
NOTICES = frozenset({"expiry", "low_balance"})
"""Mails that nobody has asked for at that moment."""
