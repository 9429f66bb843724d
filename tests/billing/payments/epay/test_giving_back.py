"""Money that goes back through a gateway, payments that are closed, accounts that are tried."""

from typing import Any
from uuid import uuid4

import pytest

from billing import orders
from billing.errors import PaymentAway
from billing.models import Payment, PaymentInstance, Refund
from billing.payments import base, credentials
from tests.billing.orders import making
from tests.billing.payments.epay import accounts
from tests.billing.payments.epay.accounts import EPAY
from tests.fakes.epay import Canned, FakeEpay


@pytest.fixture
def paid(payment: Payment, gateway: FakeEpay) -> Payment:
    """A payment that was made; nobody here knows it yet."""
    gateway.pay(payment.public_id.hex)
    return payment


@pytest.fixture
def v1_paid(v1_payment: Payment, gateway: FakeEpay) -> Payment:
    """The same at the account of V1."""
    gateway.pay(v1_payment.public_id.hex)
    return v1_payment


@pytest.fixture
def v2_paid(v2: PaymentInstance, gateway: FakeEpay) -> Payment:
    """The same at the account of V2."""
    payment = accounts.opened(making.order_of(making.new_product(v2.tenant)), v2)
    gateway.pay(payment.public_id.hex)
    return payment


def refund_of(payment: Payment, amount_minor: int, **changes: Any) -> Refund:
    return Refund.objects.create(
        tenant_id=payment.tenant_id, payment=payment, amount_minor=amount_minor, **changes
    )


def given_back(payment: Payment, amount_minor: int) -> base.RefundState:
    return EPAY.refund(refund_of(payment, amount_minor))


def test_it_can_all_that_a_provider_may_be_asked() -> None:
    for protocol in (base.Hearing, base.Refunding, base.Closing, base.Testing):
        assert isinstance(EPAY, protocol)


def test_money_goes_back_in_parts(paid: Payment, gateway: FakeEpay) -> None:
    order = gateway.order(paid.public_id.hex)
    assert [given_back(paid, 150).outcome, given_back(paid, 350).outcome] == ["done", "done"]
    assert (str(order.refunded), order.status) == ("5.00", 2)


def test_more_than_there_is_does_not_go_back(paid: Payment, gateway: FakeEpay) -> None:
    state = given_back(paid, making.PRICE_MINOR + 1)
    assert (state.outcome, "退款金额" in state.failure) == ("failed", True)
    assert not gateway.order(paid.public_id.hex).refunds


def test_v2_knows_a_refund_again(v2_paid: Payment, gateway: FakeEpay) -> None:
    refund = refund_of(v2_paid, 100)
    assert [EPAY.refund(refund).outcome for _ in range(2)] == ["done", "done"]
    assert list(gateway.order(v2_paid.public_id.hex).refunds) == [refund.public_id.hex]


def test_v1_does_not_put_its_key_into_an_address(v1_paid: Payment, gateway: FakeEpay) -> None:
    given_back(v1_paid, 100)
    method, path, fields = gateway.asked[-1]
    assert (method, path, fields["act"], fields["money"]) == ("POST", "/api.php", "refund", "1.00")
    assert gateway.addresses[-1] == "/api.php?act=refund"


@pytest.mark.parametrize(
    "body", ['{"code":1,"msg":"succ"}', "{}", '{"code":null}', '{"code":"-x"}', "<html>"]
)
def test_nobody_knows_what_an_odd_answer_of_v1_means(
    v1_paid: Payment, gateway: FakeEpay, body: str
) -> None:
    orders.confirm(v1_paid.pk)
    gateway.instead = Canned(body.encode())
    with pytest.raises(PaymentAway):
        given_back(v1_paid, 100)


def test_a_refusal_of_v1_keeps_the_key_to_itself(v1_paid: Payment, gateway: FakeEpay) -> None:
    gateway.says = {"msg": "k3y"}
    assert "k3y" not in given_back(v1_paid, 501).failure


def test_v2_believes_no_answer_about_another_refund(v2_paid: Payment, gateway: FakeEpay) -> None:
    gateway.says = {"out_refund_no": uuid4().hex}
    with pytest.raises(PaymentAway, match="another refund"):
        given_back(v2_paid, 100)


