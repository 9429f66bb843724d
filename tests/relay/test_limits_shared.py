"""Limits that all relay processes count together in a real Valkey, also when that fails."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from portal.dev import valkey
from portal.dev.process import kill
from relay.ceilings import Ceiling
from relay.errors import RateLimited
from relay.limits import Limits, Slot
from tests.relay.asking import CHAT, bearer, chat, events, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay
from tests.relay.test_limits import limited

PATIENCE_S = 5.0


class Server:
    """A Valkey of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.server, self.process = valkey.start(folder)
        self.client: Any = redis.Redis.from_url(self.server.url)

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.url

    def kill(self) -> None:
        """End it at once."""
        kill(self.process)

    def stat(self, name: str) -> int:
        """Return a number of what it has done."""
        return int(self.client.info("stats")[name])

    def running(self) -> dict[bytes, float]:
        """Return the slots of the key, by when they are forgotten."""
        return dict(self.client.zrange("tollgate:limits:key:1:running", 0, -1, withscores=True))


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Valkey for the tests that leave it alive."""
    server = Server(tmp_path_factory.mktemp("valkey"))
    yield server
    server.kill()


@pytest.fixture
def server(one_server: Server) -> Server:
    """A Valkey that knows nothing yet."""
    one_server.client.flushall()
    return one_server


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A Valkey that the test may kill."""
    server = Server(tmp_path)
    yield server
    server.kill()


@asynccontextmanager
async def process(server: Server, **options: Any) -> AsyncIterator[Limits]:
    """The limits as a process of its own has them."""
    limits = Limits(server.url, **{"patience_s": PATIENCE_S, **options})
    await limits.start()
    yield limits
    await limits.stop()


async def eventually(probe: Callable[[], Awaitable[bool]], *, within_s: float = 5.0) -> None:
    """Return once `probe` says yes; fails when it does not in time."""
    async with asyncio.timeout(within_s):
        while True:
            if await probe():
                return
            await asyncio.sleep(0.02)


async def tries(limits: Limits, ceilings: tuple[Ceiling, ...], count: int = 1) -> list[bool]:
    """Say of so many requests, one after the other, whether they were let in."""
    return [await entered(limits, ceilings) is not None for _ in range(count)]


async def entered(limits: Limits, ceilings: tuple[Ceiling, ...], *, tokens: int = 1) -> Slot | None:
    """Return the slot of a request that is let in."""
    with contextlib.suppress(RateLimited):
        return await limits.enter(ceilings, tokens=tokens)
    return None


def remaining(slot: Slot | None, what: bytes = b"requests") -> int:
    """Return what is left, as a client is told."""
    assert slot is not None
    return int(dict(slot.headers())[b"x-ratelimit-remaining-" + what])


async def test_processes_share_the_requests_of_a_key(server: Server) -> None:
    key = limited(rpm=3)
    async with process(server) as one, process(server) as other:
        assert await tries(one, key, 2) == [True, True]
        assert await tries(other, key, 2) == [True, False]


@pytest.mark.parametrize("rpm", [1, 7, 60])
async def test_a_minutes_worth_is_exact_in_valkey_too(server: Server, rpm: int) -> None:
    async with process(server) as limits:
        let_in = await asyncio.gather(*(tries(limits, limited(rpm=rpm)) for _ in range(rpm + 5)))
    assert rpm <= let_in.count([True]) <= rpm + 1  # one may have come back meanwhile


async def test_a_crowd_gets_no_more_places_than_there_are(server: Server) -> None:
    key = limited(concurrency=5, rpm=1_000)
    async with process(server) as one, process(server) as other:
        let_in = await asyncio.gather(*(tries(limits, key) for limits in (one, other) * 150))
        assert let_in.count([True]) == len(server.running()) == 5
        assert remaining(await entered(one, limited(rpm=1_000))) in range(994, 1_000)


