"""What the account shows: the balance of its wallet, its keys, what it can buy, its orders.

Called by the account views, in the shop's scope.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import account_keys, catalogue, orders, payments, reports
from billing.models import ApiKey, Hold, Order, Product, Tenant, Wallet
from billing.orders import limits, links
from billing.reports import Balance, Shown, balances
from portal import amounts, legal, offers, redeeming
from portal.account.visit import Visit
from portal.forms.redeem import CodeForm
from portal.forms.usage import TopUpForm
from portal.usage import words

MOST_ORDERS = 50
MOST_KEYS = 200

_LOW_PERCENT = 10


@dataclass(frozen=True)
class Summary:
    """The balance of the wallet, named as the usage page names that of a key."""

    balance: Balance
    shown: Shown
    state: words.State
    standing: str
    running: int
    expires_at: datetime | None
    days_to_end: int | None
    meter: str

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever bought or redeemed."""
        return self.balance.granted_ubt <= 0 and self.balance.used_ubt <= 0


@dataclass(frozen=True)
class KeyRow:
    """A key of the list: how it stands, and what it has used this month."""

    key: ApiKey
    state: words.State
    month_ubt: int

    @property
    def is_over(self) -> bool:
        """Whether it can never be used again."""
        return self.key.revoked_at is not None

    @property
    def cap_meter(self) -> str:
        """How the meter of the cap looks."""
        return _meter(self.key.spent_ubt + self.key.pending_ubt, self.key.limit_ubt)

    @property
    def budget_meter(self) -> str:
        """How the meter of the month's budget looks."""
        return _meter(self.month_ubt, self.key.budget_ubt)


@dataclass(frozen=True)
class OrderRow:
    """An order of the list, its words, and the address of its page."""

    order: Order
    what: str
    state: words.State
    sum: str
    path: str


@dataclass(frozen=True)
class Pack:
    """What can be bought for the wallet, and what it is good for."""

    product: Product
    promise: str


_ORDERS = {
    Order.PENDING: words.State("warn", _("Unpaid")),
    Order.PAID: words.State("ok", _("Paid")),
    Order.EXPIRED: words.State("off", _("Timed out")),
    Order.CANCELLED: words.State("off", _("Cancelled")),
    Order.PARTLY_REFUNDED: words.State("warn", _("Partly refunded")),
    Order.REFUNDED: words.State("off", _("Refunded")),
}


def context(
    visit: Visit,
    *,
    shop: Tenant,
    language: str,
    wanted: str = "",
    forms: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return all that the page of the account shows.

    `wanted` names the pack that is to be chosen; `forms` were sent and are wrong.
    """
    now = timezone.now()
    summary = summary_of(visit.wallet, now=now)
    return {
        "section": "account",
        "visit": visit,
        "summary": summary,
        "keys": rows_of(
            account_keys.of_wallet(visit.wallet)[:MOST_KEYS], summary, shop=shop, now=now
        ),
        **_credit(visit, shop, language, wanted=wanted),
        "orders": _orders(visit),
        **(forms or {}),
    }


def top_up_form(
    wallet: Wallet, shop: Tenant, language: str, *, wanted: str = "", data: Any = None
) -> TopUpForm:
    """Return the form that buys more for a wallet."""
    products, instances = packs(), payments.offered(shop)
    chosen = next((one for one in products if one.slug == wanted), None)
    chosen = chosen or next((one for one in products if one.is_featured), None)
    chosen = chosen or next(iter(products), None)
    initial = {
        "checkout_id": uuid4(),  # none that follows from another: it leads to the order's link
        "agreement_version": legal.current(shop, "agreement", language).version,
        "product": chosen.pk if chosen else "",
        "payment": instances[0].public_id if instances else "",
    }
    return TopUpForm(data, products=products, instances=instances, wallet=wallet, initial=initial)


def redeem_form(visit: Visit, shop: Tenant, data: Any = None) -> CodeForm:
    """Return the form that takes a redemption code for a wallet."""
    return CodeForm(
        data, known_email=visit.user.email, initial=redeeming.initial(shop), auto_id="code-%s"
    )


def packs() -> list[Product]:
    """Return the products that can be bought for a wallet now, in the shop's order."""
    on_sale = Product.objects.filter(limits.on_sale(timezone.now()))
    return [product for product in on_sale if orders.may_credit(product)]


def summary_of(wallet: Wallet, *, now: datetime) -> Summary:
    """Return how a wallet stands."""
    balance = reports.wallet_balance(wallet)
    standing = reports.wallet_standing(wallet, balance, now=now)
    return Summary(
        balance=balance,
        shown=reports.shown(balance),
        state=words.KEYS[standing],
        standing=standing,
        running=Hold.objects.filter(wallet_id=wallet.pk).count(),
        expires_at=wallet.expires_at,
        days_to_end=max((wallet.expires_at - now).days, 0) if wallet.expires_at else None,
        meter=_meter(balance.granted_ubt - balance.left_ubt, balance.granted_ubt),
    )


def rows_of(
    keys: Iterable[ApiKey], summary: Summary, *, shop: Tenant, now: datetime
) -> list[KeyRow]:
    """Return keys of one wallet with their states and what they have used this month."""
    found = list(keys)
    since = now.astimezone(ZoneInfo(shop.time_zone))
    since = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    used = reports.charged_by_key([key.pk for key in found], since=since, until=now)
    return [
        KeyRow(key, words.KEYS[_standing(key, summary.standing, now)], used.get(key.pk, 0))
        for key in found
    ]


def _standing(key: ApiKey, of_wallet: str, now: datetime) -> str:
    """Return the state of a key: what would come first when it is refused, else active."""
    if key.revoked_at is not None:
        return balances.REVOKED
    if key.status != ApiKey.ACTIVE or of_wallet == balances.FROZEN:
        return balances.FROZEN
    if key.expires_at is not None and key.expires_at <= now:
        return balances.EXPIRED
    is_capped = key.limit_ubt is not None and key.spent_ubt + key.pending_ubt >= key.limit_ubt
    return balances.USED_UP if is_capped else of_wallet


def _meter(taken_ubt: int, whole_ubt: int | None) -> str:
    """Return how a meter looks: "out" at its end, "low" shortly before, else nothing special."""
    if not whole_ubt or taken_ubt >= whole_ubt:
        return "out"
    return "low" if (whole_ubt - taken_ubt) * 100 < whole_ubt * _LOW_PERCENT else ""


def _credit(visit: Visit, shop: Tenant, language: str, *, wanted: str) -> dict[str, Any]:
    if visit.wallet.status != Wallet.ACTIVE:
        return {"top_up": None, "redeem_form": None}
    prices = catalogue.current_prices(shop.pk)
    form = top_up_form(visit.wallet, shop, language, wanted=wanted)
    return {
        "top_up": form,
        "redeem_form": redeem_form(visit, shop),
        "packs": [Pack(product, offers.promise(product, prices)) for product in packs()],
        "methods": [(offers.method_of(one), one) for one in form.instances],
    }


def _orders(visit: Visit) -> list[OrderRow]:
    mine = Order.objects.filter(user=visit.user).prefetch_related("lines").order_by("-pk")
    return [
        OrderRow(
            order=order,
            what="".join(offers.title(line) for line in list(order.lines.all())[:1]),
            state=_ORDERS[order.status],
            sum=amounts.money(order.total_minor, order.currency),
            path=links.path_of(order),
        )
        for order in mine[:MOST_ORDERS]
    ]
