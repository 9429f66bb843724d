"""What a batch does as a whole: its order, repeats inside it, overruns, and a bad item."""

import pytest

from billing.ledger import direct
from billing.ledger.ops import Batch, Grant, Growth
from billing.models import ReconcileFinding, Tenant, UsageRecord
from billing.pricing import Counts
from tests.billing.ledger.making import (
    Buyer,
    age,
    balance,
    facts,
    held,
    hold_op,
    new_buyer,
    progress_op,
    record,
    settle_op,
    void_op,
)


def running(buyer: Buyer, amount_ubt: int) -> bytes:
    op = hold_op(buyer, amount_ubt)
    assert direct.hold(op).grant is Grant.GRANTED
    return op.id


def test_settles_free_room_for_the_holds_of_the_same_batch(anna: Buyer) -> None:
    first = running(anna, 1_000)
    batch = Batch(settles=[settle_op(anna, first, 100)], holds=[hold_op(anna, 900)])
    assert direct.run(batch).holds[0].grant is Grant.GRANTED


def test_holds_are_answered_in_order_of_arrival(anna: Buyer) -> None:
    answers = direct.run(Batch(holds=[hold_op(anna, 400) for _ in range(3)])).holds
    assert [answer.grant for answer in answers] == [
        Grant.GRANTED,
        Grant.GRANTED,
        Grant.HELD_BY_OTHERS,
    ]


def test_r1_an_id_that_is_settled_twice_in_a_batch_is_charged_once(anna: Buyer) -> None:
    request = running(anna, 100)
    batch = Batch(settles=[settle_op(anna, request, 60), settle_op(anna, request, 70)])
    assert direct.run(batch).settles == [60, 60]
    assert balance(anna) == (1_000, 60, 0)


def test_r1_an_id_that_is_held_twice_in_a_batch_is_held_once(anna: Buyer) -> None:
    op = hold_op(anna, 100)
    answers = direct.run(Batch(holds=[op, op])).holds
    assert [(answer.grant, answer.amount_ubt) for answer in answers] == [(Grant.GRANTED, 100)] * 2
    assert balance(anna) == (1_000, 0, 100)


def test_an_unknown_id_that_is_settled_twice_in_a_batch_has_one_tombstone(anna: Buyer) -> None:
    op = settle_op(anna, hold_op(anna).id, 60)
    assert direct.run(Batch(settles=[op, op])).settles == [0, 0]
    assert UsageRecord.objects.count() == 1


def test_two_checkpoints_of_an_id_in_a_batch_leave_the_last(anna: Buyer) -> None:
    request = running(anna, 100)
    ops = [progress_op(anna, request, 10, wanted_ubt=200), progress_op(anna, request, 30)]
    answers = direct.run(Batch(progresses=ops)).progresses
    hold = held(request)
    assert [answer.amount_ubt for answer in answers] == [200, 200]
    assert hold is not None
    assert (hold.delivered_ubt, hold.amount_ubt) == (30, 200)


def test_an_id_that_ends_in_a_batch_takes_no_more_checkpoints(anna: Buyer) -> None:
    request = running(anna, 100)
    batch = Batch([settle_op(anna, request, 60)], [progress_op(anna, request, 30)])
    assert direct.run(batch).progresses[0].growth is Growth.CLOSED


def test_r4_a_charge_beyond_the_hold_takes_what_is_available(anna: Buyer) -> None:
    request = running(anna, 100)
    assert direct.settle(settle_op(anna, request, 700)) == 700
    assert balance(anna) == (1_000, 700, 0)


def test_r4_what_the_balance_lacks_is_absorbed(anna: Buyer) -> None:
    request = running(anna, 100)
    running(anna, 500)
    assert direct.settle(settle_op(anna, request, 700)) == 500
    assert record(request).absorbed_ubt == 200
    assert balance(anna) == (1_000, 500, 500)


def test_r5_nothing_delivered_is_charged_nothing(anna: Buyer) -> None:
    request = running(anna, 100)
    assert direct.settle(void_op(anna, request)) == 0
    assert balance(anna) == (1_000, 0, 0)


def test_r2_the_record_keeps_the_price_of_the_hold(anna: Buyer) -> None:
    op = hold_op(anna, retail_price_id=42)
    direct.hold(op)
    direct.settle(settle_op(anna, op.id, 60, facts=facts(retail_price_id=43)))
    assert record(op.id).retail_price_id == 42


def test_r6_upstreams_usage_is_recorded_as_it_was_said(anna: Buyer) -> None:
    request = running(anna, 100)
    said = facts(counts=Counts(input=0, cached_input=7, reasoning=9))
    assert direct.settle(settle_op(anna, request, 55, facts=said)) == 55
    usage = record(request)
    assert (usage.input_count, usage.cached_input_count, usage.reasoning_count) == (0, 7, 9)
    assert (usage.output_count, usage.usage_source) == (0, "upstream")


def test_r7_an_interrupted_stream_is_charged_what_was_counted(anna: Buyer) -> None:
    request = running(anna, 100)
    counted = facts("client_gone", usage_source="counted", error_type="caller_gone")
    assert direct.settle(settle_op(anna, request, 30, facts=counted)) == 30
    usage = record(request)
    assert (usage.resolution, usage.usage_source) == ("client_gone", "counted")


def test_heartbeats_keep_every_hold_alive(anna: Buyer) -> None:
    requests = [running(anna, 10) for _ in range(3)]
    for request in requests:
        age(request, 50)
    before = [held(request) for request in requests]
    direct.run(Batch(heartbeats=[*requests, hold_op(anna).id]))
    for hold, request in zip(before, requests, strict=True):
        now = held(request)
        assert hold is not None and now is not None
        assert now.heartbeat_at > hold.heartbeat_at


def test_a_batch_may_mix_tenants(anna: Buyer) -> None:
    bert = new_buyer(50)
    answers = direct.run(Batch(holds=[hold_op(anna, 100), hold_op(bert, 100)])).holds
    assert [answer.grant for answer in answers] == [Grant.GRANTED, Grant.INSUFFICIENT]


@pytest.mark.parametrize("poison", [{"actual_ubt": 2**64}, {"actual_ubt": -1}])
def test_one_poisoned_item_of_200_fails_alone(anna: Buyer, poison: dict[str, int]) -> None:
    ops = [hold_op(anna, 1) for _ in range(200)]
    direct.run(Batch(holds=ops))
    settles = [settle_op(anna, op.id, 1) for op in ops]
    settles[77] = settle_op(anna, ops[77].id, **poison)
    answers = direct.run(Batch(settles=settles, holds=[hold_op(anna, 5)]))
    assert list(answers.failures) == [ops[77].id]
    assert answers.settles == [1] * 77 + [0] + [1] * 122
    assert answers.holds[0].grant is Grant.GRANTED
    assert balance(anna) == (1_000, 199, 6)


def test_a_poisoned_hold_is_answered_and_found(anna: Buyer) -> None:
    bad = hold_op(anna, model_asked="\ud800")
    answer = direct.hold(bad)
    finding = ReconcileFinding.objects.get()
    assert answer.grant is Grant.FAILED
    assert (finding.invariant, finding.subject) == ("commit", bad.id.hex())
    assert finding.tenant_id == anna.tenant_id


def test_a_finding_of_a_tenant_that_does_not_exist_is_the_platforms(anna: Buyer) -> None:
    op = settle_op(Buyer(999_999, anna.wallet_id, anna.key_id), hold_op(anna).id, 1)
    direct.settle(op)
    assert ReconcileFinding.objects.get().tenant == Tenant.objects.get(is_platform=True)
