"""What the installation's books say of a buyer, to compare with what pages show."""

from dataclasses import dataclass
from fractions import Fraction

from billing.models import ApiKey, Delivery, Mail, Order, Payment, Receipt, Transfer, Wallet
from tests.system.asking import kid_of
from tests.system.running import RunningSystem


def orders_of(system: RunningSystem, email: str) -> list[Order]:
    """Return the orders of a mailbox, oldest first."""
    with system.books():
        return list(Order.objects.filter(email=email).order_by("pk"))


def paid_once(system: RunningSystem, email: str) -> bool:
    """Tell whether a mailbox has one paid order, with one payment and one credit."""
    with system.books():
        orders = Order.objects.filter(email=email, status=Order.PAID)
        payments = Payment.objects.filter(order__email=email, status=Payment.CONFIRMED)
        bought = Transfer.objects.filter(kind="purchase", wallet__notify_email=email)
        return (orders.count(), payments.count(), bought.count()) == (1, 1, 1)


def wallet_of(system: RunningSystem, key: str) -> Wallet:
    """Return the wallet that a key draws on."""
    with system.books():
        return ApiKey.objects.select_related("wallet").get(kid=kid_of(key)).wallet


def last_credit(system: RunningSystem, key: str) -> int:
    """Return the ubt that were credited last to the wallet of a key."""
    with system.books():
        bought = Transfer.objects.filter(wallet__api_keys__kid=kid_of(key), kind="purchase")
        return bought.latest("id").amount_ubt


@dataclass(frozen=True)
class Account:
    """How a mailbox's only order stands in all books.

    `kept` is how much is left of what was granted, `money` of what was paid, by the receipts;
    `mails` are the kinds of those that its buyer got.
    """

    order: str
    payment: str
    kept: Fraction | int
    money: Fraction | int
    mails: tuple[str, ...]


def account_of(system: RunningSystem, email: str) -> Account:
    """Return how the order of a mailbox stands, and its payment, tokens and receipts."""
    with system.books():
        order = Order.objects.get(email=email)
        payment = order.payments.latest("pk")
        receipts = Receipt.objects.filter(payment=payment)
        money = sum(-one.amount_minor if one.cancels_id else one.amount_minor for one in receipts)
        wallets = Delivery.objects.filter(line__order=order).values("wallet")
        booked = Transfer.objects.filter(wallet__in=wallets)
        kept = sum(one.direction * one.amount_ubt for one in booked)
        granted = sum(line.quantity * line.grant_ubt for line in order.lines.all())
        return Account(
            order.status,
            payment.status,
            Fraction(kept, granted),
            Fraction(money, order.total_minor),
            tuple(
                Mail.objects.filter(recipient=email).order_by("pk").values_list("kind", flat=True)
            ),
        )


def redeemed(system: RunningSystem, key: str) -> list[int]:
    """Return the base tokens of each code that was redeemed for a key."""
    with system.books():
        redeemed = Transfer.objects.filter(wallet__api_keys__kid=kid_of(key), kind="redeem")
        return [one.amount_ubt // 1_000_000 for one in redeemed.order_by("pk")]
