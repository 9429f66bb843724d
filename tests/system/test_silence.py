"""Silence is no end: what goes quiet for longer than the stale time is charged exactly.

An upstream that thinks for a long time, and a relay that the kernel stops for a while.
"""

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from billing.models import Transfer, UsageRecord
from tests.fakes.upstream import FakeUpstream
from tests.fakes.vendor import Truth
from tests.system import asking
from tests.system.running import PATIENCE_S, STALE_S, RunningSystem, wait_until
from tests.system.shops import Shop, Way, open_shop

pytestmark = pytest.mark.system

MODEL = "silent"
PRICES: dict[str, dict[str, str | int]] = {MODEL: {"input": 20, "output": "40.5"}}
INPUT_UBT, OUTPUT_UBT = 20_000_000, 40_500_000


def shop_of(system: RunningSystem, fake: FakeUpstream, slug: str) -> Shop:
    return open_shop(system, slug, prices=PRICES, ways=[Way(MODEL, fake.base_url)])


def cost_ubt(truth: Truth) -> int:
    """What the vendor's usage comes to."""
    assert truth.usage, truth
    prompt, written = truth.usage["prompt_tokens"], truth.usage["completion_tokens"]
    return int(prompt * INPUT_UBT + written * OUTPUT_UBT)


def test_an_upstream_silent_for_three_stale_times_is_charged_exactly(
    running_system: RunningSystem, fake: FakeUpstream
) -> None:
    shop = shop_of(running_system, fake, "silent-upstream")
    asked = asking.body(MODEL, f"[fake silent_ms={3 * STALE_S * 1000:.0f}] Think it over.")
    answer = asking.post(running_system, shop.key, host=shop.host, asked=asked)
    assert answer.status_code == 200
    record = settled_record(running_system, answer)
    assert (record.resolution, record.usage_source) == ("settled", "upstream")
    assert record.charged_ubt == cost_ubt(fake.truth[0])


def test_a_relay_stopped_for_longer_than_the_stale_time_charges_exactly_in_the_end(
    running_system: RunningSystem, fake: FakeUpstream
) -> None:
    shop = shop_of(running_system, fake, "stopped-relay")
    asked = asking.body(MODEL, "[fake silent_ms=1500 tokens=50] Say something.")
    with ThreadPoolExecutor(1) as pool:
        asking_it: Future[httpx.Response] = pool.submit(
            asking.post, running_system, shop.key, host=shop.host, asked=asked
        )
        wait_until(lambda: fake.truth, patience_s=PATIENCE_S)
        stop_for_longer_than_the_stale_time(running_system, shop)
        answer = asking_it.result(timeout=10)
    assert answer.status_code == 200
    wait_until(
        lambda: spent_ubt(running_system, shop) == cost_ubt(fake.truth[0]),
        patience_s=PATIENCE_S,
        what=lambda: (spent_ubt(running_system, shop), fake.truth),
    )
    record = settled_record(running_system, answer)
    assert record.resolution == "reaped"
    assert corrections_ubt(running_system, shop) == cost_ubt(fake.truth[0]) - record.charged_ubt
    assert running_system.reconcile() == []


def stop_for_longer_than_the_stale_time(system: RunningSystem, shop: Shop) -> None:
    """Stop the server until the reaper has settled what it was doing."""
    server = system.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        wait_until(
            lambda: asking.wallet_of(system, shop.key).pending_ubt == 0,
            patience_s=STALE_S + PATIENCE_S,
            what=lambda: "the reaper did not come",
        )
    finally:
        os.kill(server, signal.SIGCONT)


def settled_record(system: RunningSystem, answer: httpx.Response) -> UsageRecord:
    def look() -> UsageRecord | None:
        return asking.record_of(system, asking.request_id(answer))

    wait_until(look, patience_s=PATIENCE_S)
    record = look()
    assert record
    return record


def spent_ubt(system: RunningSystem, shop: Shop) -> int:
    return asking.wallet_of(system, shop.key).debits_ubt


def corrections_ubt(system: RunningSystem, shop: Shop) -> int:
    made: list[Transfer] = asking.corrections_of(system, shop.key)
    return sum(-one.direction * one.amount_ubt for one in made)
