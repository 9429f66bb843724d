"""Operator commands beside a running system: what they change holds within a second."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.asking import kid_of, record_of, request_id
from tests.system.running import PATIENCE_S, RunningSystem, wait_until

pytestmark = pytest.mark.system

SHOP = "second.test"
QUESTION = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello!"}]}


def ask(system: RunningSystem, key: str, *, host: str, model: str = "gpt-4") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", "host": host}
    address = f"{system.url}/v1/chat/completions"
    return httpx.post(address, json=QUESTION | {"model": model}, headers=headers, timeout=10)


def soon(probe: Callable[[], Any]) -> None:
    wait_until(probe, patience_s=PATIENCE_S)


@pytest.fixture(scope="module")
def key(running_system: RunningSystem) -> str:
    """A key of a second tenant that has a demo channel."""
    hosts = ("--host", SHOP, "--host", "second-line.test")
    channel = ("--tenant", "second", "--name", "d", "--provider", "demo")
    running_system.operate(
        ["create_tenant", "second", "--name", "Second shop", *hosts], ["add_channel", *channel]
    )
    printed = running_system.manage("issue_key", "--tenant", "second", "--base-tokens", "90000")
    assert printed.endswith("\n")
    return printed.removesuffix("\n")


def test_a_key_is_printed_alone_and_works_at_once(running_system: RunningSystem, key: str) -> None:
    assert key.startswith("ak-") and len(key) == 51
    assert ask(running_system, key, host=SHOP).status_code == 200


def test_every_host_of_a_new_tenant_is_served(running_system: RunningSystem, key: str) -> None:
    soon(lambda: ask(running_system, key, host="second-line.test").status_code == 200)


def test_a_key_does_not_work_at_the_host_of_another_tenant(
    running_system: RunningSystem, key: str
) -> None:
    assert ask(running_system, key, host="127.0.0.1").status_code == 401


def test_new_prices_are_charged_soon(
    running_system: RunningSystem, key: str, tmp_path: Path
) -> None:
    def price(multiplier: str) -> None:
        prices.write_text(json.dumps({"dearer": {"input": multiplier, "output": multiplier}}))
        running_system.manage("load_prices", str(prices), "--tenant", "second")

    def charged() -> int:
        request = request_id(ask(running_system, key, host=SHOP, model="dearer"))
        soon(lambda: record_of(running_system, request))
        record = record_of(running_system, request)
        return record.charged_ubt if record else 0

    prices = tmp_path / "prices.json"
    price("1.5")
    soon(lambda: ask(running_system, key, host=SHOP, model="dearer").status_code == 200)
    cheap = charged()
    price("4.5")
    soon(lambda: charged() != cheap)
    assert charged() == 3 * cheap > 0


def test_a_new_channel_serves_what_nobody_served_before(
    running_system: RunningSystem, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"of-the-third": {"input": 1, "output": 1}}))
    host = "third.test"
    key = running_system.operate(
        ["create_tenant", "third", "--name", "Third shop", "--host", host],
        ["load_prices", str(prices), "--tenant", "third"],
        ["issue_key", "--tenant", "third", "--base-tokens", "1000"],
    )[-1]
    soon(lambda: ask(running_system, key, host=host, model="of-the-third").status_code == 404)
    channel = ("--tenant", "third", "--name", "d", "--provider", "demo")
    running_system.manage("add_channel", *channel, "--model", "of-the-third=gpt-4")
    soon(lambda: ask(running_system, key, host=host, model="of-the-third").status_code == 200)


def test_a_revoked_key_is_refused_soon(running_system: RunningSystem, key: str) -> None:
    assert ask(running_system, key, host=SHOP).status_code == 200
    running_system.manage("revoke_key", kid_of(key))
    soon(lambda: ask(running_system, key, host=SHOP).status_code == 401)
    assert ask(running_system, key, host=SHOP).json()["error"]["code"] == "key_disabled"


def test_reconcile_finds_nothing_in_a_running_system(running_system: RunningSystem) -> None:
    assert running_system.reconcile() == []
