"""The demo provider: it keeps books of its own, and refuses to exist where it was not asked for."""

import os
import subprocess
import sys

import pytest
from django.test import override_settings

from billing import payments
from billing.errors import PaymentAway
from billing.models import DemoCharge, Payment, PaymentInstance, Refund, Tenant
from billing.payments import Standing, demo, provider_of
from billing.payments.demo import DemoProvider
from tests.billing.orders import making

DEMO = DemoProvider()


@pytest.fixture
def payment(shop: Tenant) -> Payment:
    """An open demo payment."""
    return making.begin(making.order_of(making.new_product(shop)))


def standing(payment: Payment) -> Standing:
    return provider_of("demo").fetch(payment).status


def test_it_notes_what_it_was_asked_for(payment: Payment) -> None:
    charge = DemoCharge.objects.get()
    assert (charge.amount_minor, charge.currency) == (payment.amount_minor, payment.currency)
    state = provider_of("demo").fetch(payment)
    assert (state.status, state.payment) == ("open", payment.public_id)


def test_its_buttons_do_what_they_say(payment: Payment) -> None:
    demo.fail(payment)
    assert standing(payment) == "failed"
    demo.pay(payment)
    assert standing(payment) == "paid"


def test_what_was_paid_does_not_fail_any_more(payment: Payment) -> None:
    demo.pay(payment)
    demo.fail(payment)
    assert standing(payment) == "paid"


def test_paying_later_arrives_by_itself(payment: Payment) -> None:
    demo.pay_later(payment, after_s=60)
    assert standing(payment) == "open"
    demo.pay_later(payment, after_s=-1)
    assert standing(payment) == "paid"


def refund_of(payment: Payment, amount_minor: int) -> Refund:
    return Refund.objects.create(
        tenant_id=payment.tenant_id, payment=payment, amount_minor=amount_minor
    )


def test_it_gives_money_back_once_for_each_refund(payment: Payment) -> None:
    demo.pay(payment)
    refund = refund_of(payment, 100)
    assert [DEMO.refund(refund).outcome for _ in range(2)] == ["done", "done"]
    assert DEMO.fetch_refund(refund).outcome == "done"
    assert DEMO.fetch(payment).refunded_minor == 100


def test_it_gives_no_more_back_than_was_paid(payment: Payment) -> None:
    unpaid = DEMO.refund(refund_of(payment, 1))
    demo.pay(payment)
    demo.give_back(payment, amount_minor=payment.amount_minor - 1)
    too_much = refund_of(payment, 2)
    assert [unpaid.outcome, DEMO.refund(too_much).outcome] == ["failed", "failed"]
    assert DEMO.fetch_refund(too_much).outcome == "failed"
    state = DEMO.fetch(payment)
    assert (state.status, state.refunded_minor) == ("paid", payment.amount_minor - 1)
    with pytest.raises(PaymentAway):
        demo.give_back(payment, amount_minor=2)


def test_a_bank_may_take_a_payment_back_once(payment: Payment) -> None:
    demo.dispute(payment)
    assert not DEMO.fetch(payment).disputes
    demo.pay(payment)
    demo.lose(payment)
    outcomes = []
    for deed in (demo.dispute, demo.win, demo.lose, demo.dispute):
        deed(payment)
        outcomes.append(DEMO.fetch(payment).disputes[0].outcome)
    assert outcomes == ["open", "won", "won", "won"]


def test_it_does_not_exist_where_it_is_switched_off(payment: Payment) -> None:
    provider = provider_of("demo")
    with override_settings(DEMO_PAYMENTS=False):
        assert payments.offered(payment.tenant) == []
        for use in (
            lambda: provider.create(payment, return_url="", notify_url=""),
            lambda: provider.fetch(payment),
            lambda: demo.pay(payment),
        ):
            with pytest.raises(PaymentAway):
                use()


def offers_it(**environment: str) -> str:
    """Return what a process with these variables says of the setting."""
    known = {k: v for k, v in os.environ.items() if k not in ("TOLLGATE_DEMO_PAYMENTS",)}
    code = "import portal.settings as s; print(s.DEMO_PAYMENTS)"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**known, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TOLLGATE_DEBUG": "0"}, "False"),
        ({"TOLLGATE_DEBUG": "1"}, "True"),
        ({"TOLLGATE_DEBUG": "0", "TOLLGATE_DEMO_PAYMENTS": "1"}, "True"),
    ],
)
def test_production_is_without_it_unless_it_is_asked_for(
    environment: dict[str, str], expected: str
) -> None:
    assert offers_it(**environment) == expected


def test_ways_to_pay_are_offered_in_the_shops_order(shop: Tenant) -> None:
    for position, name in ((2, "second"), (1, "first")):
        PaymentInstance.objects.create(tenant=shop, provider="demo", name=name, position=position)
    assert [str(instance) for instance in payments.offered(shop)] == ["first", "second"]


def test_what_is_off_or_unknown_or_free_is_not_offered(shop: Tenant) -> None:
    for row in ({"is_enabled": False}, {"provider": "gone"}, {"provider": "free"}):
        PaymentInstance.objects.create(tenant=shop, **{"provider": "demo", **row})
    assert payments.offered(shop) == []


def test_a_provider_that_is_gone_is_away() -> None:
    with pytest.raises(PaymentAway):
        provider_of("gone")
