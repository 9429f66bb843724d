"""Credits and debits of wallets that are not usage: booked once, never changed, only reversed.

Called by the shop, commands and the admin, in the open tenant scope and, if they like, inside their
own transaction. What makes a transfer exactly-once is (tenant, source, source_id, kind): the same
call again returns the transfer that is there; the same source with other input is a conflict.
"""

from typing import Any

from django.db import transaction
from django.db.models import F

from billing.errors import FieldInvalid, InsufficientBalance, NotFound, TransferConflict
from billing.ledger.rows import input_hash
from billing.models import Transfer, Wallet
from billing.units import MAX_UBT

CREDIT, DEBIT = 1, -1

DIRECTIONS: dict[str, tuple[int, ...]] = {
    "purchase": (CREDIT,),
    "redeem": (CREDIT,),
    "promo": (CREDIT,),
    "chargeback_reversal": (CREDIT,),
    "move_in": (CREDIT,),
    "debt": (CREDIT,),
    "refund": (DEBIT,),
    "chargeback": (DEBIT,),
    "expiry": (DEBIT,),
    "debt_recovery": (DEBIT,),
    "move_out": (DEBIT,),
    "adjustment": (CREDIT, DEBIT),
    "correction": (CREDIT, DEBIT),
}
"""The ways in which a transfer of each kind can go.

A refund of more than there is takes the whole amount and lends the wallet the rest as `debt`; the
next credits pay it back by `debt_recovery`. So debts too can be re-derived from transfers.
"""

_REVERSALS = {"chargeback": "chargeback_reversal"}


@transaction.atomic
def credit(
    *,
    wallet_id: int,
    kind: str,
    amount_ubt: int,
    source: str,
    source_id: str,
    actor: str = "",
    reason: str = "",
) -> Transfer:
    """Credit a wallet once per source; a debt is paid back first.

    Raises TransferConflict, NotFound, FieldInvalid.
    """
    transfer = Transfer(
        kind=kind,
        direction=CREDIT,
        amount_ubt=amount_ubt,
        source=source,
        source_id=source_id,
        actor=actor,
        reason=reason,
    )
    return _book_once(transfer, wallet_id=wallet_id, may_owe=False)


@transaction.atomic
def debit(
    *,
    wallet_id: int,
    kind: str,
    amount_ubt: int,
    source: str,
    source_id: str,
    actor: str = "",
    reason: str = "",
    allow_debt: bool = False,
) -> Transfer:
    """Debit a wallet once per source. What it lacks becomes a debt, if that is allowed.

    Raises InsufficientBalance, TransferConflict, NotFound, FieldInvalid.
    """
    transfer = Transfer(
        kind=kind,
        direction=DEBIT,
        amount_ubt=amount_ubt,
        source=source,
        source_id=source_id,
        actor=actor,
        reason=reason,
    )
    return _book_once(transfer, wallet_id=wallet_id, may_owe=allow_debt)


@transaction.atomic
def reverse(
    *, transfer_id: int, actor: str = "", reason: str = "", allow_debt: bool = False
) -> Transfer:
    """Book the opposite of a transfer, once.

    Raises InsufficientBalance, NotFound.
    """
    original = Transfer.objects.filter(pk=transfer_id).first()
    if original is None:
        raise NotFound(f"There is no transfer {transfer_id}.")
    transfer = Transfer(
        kind=_REVERSALS.get(original.kind, "adjustment"),
        direction=-original.direction,
        amount_ubt=original.amount_ubt,
        source="reverse",
        source_id=str(original.pk),
        reverses=original,
        actor=actor,
        reason=reason,
    )
    return _book_once(transfer, wallet_id=original.wallet_id, may_owe=allow_debt)


def lock_wallet(wallet_id: int) -> Wallet:
    """Return the wallet, locked until the transaction ends. Raises NotFound."""
    wallet = Wallet.objects.select_for_update().filter(pk=wallet_id).first()
    if wallet is None:
        raise NotFound(f"There is no wallet {wallet_id}.")
    return wallet


