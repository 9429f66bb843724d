"""Requests and tokens a minute, and running requests, of keys and wallets that have such limits."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from billing import keys
from billing.models import Wallet
from billing.scoping import tenant_scope
from relay.ceilings import Ceiling, Count, ceiling_of, headers_of, refusal
from relay.limits_local import LocalLimits
from tests.relay.asking import CHAT, bearer, chat, until
from tests.relay.conftest import Shop

Ceilings = tuple[Ceiling, ...]


def limited(owner: str = "key", row_id: int = 1, **limits: int | None) -> Ceilings:
    """Return a ceiling with these limits and no others."""
    return ceiling_of(owner, row_id, **{"rpm": None, "tpm": None, "concurrency": None, **limits})


def is_let_in(
    limits: LocalLimits, ceilings: Ceilings, *, tokens: int = 0, now: float = 100.0
) -> bool:
    """Say whether a request is let in."""
    return limits.enter(ceilings, tokens=tokens, now=now).blocked_at is None


def test_a_minutes_worth_of_requests_may_come_at_once_and_no_more() -> None:
    limits, key = LocalLimits(), limited(rpm=3)
    assert [is_let_in(limits, key) for _ in range(5)] == [True, True, True, False, False]


@pytest.mark.parametrize("rpm", [1, 3, 7, 60, 1_000])
def test_a_minutes_worth_is_exact_whatever_the_limit(rpm: int) -> None:
    limits, key = LocalLimits(), limited(rpm=rpm)
    assert sum(is_let_in(limits, key, now=1e7) for _ in range(rpm + 5)) == rpm


def test_requests_come_back_steadily() -> None:
    limits, key = LocalLimits(), limited(rpm=3)
    for _ in range(3):
        limits.enter(key, tokens=0, now=100.0)
    assert is_let_in(limits, key, now=120.1)
    count = limits.enter(key, tokens=0, now=120.2)
    assert dict(refusal(key, count).headers)[b"retry-after"] == b"20"


def test_tokens_are_corrected_by_what_was_really_used() -> None:
    limits, key = LocalLimits(), limited(tpm=1000)
    limits.enter(key, tokens=10, now=100.0)
    limits.leave(key, more_tokens=980, now=100.0)
    assert not is_let_in(limits, key, tokens=20)
    assert is_let_in(limits, key, tokens=20, now=101.0)


def test_a_request_of_more_than_a_minutes_tokens_waits_for_a_full_minute_not_for_ever() -> None:
    limits, key = LocalLimits(), limited(tpm=100)
    assert is_let_in(limits, key, tokens=5000)
    assert not is_let_in(limits, key, tokens=5000, now=101.0)
    assert is_let_in(limits, key, tokens=5000, now=100.0 + 50 * 60)


def test_a_place_is_given_back() -> None:
    limits, key = LocalLimits(), limited(concurrency=1)
    assert [is_let_in(limits, key) for _ in range(2)] == [True, False]
    limits.leave(key, more_tokens=0, now=100.0)
    assert is_let_in(limits, key)


def test_a_changed_limit_counts_from_the_next_request_on() -> None:
    limits = LocalLimits()
    assert is_let_in(limits, limited(rpm=1))
    assert is_let_in(limits, limited(rpm=5))


def test_a_refusal_takes_nothing_of_any_bucket() -> None:
    limits, key = LocalLimits(), limited(rpm=10)
    both = (*key, *limited("wallet", concurrency=0))
    assert not any(is_let_in(limits, both) for _ in range(5))
    count = limits.enter(key, tokens=0, now=100.0)
    assert dict(headers_of(key, count))[b"x-ratelimit-remaining-requests"] == b"9"


def test_keys_of_one_wallet_share_its_limits() -> None:
    limits, wallet = LocalLimits(), limited("wallet", rpm=2)
    entries = [(*limited(row_id=number, rpm=9), *wallet) for number in range(3)]
    assert [is_let_in(limits, key) for key in entries] == [True, True, False]


def test_places_of_requests_that_run_while_a_limit_changes_are_given_back() -> None:
    limits, before, after = LocalLimits(), limited(concurrency=2), limited(concurrency=2, rpm=9)
    assert [is_let_in(limits, before) for _ in range(2)] == [True, True]
    assert not is_let_in(limits, after)
    for _ in range(2):
        limits.leave(before, more_tokens=0, now=100.0)
    assert [is_let_in(limits, after) for _ in range(2)] == [True, True]


@pytest.mark.parametrize("name", ["rpm", "tpm", "concurrency"])
def test_a_limit_of_nothing_lets_nothing_in(name: str) -> None:
    nothing: dict[str, Any] = {name: 0}
    assert not is_let_in(LocalLimits(), limited(**nothing), tokens=1)


def test_headers_tell_the_tighter_of_key_and_wallet() -> None:
    ceilings = (*limited(rpm=60, tpm=100), *limited("wallet", rpm=10, tpm=90_000))
    count = Count(None, 0.0, [(30.0, 0.5), (6.0, 0.001)])
    assert dict(headers_of(ceilings, count)) == {
        b"x-ratelimit-limit-requests": b"10",
        b"x-ratelimit-remaining-requests": b"9",
        b"x-ratelimit-reset-requests": b"6s",
        b"x-ratelimit-limit-tokens": b"100",
        b"x-ratelimit-remaining-tokens": b"99",
        b"x-ratelimit-reset-tokens": b"500ms",
    }


def test_a_refusal_says_which_limit_it_was() -> None:
    ceilings = (*limited(rpm=60), *limited("wallet", concurrency=4))
    error = refusal(ceilings, Count((1, 2), 1.0, [(0.0, 0.0), (0.0, 0.0)]))
    assert "the balance of this API key: requests at once, limit 4" in str(error)


def test_a_key_with_a_limit_of_requests_is_told_when_to_come_back(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(rpm=2)
    answers = [client.post(CHAT, headers=bearer(key), json=chat()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")


def test_all_six_limit_headers_are_on_every_answer_of_a_limited_key(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(rpm=60, tpm=10_000)
    answer = client.post(CHAT, headers=bearer(key), json=chat())
    found = {name for name in answer.headers if name.startswith("x-ratelimit-")}
    assert len(found) == 6


def test_a_key_runs_no_more_requests_at_once_than_it_may(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(concurrency=1)
    body = chat("[demo delay_ms=500]")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, CHAT, headers=bearer(key), json=body)
        until(shop.holds)
        second = client.post(CHAT, headers=bearer(key), json=body)
    third = client.post(CHAT, headers=bearer(key), json=chat())
    assert (first.result().status_code, second.status_code, third.status_code) == (200, 429, 200)


def test_a_key_without_limits_gets_no_limit_headers(demo_key: str, client: httpx.Client) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), json=chat())
    assert not [name for name in answer.headers if name.startswith("x-ratelimit-")]


def test_a_second_key_of_a_wallet_does_not_get_round_its_limits(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    with tenant_scope(shop.tenant.pk):
        Wallet.objects.update(rpm=1)
        second = keys.add(wallet=Wallet.objects.get())[1]
    shop.wait_for_relays()
    answers = [client.post(CHAT, headers=bearer(key), json=chat()) for key in (demo_key, second)]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_limits_of_a_wallet_hold_for_a_key_as_soon_as_they_are_set(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    assert client.post(CHAT, headers=bearer(demo_key), json=chat()).status_code == 200
    with tenant_scope(shop.tenant.pk):
        Wallet.objects.update(rpm=1)
    shop.wait_for_relays()
    answers = [client.post(CHAT, headers=bearer(demo_key), json=chat()) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["x-ratelimit-limit-requests"] == "1"
