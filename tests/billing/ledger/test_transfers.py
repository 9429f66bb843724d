"""Credits and debits: once per source, in their direction, never below zero, debts paid first."""

from typing import Any

import pytest

from billing.errors import (
    FieldInvalid,
    InsufficientBalance,
    NotFound,
    TransferConflict,
)
from billing.ledger import direct, transfers
from billing.ledger.caps import set_cap
from billing.ledger.ops import Grant
from billing.ledger.reconcile import reconcile
from billing.models import Transfer
from billing.scoping import tenant_scope
from tests.billing.ledger.making import (
    Buyer,
    balance,
    hold_op,
    key_of,
    new_buyer,
    settle_op,
    wallet_of,
)


def credit(buyer: Buyer, amount_ubt: int, **changes: Any) -> Transfer:
    fields = {"kind": "purchase", "source": "invoice", "source_id": "1", **changes}
    return transfers.credit(wallet_id=buyer.wallet_id, amount_ubt=amount_ubt, **fields)


def refund(buyer: Buyer, amount_ubt: int, **changes: Any) -> Transfer:
    fields = {"kind": "refund", "source": "refund", "source_id": "1", **changes}
    return transfers.debit(wallet_id=buyer.wallet_id, amount_ubt=amount_ubt, **fields)


def test_a_credit_raises_the_balance_and_says_why(anna: Buyer) -> None:
    transfer = credit(anna, 500, actor="shop", reason="order 7")
    assert (transfer.tenant_id, transfer.direction, transfer.actor) == (anna.tenant_id, 1, "shop")
    assert balance(anna) == (1_500, 0, 0)


def test_a_debit_lowers_the_balance(anna: Buyer) -> None:
    assert refund(anna, 300).direction == -1
    assert balance(anna) == (1_000, 300, 0)


def test_the_same_source_is_booked_once(anna: Buyer) -> None:
    assert credit(anna, 500).pk == credit(anna, 500).pk
    assert refund(anna, 300).pk == refund(anna, 300).pk
    assert balance(anna) == (1_500, 300, 0)


def test_the_same_source_with_other_input_is_a_conflict(anna: Buyer) -> None:
    credit(anna, 500)
    with pytest.raises(TransferConflict):
        credit(anna, 501)
    assert balance(anna) == (1_500, 0, 0)


def test_a_kind_has_its_direction(anna: Buyer) -> None:
    with pytest.raises(FieldInvalid):
        credit(anna, 1, kind="refund")
    with pytest.raises(FieldInvalid):
        refund(anna, 1, kind="purchase")
    with pytest.raises(FieldInvalid):
        credit(anna, 1, kind="gift")


@pytest.mark.parametrize("amount_ubt", [0, -1, 2**62])
def test_an_amount_is_positive_and_bounded(anna: Buyer, amount_ubt: int) -> None:
    with pytest.raises(FieldInvalid):
        credit(anna, amount_ubt)


def test_a_wallet_can_not_be_credited_beyond_its_bound(anna: Buyer) -> None:
    with pytest.raises(FieldInvalid):
        credit(anna, 2**62 - 1)


def test_a_debit_of_more_than_there_is_is_refused(anna: Buyer) -> None:
    direct.hold(hold_op(anna, 800))
    with pytest.raises(InsufficientBalance):
        refund(anna, 201)
    assert balance(anna) == (1_000, 0, 800)


def test_what_a_refund_lacks_becomes_a_debt_that_blocks_the_wallet(anna: Buyer) -> None:
    direct.hold(hold_op(anna, 800))
    refund(anna, 500, allow_debt=True)
    wallet = wallet_of(anna)
    assert (wallet.debt_ubt, wallet.available_ubt) == (300, 0)
    assert direct.hold(hold_op(anna, 1)).grant is Grant.WALLET_BLOCKED


def test_a_debt_without_any_balance_is_booked_once_too(anna: Buyer) -> None:
    refund(anna, 1_000)
    for _ in range(2):
        refund(anna, 400, source_id="2", allow_debt=True)
    assert wallet_of(anna).debt_ubt == 400


def test_a_top_up_pays_the_debt_first(anna: Buyer) -> None:
    refund(anna, 1_300, allow_debt=True)
    credit(anna, 200)
    assert (wallet_of(anna).debt_ubt, wallet_of(anna).available_ubt) == (100, 0)
    credit(anna, 200, source_id="2")
    assert (wallet_of(anna).debt_ubt, wallet_of(anna).available_ubt) == (0, 100)
    assert direct.hold(hold_op(anna, 100)).grant is Grant.GRANTED


def test_debts_can_be_derived_again(anna: Buyer) -> None:
    refund(anna, 1_300, allow_debt=True)
    credit(anna, 200)
    assert reconcile().is_clean


def test_a_credit_can_be_reversed_once(anna: Buyer) -> None:
    transfer = credit(anna, 500)
    first = transfers.reverse(transfer_id=transfer.pk, actor="staff")
    assert transfers.reverse(transfer_id=transfer.pk).pk == first.pk
    assert (first.direction, first.kind, first.reverses) == (-1, "adjustment", transfer)
    assert balance(anna) == (1_500, 500, 0)


def test_a_chargeback_that_is_won_is_reversed_by_its_own_kind(anna: Buyer) -> None:
    lost = refund(anna, 300, kind="chargeback")
    assert transfers.reverse(transfer_id=lost.pk).kind == "chargeback_reversal"
    assert wallet_of(anna).available_ubt == 1_000


def test_what_does_not_exist_can_not_be_moved(anna: Buyer) -> None:
    with pytest.raises(NotFound):
        credit(Buyer(anna.tenant_id, 999_999, 0), 1)
    with pytest.raises(NotFound):
        transfers.reverse(transfer_id=999_999)


def test_the_wallet_of_another_tenant_can_not_be_credited(anna: Buyer) -> None:
    bert = new_buyer(0)
    with tenant_scope(anna.tenant_id), pytest.raises(NotFound):
        credit(bert, 500)


def test_a_cap_counts_what_the_key_has_used_and_holds(anna: Buyer) -> None:
    done, open_one = hold_op(anna, 100), hold_op(anna, 50)
    direct.hold(done)
    direct.hold(open_one)
    direct.settle(settle_op(anna, done.id, 70))
    key = set_cap(key_id=anna.key_id, limit_ubt=150)
    assert (key.spent_ubt, key.pending_ubt) == (70, 50)
    assert direct.hold(hold_op(anna, 31)).grant is Grant.HELD_BY_OTHERS
    assert direct.hold(hold_op(anna, 30)).grant is Grant.GRANTED


def test_a_cap_below_what_is_used_is_refused(anna: Buyer) -> None:
    op = hold_op(anna, 100)
    direct.hold(op)
    direct.settle(settle_op(anna, op.id, 70))
    with pytest.raises(FieldInvalid):
        set_cap(key_id=anna.key_id, limit_ubt=69)


def test_a_cap_can_be_taken_away(anna: Buyer) -> None:
    set_cap(key_id=anna.key_id, limit_ubt=10)
    set_cap(key_id=anna.key_id, limit_ubt=None)
    assert key_of(anna).limit_ubt is None
    assert direct.hold(hold_op(anna, 1_000)).grant is Grant.GRANTED
