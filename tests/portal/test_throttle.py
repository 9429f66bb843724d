"""Throttles: so many tries in so many seconds, counted in Valkey, or here while it is away."""

import threading
import time
from collections.abc import Iterator
from typing import cast

import pytest
import redis
from django.conf import settings as django_settings
from django.test import RequestFactory
from pytest_django import Settings

from billing.models import Tenant
from portal import throttle
from portal.request import PortalRequest, address_of, network_hash, visitor_of
from portal.throttle import allow, is_within

pytestmark = pytest.mark.usefixtures("fresh_throttles")


@pytest.fixture
def without_valkey(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(throttle, "_away", throttle._Away())
    monkeypatch.setattr(throttle, "_local", throttle._LocalCounters())
    yield
    throttle._client.cache_clear()


def tries(count: int, key: str = "somebody", *, limit: int = 3) -> list[bool]:
    return [allow("door", key, limit=limit, per_s=60) for _ in range(count)]


def test_so_many_tries_are_allowed_and_no_more() -> None:
    assert tries(5) == [True, True, True, False, False]


def test_one_visitor_does_not_use_up_anothers_tries() -> None:
    tries(4)
    assert tries(1, "somebody else") == [True]


def test_each_door_counts_for_itself() -> None:
    tries(4)
    assert allow("another door", "somebody", limit=3, per_s=60)


def test_looking_counts_nothing() -> None:
    tries(2)
    assert all(is_within("door", "somebody", limit=3) for _ in range(5))
    tries(1)
    assert not is_within("door", "somebody", limit=3)


def test_the_time_begins_with_the_first_try_and_refusals_do_not_extend_it() -> None:
    tries(1)
    with redis.Redis.from_url(django_settings.REDIS_URL) as valkey:
        (slot,) = valkey.keys(f"{throttle.PREFIX}*")
        valkey.expire(slot, 30)
        tries(5)
        assert 0 < cast("int", valkey.ttl(slot)) <= 30


def test_no_counter_stays_for_ever() -> None:
    tries(1)
    with redis.Redis.from_url(django_settings.REDIS_URL) as valkey:
        (slot,) = valkey.keys(f"{throttle.PREFIX}*")
        valkey.persist(slot)
        tries(1)
        assert 0 < cast("int", valkey.ttl(slot)) <= 60


def test_valkey_learns_nobodys_address() -> None:
    tries(1, "1 192.0.2.77")
    with redis.Redis.from_url(django_settings.REDIS_URL) as valkey:
        slots = cast("list[bytes]", valkey.keys(f"{throttle.PREFIX}*"))
    assert slots
    assert not [slot for slot in slots if b"192.0.2" in slot]


def test_many_at_once_do_not_pass_together() -> None:
    passed: list[bool] = []
    threads = [threading.Thread(target=lambda: passed.extend(tries(5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passed.count(True) == 3


def test_without_valkey_the_process_counts_itself(without_valkey: None) -> None:
    assert tries(5) == [True, True, True, False, False]
    assert not is_within("door", "somebody", limit=3)


def test_without_valkey_a_window_ends_too(
    without_valkey: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries(4)
    later = time.monotonic() + 61
    monkeypatch.setattr("portal.throttle.time.monotonic", lambda: later)
    assert is_within("door", "somebody", limit=3)
    assert tries(1) == [True]


def test_a_valkey_that_is_away_costs_its_patience_once(without_valkey: None) -> None:
    tries(1)
    began = time.monotonic()
    tries(200)
    assert time.monotonic() - began < 0.2


def test_counters_of_a_process_are_bounded(without_valkey: None) -> None:
    for number in range(throttle._MAX_COUNTERS + 10):
        throttle._local.count(str(number), per_s=60)
    assert len(throttle._local._counters) <= throttle._MAX_COUNTERS


def request(peer: str, forwarded: str = "") -> PortalRequest:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    made = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    made.tenant = Tenant(pk=7)  # type: ignore[attr-defined]
    return cast("PortalRequest", made)


def test_a_forwarded_address_is_a_claim_unless_a_trusted_proxy_makes_it(settings: Settings) -> None:
    claimed = request("203.0.113.9", "192.0.2.1")
    assert address_of(claimed) == "203.0.113.9"
    settings.TRUSTED_PROXIES = ["203.0.113.0/24"]
    assert address_of(claimed) == "192.0.2.1"


def test_what_the_client_puts_before_a_proxys_word_is_not_believed(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["203.0.113.9"]
    assert address_of(request("203.0.113.9", "10.0.0.1, 192.0.2.1")) == "192.0.2.1"


def test_a_subscriber_of_ipv6_is_one_visitor() -> None:
    one, other = request("2001:db8:1:2::1"), request("2001:db8:1:2:ffff::9")
    assert visitor_of(one) == visitor_of(other) == "7 2001:db8:1:2::/64"
    assert network_hash(one) == network_hash(other) > 0


def test_neighbours_have_hashes_of_their_own() -> None:
    assert network_hash(request("192.0.2.1")) != network_hash(request("192.0.2.2"))
