"""R11: what has died is settled at its checkpoint; silence is what the reaper has watched."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pytest_django import Settings

from billing.ledger import direct, reaper
from billing.ledger.clock import database_now
from billing.ledger.ops import Batch, Grant, Growth, HoldOp
from billing.ledger.reconcile import reconcile
from billing.models import Hold, ReaperPass, Transfer
from tests.billing.ledger.making import (
    Buyer,
    age,
    balance,
    held,
    hold_op,
    new_priced_buyer,
    progress_op,
    record,
    settle_op,
    void_op,
    wallet_of,
)
from tests.databases import Database

SECOND = timedelta(seconds=1)


@pytest.fixture
def bert(migrated_database: Database) -> Buyer:
    """A buyer with 1,000 ubt; a token costs 2 in and 4 out."""
    return new_priced_buyer(1_000)


@pytest.fixture
def watching(settings: Settings) -> None:
    """A reaper that has been at work for an hour."""
    settings.HOLD_STALE_S, settings.REAPER_PERIOD_S = 60.0, 15.0


@pytest.fixture
def watch(bert: Buyer, watching: None) -> None:
    now = database_now()
    ReaperPass.objects.create(pk=1, watching_since=now - 3_600 * SECOND, last_pass_at=now)


def running(buyer: Buyer, delivered_ubt: int = 14) -> bytes:
    """Start a request that has delivered 3 tokens of input and 2 of output: 14 ubt."""
    op = hold_op(buyer, 100)
    direct.hold(op)
    if delivered_ubt:
        direct.progress(progress_op(buyer, op.id, delivered_ubt))
    return op.id


@pytest.mark.usefixtures("watch")
def test_r11_a_silent_hold_is_settled_at_its_checkpoint(bert: Buyer) -> None:
    request = running(bert)
    age(request, 61)
    assert reaper.reap() == 1
    usage = record(request)
    assert (usage.resolution, usage.usage_source, usage.charged_ubt) == ("reaped", "checkpoint", 14)
    assert (usage.input_count, usage.output_count, usage.held_ubt) == (3, 2, 100)
    assert (usage.error_type, usage.model_served) == ("relay_lost", "gpt-4-0613")
    assert balance(bert) == (1_000, 14, 0)
    assert reconcile().is_clean


@pytest.mark.usefixtures("watch")
def test_r11_a_hold_that_delivered_nothing_is_charged_nothing(bert: Buyer) -> None:
    request = running(bert, delivered_ubt=0)
    age(request, 61)
    assert reaper.reap() == 1
    assert (record(request).charged_ubt, record(request).input_count) == (0, 0)
    assert reconcile().is_clean


@pytest.mark.usefixtures("watch")
def test_r11_a_hold_that_was_heard_of_is_left_alone(bert: Buyer) -> None:
    request = running(bert)
    age(request, 58)
    assert reaper.reap() == 0
    assert held(request) is not None


@pytest.mark.usefixtures("watch")
def test_r11_many_silent_holds_are_settled_in_one_pass(bert: Buyer) -> None:
    ops = [hold_op(bert, 1) for _ in range(450)]
    direct.run(Batch(holds=ops))
    Hold.objects.update(heartbeat_at=database_now() - 61 * SECOND)
    assert reaper.reap() == 450
    assert balance(bert) == (1_000, 0, 0)


@pytest.mark.usefixtures("watching")
def test_r11_the_first_pass_reaps_nothing_for_the_stale_time(bert: Buyer) -> None:
    age(running(bert), 3_600)
    start = database_now()
    reaped = [reaper.reap(start + n * 15 * SECOND) for n in range(5)]
    assert reaped == [0, 0, 0, 0, 1]


@pytest.mark.usefixtures("watch")
def test_r11_after_a_gap_in_its_watch_it_reaps_nothing_for_the_stale_time(bert: Buyer) -> None:
    age(running(bert), 3_600)
    back = database_now() + 31 * SECOND
    reaped = [reaper.reap(back + n * 15 * SECOND) for n in range(5)]
    assert reaped == [0, 0, 0, 0, 1]


@pytest.mark.usefixtures("watch")
def test_r11_a_late_pass_is_no_gap_up_to_two_periods(bert: Buyer) -> None:
    age(running(bert), 3_600)
    assert reaper.reap(database_now() + 29 * SECOND) == 1


def reaped_request(buyer: Buyer) -> bytes:
    request = running(buyer)
    age(request, 61)
    assert reaper.reap() == 1
    return request


@pytest.mark.usefixtures("watch")
@pytest.mark.parametrize(("actual_ubt", "direction"), [(54, -1), (4, 1)])
def test_r11_a_late_settle_books_the_difference_once(
    bert: Buyer, actual_ubt: int, direction: int
) -> None:
    request = reaped_request(bert)
    op = settle_op(bert, request, actual_ubt)
    assert [direct.settle(op), direct.settle(op)] == [actual_ubt, actual_ubt]
    correction = Transfer.objects.get(kind="correction")
    assert (correction.direction, correction.amount_ubt) == (direction, abs(actual_ubt - 14))
    assert (correction.source, correction.source_id) == ("late_settle", request.hex())
    assert wallet_of(bert).available_ubt == 1_000 - actual_ubt
    assert reconcile().is_clean


@pytest.mark.usefixtures("watch")
def test_r11_a_late_settle_of_the_same_amount_books_nothing(bert: Buyer) -> None:
    assert direct.settle(settle_op(bert, reaped_request(bert), 14)) == 14
    assert not Transfer.objects.filter(kind="correction").exists()


@pytest.mark.usefixtures("watch")
def test_r11_a_late_settle_takes_no_more_than_there_is(bert: Buyer) -> None:
    request = reaped_request(bert)
    direct.hold(hold_op(bert, 980))
    assert direct.settle(settle_op(bert, request, 500)) == 14 + 6


@pytest.mark.usefixtures("watch")
def test_r11_a_late_void_gives_everything_back(bert: Buyer) -> None:
    assert direct.settle(void_op(bert, reaped_request(bert))) == 0
    assert wallet_of(bert).available_ubt == 1_000


@pytest.mark.usefixtures("watch")
def test_r11_a_late_progress_and_a_late_hold_are_closed(bert: Buyer) -> None:
    request = reaped_request(bert)
    assert direct.progress(progress_op(bert, request, 20)).growth is Growth.CLOSED
    assert direct.hold(hold_op(bert, 100, id=request)).grant is Grant.CLOSED


def test_r11_a_heartbeat_that_comes_just_in_time_wins(bert: Buyer) -> None:
    request = running(bert)
    age(request, 61)
    hold = held(request)
    assert hold is not None
    op = reaper.checkpoint_settle(hold)
    direct.run(Batch(heartbeats=[request]))
    assert direct.run(Batch(settles=[op], silent_for_s=60.0)).settles == [0]
    assert held(request) is not None


def test_r11_a_hold_that_ended_before_it_was_reaped_gets_no_second_record(bert: Buyer) -> None:
    request = running(bert)
    hold = held(request)
    assert hold is not None
    op = reaper.checkpoint_settle(hold)
    direct.settle(settle_op(bert, request, 60))
    assert direct.run(Batch(settles=[op], silent_for_s=60.0)).settles == [60]
    assert balance(bert) == (1_000, 60, 0)


_BEATING = """
import sys, time
import django
django.setup()
from billing.ledger import direct
from billing.ledger.ops import Batch
request = bytes.fromhex(sys.argv[1])
while True:
    direct.run(Batch(heartbeats=[request]))
    print("beat", flush=True)
    time.sleep(0.1)