def book(transfer: Transfer, wallet: Wallet) -> Transfer:
    """Store a transfer of a locked wallet and change its balance. Its room is the caller's duty."""
    transfer.wallet, transfer.tenant_id = wallet, wallet.tenant_id
    transfer.input_hash = _hash(transfer, wallet)
    transfer.save(force_insert=True)
    column = "credits_ubt" if transfer.direction == CREDIT else "debits_ubt"
    changes: dict[str, Any] = {column: F(column) + transfer.amount_ubt}
    if transfer.direction == CREDIT and _rises_above_its_mark(wallet, transfer.amount_ubt):
        changes["alerted_at"] = None
    Wallet.objects.filter(pk=wallet.pk).update(**changes)
    wallet.refresh_from_db()
    return transfer


def _rises_above_its_mark(wallet: Wallet, amount_ubt: int) -> bool:
    left_ubt = wallet.credits_ubt - wallet.debits_ubt + amount_ubt
    return wallet.alert_below_ubt is not None and left_ubt >= wallet.alert_below_ubt


def _book_once(transfer: Transfer, *, wallet_id: int, may_owe: bool) -> Transfer:
    _check(transfer)
    wallet = lock_wallet(wallet_id)
    existing = Transfer.objects.filter(
        tenant_id=wallet.tenant_id,
        source=transfer.source,
        source_id=transfer.source_id,
        kind=transfer.kind,
    ).first()
    if existing is not None:
        if existing.input_hash != _hash(transfer, wallet):
            raise TransferConflict(
                f"{transfer.source} {transfer.source_id} was booked before with other input."
            )
        return existing
    if transfer.direction == CREDIT:
        _check_sum(wallet, transfer.amount_ubt)
        book(transfer, wallet)
        _recover_debt(transfer, wallet)
    else:
        _afford(transfer, wallet, may_owe=may_owe)
        book(transfer, wallet)
    return transfer


def _afford(transfer: Transfer, wallet: Wallet, *, may_owe: bool) -> None:
    missing_ubt = transfer.amount_ubt - wallet.available_ubt
    if missing_ubt <= 0:
        return
    if not may_owe:
        raise InsufficientBalance(f"Wallet {wallet.pk} has less than is to be debited.")
    _check_sum(wallet, missing_ubt)
    loan = Transfer(
        kind="debt",
        direction=CREDIT,
        amount_ubt=missing_ubt,
        source=transfer.source,
        source_id=transfer.source_id,
        actor=transfer.actor,
        reason=transfer.reason,
    )
    book(loan, wallet)
    Wallet.objects.filter(pk=wallet.pk).update(debt_ubt=F("debt_ubt") + missing_ubt)


def _recover_debt(paid_by: Transfer, wallet: Wallet) -> None:
    amount_ubt = min(wallet.debt_ubt, wallet.available_ubt)
    if amount_ubt <= 0:
        return
    recovery = Transfer(
        kind="debt_recovery",
        direction=DEBIT,
        amount_ubt=amount_ubt,
        source="transfer",
        source_id=str(paid_by.pk),
    )
    book(recovery, wallet)
    Wallet.objects.filter(pk=wallet.pk).update(debt_ubt=F("debt_ubt") - amount_ubt)


def _check(transfer: Transfer) -> None:
    if transfer.direction not in DIRECTIONS.get(transfer.kind, ()):
        raise FieldInvalid(f"{transfer.kind!r} is no kind of transfer that goes this way.")
    if not 0 < transfer.amount_ubt <= MAX_UBT:
        raise FieldInvalid("A transfer's amount is a positive number of micro base tokens.")


def _check_sum(wallet: Wallet, amount_ubt: int) -> None:
    if wallet.credits_ubt + amount_ubt > MAX_UBT:
        raise FieldInvalid(f"Wallet {wallet.pk} can't be credited with so much.")


def _hash(transfer: Transfer, wallet: Wallet) -> str:
    return input_hash(
        wallet_id=wallet.pk,
        kind=transfer.kind,
        direction=transfer.direction,
        amount_ubt=transfer.amount_ubt,
    )
