"""Requests and tokens a minute, and running requests, of keys that have such limits."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from relay.errors import RateLimited
from relay.keyring import KeyEntry
from relay.limits import Limits
from tests.relay.asking import CHAT, bearer, chat, until
from tests.relay.conftest import Shop


def key(**limits: int | None) -> KeyEntry:
    """Return a key with these limits and no others."""
    return KeyEntry(
        id=1,
        kid="abcdefgh",
        tenant_id=1,
        wallet_id=1,
        is_enabled=True,
        expires_at=None,
        models=frozenset(),
        endpoints=frozenset(),
        addresses=(),
        budget_period="",
        budget_ubt=None,
        **{"rpm": None, "tpm": None, "concurrency": None, **limits},
    )


def test_a_minutes_worth_of_requests_may_come_at_once_and_no_more() -> None:
    limits = Limits()
    for _ in range(3):
        limits.enter(key(rpm=3), tokens=0, now=100.0)
    with pytest.raises(RateLimited):
        limits.enter(key(rpm=3), tokens=0, now=100.0)


def test_requests_come_back_steadily() -> None:
    limits = Limits()
    for _ in range(3):
        limits.enter(key(rpm=3), tokens=0, now=100.0)
    limits.enter(key(rpm=3), tokens=0, now=120.1)
    with pytest.raises(RateLimited) as refused:
        limits.enter(key(rpm=3), tokens=0, now=120.2)
    assert dict(refused.value.headers)[b"retry-after"] == b"20"


def test_tokens_are_corrected_by_what_was_really_used() -> None:
    limits = Limits()
    slot = limits.enter(key(tpm=1000), tokens=10, now=100.0)
    slot.release(990)
    with pytest.raises(RateLimited):
        limits.enter(key(tpm=1000), tokens=20, now=100.0)
    limits.enter(key(tpm=1000), tokens=20, now=101.0)


def test_a_request_of_more_than_a_minutes_tokens_waits_for_a_full_minute_not_for_ever() -> None:
    limits = Limits()
    limits.enter(key(tpm=100), tokens=5000, now=100.0)
    with pytest.raises(RateLimited):
        limits.enter(key(tpm=100), tokens=5000, now=101.0)


def test_a_place_is_given_back_once() -> None:
    limits = Limits()
    slot = limits.enter(key(concurrency=1), tokens=0, now=100.0)
    with pytest.raises(RateLimited):
        limits.enter(key(concurrency=1), tokens=0, now=100.0)
    slot.release(0)
    slot.release(0)
    limits.enter(key(concurrency=1), tokens=0, now=100.0)
    with pytest.raises(RateLimited):
        limits.enter(key(concurrency=1), tokens=0, now=100.0)


def test_a_changed_limit_counts_from_the_next_request_on() -> None:
    limits = Limits()
    limits.enter(key(rpm=1), tokens=0, now=100.0)
    limits.enter(key(rpm=5), tokens=0, now=100.0)


def test_a_refusal_takes_nothing() -> None:
    limits = Limits()
    for _ in range(5):
        with pytest.raises(RateLimited):
            limits.enter(key(rpm=10, concurrency=0), tokens=0, now=100.0)
    slot = limits.enter(key(rpm=10), tokens=0, now=100.0)
    assert dict(slot.headers())[b"x-ratelimit-remaining-requests"] == b"9"


def test_a_key_with_a_limit_of_requests_is_told_when_to_come_back(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    limited = shop.key(rpm=2)
    answers = [client.post(CHAT, headers=bearer(limited), json=chat()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    refusal = answers[-1]
    assert refusal.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(refusal.headers["retry-after"]) <= 30
    assert refusal.headers["x-ratelimit-limit-requests"] == "2"
    assert refusal.headers["x-ratelimit-remaining-requests"] == "0"
    assert refusal.headers["x-ratelimit-reset-requests"].endswith("s")


def test_all_six_limit_headers_are_on_every_answer_of_a_limited_key(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    limited = shop.key(rpm=60, tpm=10_000)
    answer = client.post(CHAT, headers=bearer(limited), json=chat())
    found = {name for name in answer.headers if name.startswith("x-ratelimit-")}
    assert len(found) == 6


def test_a_key_runs_no_more_requests_at_once_than_it_may(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    limited = shop.key(concurrency=1)
    body = chat("[demo delay_ms=500]")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, CHAT, headers=bearer(limited), json=body)
        until(shop.holds)
        second = client.post(CHAT, headers=bearer(limited), json=body)
    third = client.post(CHAT, headers=bearer(limited), json=chat())
    assert (first.result().status_code, second.status_code, third.status_code) == (200, 429, 200)


def test_a_key_without_limits_gets_no_limit_headers(demo_key: str, client: httpx.Client) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), json=chat())
    assert not [name for name in answer.headers if name.startswith("x-ratelimit-")]


def test_places_of_requests_that_run_while_a_limit_changes_are_given_back() -> None:
    limits = Limits()
    slots = [limits.enter(key(concurrency=2), tokens=0, now=100.0) for _ in range(2)]
    with pytest.raises(RateLimited):
        limits.enter(key(concurrency=2, rpm=9), tokens=0, now=100.0)
    for slot in slots:
        slot.release(0)
    for _ in range(2):
        limits.enter(key(concurrency=2, rpm=9), tokens=0, now=100.0)


@pytest.mark.parametrize("name", ["rpm", "tpm"])
def test_a_limit_of_nothing_lets_nothing_in(name: str) -> None:
    with pytest.raises(RateLimited):
        Limits().enter(key(**{name: 0}), tokens=1, now=100.0)
