"""The ledger's decisions on a batch: pure, in memory, the same for every database.

Settles come first, for they free room, then progresses, then holds in order of arrival. The
engines load the state under the wallets' locks, call `decide`, and write what it says. Nobody else
calls it.
"""

from billing.errors import TenantMismatch
from billing.ledger.ops import (
    Answers,
    Batch,
    Grant,
    Growth,
    HoldAnswer,
    HoldOp,
    ProgressAnswer,
    ProgressOp,
    SettleOp,
)
from billing.ledger.state import (
    Correction,
    Held,
    HoldWrite,
    KeyState,
    ProgressWrite,
    Purse,
    Resolved,
    State,
    UsageWrite,
    WalletState,
    Writes,
)

LATE_SETTLE = "late_settle"
LATE_WHOLESALE = "late_settle_wholesale"

REAPED = "reaped"
TOMBSTONE = "tombstone"


def decide(batch: Batch, state: State) -> tuple[Answers, Writes]:
    """Answer every item of a batch and say what is to be written; the purses hold their changes.

    Raises TenantMismatch for an item that names a wallet which is not its own.
    """
    writes = Writes()
    settles = [_settle(op, state, writes) for op in batch.settles]
    progresses = [_progress(op, state, writes) for op in batch.progresses]
    holds = [_hold(op, state, writes) for op in batch.holds]
    return Answers(settles, progresses, holds), writes


def _settle(op: SettleOp, state: State, writes: Writes) -> int:
    charged = state.settled.get(op.id)
    if charged is None:
        held = state.held.get(op.id)
        if held is not None:
            charged = _resolve(op, held, state, writes)
        elif (record := state.resolved.get(op.id)) is not None:
            charged = _settle_again(op, record, state, writes)
        elif op.facts.resolution == REAPED:
            return 0  # it ended, or showed life, before the reaper had the lock
        else:
            charged = _bury(op, state, writes)
        state.settled[op.id] = charged
    return charged


def _resolve(op: SettleOp, held: Held, state: State, writes: Writes) -> int:
    _check_hold(op, held)
    wallet = _wallet(op, state)
    wholesale_ubt = _resolve_wholesale(op, held, state) if op.wholesale_wallet_id else 0
    amount, charged = held.amount_ubt, op.actual_ubt
    purses = _purses(wallet, state.keys.get(op.key_id), held.window_id, state)
    for purse in purses:
        charged = min(charged, purse.can_charge(amount))
    for purse in purses:
        purse.resolve(amount, charged)
    writes.usage.append(
        UsageWrite(
            op=op,
            resolution=op.facts.resolution,
            retail_price_id=held.retail_price_id,
            window_id=held.window_id,
            held_ubt=amount,
            charged_ubt=charged,
            absorbed_ubt=op.actual_ubt - charged,
            wholesale_ubt=wholesale_ubt,
        )
    )
    return charged


def _resolve_wholesale(op: SettleOp, held: Held, state: State) -> int:
    purse = _wholesale_wallet(op, state).purse
    charged = min(op.wholesale_ubt, purse.can_charge(held.wholesale_ubt))
    purse.resolve(held.wholesale_ubt, charged)
    return charged


def _bury(op: SettleOp, state: State, writes: Writes) -> int:
    """Record an id that was never held, so that a hold which arrives later finds it closed."""
    _wallet(op, state)
    writes.usage.append(
        UsageWrite(
            op=op,
            resolution=TOMBSTONE,
            retail_price_id=op.facts.retail_price_id or 0,
            window_id=0,
            held_ubt=0,
            charged_ubt=0,
            absorbed_ubt=op.actual_ubt,
            wholesale_ubt=0,
        )
    )
    return 0


def _settle_again(op: SettleOp, record: Resolved, state: State, writes: Writes) -> int:
    """Answer as before; what the reaper charged at a checkpoint is put right once."""
    _check_hold(op, record)
    if not record.was_reaped or op.facts.resolution == REAPED:
        return record.charged_ubt
    if record.was_corrected:
        return record.charged_ubt + record.corrected_ubt
    purses = _purses(_wallet(op, state), state.keys.get(op.key_id), record.window_id, state)
    more_ubt = _correct(purses, op.actual_ubt - record.charged_ubt)
    _note(writes, op, op.wallet_id, LATE_SETTLE, more_ubt)
    if record.wholesale_wallet_id:
        purse = _wholesale_wallet(op, state).purse
        wholesale_ubt = _correct((purse,), op.wholesale_ubt - record.wholesale_ubt)
        _note(writes, op, record.wholesale_wallet_id, LATE_WHOLESALE, wholesale_ubt)
    return record.charged_ubt + more_ubt


