"""Videos: ordered, charged when accepted, watched, fetched, given back when they fail."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import transaction

from billing.models import Tenant, Transfer
from billing.scoping import all_tenants
from relay.models import UpstreamObject
from tests.fakes.jobs import CHUNK, FakeJobs
from tests.relay.asking import bearer, raw_request, read_until, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay
from tests.relay.test_objects import keeper_channel, told

A_SECOND = 200


@pytest.fixture
def jobs() -> Iterator[FakeJobs]:
    with FakeJobs() as fake:
        yield fake


@pytest.fixture
def key(shop: Shop, jobs: FakeJobs) -> str:
    """A key of a shop that sells video by the second, some sizes dearer, and one by the piece."""
    keeper_channel(shop, jobs, models={"sora-2": "sora-2-pro", "kling": "kling"})
    shop.reprice("sora-2", second=A_SECOND)
    shop.reprice("1024x1792/sora-2", second=2 * A_SECOND)
    shop.reprice("kling", request=5_000)
    return shop.key()


@pytest.fixture
def relay_server(key: str) -> Iterator[RelayServer]:
    """A relay that has begun with the channel."""
    with running_relay() as server:
        yield server


def order(client: httpx.Client, key: str, **fields: Any) -> httpx.Response:
    body = {"model": "sora-2", "prompt": "A cat", **fields}
    return client.post("/v1/videos", json=body, headers=bearer(key))


def ordered(client: httpx.Client, key: str, **fields: Any) -> str:
    answer = order(client, key, **fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def charged(shop: Shop, count: int = 1) -> list[int]:
    return [record.charged_ubt // 1_000_000 for record in shop.settled(count)]


def stored_kinds() -> list[str]:
    """Return the kinds of what is stored by now, which may be nothing yet."""
    with all_tenants():
        return list(UpstreamObject.objects.values_list("kind", flat=True))


def job() -> UpstreamObject:
    with all_tenants():
        return UpstreamObject.objects.get()


def test_a_video_is_charged_by_its_seconds_when_it_is_accepted(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    video = ordered(client, key, seconds="4")
    assert charged(shop) == [4 * A_SECOND]
    [record] = shop.usage()
    assert (record.second_count, record.endpoint) == (4, "videos")
    assert (job().upstream_id, job().state, job().pk) == (video, "running", record.pk)
    shop.check_books()


def test_a_form_is_passed_on_as_it_is_but_for_the_model(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    form = {"model": (None, "sora-2"), "prompt": (None, "A cat"), "seconds": (None, "4")}
    answer = client.post("/v1/videos", files=form, headers=bearer(key))
    assert answer.status_code == 200
    [asked] = jobs.asked
    assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"sora-2-pro" in asked.body and b"A cat" in asked.body
    assert charged(shop) == [4 * A_SECOND]


@pytest.mark.parametrize("size", ["1024x1792", "1792x1024"])
def test_a_size_can_have_a_price_of_its_own(
    client: httpx.Client, key: str, shop: Shop, size: str
) -> None:
    ordered(client, key, size=size)
    assert charged(shop) == [8 * A_SECOND]


def test_a_video_can_be_sold_by_the_piece(client: httpx.Client, key: str, shop: Shop) -> None:
    ordered(client, key, model="kling", seconds=10)
    assert charged(shop) == [5_000]


def test_what_says_nothing_is_four_seconds_of_openais_model(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    answer = client.post("/v1/videos", json={"prompt": "A cat"}, headers=bearer(key))
    assert answer.status_code == 200
    assert jobs.asked[0].json == {"prompt": "A cat", "model": "sora-2-pro"}
    assert charged(shop) == [4 * A_SECOND]


@pytest.mark.parametrize("seconds", ["-4", "four", "", 0, 100_000, [4]])
def test_a_length_that_makes_no_sense_is_refused(
    client: httpx.Client, key: str, seconds: Any
) -> None:
    answer = order(client, key, seconds=seconds or "0")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "seconds")


def test_a_balance_that_can_not_pay_it_orders_nothing(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    poor = shop.key(base_tokens=4 * A_SECOND - 1)
    answer = order(client, poor)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert not jobs.asked


def test_a_video_that_is_refused_at_once_is_free(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    answer = order(client, key, prompt="[refuse]")
    assert answer.status_code == 503
    assert charged(shop) == [0]


def test_an_order_that_its_client_leaves_as_it_is_stored_is_neither_charged_nor_listed(
    relay_server: RelayServer, client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    client.get("/v1/videos", headers=bearer(key))  # the relay knows the key
    body = {"model": "sora-2", "prompt": "[wait]"}
    with raw_request(relay_server.port, key, body, path="/v1/videos") as socket:
        until(lambda: jobs.asked)
        with transaction.atomic():
            Tenant.objects.update(name="Somebody writes")
            jobs.gate.set()
            until(lambda: relay_server.services.reader._pool._work_queue.qsize())
            socket.close()
            until(lambda: not relay_server.services.calls)
    assert charged(shop) == [0]
    until(lambda: stored_kinds() == ["deleted"])
    assert client.get("/v1/videos", headers=bearer(key)).json()["data"] == []


def test_its_state_is_told_in_the_upstreams_words(
    client: httpx.Client, key: str, jobs: FakeJobs
) -> None:
    video = ordered(client, key)
    jobs.states[video] = "in_progress"
    answer = client.get(f"/v1/videos/{video}", headers=bearer(key))
    assert answer.json() == {"id": video, "object": "video", "status": "in_progress"}


def test_a_client_that_sees_it_fail_gets_its_credit_back_at_once(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    video = ordered(client, key)
    shop.settled()
    jobs.states[video] = "failed"
    assert client.get(f"/v1/videos/{video}", headers=bearer(key)).json()["status"] == "failed"
    client.get(f"/v1/videos/{video}", headers=bearer(key))
    with all_tenants():
        assert Transfer.objects.filter(source="job_failed").count() == 1
    assert shop.wallets()[0].available_ubt == 90_000_000_000
    assert job().given_back_ubt == 4 * A_SECOND * 1_000_000
    shop.check_books()


def test_its_film_comes_through_as_it_is(client: httpx.Client, key: str, jobs: FakeJobs) -> None:
    video = ordered(client, key)
    jobs.states[video] = "completed"
    answer = client.get(f"/v1/videos/{video}/content?variant=video", headers=bearer(key))
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content == CHUNK * 3
    assert jobs.asked[-1].target == f"/v1/videos/{video}/content?variant=video"


def test_a_client_that_does_not_read_holds_its_film_up(
    relay_server: RelayServer, client: httpx.Client, key: str, jobs: FakeJobs
) -> None:
    jobs.film_chunks = 1_000
    video = ordered(client, key)
    jobs.states[video] = "completed"
    head = f"GET /v1/videos/{video}/content HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    with socket.create_connection(("127.0.0.1", relay_server.port), timeout=10) as reader:
        reader.sendall(f"{head}authorization: Bearer {key}\r\n\r\n".encode())
        read_until(reader, b"\r\n\r\n")
        until(lambda: jobs.sent_chunks > 0)
        until(lambda: _rests(jobs))
    assert jobs.sent_chunks < 500


def _rests(jobs: FakeJobs) -> bool:
    before = jobs.sent_chunks
    time.sleep(0.2)
    return jobs.sent_chunks == before


def test_a_remix_is_a_new_job_and_costs_what_the_first_did(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    video = ordered(client, key, size="1024x1792")
    body = {"prompt": "A dog"}
    answer = client.post(f"/v1/videos/{video}/remix", json=body, headers=bearer(key))
    assert answer.status_code == 200
    [asked] = jobs.of("POST", f"/v1/videos/{video}/remix")
    assert asked.json == {"prompt": "A dog"}
    assert charged(shop, 2) == [8 * A_SECOND] * 2
    remix = answer.json()["id"]
    assert client.get(f"/v1/videos/{remix}", headers=bearer(key)).status_code == 200


def test_a_deleted_video_is_forgotten(client: httpx.Client, key: str, jobs: FakeJobs) -> None:
    video = ordered(client, key)
    jobs.states[video] = "completed"
    assert client.delete(f"/v1/videos/{video}", headers=bearer(key)).json()["deleted"]
    assert client.get(f"/v1/videos/{video}", headers=bearer(key)).status_code == 404


def test_deleting_a_failed_video_does_not_lose_its_credit(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    video = ordered(client, key)
    shop.settled()
    jobs.states[video] = "failed"
    client.delete(f"/v1/videos/{video}", headers=bearer(key))
    assert shop.wallets()[0].available_ubt == 90_000_000_000


@pytest.mark.parametrize("tail", ["", "/content", "/remix"])
def test_a_stranger_finds_no_video(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs, tail: str
) -> None:
    video = ordered(client, key)
    stranger = shop.key()
    method = "POST" if tail == "/remix" else "GET"
    answer = client.request(method, f"/v1/videos/{video}{tail}", headers=bearer(stranger))
    assert answer.status_code == 404
    assert told(answer)["message"] == f"Video with id '{video}' not found."
    assert len(jobs.asked) == 1


def test_the_list_shows_the_wallets_own_videos_newest_first(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    videos = [ordered(client, key) for _ in range(3)]
    ordered(client, shop.key())
    answer = client.get("/v1/videos?limit=2", headers=bearer(key)).json()
    assert [video["id"] for video in answer["data"]] == videos[:0:-1]
    assert answer["has_more"]
    rest = client.get(f"/v1/videos?after={answer['last_id']}", headers=bearer(key)).json()
    assert [video["id"] for video in rest["data"]] == videos[:1]
    assert rest["data"][0]["seconds"] == "4"


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=101", "limit=0000000010000"])
def test_a_list_is_of_a_sensible_length(client: httpx.Client, key: str, query: str) -> None:
    assert client.get(f"/v1/videos?{query}", headers=bearer(key)).status_code == 400


def test_a_list_behind_somebody_elses_video_is_refused(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    video = ordered(client, key)
    answer = client.get(f"/v1/videos?after={video}", headers=bearer(shop.key()))
    assert answer.status_code == 404