async def test_keys_of_one_wallet_share_its_limits_across_processes(server: Server) -> None:
    wallet = limited("wallet", concurrency=2)
    keys = [(*limited(row_id=number, rpm=9), *wallet) for number in range(3)]
    async with process(server) as one, process(server) as other:
        assert await tries(one, keys[0]) == [True]
        assert await tries(other, keys[1]) == [True]
        assert await tries(one, keys[2]) == [False]


async def test_a_refused_request_takes_nothing_of_any_bucket(server: Server) -> None:
    key = limited(rpm=10, tpm=1000)
    async with process(server) as limits:
        assert not any(await tries(limits, (*key, *limited("wallet", concurrency=0)), 5))
        slot = await entered(limits, key, tokens=100)
    assert (remaining(slot), remaining(slot, b"tokens")) == (9, 900)


async def test_a_refusal_says_when_to_come_back_and_what_is_left(server: Server) -> None:
    async with process(server) as limits:
        await limits.enter(limited(rpm=1, tpm=100), tokens=40)
        with pytest.raises(RateLimited) as refused:
            await limits.enter(limited(rpm=1, tpm=100), tokens=40)
    headers = dict(refused.value.headers)
    assert 55 <= int(headers[b"retry-after"]) <= 60
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert 60 <= int(headers[b"x-ratelimit-remaining-tokens"]) <= 70


async def test_tokens_are_corrected_for_every_process(server: Server) -> None:
    key = limited(tpm=1000)
    async with process(server) as one, process(server) as other:
        slot = await entered(one, key, tokens=100)
        assert slot is not None
        slot.release(950)
        await one.stop()
        assert remaining(await entered(other, key), b"tokens") < 100


async def test_what_was_not_used_is_given_back(server: Server) -> None:
    key = limited(tpm=1000)
    async with process(server) as one, process(server) as other:
        slot = await entered(one, key, tokens=900)
        assert slot is not None
        slot.release(0)
        await one.stop()
        assert remaining(await entered(other, key), b"tokens") == 999


async def test_a_place_is_given_back_to_every_process(server: Server) -> None:
    key = limited(concurrency=1)
    async with process(server) as one, process(server) as other:
        slot = await entered(one, key)
        assert slot is not None
        assert await tries(other, key) == [False]
        slot.release(0)
        await one.stop()
        assert await tries(other, key) == [True]


async def test_the_place_of_a_process_that_died_comes_back(server: Server) -> None:
    key = limited(concurrency=1)
    async with process(server) as other:
        async with process(server, lease_s=0.3) as dying:
            assert await tries(dying, key) == [True]
        assert await tries(other, key) == [False]

        async def is_back() -> bool:
            return await tries(other, key) == [True]

        await eventually(is_back)


async def test_a_long_request_keeps_its_place(server: Server) -> None:
    async with process(server, lease_s=0.3) as limits:
        await limits.enter(limited(concurrency=1), tokens=1)
        [first] = server.running().values()

        async def is_later_than_a_lease() -> bool:
            return [*server.running().values()] > [first + 400]

        await eventually(is_later_than_a_lease)
        assert await tries(limits, limited(concurrency=1)) == [False]


async def test_a_client_that_leaves_while_it_is_counted_takes_nothing(server: Server) -> None:
    key = limited(concurrency=1, tpm=100)
    async with process(server) as limits:
        leaving = asyncio.ensure_future(limits.enter(key, tokens=90))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await limits.stop()
    assert not server.running()
    assert not server.client.keys("*tpm*")


async def test_requests_of_one_moment_share_a_round_trip(server: Server) -> None:
    async with process(server) as limits:
        before = server.stat("total_reads_processed")
        await asyncio.gather(*(tries(limits, limited(rpm=1000)) for _ in range(80)))
        assert server.stat("total_reads_processed") - before < 10


async def test_nothing_of_a_limit_stays_in_valkey_for_ever(server: Server) -> None:
    async with process(server) as limits:
        await limits.enter(limited(rpm=5, tpm=50, concurrency=5), tokens=7)
    names = server.client.keys("tollgate:limits:*")
    assert len(names) == 3
    assert all(0 < server.client.pttl(name) <= 60_001 for name in names)