def _correct(purses: tuple[Purse, ...], difference_ubt: int) -> int:
    """Charge the difference as far as there is room, or give it back; return what was done.

    Only the first purse, the wallet's, keeps credits apart; of a cap or window less is used.
    """
    done = min(difference_ubt, *(purse.room_ubt for purse in purses))
    wallet, *limits = purses
    wallet.room_ubt -= done
    if done < 0:
        wallet.credited_ubt -= done
    else:
        wallet.charged_ubt += done
    for purse in limits:
        purse.resolve(0, done)
    return done


def _note(writes: Writes, op: SettleOp, wallet_id: int, source: str, more_ubt: int) -> None:
    if more_ubt:
        direction = -1 if more_ubt > 0 else 1
        writes.corrections.append(
            Correction(op.tenant_id, wallet_id, source, op.id, direction, abs(more_ubt))
        )


def _progress(op: ProgressOp, state: State, writes: Writes) -> ProgressAnswer:
    held = state.running.get(op.id)
    if held is None or op.id in state.settled:
        return ProgressAnswer(Growth.CLOSED)
    _check_hold(op, held)
    wanted_ubt = op.wanted_ubt - held.amount_ubt
    grown_ubt, wholesale_ubt = _grow(op, held, wanted_ubt, state) if wanted_ubt > 0 else (0, 0)
    before = writes.progresses.get(op.id)
    if before is not None:
        grown_ubt += before.grown_ubt
        wholesale_ubt += before.wholesale_grown_ubt
    writes.progresses[op.id] = ProgressWrite(op, grown_ubt, wholesale_ubt)
    is_exhausted = wanted_ubt > 0 and op.wanted_ubt - held.amount_ubt == wanted_ubt
    return ProgressAnswer(Growth.EXHAUSTED if is_exhausted else Growth.RECORDED, held.amount_ubt)


def _grow(op: ProgressOp, held: Held, wanted_ubt: int, state: State) -> tuple[int, int]:
    """Reserve more for a running request. It ends as it was admitted, unless it is blocked."""
    wallet = _wallet(op, state)
    if wallet.refusal is Grant.WALLET_BLOCKED:
        return 0, 0
    purses = _purses(wallet, state.keys.get(op.key_id), held.window_id, state)
    grown = min(wanted_ubt, *(purse.room_ubt for purse in purses))
    grown, wholesale = _grow_wholesale(op, held, grown, state)
    for purse in purses:
        purse.reserve(grown)
    held.amount_ubt += grown
    held.wholesale_ubt += wholesale
    return grown, wholesale


