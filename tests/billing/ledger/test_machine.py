"""Hypothesis plays the ledger against the model, in any order, and proves the books at each step.

The runs of a test session are the same each time; a proof plays other ones, and shortens what
fails.
"""

from datetime import timedelta
from itertools import count
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from billing.ids import uuid7_bytes
from billing.ledger import expiry, reaper, transfers
from billing.ledger.caps import set_cap
from billing.ledger.clock import database_now
from billing.ledger.direct import commit_soon, opened
from billing.ledger.engine import Engine
from billing.ledger.giving_back import give_back
from billing.ledger.ops import Answers, Batch, HoldOp, SettleOp
from billing.ledger.reconcile import reconcile
from billing.models import UsageRecord, Wallet
from billing.pricing import Counts
from tests.billing.ledger import making
from tests.billing.ledger.making import Buyer, age, held, key_of, new_buyer, progress_op, wallet_of
from tests.billing.ledger.model import Model
from tests.databases import Database
from tests.plugins.proof import is_asked_for, size

pytestmark = pytest.mark.proof

EXAMPLES = {"sqlite": size(15, proof=500), "postgres": size(6, proof=500)}
REQUESTS = st.integers(0, 7)
AMOUNTS = st.integers(1, 120)


def hold_op(buyer: Buyer, amount: int, request: bytes) -> HoldOp:
    """Return a hold of a request that makes a job: it can be given back."""
    return making.hold_op(buyer, amount, id=request, endpoint="videos")


def settle_op(buyer: Buyer, request: bytes, actual: int) -> SettleOp:
    return making.settle_op(buyer, request, actual, facts=making.facts(endpoint="videos"))


def void_op(buyer: Buyer, request: bytes) -> SettleOp:
    nothing = {"usage_source": "none", "status": 502, "endpoint": "videos"}
    empty = making.facts("voided", Counts(), **nothing)
    return making.settle_op(buyer, request, 0, facts=empty)


