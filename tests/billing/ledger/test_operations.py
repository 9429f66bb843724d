"""Every cell of the table: hold, progress, settle and void of an id in each of its states."""

import pytest

from billing.ledger import direct
from billing.ledger.ops import Grant, Growth, HoldAnswer
from tests.billing.ledger.making import (
    Buyer,
    balance,
    held,
    hold_op,
    progress_op,
    record,
    settle_op,
    void_op,
)


@pytest.fixture
def running(anna: Buyer) -> bytes:
    """A request of anna's that holds 100."""
    op = hold_op(anna, 100)
    assert direct.hold(op).grant is Grant.GRANTED
    return op.id


@pytest.fixture
def finished(anna: Buyer, running: bytes) -> bytes:
    """A request of anna's that held 100 and was charged 60."""
    assert direct.settle(settle_op(anna, running, 60)) == 60
    return running


def test_hold_of_a_new_id_reserves_the_amount(anna: Buyer) -> None:
    op = hold_op(anna, 100)
    assert direct.hold(op) == HoldAnswer(Grant.GRANTED, 100, 900)
    assert balance(anna) == (1_000, 0, 100)


def test_hold_remembers_what_it_was_made_for(anna: Buyer) -> None:
    op = hold_op(anna, 100, channel_id=7, counted_input=3)
    direct.hold(op, owner="host:1")
    hold = held(op.id)
    assert hold is not None
    assert (hold.tenant_id, hold.key_id, hold.channel_id) == (anna.tenant_id, anna.key_id, 7)
    assert (hold.model_asked, hold.model_served) == ("gpt-4", "gpt-4-0613")
    assert (hold.owner, hold.stream, hold.line_id) == ("host:1", True, None)
    assert hold.heartbeat_at == hold.created_at


def test_hold_of_more_than_there_is_leaves_no_trace(anna: Buyer) -> None:
    op = hold_op(anna, 1_001)
    assert direct.hold(op) == HoldAnswer(Grant.INSUFFICIENT, 0, 1_000)
    assert balance(anna) == (1_000, 0, 0)
    assert held(op.id) is None


def test_hold_repeated_with_the_same_amount_is_granted_once(anna: Buyer, running: bytes) -> None:
    again = direct.hold(hold_op(anna, 100, id=running))
    assert (again.grant, again.amount_ubt) == (Grant.GRANTED, 100)
    assert balance(anna) == (1_000, 0, 100)


def test_hold_repeated_with_another_amount_is_a_conflict(anna: Buyer, running: bytes) -> None:
    assert direct.hold(hold_op(anna, 101, id=running)).grant is Grant.CONFLICT
    assert balance(anna) == (1_000, 0, 100)


def test_hold_of_a_resolved_id_is_closed(anna: Buyer, finished: bytes) -> None:
    assert direct.hold(hold_op(anna, 100, id=finished)).grant is Grant.CLOSED
    assert balance(anna) == (1_000, 60, 0)


def test_progress_of_an_unknown_id_is_closed(anna: Buyer) -> None:
    unknown = hold_op(anna).id
    assert direct.progress(progress_op(anna, unknown, 10)).growth is Growth.CLOSED


def test_progress_records_the_checkpoint(anna: Buyer, running: bytes) -> None:
    op = progress_op(anna, running, 40, channel_id=9, model_served="gpt-4-x")
    answer = direct.progress(op)
    hold = held(running)
    assert (answer.growth, answer.amount_ubt) == (Growth.RECORDED, 100)
    assert hold is not None
    assert (hold.counted_input, hold.counted_output, hold.delivered_ubt) == (3, 2, 40)
    assert (hold.channel_id, hold.model_served) == (9, "gpt-4-x")
    assert hold.heartbeat_at > hold.created_at


def test_progress_without_a_channel_keeps_the_one_it_has(anna: Buyer, running: bytes) -> None:
    direct.progress(progress_op(anna, running, 40, channel_id=9))
    direct.progress(progress_op(anna, running, 50))
    hold = held(running)
    assert hold is not None
    assert (hold.channel_id, hold.model_served) == (9, "gpt-4-0613")