def _grow_wholesale(op: ProgressOp, held: Held, grown: int, state: State) -> tuple[int, int]:
    """Return the growth that the wholesale wallet can follow, and what its own hold grows by."""
    if not held.wholesale_ubt or not held.amount_ubt:
        return grown, 0
    wallet = _wholesale_wallet(op, state)
    if wallet.refusal:
        return 0, 0
    grown = min(grown, wallet.purse.room_ubt * held.amount_ubt // held.wholesale_ubt)
    wholesale = _share(held.wholesale_ubt, grown, held.amount_ubt)
    wallet.purse.reserve(wholesale)
    return grown, wholesale


def _hold(op: HoldOp, state: State, writes: Writes) -> HoldAnswer:
    if op.id in state.closed or op.id in state.settled:
        return HoldAnswer(Grant.CLOSED)
    running = state.running.get(op.id)
    if running is not None:
        return _hold_again(op, running)
    wallet, key = state.wallets.get(op.wallet_id), state.keys.get(op.key_id)
    if wallet is None or wallet.tenant_id != op.tenant_id:
        return HoldAnswer(Grant.WALLET_BLOCKED)
    if key is None or key.tenant_id != op.tenant_id or key.wallet_id != op.wallet_id:
        return HoldAnswer(Grant.KEY_DISABLED)
    if wallet.refusal or key.refusal:
        return HoldAnswer(wallet.refusal or key.refusal)
    window_id = _window_id(op, state)
    purses = _purses(wallet, key, window_id, state)
    return _reserve(op, purses, window_id, state, writes)


def _reserve(
    op: HoldOp, purses: tuple[Purse, ...], window_id: int, state: State, writes: Writes
) -> HoldAnswer:
    available = min([purse.room_ubt for purse in purses])
    output, least = op.output_ubt, min(op.least_output_ubt, op.output_ubt)
    if op.shares:
        output = min(output, max(least, available // 4))
    spare = available - op.input_ubt
    if spare < least:
        return HoldAnswer(_lack(op, op.input_ubt + least, purses, state), 0, available)
    amount = op.input_ubt + min(output, spare)
    wholesale = _reserve_wholesale(op, amount, state)
    if wholesale is None:
        return HoldAnswer(Grant.WHOLESALE, 0, available)
    for purse in purses:
        purse.reserve(amount)
    writes.holds.append(HoldWrite(op, amount, wholesale, window_id))
    state.running[op.id] = Held(
        tenant_id=op.tenant_id,
        wallet_id=op.wallet_id,
        key_id=op.key_id,
        window_id=window_id,
        amount_ubt=amount,
        wholesale_wallet_id=op.wholesale_wallet_id or 0,
        wholesale_ubt=wholesale,
        retail_price_id=op.retail_price_id,
    )
    return HoldAnswer(Grant.GRANTED, amount, available - amount)


def _reserve_wholesale(op: HoldOp, amount_ubt: int, state: State) -> int | None:
    """Reserve the shop's part of a hold; None if it can't pay it."""
    if op.wholesale_wallet_id is None:
        return 0
    wallet = state.wallets.get(op.wholesale_wallet_id)
    wholesale = _share(op.wholesale_ubt, amount_ubt, op.input_ubt + op.output_ubt)
    if wallet is None or wallet.tenant_id != op.tenant_id or wallet.refusal:
        return None
    if wallet.purse.room_ubt < wholesale:
        return None
    wallet.purse.reserve(wholesale)
    return wholesale


def _hold_again(op: HoldOp, held: Held) -> HoldAnswer:
    """Answer a hold whose commit went through while its answer was lost."""
    least = op.input_ubt + min(op.least_output_ubt, op.output_ubt)
    is_same = (held.tenant_id, held.wallet_id, held.key_id) == (
        op.tenant_id,
        op.wallet_id,
        op.key_id,
    ) and least <= held.amount_ubt <= op.input_ubt + op.output_ubt
    return HoldAnswer(Grant.GRANTED, held.amount_ubt) if is_same else HoldAnswer(Grant.CONFLICT)


def _lack(op: HoldOp, needed_ubt: int, purses: tuple[Purse, ...], state: State) -> Grant:
    """Tell which purse would not do even if nothing else were running."""
    names = [Grant.INSUFFICIENT, Grant.BUDGET]
    if state.keys[op.key_id].purse is not None:
        names.insert(1, Grant.CAP)
    for name, purse in zip(names, purses, strict=False):
        if purse.room_ubt + purse.pending_ubt < needed_ubt:
            return name
    return Grant.HELD_BY_OTHERS


def _window_id(op: HoldOp, state: State) -> int:
    if op.window is None:
        return 0
    window_id = state.window_ids[op.key_id, op.window.period, op.window.starts_at]
    window = state.windows[window_id]
    if window.limit_ubt != op.window.limit_ubt:
        window.follow(op.window.limit_ubt)
    return window_id


def _purses(
    wallet: WalletState, key: KeyState | None, window_id: int, state: State
) -> tuple[Purse, ...]:
    """Return everything that an amount must fit into, the wallet first."""
    if not window_id and (key is None or key.purse is None):
        return (wallet.purse,)
    purses = [wallet.purse]
    if key is not None and key.purse is not None:
        purses.append(key.purse)
    if window_id:
        purses.append(state.windows[window_id].purse)
    return tuple(purses)


def _check_hold(op: SettleOp | ProgressOp, held: Held | Resolved) -> None:
    if held.wallet_id != op.wallet_id or held.key_id != op.key_id or held.tenant_id != op.tenant_id:
        raise TenantMismatch("an operation must name the tenant, wallet and key of its id")
    if held.wholesale_wallet_id and held.wholesale_wallet_id != op.wholesale_wallet_id:
        raise TenantMismatch("an operation must name the wholesale wallet of its id")


def _wallet(op: SettleOp | ProgressOp, state: State) -> WalletState:
    wallet = state.wallets.get(op.wallet_id)
    if wallet is None or wallet.tenant_id != op.tenant_id:
        raise TenantMismatch("an operation must name a wallet of its tenant")
    return wallet


def _wholesale_wallet(op: SettleOp | ProgressOp, state: State) -> WalletState:
    wallet = state.wallets.get(op.wholesale_wallet_id or 0)
    if wallet is None or wallet.tenant_id != op.tenant_id:
        raise TenantMismatch("an operation must name a wholesale wallet of its tenant")
    return wallet


def _share(whole_ubt: int, part: int, of: int) -> int:
    """Return the part of an amount, rounded up."""
    return -(-whole_ubt * part // of) if of else whole_ubt
