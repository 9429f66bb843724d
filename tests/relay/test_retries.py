"""Attempts: what another channel may cure is tried there, before any content has gone out."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, events, said
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer

BROKEN = [
    "/status=500/v1",
    "/status=429/v1",
    "/status=503/v1",
    "/status=401/v1",
    "/status=403/v1",
    "/status=408/v1",
    "/drop_before_headers/v1",
    "/html/v1",
    "/empty/v1",
    "/truncated/v1",
]


@pytest.fixture
def key(shop: Shop) -> str:
    """A key worth 90,000 base tokens, of a shop without a channel."""
    return shop.key()


def two_channels(shop: Shop, fake: FakeUpstream, first: str) -> tuple[int, int]:
    """Add a channel that is told how to fail, tried first, and one that works."""
    broken = shop.fake_channel(fake, first, priority=1)
    works = shop.fake_channel(fake)
    shop.wait_for_relays()
    return broken, works


@pytest.mark.parametrize("trouble", BROKEN)
def test_an_attempt_that_fails_is_made_again_on_the_next_channel(
    trouble: str, shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    _, works = two_channels(shop, fake, trouble)
    assert client.post(CHAT, headers=bearer(key), json=chat()).status_code == 200
    (record,) = shop.settled()
    assert (record.attempts, record.channel_id, record.status) == (2, works, 200)
    shop.check_books()


@pytest.mark.parametrize("trouble", [*BROKEN[:-1], "/role_then_error/v1", "/cut=0/v1"])
def test_a_stream_without_content_yet_is_made_again_on_the_next_channel(
    trouble: str, shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    two_channels(shop, fake, trouble)
    answer = client.post(CHAT, headers=bearer(key), json=chat(stream=True))
    assert events(answer)[-1] == "[DONE]"
    assert len(said(answer).split()) == 12
    (record,) = shop.settled()
    assert record.attempts == 2


def test_a_dead_address_is_left_for_the_next_channel(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    shop.channel(
        "dead",
        provider="openai",
        base_url="http://127.0.0.1:9/v1",
        credential="sk-fake-dead",
        allow_private_network=True,
        priority=1,
    )
    shop.fake_channel(fake)
    shop.wait_for_relays()
    assert client.post(CHAT, headers=bearer(key), json=chat()).status_code == 200


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_the_clients_own_mistake_is_passed_on_and_cools_nobody_down(
    status: int, shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    two_channels(shop, fake, f"/status={status}/v1")
    answer = client.post(CHAT, headers=bearer(key), json=chat())
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith("Fake trouble")
    assert "org-Fake" not in answer.text
    client.post(CHAT, headers=bearer(key), json=chat())
    records = shop.settled(2)
    assert [record.charged_ubt for record in records] == [0, 0]
    assert {record.error_type for record in records} == {"upstream_client_error"}
    assert {record.attempts for record in records} == {1}
    assert len({record.channel_id for record in records}) == 1


@pytest.mark.parametrize(
    ("trouble", "status", "code", "error_type"),
    [
        ("/status=500/v1", 503, "no_available_channel", "upstream_unavailable"),
        ("/status=429/v1", 503, "no_available_channel", "upstream_rate_limited"),
        ("/status=401/v1", 502, "upstream_credentials", "upstream_credentials"),
        ("/status=504/v1", 504, "upstream_timeout", "upstream_timeout"),
        ("/drop_before_headers/v1", 503, "no_available_channel", "upstream_unavailable"),
    ],
)
def test_without_another_channel_the_client_is_told_and_charged_nothing(
    trouble: str,
    status: int,
    code: str,
    error_type: str,
    shop: Shop,
    fake: FakeUpstream,
    key: str,
    client: httpx.Client,
) -> None:
    """R5: nothing delivered, nothing charged."""
    shop.fake_channel(fake, trouble)
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(key), json=chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)
    (record,) = shop.settled()
    assert (record.charged_ubt, record.resolution, record.status) == (0, "voided", status)
    assert record.error_type == error_type
    shop.check_books()


def test_a_credential_that_failed_is_left_alone_for_a_while(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    _, works = two_channels(shop, fake, "/status=500/v1")
    for _ in range(3):
        client.post(CHAT, headers=bearer(key), json=chat())
    records = shop.settled(3)
    assert [record.attempts for record in records] == [2, 1, 1]
    assert {record.channel_id for record in records} == {works}


def test_an_upstreams_wish_to_be_left_alone_is_honoured(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client, relay_server: RelayServer
) -> None:
    shop.fake_channel(fake, "/status=429/retry_after=40/v1")
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(key), json=chat())
    assert int(answer.headers["retry-after"]) == 40


def test_a_lone_channel_is_tried_however_often_it_has_failed(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    shop.fake_channel(fake)
    shop.wait_for_relays()
    trouble = chat("[fake status=500]")
    statuses = [
        client.post(CHAT, headers=bearer(key), json=body).status_code
        for body in (trouble, trouble, chat())
    ]
    assert statuses == [503, 503, 200]


def test_all_attempts_share_the_requests_id(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    """R1: a retry can't charge twice."""
    two_channels(shop, fake, "/status=500/v1")
    answer = client.post(CHAT, headers=bearer(key), json=chat("[ref=once]"))
    assert len(fake.told("once")) == 2
    (record,) = shop.settled()
    assert str(record.id) == answer.headers["x-request-id"]


def test_an_upstream_that_is_too_slow_is_given_up(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    channel = shop.fake_channel(fake)
    shop.change_channel(channel, first_byte_timeout_ms=200)
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(key), json=chat("[fake hang]"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    (record,) = shop.settled()
    assert record.charged_ubt == 0


def test_a_switched_off_channel_is_not_used(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    channel = shop.fake_channel(fake)
    shop.change_channel(channel, is_enabled=False)
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(key), json=chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_available_channel")
    assert fake.truth == []


def test_a_clients_mistake_that_is_quoted_at_length_is_still_the_clients(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    """An error answer too long to be read blames nobody else, and cools nobody down."""
    two_channels(shop, fake, "/status=400/echo/v1")
    body = chat("long " * 40_000)
    answer = client.post(CHAT, headers=bearer(shop.key(10_000_000)), json=body)
    assert answer.status_code == 400
    (record,) = shop.settled()
    assert (record.attempts, record.error_type) == (1, "upstream_client_error")


def test_an_absurd_header_of_a_client_cools_no_channel_down(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    shop.fake_channel(fake)
    shop.wait_for_relays()
    headers = bearer(key) | {"accept": "a" * 20_000}
    assert client.post(CHAT, headers=headers, json=chat()).status_code == 200
    assert "aaaa" not in str(fake.truth[0].headers)


def test_a_channel_never_runs_more_attempts_than_it_may(
    shop: Shop, fake: FakeUpstream, key: str, client: httpx.Client
) -> None:
    """Holds take time: all of a burst choose the channel before the first has reached it."""
    channel = shop.fake_channel(fake)
    shop.change_channel(channel, concurrency=2)
    rich = shop.key(10_000_000)
    shop.wait_for_relays()
    body = chat("[fake silent_ms=300]", max_tokens=20)
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(client.post, CHAT, headers=bearer(rich), json=body) for _ in range(10)]
    statuses = [call.result().status_code for call in calls]
    assert statuses.count(200) + statuses.count(503) == 10
    assert len(fake.truth) == statuses.count(200) == 2
