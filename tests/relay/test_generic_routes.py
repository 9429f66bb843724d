"""Whatever an operator puts below a prefix: passed on, charged by the call, jobs for owners."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from billing.models import ApiKey
from billing.scoping import all_tenants, tenant_scope
from billing.tenants import platform
from relay.channels import create_channel
from relay.models import Channel, GenericRoute, UpstreamObject
from tests.fakes.jobs import FakeJobs
from tests.relay.asking import bearer, chat
from tests.relay.conftest import Shop, open_shop
from tests.relay.server import RelayServer, running_relay
from tests.relay.test_objects import told

A_PICTURE = 1_000
SUBMIT = "/mj/submit/imagine"


@pytest.fixture
def jobs() -> Iterator[FakeJobs]:
    with FakeJobs() as fake:
        yield fake


def add_route(shop: Shop, jobs: FakeJobs, **fields: Any) -> GenericRoute:
    with tenant_scope(shop.tenant.pk):
        channel = Channel.objects.filter(provider="generic").first() or create_channel(
            tenant=shop.tenant,
            name="mj",
            provider="generic",
            base_url=jobs.origin,
            credential="mj-secret",
            allow_private_network=True,
        )
        route = {"name": "mj", "prefix": "/mj", "upstream_prefix": "/mj", "price_model": "mj"}
        rule = {"task_field": "result", "poll_path": "/task/{task}/fetch", "state_field": "status"}
        ends = {"done_values": ["SUCCESS"], "failed_values": ["FAILURE"]}
        given = {"methods": ["GET", "POST"], **route, **rule, **ends, **fields}
        return GenericRoute.objects.create(tenant=shop.tenant, channel=channel, **given)


@pytest.fixture
def key(shop: Shop, jobs: FakeJobs) -> str:
    """A key of a shop with a route to pictures, and one to something free without jobs."""
    add_route(shop, jobs)
    nothing = {"task_field": "", "poll_path": "", "state_field": "", "price_model": ""}
    add_route(shop, jobs, name="free", prefix="/mj/free", upstream_prefix="/mj/free", **nothing)
    plain = {"name": "echo", "prefix": "/echo", "upstream_prefix": "/deep/echo"}
    add_route(shop, jobs, **{**nothing, **plain, "price_model": "mj"})
    shop.reprice("mj", request=A_PICTURE)
    return shop.key()


@pytest.fixture
def relay_server(key: str) -> Iterator[RelayServer]:
    """A relay that has begun with the routes."""
    with running_relay() as server:
        yield server


def submit(client: httpx.Client, key: str, prompt: str = "A cat") -> httpx.Response:
    return client.post(SUBMIT, json={"prompt": prompt}, headers=bearer(key))


def fetch(client: httpx.Client, key: str, task: str) -> httpx.Response:
    return client.get(f"/mj/task/{task}/fetch", headers=bearer(key))


def charged(shop: Shop, count: int = 1) -> list[int]:
    return [record.charged_ubt // 1_000_000 for record in shop.settled(count)]


def test_a_call_is_passed_on_and_charged_by_the_piece(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    answer = submit(client, key)
    assert answer.json() == {"code": 1, "description": "queued", "result": "171"}
    [asked] = jobs.asked
    assert (asked.path, asked.json) == (SUBMIT, {"prompt": "A cat"})
    assert asked.headers["authorization"] == "Bearer mj-secret"
    assert charged(shop) == [A_PICTURE]
    [record] = shop.usage()
    assert (record.endpoint, record.request_count, record.model_asked) == ("generic", 1, "mj")
    shop.check_books()


def test_a_call_that_begins_no_job_is_free(client: httpx.Client, key: str, shop: Shop) -> None:
    assert submit(client, key, "[refuse]").json()["code"] == 24
    assert charged(shop) == [0]


def test_reading_a_job_is_free(client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs) -> None:
    task = submit(client, key).json()["result"]
    jobs.states[task] = "SUCCESS"
    assert fetch(client, key, task).json() == {"id": task, "status": "SUCCESS"}
    assert charged(shop) == [A_PICTURE]
    with all_tenants():
        assert UpstreamObject.objects.get().state == "done"


def test_a_job_that_its_client_sees_fail_is_given_back(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    task = submit(client, key).json()["result"]
    shop.settled()
    jobs.states[task] = "FAILURE"
    assert fetch(client, key, task).status_code == 200
    assert shop.wallets()[0].available_ubt == 90_000_000_000
    shop.check_books()


def test_a_job_is_its_owners_alone(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    task = submit(client, key).json()["result"]
    stranger = shop.key()
    strange, unknown = fetch(client, stranger, task), fetch(client, stranger, "999")
    assert (strange.status_code, unknown.status_code) == (404, 404)
    assert told(strange)["message"].replace(task, "999") == told(unknown)["message"]
    assert len(jobs.asked) == 1


@pytest.mark.parametrize("path", ["/mj/task/{}", "/mj/task/{}/fetch", "/mj/task/{}/pictures/1"])
def test_only_its_owner_may_change_a_job(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs, path: str
) -> None:
    with tenant_scope(shop.tenant.pk):
        GenericRoute.objects.filter(prefix="/mj").update(methods=["GET", "POST", "DELETE"])
    stranger = shop.key()
    shop.wait_for_relays()
    task = submit(client, key).json()["result"]
    assert client.delete(path.format(task), headers=bearer(stranger)).status_code == 404
    assert client.delete("/mj/tasks", headers=bearer(key)).status_code == 404
    assert len(jobs.asked) == 1
    client.delete(path.format(task), headers=bearer(key))
    assert [asked.method for asked in jobs.asked] == ["POST", "DELETE"]


def test_on_a_route_with_jobs_only_they_can_be_read(
    client: httpx.Client, key: str, jobs: FakeJobs
) -> None:
    submit(client, key)
    answer = client.get("/mj/task/list", headers=bearer(key))
    assert answer.status_code == 404
    assert len(jobs.asked) == 1


def test_the_longest_prefix_decides(client: httpx.Client, key: str, shop: Shop) -> None:
    answer = client.get("/mj/free/words?a=1&key=mine", headers=bearer(key))
    assert answer.json() == {"target": "/mj/free/words?a=1"}
    assert not shop.usage()


def test_a_route_is_sent_below_its_own_path_with_any_content(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    headers = {**bearer(key), "content-type": "text/plain; charset=utf-8"}
    answer = client.post("/echo/a%20b?x=1", content="told", headers=headers)
    assert answer.json() == {"echo": "told"}
    assert jobs.asked[0].target == "/deep/echo/a%20b?x=1"
    assert jobs.asked[0].headers["content-type"] == "text/plain; charset=utf-8"
    assert charged(shop) == [A_PICTURE]


@pytest.mark.parametrize(
    "path",
    [
        "/mj/../admin",
        "/mj/%2e%2e/admin",
        "/mj/..%2fadmin",
        "/mj/..;/admin",
        "/mj/a/.;x=1/b",
        "/mj/a%5c..%5cb",
        "/mj/a%00b",
    ],
)
def test_nobody_climbs_out_of_a_prefix(
    relay_server: RelayServer, key: str, jobs: FakeJobs, path: str
) -> None:
    request = httpx.Request("POST", relay_server.url, headers=bearer(key), content=b"{}")
    request.extensions["target"] = path.encode()
    with httpx.Client() as plain:
        assert plain.send(request).status_code in (400, 404)
    assert not jobs.asked


def test_a_method_that_a_route_does_not_have_is_refused(client: httpx.Client, key: str) -> None:
    answer = client.delete(SUBMIT, headers=bearer(key))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_a_route_wants_a_key_like_everything(client: httpx.Client, key: str) -> None:
    assert client.post(SUBMIT, json={}).status_code == 401


@pytest.mark.parametrize("change", [{"allowed_endpoints": ["videos"]}, {"allowed_models": ["x"]}])
def test_a_keys_lists_hold_for_routes(
    client: httpx.Client, key: str, shop: Shop, change: dict[str, list[str]]
) -> None:
    with tenant_scope(shop.tenant.pk):
        ApiKey.objects.update(**change)
    shop.wait_for_relays()
    assert submit(client, key).status_code == 403


def test_a_balance_that_is_used_up_begins_nothing(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    answer = submit(client, shop.key(base_tokens=A_PICTURE - 1))
    assert answer.json()["error"]["code"] == "insufficient_quota"
    assert not jobs.asked


def test_a_route_that_is_switched_off_is_no_address(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    with tenant_scope(shop.tenant.pk):
        GenericRoute.objects.update(is_enabled=False)
    shop.wait_for_relays()
    assert submit(client, key).status_code == 404


def test_another_shop_does_not_have_it(client: httpx.Client, key: str) -> None:
    other = open_shop("other", hosts=("other.example",))
    other.wait_for_relays()
    headers = {**bearer(other.key()), "host": "other.example"}
    assert client.post(SUBMIT, json={}, headers=headers).status_code == 404


def test_a_route_of_the_platform_is_every_shops(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    add_route(Shop(platform()), jobs, prefix="/suno", upstream_prefix="/mj")
    shop.wait_for_relays()
    answer = client.post("/suno/submit/song", json={}, headers=bearer(key))
    assert answer.json()["result"] == "171"
    assert charged(shop) == [A_PICTURE]


def test_the_credential_can_travel_in_a_header_of_its_own(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    with tenant_scope(shop.tenant.pk):
        Channel.objects.update(extra_headers={"mj-api-secret": "Key {credential}"})
    shop.wait_for_relays()
    submit(client, key)
    assert jobs.asked[0].headers["mj-api-secret"] == "Key mj-secret"
    assert "authorization" not in jobs.asked[0].headers


def test_a_browser_may_ask(client: httpx.Client, key: str) -> None:
    answer = client.options(SUBMIT, headers={"origin": "https://app.example"})
    assert answer.status_code == 204
    assert {"PUT", "PATCH"} <= set(answer.headers["access-control-allow-methods"].split(", "))


def test_the_price_of_a_route_is_no_model(client: httpx.Client, key: str, shop: Shop) -> None:
    shop.channel()
    shop.wait_for_relays()
    listed = client.get("/v1/models", headers=bearer(key)).json()["data"]
    names = {model["id"] for model in listed}
    assert "gpt-4" in names
    assert "mj" not in names


def test_a_channel_for_routes_serves_no_model(client: httpx.Client, key: str) -> None:
    assert client.get("/v1/models", headers=bearer(key)).json()["data"] == []
    answer = client.post("/v1/chat/completions", json=chat(), headers=bearer(key))
    assert answer.json()["error"]["code"] == "model_not_found"


def test_what_the_vendor_says_of_a_mistake_is_told_without_our_account(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    answer = client.post("/echo/wrong", content="mj-secret", headers=bearer(key))
    assert answer.status_code == 422
    assert answer.json() == {"code": 4, "description": "[removed] is wrong"}
    assert charged(shop) == [0]


def test_slashes_too_many_lead_to_the_same_job(
    client: httpx.Client, key: str, jobs: FakeJobs
) -> None:
    task = submit(client, key).json()["result"]
    answer = client.get(f"/mj//task/{task}//fetch/", headers=bearer(key))
    assert answer.json()["id"] == task


def test_an_answer_without_a_body_is_an_answer(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    answer = client.post("/echo/nothing", content="x", headers=bearer(key))
    assert (answer.status_code, answer.content) == (204, b"")
    assert charged(shop) == [A_PICTURE]
    assert len(jobs.asked) == 1


def test_events_come_through_as_they_are_sent(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    with client.stream("POST", "/echo/events", content="x", headers=bearer(key)) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"data: 1\n\n"
        jobs.gate.set()
        assert b"".join(pieces) == b"data: 2\n\n"
    assert charged(shop) == [A_PICTURE]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/echo/words?q=" + "x" * 5_000, "text/plain"),
        ("/echo/" + "x" * 17_000, "text/plain"),
        ("/echo/words", "text/plain; x=" + "y" * 17_000),
    ],
)
def test_what_is_absurdly_long_is_the_clients_mistake_and_not_the_channels(
    client: httpx.Client, key: str, relay_server: RelayServer, path: str, kind: str
) -> None:
    headers = {**bearer(key), "content-type": kind}
    answer = client.post(path, content="told", headers=headers)
    assert answer.status_code in (400, 404)
    assert not relay_server.services.health._states


@pytest.mark.parametrize("path", ["/echo/x", "/mj/free/x"])
def test_a_body_that_does_not_arrive_is_given_up(key: str, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    with (
        running_relay(receive_s=0.3) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
    ):
        sock.sendall(head.encode() + b"content-length: 100\r\n\r\n{")
        assert b" 408 " in sock.recv(65536).splitlines()[0]
