"""Two shops on one relay: every route x every method, with the wrong key, host or model.

A key works at its own shop's hosts alone, sees its own shop's models alone, and whatever it sends
leaves the other shop's books as they were.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from relay import paths
from relay.protocols.endpoints import ENDPOINTS
from tests.databases import Database
from tests.relay.asking import bearer, chat, until
from tests.relay.conftest import Shop, open_shop
from tests.relay.server import running_relay
from tests.security.books import everything_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ROUTES = (
    *sorted(paths._ROUTES),
    *(path.format(model="gpt-4") for path in ENDPOINTS if "{model}" in path),
    f"{paths.MODELS}/gpt-4",
    f"{paths.GEMINI_MODELS}/gpt-4",
)
UPLOADS = {path for path, endpoint in ENDPOINTS.items() if endpoint.uploads}
NOT_BY_A_CHAT = {*UPLOADS, "/v1/realtime"}
"""What wants a form or a WebSocket; a request that has passed every wall is told so."""

OPEN_TO_ALL = {paths.HEALTH, paths.READY}
CANARY = b"south"


@dataclass
class Scene:
    """Both shops, a key of each, and a client of the relay that serves them."""

    client: httpx.Client
    south: Shop
    north_key: str
    south_key: str

    def ask(self, method: str, path: str, *, host: str, key: str | None) -> httpx.Response:
        """Send a request that fits every route."""
        headers = {"host": host, "x-forwarded-host": "south.example", "x-tenant": "south"}
        content = {"parts": [{"text": "Hello"}]}
        body = chat(
            prompt="Hello",
            input="Hello",
            contents=[content],
            content=content,
            requests=[{"content": content}],
            max_tokens=16,
            voice="alloy",
            query="Hello",
            documents=["Hello"],
        )
        return self.client.request(
            method, path, headers=headers | (bearer(key) if key else {}), json=body
        )


@pytest.fixture
def scene(sqlite_database: Database) -> Iterator[Scene]:
    """A relay that serves two shops."""
    shops = []
    for slug in ("north", "south"):
        shop = open_shop(slug, hosts=(f"{slug}.example",))
        shop.channel(f"{slug} channel")
        shop.reprice(f"model-of-{slug}", input=1)
        shops.append(shop)
    south = shops[1]
    keys = [shop.key(9_000_000, name=f"{shop.tenant.slug} key") for shop in shops]
    with running_relay() as server, httpx.Client(base_url=server.url) as client:
        yield Scene(client, south, *keys)


def test_a_key_is_unknown_at_another_shop(scene: Scene) -> None:
    before = everything_of(scene.south.tenant)
    for route in set(ROUTES) - OPEN_TO_ALL:
        for method in METHODS:
            answer = scene.ask(method, route, host="south.example", key=scene.north_key)
            assert answer.status_code in {401, 405, 204}, f"{method} {route}"
            assert CANARY not in heard(answer), f"{method} {route}"
    assert everything_of(scene.south.tenant) == before


def test_nobody_learns_anything_without_a_key(scene: Scene) -> None:
    for route in set(ROUTES) - OPEN_TO_ALL:
        for method in METHODS:
            answer = scene.ask(method, route, host="south.example", key=None)
            assert answer.status_code in {401, 405, 204}, f"{method} {route}"
            assert CANARY not in heard(answer), f"{method} {route}"


def test_a_stranger_host_is_nobodys(scene: Scene) -> None:
    for key in (None, scene.north_key, scene.south_key):
        answer = scene.ask("GET", paths.MODELS, host="nobody.example", key=key)
        assert answer.status_code == 421
        assert CANARY not in heard(answer)


def test_what_a_key_does_at_home_stays_there(scene: Scene) -> None:
    before = everything_of(scene.south.tenant)
    for route in ROUTES:
        answers = {
            method: scene.ask(method, route, host="north.example", key=scene.north_key)
            for method in METHODS
        }
        opens_with = {200, 400} if route in NOT_BY_A_CHAT else {200}
        assert opens_with & {answer.status_code for answer in answers.values()}, route
        for method, answer in answers.items():
            assert CANARY not in heard(answer), f"{method} {route}"
            assert answer.status_code < 500, f"{method} {route}"
    assert everything_of(scene.south.tenant) == before


def test_a_model_of_another_shop_does_not_exist(scene: Scene) -> None:
    before = everything_of(scene.south.tenant)
    headers = {"host": "north.example", **bearer(scene.north_key)}
    asked = {**chat(), "model": "model-of-south"}
    answer = scene.client.post("/v1/chat/completions", headers=headers, json=asked)
    assert answer.status_code == 404
    answer = scene.client.get(f"{paths.MODELS}/model-of-south", headers=headers)
    assert answer.status_code == 404
    assert everything_of(scene.south.tenant) == before


def test_the_other_shop_is_there_for_its_own_key(scene: Scene) -> None:
    headers = {"host": "south.example", **bearer(scene.south_key)}
    assert CANARY in scene.client.get(paths.MODELS, headers=headers).content
    asked = {**chat(), "model": "model-of-south"}
    assert scene.client.post("/v1/chat/completions", headers=headers, json=asked).is_success


def heard(answer: httpx.Response) -> bytes:
    """Return everything an answer says, in lower case."""
    headers = b"".join(name + value for name, value in answer.headers.raw)
    return (answer.content + headers).lower()


def test_what_an_upstream_keeps_for_a_shop_is_there_for_nobody_else(scene: Scene) -> None:
    at_home = {"host": "south.example", **bearer(scene.south_key)}
    ordered = {"model": "model-of-south", "prompt": "Hello", "seconds": "4"}
    made = {
        "videos": scene.client.post("/v1/videos", headers=at_home, json=ordered).json()["id"],
        "responses": scene.client.post(
            "/v1/responses", headers=at_home, json={"model": "model-of-south", "input": "Hello"}
        ).json()["id"],
    }
    scene.south.settled(2)
    until(lambda: len(everything_of(scene.south.tenant)["UpstreamObject"]) == 2)
    before = everything_of(scene.south.tenant)
    for prefix, verbs in paths._OF_AN_OBJECT.items():
        for verb, (_, methods) in verbs.items():
            address = f"{prefix}{made[prefix.split('/')[2]]}/{verb}".rstrip("/")
            for method in METHODS:
                answer = scene.ask(method, address, host="north.example", key=scene.north_key)
                expected = {404} if method in methods else {405, 204}
                assert answer.status_code in expected, f"{method} {address}"
                assert CANARY not in heard(answer)
                answer = scene.ask(method, address, host="south.example", key=scene.north_key)
                assert answer.status_code in {401, 405, 204}, f"{method} {address}"
    assert everything_of(scene.south.tenant) == before
    for kind, name in made.items():
        assert scene.client.get(f"/v1/{kind}/{name}", headers=at_home).is_success