"""


@pytest.fixture
def owner(
    bert: Buyer, migrated_database: Database
) -> Iterator[tuple[HoldOp, subprocess.Popen[str]]]:
    """A process that holds for a request and sends its heartbeats."""
    op = hold_op(bert, 100)
    direct.hold(op)
    process = subprocess.Popen(
        [sys.executable, "-c", _BEATING, op.id.hex()],
        env={**os.environ, "DATABASE_URL": migrated_database.url},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield op, process
    process.kill()
    process.wait()
    process.stdout.close()


def pass_for(seconds: float) -> int:
    """Let the reaper pass twice a period for so long; return what it reaped."""
    reaped, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        reaped += reaper.reap()
        time.sleep(0.1)
    return reaped


def test_r11_a_stopped_owner_is_reaped_and_its_late_settle_is_exact(
    owner: tuple[HoldOp, subprocess.Popen[str]], bert: Buyer, settings: Settings
) -> None:
    settings.HOLD_STALE_S, settings.REAPER_PERIOD_S = 0.8, 0.25
    op, process = owner
    assert pass_for(1.2) == 0
    process.send_signal(signal.SIGSTOP)
    assert pass_for(2.0) == 1
    process.send_signal(signal.SIGCONT)
    assert direct.settle(settle_op(bert, op.id, 77)) == 77
    assert wallet_of(bert).available_ubt == 1_000 - 77
    assert reconcile().findings == []


def test_r11_a_database_that_was_away_for_long_kills_no_request(
    owner: tuple[HoldOp, subprocess.Popen[str]], settings: Settings
) -> None:
    settings.HOLD_STALE_S, settings.REAPER_PERIOD_S = 0.8, 0.25
    op, process = owner
    pass_for(1.0)
    process.send_signal(signal.SIGSTOP)  # as the database is away, neither beats nor passes come
    time.sleep(3 * 0.8)
    assert reaper.reap() == 0
    process.send_signal(signal.SIGCONT)
    assert pass_for(1.2) == 0
    assert held(op.id) is not None
