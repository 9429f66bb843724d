"""Callbacks that were changed, forged, repeated or sent elsewhere change nothing of any shop.

Thousands of them under `dev.py prove`. Among the payments are some that are paid and not known to
be yet, so that a single one that is taken for genuine shows.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db.models import Model, Sum
from pytest_django import Settings

from billing import orders
from billing.errors import CallbackRefused, NotFound, PaymentAway
from billing.models import Payment, PaymentEvent, PaymentInstance
from billing.payments import Callback
from billing.scoping import all_tenants, tenant_scope
from tests.billing.payments import forging
from tests.billing.payments.forging import Letter, Post
from tests.plugins.proof import size

pytestmark = pytest.mark.proof
TRIES = size(150, proof=5_000)
# What counts refused callbacks, and what paces the poller.
COUNTERS: dict[type[Model], set[str]] = {
    PaymentInstance: {"refused_count", "refused_at"},
    Payment: {"checked_at"},
}


@pytest.fixture
def post(db: None, settings: Settings) -> Iterator[Post]:
    """Two shops with accounts everywhere, and genuine letters to one of them."""
    with forging.open_post(settings) as post:
        yield post


def books() -> dict[str, tuple[int, str]]:
    """Return the count and a digest of the rows of every table but that of events."""
    found = {}
    with all_tenants():
        for model in apps.get_models():
            if model is PaymentEvent:
                continue
            left_out = COUNTERS.get(model, set())
            names = [one.attname for one in model._meta.fields if one.attname not in left_out]
            rows = [repr(row) for row in model._default_manager.order_by("pk").values_list(*names)]
            digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
            found[model._meta.db_table] = len(rows), digest
    return found


def outcome(account: PaymentInstance, callback: Callback, *, shop_id: int) -> str:
    """Deliver a callback at a shop's host; return what became of it."""
    with tenant_scope(shop_id):
        try:
            orders.hear(account.public_id, callback)
        except (CallbackRefused, NotFound, PaymentAway) as refusal:
            return type(refusal).__name__
    return "heard"


def tampered(post: Post, dice: random.Random, number: int) -> str:
    """Change a letter and send it to where it belongs."""
    letter = dice.choice(post.letters)
    callback = forging.TRICKS[number % len(forging.TRICKS)](letter, dice)
    if forging.says_the_same(callback, letter.callback):
        return "unchanged"
    return outcome(letter.account, callback, shop_id=letter.account.tenant_id)


def misdirected(post: Post, dice: random.Random, number: int) -> str:
    """Send a genuine letter to another account, or to its own one at another shop's host."""
    letter = dice.choice(post.letters)
    account = dice.choice(post.accounts)
    south = post.shops["south"].pk
    is_own = account == letter.account
    return outcome(account, letter.callback, shop_id=south if is_own else account.tenant_id)


def repeated(post: Post, dice: random.Random, number: int) -> str:
    """Send a genuine letter again, or one that says paid of what nobody has paid."""
    letter = dice.choice([one for one in post.letters if one.stage != "waiting"])
    return outcome(letter.account, letter.callback, shop_id=letter.account.tenant_id)


def deliver(letter: Letter) -> str:
    with tenant_scope(letter.account.tenant_id):
        orders.hear(letter.account.public_id, letter.callback)
        return Payment.objects.get(pk=letter.payment.pk).status


def test_mutated_callbacks_change_nothing(post: Post) -> None:
    before, dice, outcomes = books(), random.Random(4_242), Counter[str]()
    for number in range(TRIES):
        send = (tampered, tampered, tampered, misdirected, repeated)[number % 5]
        outcomes[send(post, dice, number // 5)] += 1
    assert books() == before
    with all_tenants():
        counted = PaymentInstance.objects.aggregate(sum=Sum("refused_count"))["sum"]
    assert counted == outcomes["CallbackRefused"] > TRIES // 2
    assert all(outcomes[name] for name in ("heard", "NotFound", "PaymentAway"))
    assert {deliver(one) for one in post.letters if one.stage == "waiting"} == {"confirmed"}
