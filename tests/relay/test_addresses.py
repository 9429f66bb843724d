"""Addresses in every form in circulation, hosts, CORS, and the header rules both ways."""

import httpx
import pytest

from relay.paths import is_relay_path, resolve
from tests.databases import Database
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat
from tests.relay.conftest import Shop, open_shop
from tests.relay.server import RelayServer, running_relay


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/openai/v1/chat/completions",
        "//v1//chat/completions",
        "/v1/chat/completions/",
        "/v1/v1/chat/completions",
        "/openai/v1/v1/chat/completions/",
        "/v1" * 20_000 + "/chat/completions",
    ],
)
def test_every_form_of_an_address_leads_to_the_same_answer(path: str) -> None:
    route = resolve(path)
    assert route is not None
    assert route.name == "chat_completions"
    assert is_relay_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/billing/usage",
        "/v1/dashboard/billing/usage",
        "/openai/dashboard/billing/usage",
        "/openai/v1/dashboard/billing/usage/",
    ],
)
def test_the_dashboard_may_be_asked_without_a_version(path: str) -> None:
    route = resolve(path)
    assert route is not None
    assert route.name == "usage"


def test_a_model_is_found_by_a_name_with_a_slash_in_it() -> None:
    route = resolve("/v1/models/vendor/model-1")
    assert route is not None
    assert (route.name, route.argument) == ("model", "vendor/model-1")


@pytest.mark.parametrize("path", ["/", "/admin/", "/openaix", "/v1x/y", "/dashboard/", "/static/a"])
def test_pages_are_not_the_relays(path: str) -> None:
    assert not is_relay_path(path)


@pytest.mark.parametrize("path", ["/v1/unheard/of", "/openai/anything", "/v1beta/models/x"])
def test_errors_below_api_addresses_are_the_relays(path: str) -> None:
    assert is_relay_path(path)


def test_with_one_shop_and_its_first_domains_any_host_is_its(
    demo_key: str, relay_server: RelayServer
) -> None:
    headers = bearer(demo_key) | {"host": "whatever.example:8443"}
    assert httpx.post(relay_server.url + CHAT, headers=headers, json=chat()).status_code == 200


@pytest.fixture
def two_shops(sqlite_database: Database) -> tuple[Shop, Shop]:
    """Two tenants with a host each."""
    hosts = ("two.example", "2.example", "[2001:db8::2]")
    return open_shop("one", ("one.example",)), open_shop("two", hosts)


def test_an_unknown_host_is_refused(two_shops: tuple[Shop, Shop]) -> None:
    key = two_shops[0].key()
    with running_relay() as server:
        headers = bearer(key) | {"host": "three.example"}
        answer = httpx.post(server.url + CHAT, headers=headers, json=chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "unknown_host")


@pytest.mark.parametrize(
    "host",
    [
        *("two.example", "TWO.example:9000", "two.example.", "2.example"),
        *("[2001:db8::2]", "[2001:DB8:0:0::2]:9000"),
    ],
)
def test_a_host_is_known_in_any_case_and_with_any_port(
    host: str, two_shops: tuple[Shop, Shop]
) -> None:
    two_shops[1].channel()
    key = two_shops[1].key()
    with running_relay() as server:
        headers = bearer(key) | {"host": host}
        assert httpx.get(server.url + "/v1/models", headers=headers).status_code == 200


def test_a_key_of_another_tenant_than_the_hosts_is_an_unknown_key(
    two_shops: tuple[Shop, Shop],
) -> None:
    two_shops[0].channel()
    key = two_shops[0].key()
    with running_relay() as server:
        headers = bearer(key) | {"host": "two.example"}
        answer = httpx.post(server.url + CHAT, headers=headers, json=chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_on_any_host(path: str, two_shops: tuple[Shop, Shop]) -> None:
    with running_relay() as server:
        answer = httpx.get(server.url + path, headers={"host": "10.1.2.3"})
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_a_preflight_allows_what_it_asks_for(client: httpx.Client) -> None:
    headers = {
        "origin": "https://chat.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,content-type,x-app",
    }
    answer = client.options("/dashboard/billing/usage", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type,x-app"
    assert "access-control-allow-credentials" not in answer.headers


def test_answers_and_errors_can_be_read_by_a_page(demo_key: str, client: httpx.Client) -> None:
    for key in (demo_key, "wrong"):
        headers = bearer(key) | {"origin": "https://chat.example"}
        answer = client.post(CHAT, headers=headers, json=chat())
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_the_upstream_gets_our_credential_and_nothing_of_the_clients(
    fake_key: str, fake: FakeUpstream, client: httpx.Client
) -> None:
    headers = bearer(fake_key) | {
        "cookie": "session=1",
        "x-forwarded-for": "10.0.0.1",
        "origin": "https://chat.example",
        "x-stainless-lang": "python",
        "openai-beta": "assistants=v2",
        "user-agent": "somebody/1.0",
        "accept": "application/json, text/event-stream",
    }
    client.post(CHAT, headers=headers, json=chat())
    sent = fake.truth[0].headers
    assert sent["authorization"] == "Bearer sk-fake-credential"
    assert sent["openai-beta"] == "assistants=v2"
    assert sent["accept"] == "application/json, text/event-stream"
    assert sent["accept-encoding"] == "identity"
    assert fake_key not in str(sent)
    assert not sent.keys() & {"cookie", "x-forwarded-for", "origin", "x-stainless-lang"}
    assert "somebody" not in sent["user-agent"]


def test_the_client_gets_nothing_of_the_vendors_account(
    fake_key: str, client: httpx.Client
) -> None:
    answer = client.post(CHAT, headers=bearer(fake_key), json=chat("[fake headers]"))
    assert answer.headers["openai-processing-ms"] == "42"
    assert answer.headers["x-request-id"] != "req_fake"
    secret = {"set-cookie", "openai-organization", "x-ratelimit-remaining-requests"}
    assert not answer.headers.keys() & secret
    assert "fake" not in answer.headers.get("server", "")


def test_a_body_that_needs_no_change_reaches_the_upstream_byte_for_byte(
    shop: Shop, fake_key: str, fake: FakeUpstream, client: httpx.Client
) -> None:
    body = b'{ "messages":[{"role":"user","content":"\\u00e9"}],\n "model" : "gpt-4", "x":1e3}'
    client.post(CHAT, headers=bearer(shop.key(1_000_000)), content=body)
    assert fake.truth[0].body.encode() == body
