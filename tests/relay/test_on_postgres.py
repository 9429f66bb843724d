"""The same path on PostgreSQL: calls, streams, races and books."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.databases import Database
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, events, until
from tests.relay.conftest import Shop, open_shop
from tests.relay.server import running_relay


@pytest.fixture
def pg_shop(postgres_database: Database) -> Shop:
    """A shop on PostgreSQL."""
    return open_shop()


def test_calls_and_streams_are_booked(pg_shop: Shop, fake: FakeUpstream) -> None:
    pg_shop.fake_channel(fake)
    key = pg_shop.key()
    with running_relay() as server, httpx.Client(base_url=server.url) as client:
        assert client.post(CHAT, headers=bearer(key), json=chat()).status_code == 200
        body = chat("[fake tokens=1500]", stream=True, max_tokens=1500)
        assert events(client.post(CHAT, headers=bearer(key), json=body))[-1] == "[DONE]"
        records = pg_shop.settled(2)
        assert client.get("/readyz").status_code == 200
    assert [record.usage_source for record in records] == ["upstream", "upstream"]
    pg_shop.check_books()


def test_an_id_that_no_text_column_takes_is_an_unknown_one(pg_shop: Shop) -> None:
    headers = bearer(pg_shop.key())
    with running_relay() as server, httpx.Client(base_url=server.url) as client:
        for path in ("/v1/videos?after=video%00", "/v1/videos/video%00", "/v1/responses/%00"):
            assert client.get(path, headers=headers).status_code == 404


def test_a_video_that_fails_is_given_back(pg_shop: Shop) -> None:
    pg_shop.channel()
    pg_shop.reprice("sora-2", second=200)
    key = pg_shop.key()
    with running_relay() as server, httpx.Client(base_url=server.url) as client:
        body = {"model": "sora-2", "prompt": "A cat [demo fail lasts_ms=50]"}
        video = client.post("/v1/videos", headers=bearer(key), json=body).json()["id"]
        assert pg_shop.settled()[0].charged_ubt == 800_000_000
        address = f"/v1/videos/{video}"
        until(lambda: client.get(address, headers=bearer(key)).json()["status"] == "failed")
    assert pg_shop.wallets()[0].available_ubt == 90_000_000_000
    pg_shop.check_books()


def test_fifty_at_once_are_booked_once_each(pg_shop: Shop, fake: FakeUpstream) -> None:
    pg_shop.fake_channel(fake)
    key = pg_shop.key(10_000_000)
    with running_relay() as server, httpx.Client(base_url=server.url, timeout=30) as client:

        def ask(number: int) -> int:
            body = chat(f"[fake tokens={number % 30}]", stream=number % 2 == 0)
            return client.post(CHAT, headers=bearer(key), json=body).status_code

        with ThreadPoolExecutor(25) as pool:
            assert set(pool.map(ask, range(200))) == {200}
        assert len(pg_shop.settled(200)) == 200
    pg_shop.check_books()


def test_two_relays_share_a_balance(pg_shop: Shop, fake: FakeUpstream) -> None:
    pg_shop.fake_channel(fake)
    key = pg_shop.key(20_000)
    body = chat("[fake tokens=4000]")
    with running_relay() as one, running_relay() as two, ThreadPoolExecutor(20) as pool:

        def ask(number: int) -> int:
            url = (one if number % 2 else two).url + CHAT
            return httpx.post(url, headers=bearer(key), json=body, timeout=30).status_code

        assert set(pool.map(ask, range(40))) <= {200, 429}
    (wallet,) = pg_shop.wallets()
    assert wallet.debits_ubt <= wallet.credits_ubt
    assert {record.absorbed_ubt for record in pg_shop.usage()} == {0}
    pg_shop.check_books()