@pytest.mark.parametrize(
    "url", ["redis://:word@127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "unix:///nowhere.sock?db=1"]
)
async def test_without_valkey_each_process_counts_for_itself(url: str) -> None:
    limits = Limits(url)
    await limits.start()
    assert await tries(limits, limited(rpm=2), 3) == [True, True, False]
    await limits.stop()


async def test_limits_go_on_in_each_process_when_valkey_dies(mortal: Server) -> None:
    key = limited(rpm=2, concurrency=9)
    async with process(mortal) as limits:
        slot = await entered(limits, key)
        mortal.kill()
        assert await tries(limits, key, 3) == [True, True, False]
        assert slot is not None
        slot.release(10)


async def test_running_requests_still_count_when_valkey_dies(mortal: Server) -> None:
    key = limited(concurrency=2)
    async with process(mortal) as limits:
        assert await tries(limits, key) == [True]
        mortal.kill()
        assert await tries(limits, key, 2) == [True, False]


async def test_a_valkey_that_hangs_costs_its_patience_once(mortal: Server) -> None:
    async with process(mortal, patience_s=0.1) as limits:
        mortal.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        assert await tries(limits, limited(rpm=50), 51) == [True] * 50 + [False]
        assert time.monotonic() - began < 1
        mortal.process.send_signal(signal.SIGCONT)


async def test_valkey_is_used_again_when_it_is_back(
    mortal: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.limits_shared.AWAY_S", 0.0)
    async with process(mortal) as limits:
        mortal.client.client_kill_filter(skipme=True)
        mortal.client.script_flush()

        async def is_used() -> bool:
            await tries(limits, limited(rpm=1))
            return bool(mortal.client.keys("tollgate:limits:*"))

        await eventually(is_used)


async def test_a_valkey_without_room_is_one_that_is_away(mortal: Server) -> None:
    mortal.client.config_set("maxmemory", "1")
    async with process(mortal) as limits:
        assert await tries(limits, limited(rpm=2), 3) == [True, True, False]


@pytest.fixture
def two_relays(demo_key: str, mortal: Server) -> Iterator[list[RelayServer]]:
    """Two relays of one installation."""
    shared = {"redis_url": mortal.url, "limits_patience_s": PATIENCE_S}
    with running_relay(**shared) as one, running_relay(**shared) as other:
        yield [one, other]


def test_two_relays_share_what_a_key_may_do(shop: Shop, two_relays: list[RelayServer]) -> None:
    key = shop.key(rpm=3)
    statuses = [
        httpx.post(relay.url + CHAT, headers=bearer(key), json=chat()).status_code
        for relay in two_relays * 2
    ]
    assert statuses == [200, 200, 200, 429]


def test_a_valkey_that_dies_in_mid_stream_touches_no_money(
    shop: Shop, two_relays: list[RelayServer], mortal: Server
) -> None:
    key, body = shop.key(concurrency=2, tpm=100_000), chat("[demo chunk_ms=20]", stream=True)
    url = two_relays[0].url + CHAT
    with httpx.stream("POST", url, headers=bearer(key), json=body, timeout=20) as answer:
        until(shop.holds)
        mortal.kill()
        answer.read()
    assert events(answer)[-1] == "[DONE]"
    assert httpx.post(url, headers=bearer(key), json=chat()).status_code == 200
    assert all(record.charged_ubt > 0 for record in shop.settled(2))
    shop.check_books()


def test_a_key_without_limits_never_meets_valkey(
    demo_key: str, two_relays: list[RelayServer], mortal: Server
) -> None:
    before = mortal.stat("total_commands_processed")
    for relay in two_relays:
        assert httpx.post(relay.url + CHAT, headers=bearer(demo_key), json=chat()).is_success
    assert mortal.stat("total_commands_processed") - before == 1  # our own question
