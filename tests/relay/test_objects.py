"""What upstreams keep is its wallet's alone, and is asked for where it was made."""

from collections.abc import Iterator

import httpx
import pytest

from billing.models import ApiKey
from billing.scoping import all_tenants, tenant_scope
from relay.models import Channel, UpstreamObject
from tests.fakes.jobs import FakeJobs
from tests.relay.asking import bearer, until
from tests.relay.conftest import Shop, open_shop
from tests.relay.server import RelayServer, running_relay


@pytest.fixture
def jobs() -> Iterator[FakeJobs]:
    with FakeJobs() as fake:
        yield fake


@pytest.fixture
def key(shop: Shop, jobs: FakeJobs) -> str:
    keeper_channel(shop, jobs)
    return shop.key()


@pytest.fixture
def relay_server(key: str) -> Iterator[RelayServer]:
    """A relay that has begun with the channel."""
    with running_relay() as server:
        yield server


def keeper_channel(shop: Shop, jobs: FakeJobs, name: str = "keeper", **fields: object) -> int:
    return shop.channel(
        name,
        provider="openai",
        base_url=f"{jobs.origin}/v1",
        credential=f"sk-secret-of-{name}",
        allow_private_network=True,
        **fields,
    )


def respond(client: httpx.Client, key: str, **fields: object) -> httpx.Response:
    body = {"model": "gpt-4", "input": "Hello", **fields}
    return client.post("/v1/responses", json=body, headers=bearer(key))


def made(client: httpx.Client, key: str) -> str:
    answer = respond(client, key)
    assert answer.status_code == 200
    return str(answer.json()["id"])


def told(answer: httpx.Response) -> dict[str, str]:
    """Return an error without our request id, which is always another."""
    error: dict[str, str] = answer.json()["error"]
    return {**error, "message": error["message"].partition(" (request id")[0]}


def stored(kind: str = "response") -> list[UpstreamObject]:
    with all_tenants():
        return list(UpstreamObject.objects.filter(kind=kind))


def test_a_response_is_looked_up_where_it_was_made(
    client: httpx.Client, key: str, jobs: FakeJobs
) -> None:
    kept = made(client, key)
    answer = client.get(f"/v1/responses/{kept}?key={key}&include[]=x", headers=bearer(key))
    assert (answer.status_code, answer.json()["id"]) == (200, kept)
    [asked] = jobs.of("GET", f"/v1/responses/{kept}")
    assert asked.target.endswith(f"{kept}?include[]=x")
    assert asked.headers["authorization"] == "Bearer sk-secret-of-keeper"


def test_it_is_stored_beside_the_answer(client: httpx.Client, key: str, shop: Shop) -> None:
    kept = made(client, key)
    [row] = until(stored)
    assert (row.upstream_id, row.pk, row.model) == (kept, shop.settled()[0].pk, "gpt-4")


