"""R9, R11: the database is away, slow or lost; nothing is served without it, nothing is lost."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.databases import locked_database
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, raw_request, read_until, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay


def test_without_the_ledger_no_upstream_is_called(
    fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    """R9: 503 within the patience of a second, and at once while it is known to be away."""
    client.post(CHAT, headers=bearer(fake_key), json=chat())
    shop.settled(1)
    with locked_database():
        began = time.monotonic()
        answer = client.post(CHAT, headers=bearer(fake_key), json=chat())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - began < 3
        began = time.monotonic()
        assert client.post(CHAT, headers=bearer(fake_key), json=chat()).status_code == 503
        assert time.monotonic() - began < 0.5
    assert len(fake.truth) == 1


def test_a_hold_that_landed_too_late_is_given_back(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R9: the id of a hold whose client was told 503 is voided when it lands."""
    client.get("/v1/models", headers=bearer(fake_key))
    with locked_database():
        assert client.post(CHAT, headers=bearer(fake_key), json=chat()).status_code == 503
    (record,) = shop.settled()
    assert (record.resolution, record.charged_ubt, record.status) == ("voided", 0, 503)
    assert record.error_type == "relay_ledger"
    shop.check_books()


def test_a_client_need_not_wait_for_a_database_that_is_away_when_it_is_settled(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R9: the settle is repeated from memory until it lands."""
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(
            client.post, CHAT, headers=bearer(fake_key), json=chat("[fake silent_ms=300]")
        )
        until(shop.holds)
        with locked_database():
            assert call.result(timeout=5).status_code == 200
            time.sleep(1.5)
            assert shop.holds() == 1
    (record,) = shop.settled()
    assert (record.usage_source, record.resolution) == ("upstream", "settled")
    shop.check_books()


def test_requests_are_taken_again_when_the_database_is_back(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    with locked_database():
        client.post(CHAT, headers=bearer(fake_key), json=chat())
    until(lambda: client.post(CHAT, headers=bearer(fake_key), json=chat()).status_code == 200)
    assert client.get("/readyz").status_code == 200
    until(lambda: not shop.holds())
    shop.check_books()


def test_every_open_hold_heartbeats_stream_or_not(fake_key: str, shop: Shop) -> None:
    """R11: an upstream that is silent for longer than the stale time is not reaped."""
    with running_relay(heartbeat_period_s=0.2) as server, ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(
                httpx.post,
                server.url + CHAT,
                headers=bearer(fake_key),
                json=chat("[fake silent_ms=2500]", stream=stream),
                timeout=20,
            )
            for stream in (True, False)
        ]
        until(lambda: shop.holds() == 2)
        for _ in range(8):
            time.sleep(0.3)
            shop.reap(stale_s=0.8)
        assert [call.result().status_code for call in calls] == [200, 200]
    records = shop.settled(2)
    assert {record.resolution for record in records} == {"settled"}
    shop.check_books()


def test_a_relay_that_stops_waits_for_a_database_that_will_be_back(
    fake_key: str, shop: Shop
) -> None:
    """R12: what was answered while the database was away is charged all the same."""
    with running_relay() as server, ThreadPoolExecutor(2) as pool:
        call = pool.submit(
            httpx.post,
            server.url + CHAT,
            headers=bearer(fake_key),
            json=chat("[fake silent_ms=300]"),
            timeout=20,
        )
        until(shop.holds)
        with locked_database():
            assert call.result().status_code == 200
            until(lambda: server.services.ledger.is_away)
            stopped = pool.submit(server.stop)
            time.sleep(0.5)
        stopped.result()
    (record,) = shop.settled()
    assert (record.usage_source, record.resolution) == ("upstream", "settled")


def test_a_relay_that_is_back_shows_life_before_it_settles(fake_key: str, shop: Shop) -> None:
    """R11: the database away for longer than the stale time costs no running request its hold."""
    with running_relay(heartbeat_period_s=0.2) as server, ThreadPoolExecutor(1) as pool:
        call = pool.submit(
            httpx.post,
            server.url + CHAT,
            headers=bearer(fake_key),
            json=chat("[fake silent_ms=2000]"),
            timeout=20,
        )
        until(shop.holds)
        shop.reap(stale_s=1.0)
        with locked_database():
            time.sleep(1.2)
        time.sleep(0.5)
        shop.reap(stale_s=1.0)
        assert call.result().status_code == 200
    (record,) = shop.settled()
    assert record.resolution == "settled"


def test_a_stream_leaves_checkpoints_for_the_reaper(
    fake_key: str, shop: Shop, relay_server: RelayServer
) -> None:
    """R11: a crash is settled at the last checkpoint."""
    body = chat("[fake tokens=2000 delay_ms=10]", stream=True)
    with raw_request(relay_server.port, fake_key, body) as sock:
        read_until(sock, b"water")
        (hold,) = until(lambda: [h for h in shop.open_holds() if h.delivered_ubt])
        assert hold.counted_output > 20
        assert hold.counted_input > 5
        assert hold.delivered_ubt == 1_000_000 * (
            20 * hold.counted_input + 40 * hold.counted_output
        )
    shop.settled()


def test_many_requests_at_once_get_their_own_answers(
    fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    key = shop.key(10_000_000)

    def ask(number: int) -> tuple[int, int]:
        body = chat(f"[fake tokens={10 + number % 90}]", model="gpt-3.5-turbo")
        answer = client.post(CHAT, headers=bearer(key), json=body)
        return answer.json()["usage"]["completion_tokens"], 10 + number % 90

    with ThreadPoolExecutor(32) as pool:
        assert all(got == wanted for got, wanted in pool.map(ask, range(300)))
    assert len(shop.settled(300)) == 300
    shop.check_books()


def test_seven_holds_worth_of_balance_admit_exactly_seven(
    fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    quick = chat("[fake silent_ms=0001]", max_tokens=100)
    client.post(CHAT, headers=bearer(fake_key), json=quick)
    held_ubt = shop.settled()[0].held_ubt
    key = shop.key(7 * held_ubt // 1_000_000)
    slow = chat("[fake silent_ms=3000]", max_tokens=100)
    with ThreadPoolExecutor(30) as pool:
        for _ in range(30):
            pool.submit(client.post, CHAT, headers=bearer(key), json=slow)
        until(lambda: shop.holds() == 7)
        time.sleep(0.5)
        assert (shop.holds(), len(fake.truth)) == (7, 8)
    assert {record.absorbed_ubt for record in shop.usage()} == {0}
