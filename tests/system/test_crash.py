"""What is left of a running stream when the server is killed, and when it is told to stop.

In one order, and after all other tests of the system (conftest.py): it does not survive these.
"""

import json
import os
import secrets
import signal
from pathlib import Path

import httpx
import pytest

from tests.system import asking
from tests.system.running import PATIENCE_S, STALE_S, RunningSystem, wait_until
from tests.system.sweeping import places_with

pytestmark = pytest.mark.system

HOST = "127.0.0.1"
CANARY = f"canary{secrets.token_hex(8)}"
RESTART_S = 30.0


def is_up(system: RunningSystem) -> bool:
    try:
        return httpx.get(f"{system.url}/readyz", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def delivered_ubt(system: RunningSystem, answer: httpx.Response) -> int:
    hold = asking.hold_of(system, asking.request_id(answer))
    return hold.delivered_ubt if hold else 0


def test_a_stream_of_a_killed_server_is_charged_at_its_last_checkpoint(
    running_system: RunningSystem,
) -> None:
    system, key = running_system, running_system.demo_key
    slow = asking.body("gpt-4", f"[demo tokens=400 chunk_delay_ms=30] {CANARY}")
    with asking.streaming(system, key, host=HOST, asked=slow) as answer:
        wait_until(lambda: delivered_ubt(system, answer) > 0, patience_s=PATIENCE_S)
        server = system.server_pid()
        os.kill(server, signal.SIGSTOP)
        checkpoint_ubt = delivered_ubt(system, answer)
        os.kill(server, signal.SIGKILL)
        request = asking.request_id(answer)
    wait_until(lambda: is_up(system), patience_s=RESTART_S, what=system.log.read_text)
    wait_until(
        lambda: asking.hold_of(system, request) is None,
        patience_s=STALE_S + PATIENCE_S,
        what=system.log.read_text,
    )
    record = asking.record_of(system, request)
    assert record
    assert record.charged_ubt == checkpoint_ubt > 0
    assert (record.resolution, record.usage_source) == ("reaped", "checkpoint")


def test_the_books_agree_after_the_crash(running_system: RunningSystem) -> None:
    assert running_system.reconcile() == []
    assert asking.wallet_of(running_system, running_system.demo_key).pending_ubt == 0


def test_a_restarted_server_serves_again(running_system: RunningSystem) -> None:
    asked = asking.body("gpt-4", "Hello again!")
    answer = asking.post(running_system, running_system.demo_key, host=HOST, asked=asked)
    assert answer.status_code == 200


def test_a_stream_outlives_the_order_to_stop_and_nothing_else_does(
    running_system: RunningSystem,
) -> None:
    system, key = running_system, running_system.demo_key
    processes = system.descendants()
    slow = asking.body(
        "gpt-4",
        f"[demo tokens=40 chunk_delay_ms=30] {CANARY}",
        stream_options={"include_usage": True},
    )
    with asking.streaming(system, key, host=HOST, asked=slow) as answer:
        lines = answer.iter_lines()
        next(lines)
        system.process.send_signal(signal.SIGTERM)
        rest = [line for line in lines if line.startswith("data: ")]
    assert rest[-1] == "data: [DONE]"
    assert system.process.wait(timeout=20) == 0
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    assert not is_up(system)
    usage = json.loads(rest[-2].removeprefix("data: "))["usage"]
    record = asking.record_of(system, asking.request_id(answer))
    assert record and record.resolution == "settled"
    assert record.output_count == usage["completion_tokens"]


def test_a_stopped_system_leaves_no_hold(running_system: RunningSystem) -> None:
    wait_until(lambda: running_system.process.poll() is not None, patience_s=PATIENCE_S)
    wallet = asking.wallet_of(running_system, running_system.demo_key)
    assert wallet.pending_ubt == 0
    assert wallet.debits_ubt > 0
    assert running_system.reconcile() == []


def test_neither_kill_nor_stop_leaves_a_word_of_a_chat(running_system: RunningSystem) -> None:
    assert places_with(running_system, running_system.url)
    assert places_with(running_system, CANARY) == []