def test_a_refund_is_done_once_as_much_is_gone(v1_paid: Payment, gateway: FakeEpay) -> None:
    refund = refund_of(v1_paid, 150)
    with pytest.raises(PaymentAway):
        EPAY.fetch_refund(refund)
    gateway.says = {"refundmoney": "1.50"}
    assert EPAY.fetch_refund(refund).outcome == "done"


@pytest.mark.parametrize(
    ("ours", "gone"),
    [
        ([], 500),
        ([(150, "failed")], 500),
        ([(150, "review")], 150),
        ([(150, "done"), (50, "review")], 150),
    ],
)
def test_a_gateway_that_does_not_say_how_much_is_not_taken_for_all(
    v1_paid: Payment, gateway: FakeEpay, ours: list[tuple[int, str]], gone: int
) -> None:
    for amount_minor, status in ours:
        refund_of(v1_paid, amount_minor, status=status)
    gateway.says = {"status": 2}
    assert EPAY.fetch(v1_paid).refunded_minor == gone


def test_v2_closes_what_nobody_is_to_pay(v2: PaymentInstance, gateway: FakeEpay) -> None:
    payment = accounts.opened(making.order_of(making.new_product(v2.tenant)), v2)
    EPAY.close(payment)
    assert gateway.order(payment.public_id.hex).is_closed
    gateway.orders.clear()
    EPAY.close(payment)


def test_v1_has_nothing_to_close_by(v1_payment: Payment, gateway: FakeEpay) -> None:
    asked_count = len(gateway.asked)
    EPAY.close(v1_payment)
    assert len(gateway.asked) == asked_count


def test_an_account_that_is_right_passes(instance: PaymentInstance) -> None:
    EPAY.test(instance)


def test_an_account_with_a_wrong_secret_does_not(v1: PaymentInstance, gateway: FakeEpay) -> None:
    credentials.store(v1, accounts.v1_secrets(gateway, key="wrong"))
    with pytest.raises(PaymentAway, match="密钥"):
        EPAY.test(v1)


@pytest.mark.parametrize("says", [{"pid": 2002}, {"active": 0}])
def test_an_account_of_another_or_a_closed_one_does_not(
    v1: PaymentInstance, gateway: FakeEpay, says: dict[str, int]
) -> None:
    gateway.says = says
    with pytest.raises(PaymentAway):
        EPAY.test(v1)


def test_a_key_of_another_gateway_does_not(v2: PaymentInstance, gateway: FakeEpay) -> None:
    own = gateway.accounts["1001"].keys.public
    credentials.store(v2, accounts.v2_secrets(gateway, gateway_key=own))
    with pytest.raises(PaymentAway, match="signed"):
        EPAY.test(v2)


def test_a_refund_from_the_admin_is_booked_once(paid: Payment, gateway: FakeEpay) -> None:
    orders.confirm(paid.pk)
    made = orders.refund(paid.pk, refund_id=uuid4(), amount_minor=200, actor="lin", reason="")
    assert made.status == "done"
    assert orders.confirm(paid.pk).status == "partly_refunded"
    assert [str(one) for one in gateway.order(paid.public_id.hex).refunds.values()] == ["2.00"]
    assert paid.refunds.get() == made


def test_a_refund_without_an_answer_is_left_to_a_person(
    v1_paid: Payment, gateway: FakeEpay
) -> None:
    orders.confirm(v1_paid.pk)
    gateway.instead = Canned(status=502)
    made = orders.refund(v1_paid.pk, refund_id=uuid4(), amount_minor=200, actor="lin", reason="")
    gateway.instead = None
    orders.confirm(v1_paid.pk)
    made.refresh_from_db()
    assert (made.status, gateway.order(v1_paid.public_id.hex).refunds) == ("review", {})


def test_what_goes_back_at_the_gateway_is_booked_as_a_refund(
    paid: Payment, gateway: FakeEpay
) -> None:
    orders.confirm(paid.pk)
    gateway.refund(paid.public_id.hex)
    assert orders.confirm(paid.pk).status == "refunded"
    assert paid.refunds.get().origin == "provider"