def test_progress_grows_the_hold_to_what_is_wanted(anna: Buyer, running: bytes) -> None:
    answer = direct.progress(progress_op(anna, running, 40, wanted_ubt=400))
    assert (answer.growth, answer.amount_ubt) == (Growth.RECORDED, 400)
    assert balance(anna) == (1_000, 0, 400)


def test_progress_grows_the_hold_by_what_there_is(anna: Buyer, running: bytes) -> None:
    answer = direct.progress(progress_op(anna, running, 40, wanted_ubt=4_000))
    assert (answer.growth, answer.amount_ubt) == (Growth.RECORDED, 1_000)


def test_progress_is_told_when_nothing_is_left(anna: Buyer, running: bytes) -> None:
    direct.hold(hold_op(anna, 900))
    answer = direct.progress(progress_op(anna, running, 40, wanted_ubt=200))
    assert (answer.growth, answer.amount_ubt) == (Growth.EXHAUSTED, 100)


def test_progress_of_a_resolved_id_is_closed(anna: Buyer, finished: bytes) -> None:
    assert direct.progress(progress_op(anna, finished, 90)).growth is Growth.CLOSED
    assert balance(anna) == (1_000, 60, 0)


def test_settle_of_an_unknown_id_leaves_a_tombstone(anna: Buyer) -> None:
    unknown = hold_op(anna).id
    assert direct.settle(settle_op(anna, unknown, 70)) == 0
    stone = record(unknown)
    assert (stone.resolution, stone.charged_ubt, stone.absorbed_ubt) == ("tombstone", 0, 70)
    assert balance(anna) == (1_000, 0, 0)


def test_a_hold_that_comes_after_its_tombstone_is_closed(anna: Buyer) -> None:
    op = hold_op(anna)
    direct.settle(settle_op(anna, op.id, 70))
    assert direct.hold(op).grant is Grant.CLOSED
    assert balance(anna) == (1_000, 0, 0)


def test_settle_charges_and_releases_the_rest(anna: Buyer, running: bytes) -> None:
    assert direct.settle(settle_op(anna, running, 60)) == 60
    assert balance(anna) == (1_000, 60, 0)
    assert held(running) is None


def test_settle_writes_the_usage_record(anna: Buyer, running: bytes) -> None:
    direct.settle(settle_op(anna, running, 60))
    usage = record(running)
    assert (usage.held_ubt, usage.charged_ubt, usage.absorbed_ubt) == (100, 60, 0)
    assert (usage.resolution, usage.usage_source, usage.status) == ("settled", "upstream", 200)
    assert (usage.input_count, usage.output_count, usage.search_count) == (3, 5, 0)
    assert (usage.wallet_id, usage.key_id) == (anna.wallet_id, anna.key_id)
    assert (usage.channel_id, usage.window_id, usage.first_token_ms) == (None, None, None)
    assert usage.stream is False


def test_settle_repeated_gives_the_same_answer(anna: Buyer, finished: bytes) -> None:
    assert direct.settle(settle_op(anna, finished, 999)) == 60
    assert balance(anna) == (1_000, 60, 0)


def test_settle_after_a_void_changes_nothing(anna: Buyer, running: bytes) -> None:
    direct.settle(void_op(anna, running))
    assert direct.settle(settle_op(anna, running, 60)) == 0
    assert balance(anna) == (1_000, 0, 0)


def test_void_of_an_unknown_id_leaves_a_tombstone(anna: Buyer) -> None:
    op = hold_op(anna)
    direct.settle(void_op(anna, op.id))
    assert record(op.id).resolution == "tombstone"
    assert direct.hold(op).grant is Grant.CLOSED


def test_void_releases_and_records_nothing_charged(anna: Buyer, running: bytes) -> None:
    assert direct.void(settle_op(anna, running, 60), resolution="client_gone") == 0
    usage = record(running)
    assert (usage.resolution, usage.held_ubt, usage.charged_ubt) == ("client_gone", 100, 0)
    assert (usage.usage_source, usage.output_count) == ("none", 0)
    assert balance(anna) == (1_000, 0, 0)


def test_void_of_a_settled_id_answers_what_it_was_charged(anna: Buyer, finished: bytes) -> None:
    assert direct.settle(void_op(anna, finished)) == 60
    assert balance(anna) == (1_000, 60, 0)
