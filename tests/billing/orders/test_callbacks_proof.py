"""Payments are told of many times, in any order, at once, by workers that die: each is one credit.

Ten thousand payments told of ten times each under `dev.py prove`. Some callbacks are first acted on
by processes of their own, each of which is killed before some statement of its own to the database.
Stripe and the gateway of epay are real servers; what they say is signed as they sign it.
"""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from django.db import connections
from django.db.models import Sum
from pytest_django import Settings

from billing import orders
from billing.errors import PaymentAway
from billing.ledger.reconcile import reconcile
from billing.models import (
    ApiKey,
    Delivery,
    Mail,
    Order,
    Payment,
    PaymentEvent,
    PaymentInstance,
    Product,
    Receipt,
    Tenant,
    Transfer,
    Wallet,
)
from billing.payments import Callback
from billing.scoping import all_tenants, tenant_scope
from tests.billing.orders import dying
from tests.billing.orders.making import GRANT_UBT, new_product, open_shop, order_of
from tests.billing.payments.at_stripe import making as at_stripe
from tests.billing.payments.epay import accounts as at_epay
from tests.databases import Database
from tests.fakes.epay import FakeEpay
from tests.fakes.stripe import FakeStripe
from tests.plugins.proof import is_asked_for, size

pytestmark = [pytest.mark.proof, pytest.mark.timeout(size(120, proof=5_400))]

PAYMENTS, TOLD, CUT = size(16, proof=10_000), size(4, proof=10), size(6, proof=1_000)
AT_ONCE, THREADS, CHILDREN = 500, 8, 4
STATEMENTS = 70
"""More than acting on one callback takes: some children live to the end."""


@dataclass(frozen=True)
class Letter:
    """What somebody wants booked: a callback of an account, or a buyer's return without one."""

    payment: Payment
    callback: Callable[[], Callback] | None = None

    def act(self) -> None:
        """Act on it as the page does to which it comes. Raises PaymentAway."""
        assert self.payment.instance
        if self.callback is not None:
            orders.hear(self.payment.instance.public_id, self.callback())
        elif Order.objects.get(pk=self.payment.order_id).status == Order.PENDING:
            orders.confirm(self.payment.pk)


class Market:
    """A shop, its accounts at both providers, and buyers who pay there."""

    def __init__(self, stripe: FakeStripe, epay: FakeEpay) -> None:
        self.stripe, self.epay = stripe, epay
        self.shop: Tenant = open_shop()
        with tenant_scope(self.shop.pk):
            self.product: Product = new_product(self.shop)
            self.accounts: list[PaymentInstance] = [
                at_stripe.new_account(self.shop),
                at_epay.new_instance(self.shop, at_epay.v1_secrets(epay)),
            ]

    def paid(self, number: int) -> list[Letter]:
        """Let somebody order and pay, unknown to us; return how we are told of it."""
        account = self.accounts[number % 2]
        with tenant_scope(self.shop.pk):
            order = order_of(self.product, email=f"buyer{number}@example.com")
            if account.provider == "stripe":
                return self._at_stripe(at_stripe.begin(order, account), number)
            return self._at_epay(at_epay.opened(order, account))

    def _at_stripe(self, payment: Payment, number: int) -> list[Letter]:
        """Two events, and their repetitions, signed anew each time."""
        session = self.stripe.pay(at_stripe.session_of(payment))

        def event(part: int) -> Callable[[], Callback]:
            name = f"evt_{number}_{part}"
            completed = at_stripe.completed
            return lambda: at_stripe.told(completed(self.stripe, session, event_id=name))

        made = [event(part) for part in range(2)]
        return _mixed(payment, [made[turn % 2] for turn in range(TOLD)])

    def _at_epay(self, payment: Payment) -> list[Letter]:
        """One notification, and its repetitions."""
        placed = self.epay.pay(payment.public_id.hex)
        fields = self.epay.notification(placed)
        return _mixed(payment, [lambda: at_epay.callback(fields)] * TOLD)


def _mixed(payment: Payment, callbacks: list[Callable[[], Callback]]) -> list[Letter]:
    """Put a buyer's return in the place of every third callback."""
    return [
        Letter(payment, None if turn % 3 == 2 else callback)
        for turn, callback in enumerate(callbacks)
    ]


@pytest.fixture(
    params=[
        "sqlite_database",
        *(["postgres_database"] if is_asked_for() else []),
    ]
)
def market(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Market]:
    """The market, on a database of its own; on PostgreSQL in a proof only."""
    database: Database = request.getfixturevalue(request.param)
    assert database
    with ExitStack() as stack:
        stripe = stack.enter_context(FakeStripe())
        settings.STRIPE_API = stripe.url
        yield Market(stripe, stack.enter_context(at_epay.open_gateway(settings)))


@contextmanager
def crew() -> Iterator[ThreadPoolExecutor]:
    """Give threads to work with, each of which closes its connection in the end."""
    together = threading.Barrier(THREADS, timeout=60)

    def close() -> None:
        together.wait()
        connections.close_all()

    with ThreadPoolExecutor(THREADS) as threads:
        yield threads
        for closed in [threads.submit(close) for _ in range(THREADS)]:
            closed.result()


def cut(market: Market, letters: list[Letter], chance: random.Random) -> int:
    """Have letters acted on by processes that are killed on the way; return how many were."""
    connections.close_all()  # or a child would share it
    waiting, living, killed = [*letters], 0, 0
    while waiting or living:
        if waiting and living < CHILDREN:
            place = chance.randint(1, STATEMENTS)
            dying.act_and_die(waiting.pop().act, tenant_id=market.shop.pk, place=place)
            living += 1
        else:
            living, killed = living - 1, killed + dying.wait()
    return killed


def act_on(market: Market, letters: list[Letter]) -> list[Letter]:
    """Act on letters, in threads; return those that shall come again."""

    def act(letter: Letter) -> Letter | None:
        try:
            with tenant_scope(market.shop.pk):
                letter.act()
        except PaymentAway:
            return letter
        return None

    with crew() as threads:
        return [letter for letter in threads.map(act, letters) if letter]


def test_every_payment_is_one_credit_however_it_is_told_of(market: Market) -> None:
    chance, killed = random.Random(7), 0
    for start in range(0, PAYMENTS, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, PAYMENTS))
        with crew() as threads:
            told = list(threads.map(market.paid, numbers))
        cut_ones = [chance.choice(told[-1 - n]) for n in range(CUT * len(told) // PAYMENTS)]
        killed += cut(market, cut_ones, chance)
        letters = [letter for letters in told for letter in letters]
        chance.shuffle(letters)
        assert act_on(market, letters) == []
    assert killed > CUT // 3
    check_books(market)


def check_books(market: Market) -> None:
    """One credit, key, receipt and mail for each payment, and nothing that is left to do."""
    with all_tenants():
        assert set(Order.objects.values_list("status", "delivery_status")) == {
            ("paid", "delivered")
        }
        assert set(Payment.objects.values_list("status", flat=True)) == {"confirmed"}
        models = (Payment, Transfer, Delivery, ApiKey, Wallet, Receipt, Mail)
        assert [model.objects.count() for model in models] == [PAYMENTS] * len(models)
        granted_ubt = Wallet.objects.aggregate(sum=Sum("credits_ubt"))["sum"]
        assert granted_ubt == PAYMENTS * GRANT_UBT
        assert max(Receipt.objects.values_list("number", flat=True)).endswith(f"-{PAYMENTS:06d}")
        assert not PaymentEvent.objects.filter(handled_at=None).exists()
        assert reconcile().is_clean