class Machine(RuleBasedStateMachine):
    """One wallet with one key in a shop of its own, and eight requests."""

    engine: ClassVar[Engine]

    def __init__(self) -> None:
        super().__init__()
        self.buyer = new_buyer(200)
        self.model = Model(credits=200)
        self.ids = [uuid7_bytes() for _ in range(8)]
        self.sources = count(1)

    def commit(self, **lists: Any) -> Answers:
        return commit_soon(self.engine, Batch(**lists))

    @rule(request=REQUESTS, amount=AMOUNTS)
    def hold(self, request: int, amount: int) -> None:
        op = hold_op(self.buyer, amount, self.ids[request])
        assert self.commit(holds=[op]).holds[0].grant.name == self.model.hold(request, amount)

    @rule(request=REQUESTS, other=REQUESTS, amount=AMOUNTS)
    def hold_two_at_once(self, request: int, other: int, amount: int) -> None:
        ops = [hold_op(self.buyer, amount, self.ids[n]) for n in (request, other, request)]
        answers = [answer.grant.name for answer in self.commit(holds=ops).holds]
        assert answers == [self.model.hold(n, amount) for n in (request, other, request)]

    @rule(request=REQUESTS, delivered=AMOUNTS, wanted=st.integers(0, 250))
    def progress(self, request: int, delivered: int, wanted: int) -> None:
        op = progress_op(self.buyer, self.ids[request], delivered, wanted_ubt=wanted)
        answer = self.commit(progresses=[op]).progresses[0]
        assert answer.growth.name == self.model.progress(request, delivered, wanted)
        assert answer.amount_ubt == self.model.held.get(request, 0)

    @rule(request=REQUESTS, actual=st.integers(0, 200))
    def settle(self, request: int, actual: int) -> None:
        op = settle_op(self.buyer, self.ids[request], actual)
        assert self.commit(settles=[op]).settles == [self.model.settle(request, actual)]

    @rule(request=REQUESTS, actual=st.integers(0, 200))
    def settle_twice(self, request: int, actual: int) -> None:
        op = settle_op(self.buyer, self.ids[request], actual)
        answer = self.model.settle(request, actual)
        assert self.commit(settles=[op, op]).settles == [answer, answer]

    @rule(request=REQUESTS, other=REQUESTS, actual=st.integers(0, 200), less=st.integers(0, 60))
    def settle_and_hold_almost_all(self, request: int, other: int, actual: int, less: int) -> None:
        amount = max(0, self.model.room() + self.model.held.get(request, 0) - less)
        settle = settle_op(self.buyer, self.ids[request], actual)
        hold = hold_op(self.buyer, amount, self.ids[other])
        answers = self.commit(settles=[settle], holds=[hold])
        assert answers.settles == [self.model.settle(request, actual)]
        assert answers.holds[0].grant.name == self.model.hold(other, amount)

    @rule(request=REQUESTS)
    def void(self, request: int) -> None:
        op = void_op(self.buyer, self.ids[request])
        assert self.commit(settles=[op]).settles == [self.model.settle(request, 0)]

    @rule(request=REQUESTS)
    def reap(self, request: int) -> None:
        hold = held(self.ids[request])
        assert (hold is not None) == (request in self.model.held)
        if hold is not None:
            age(self.ids[request], 61)
            ops = [reaper.checkpoint_settle(hold)]
            commit_soon(self.engine, Batch(settles=ops, silent_for_s=60.0))
            self.model.reap(request)

    @rule(request=REQUESTS, delivered=AMOUNTS, first=AMOUNTS, second=AMOUNTS)
    def die_and_come_back(self, request: int, delivered: int, first: int, second: int) -> None:
        self.hold(request, 60)
        self.progress(request, delivered, wanted=0)
        self.reap(request)
        self.settle(request, first)
        self.settle(request, second)

    @rule(request=REQUESTS)
    def give_back(self, request: int) -> None:
        answer = give_back(usage_id=UUID(bytes=self.ids[request]))
        assert answer == self.model.give_back(request)

    @rule(amount=AMOUNTS)
    def top_up(self, amount: int) -> None:
        transfers.credit(
            wallet_id=self.buyer.wallet_id,
            kind="purchase",
            amount_ubt=amount,
            source="test",
            source_id=str(next(self.sources)),
        )
        self.model.top_up(amount)

    @rule(amount=AMOUNTS)
    def refund(self, amount: int) -> None:
        transfers.debit(
            wallet_id=self.buyer.wallet_id,
            kind="refund",
            amount_ubt=amount,
            source="refund",
            source_id=str(next(self.sources)),
            allow_debt=True,
        )
        self.model.refund(amount)

    @rule(is_frozen=st.booleans())
    def freeze(self, is_frozen: bool) -> None:
        status = Wallet.FROZEN if is_frozen else Wallet.ACTIVE
        Wallet.objects.filter(pk=self.buyer.wallet_id).update(status=status)
        self.model.frozen = is_frozen

    @rule(is_expired=st.booleans())
    def expire(self, is_expired: bool) -> None:
        end = database_now() - timedelta(seconds=1) if is_expired else None
        wallet = Wallet.objects.filter(pk=self.buyer.wallet_id)
        wallet.update(expires_at=end, expired_at=None)
        self.model.expired = is_expired
        expiry.book_expiries()
        self.model.book_expiry()

    @rule(spare=st.integers(0, 150))
    def cap(self, spare: int) -> None:
        limit = self.model.spent + self.model.pending() + spare
        set_cap(key_id=self.buyer.key_id, limit_ubt=limit)
        self.model.cap = limit

    @invariant()
    def the_wallet_is_as_the_model_says(self) -> None:
        wallet = wallet_of(self.buyer)
        assert (wallet.credits_ubt, wallet.debits_ubt, wallet.pending_ubt, wallet.debt_ubt) == (
            self.model.credits,
            self.model.debits,
            self.model.pending(),
            self.model.debt,
        )
        if self.model.cap is not None:
            assert key_of(self.buyer).spent_ubt == self.model.spent

    @invariant()
    def there_is_one_record_per_resolved_request(self) -> None:
        records = UsageRecord.objects.filter(wallet_id=self.buyer.wallet_id)
        assert records.count() == len(self.model.charged)

    @invariant()
    def the_books_are_right(self) -> None:
        assert reconcile(tenant_id=self.buyer.tenant_id, repair=False).findings == []


def play(examples: int, steps: int) -> None:
    with opened() as opened_engine:

        class Playing(Machine):
            engine = opened_engine

        run_state_machine_as_test(
            Playing,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                derandomize=not is_asked_for(),
                phases=[Phase.generate, *([Phase.shrink] if is_asked_for() else [])],
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


@pytest.mark.usefixtures("sqlite_database")
def test_the_ledger_on_sqlite_does_what_the_model_says(sqlite_database: Database) -> None:
    play(EXAMPLES["sqlite"], steps=30)


@pytest.mark.usefixtures("postgres_database")
def test_the_ledger_on_postgresql_does_what_the_model_says(postgres_database: Database) -> None:
    play(EXAMPLES["postgres"], steps=25)
