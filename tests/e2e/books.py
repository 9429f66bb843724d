"""What the installation's books say of a buyer, to compare with what pages show."""

from billing.models import ApiKey, Order, Payment, Transfer, Wallet
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
