"""Azure OpenAI behind a running relay, on both of its surfaces."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes.azure import DEPLOYMENT, FakeAzure
from tests.relay.asking import CHAT, bearer, chat, said
from tests.relay.conftest import Shop
from tests.relay.server import running_relay

SURFACES = ["", "/openai/v1", "/openai/deployments", "/openai/deployments/2025-04-01-preview"]


@pytest.fixture
def fake() -> Iterator[FakeAzure]:
    """A fake of Azure OpenAI."""
    with FakeAzure() as fake:
        yield fake


def add_channel(shop: Shop, fake: FakeAzure, surface: str = "", **fields: Any) -> int:
    """Add a channel whose gpt-4 is the fake's deployment."""
    fields.setdefault("models", {"gpt-4": DEPLOYMENT})
    fields.setdefault("name", f"azure{surface}")
    return shop.channel(
        provider="azure",
        base_url=fake.origin + surface,
        credential=fields.pop("credential", "sk-fake-credential"),
        allow_private_network=True,
        **fields,
    )


def ask(key: str, **fields: Any) -> httpx.Response:
    """Ask a relay of one's own for a chat."""
    with running_relay() as server:
        return httpx.post(server.url + CHAT, headers=bearer(key), json=chat(**fields), timeout=20)


@pytest.mark.parametrize("surface", SURFACES)
def test_a_chat_is_answered_and_charged(surface: str, shop: Shop, fake: FakeAzure) -> None:
    add_channel(shop, fake, surface)
    answer = ask(shop.key(), stream=True)
    assert said(answer) == fake.truth[0].text
    assert "authorization" not in fake.truth[0].headers
    [record] = shop.settled()
    assert fake.truth[0].usage is not None
    assert record.output_count == fake.truth[0].usage["completion_tokens"]
    assert record.model_served == DEPLOYMENT


def test_a_deployment_that_is_not_there_is_tried_elsewhere(shop: Shop, fake: FakeAzure) -> None:
    add_channel(shop, fake, models={"gpt-4": "mistyped"}, name="wrong", priority=9)
    add_channel(shop, fake)
    assert ask(shop.key()).status_code == 200
    assert shop.settled()[0].attempts == 2


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"models": {"gpt-4": "mistyped"}}, 503, "no_available_channel"),
        ({"credential": "sk-bad"}, 502, "upstream_credentials"),
    ],
)
def test_what_we_have_set_up_wrongly_is_not_the_clients_mistake(
    fields: dict[str, Any], status: int, code: str, shop: Shop, fake: FakeAzure
) -> None:
    add_channel(shop, fake, **fields)
    answer = ask(shop.key())
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "azure" not in answer.text


def test_a_filtered_prompt_is_told_as_it_is(shop: Shop, fake: FakeAzure) -> None:
    add_channel(shop, fake)
    answer = ask(shop.key(), text="[fake status=400 code=content_filter]")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