def test_a_stranger_is_told_what_an_unknown_id_is_told(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    kept = made(client, key)
    other_wallet = shop.key()
    strange = client.get(f"/v1/responses/{kept}", headers=bearer(other_wallet))
    unknown = client.get("/v1/responses/resp_0", headers=bearer(other_wallet))
    assert strange.status_code == 404
    assert told(strange)["message"] == f"Response with id '{kept}' not found."
    assert strange.text.count(kept) == 1
    assert {**told(strange), "message": ""} == {**told(unknown), "message": ""}


def test_another_shop_does_not_know_it_either(client: httpx.Client, key: str) -> None:
    kept = made(client, key)
    other = open_shop("other", hosts=("other.example",))
    other.wait_for_relays()
    headers = {**bearer(other.key()), "host": "other.example"}
    assert client.get(f"/v1/responses/{kept}", headers=headers).status_code == 404


def test_another_key_of_the_wallet_sees_it(client: httpx.Client, key: str, shop: Shop) -> None:
    kept = made(client, key)
    second = shop.key()
    with tenant_scope(shop.tenant.pk):
        first = ApiKey.objects.earliest("pk")
        ApiKey.objects.filter(pk=ApiKey.objects.latest("pk").pk).update(wallet_id=first.wallet_id)
    shop.wait_for_relays()
    assert client.get(f"/v1/responses/{kept}", headers=bearer(second)).status_code == 200


@pytest.mark.parametrize("tail", ["", "/input_items", "/cancel"])
def test_what_can_be_done_with_a_response_is_passed_on(
    client: httpx.Client, key: str, jobs: FakeJobs, tail: str
) -> None:
    kept = made(client, key)
    method = "POST" if tail == "/cancel" else "GET"
    answer = client.request(method, f"/openai/v1/responses/{kept}{tail}", headers=bearer(key))
    assert answer.status_code == 200
    assert jobs.of(method, f"/v1/responses/{kept}{tail}")


def test_the_events_of_a_response_can_be_read_again(client: httpx.Client, key: str) -> None:
    kept = made(client, key)
    answer = client.get(f"/v1/responses/{kept}?stream=true", headers=bearer(key))
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text.count(f'data: {{"id":"{kept}"') == 3


def test_a_deleted_response_is_forgotten(client: httpx.Client, key: str) -> None:
    kept = made(client, key)
    assert client.delete(f"/v1/responses/{kept}", headers=bearer(key)).json()["deleted"]
    assert client.get(f"/v1/responses/{kept}", headers=bearer(key)).status_code == 404
    assert not stored()


def test_another_process_finds_it_too(client: httpx.Client, key: str, jobs: FakeJobs) -> None:
    kept = made(client, key)
    until(stored)
    with running_relay() as second, httpx.Client(base_url=second.url) as other:
        assert other.get(f"/v1/responses/{kept}", headers=bearer(key)).status_code == 200
        assert respond(other, key, previous_response_id=kept).status_code == 200
    assert [one.path for one in jobs.asked][1:] == [f"/v1/responses/{kept}", "/v1/responses"]


def test_looking_costs_nothing(client: httpx.Client, key: str, shop: Shop) -> None:
    kept = made(client, key)
    client.get(f"/v1/responses/{kept}", headers=bearer(key))
    assert len(shop.settled()) == 1


def test_a_key_that_may_not_use_responses_may_not_look_at_them(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    kept = made(client, key)
    with tenant_scope(shop.tenant.pk):
        ApiKey.objects.update(allowed_endpoints=["embeddings"])
    shop.wait_for_relays()
    answer = client.get(f"/v1/responses/{kept}", headers=bearer(key))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "model_not_allowed")


def test_a_conversation_goes_on_where_it_began(
    client: httpx.Client, key: str, shop: Shop, jobs: FakeJobs
) -> None:
    kept = made(client, key)
    with FakeJobs(first_id=100) as preferred:
        keeper_channel(shop, preferred, "preferred", priority=9)
        shop.wait_for_relays()
        respond(client, key, previous_response_id=kept)
        assert [one.json.get("previous_response_id") for one in jobs.asked] == [None, kept]
        assert respond(client, key).json()["id"] == "resp_100"


@pytest.mark.parametrize("whose", ["nobody's", "somebody else's"])
def test_a_conversation_that_is_not_ours_can_not_be_continued(
    client: httpx.Client, key: str, shop: Shop, whose: str
) -> None:
    previous = made(client, shop.key()) if whose == "somebody else's" else "resp_0"
    answer = respond(client, key, previous_response_id=previous)
    assert answer.status_code == 400
    assert told(answer) == {
        "message": f"Previous response with id '{previous}' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }


def test_what_a_channel_kept_that_has_gone_is_not_asked_of_another(
    client: httpx.Client, key: str, shop: Shop
) -> None:
    kept = made(client, key)
    with tenant_scope(shop.tenant.pk), FakeJobs() as other:
        Channel.objects.all().delete()
        keeper_channel(shop, other, "other")
        shop.wait_for_relays()
        answer = respond(client, key, previous_response_id=kept)
        assert answer.json()["error"]["code"] == "previous_response_not_found"
        assert client.get(f"/v1/responses/{kept}", headers=bearer(key)).status_code == 404
        assert not other.asked


def test_two_vendors_may_give_the_same_id(client: httpx.Client, key: str, shop: Shop) -> None:
    first = made(client, key)
    with FakeJobs() as second:
        keeper_channel(shop, second, "second", priority=9)
        shop.wait_for_relays()
        stranger = shop.key()
        assert made(client, stranger) == first
        client.get(f"/v1/responses/{first}", headers=bearer(stranger))
        assert [one.method for one in second.asked] == ["POST", "GET"]
        client.get(f"/v1/responses/{first}", headers=bearer(key))
        assert len(second.asked) == 2
