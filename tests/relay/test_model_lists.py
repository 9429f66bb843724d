"""Lists of models: for three kinds of clients, of what this key can ask now."""

from typing import Any

import httpx
import pytest

from tests.relay.asking import bearer
from tests.relay.conftest import Shop

NAMES = ["gemini-embedding-001", "gpt-3.5-turbo", "gpt-4"]
ANTHROPIC = {"anthropic-version": "2023-06-01"}


def goog(key: str) -> dict[str, str]:
    """Return the header in which Google's clients send their key."""
    return {"x-goog-api-key": key}


def listed(client: httpx.Client, path: str, headers: dict[str, str]) -> Any:
    """Return a list of models."""
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def key(shop: Shop) -> str:
    """A key of a shop with the demo, which serves every dialect, and prices of sizes."""
    shop.reprice("1792x1024/gpt-4", image=5)
    shop.reprice("gemini-embedding-001", input=1)
    shop.channel(models={name: name for name in (*NAMES, "1792x1024/gpt-4")})
    return shop.key()


def test_every_client_gets_its_own_shape_at_the_one_address(key: str, client: httpx.Client) -> None:
    openai = listed(client, "/v1/models", bearer(key))
    anthropic = listed(client, "/v1/models", bearer(key) | ANTHROPIC)
    gemini = listed(client, "/v1/models", goog(key))
    assert [(one["object"], one["id"]) for one in openai["data"]] == [("model", n) for n in NAMES]
    assert [(one["type"], one["id"]) for one in anthropic["data"]] == [("model", n) for n in NAMES]
    assert (anthropic["first_id"], anthropic["last_id"]) == (NAMES[0], NAMES[-1])
    assert anthropic["has_more"] is False
    assert [one["name"] for one in gemini["models"]] == [f"models/{name}" for name in NAMES]


@pytest.mark.parametrize("path", ["/v1beta/models", "/v1beta/models/", "/v1/models"])
def test_a_key_in_the_address_is_that_of_a_client_of_gemini(
    path: str, key: str, client: httpx.Client
) -> None:
    assert "models" in client.get(path, params={"key": key}).json()


def test_geminis_list_tells_what_can_be_done_and_the_limits_that_are_known(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    shop.reprice("gpt-3.5-turbo", input=20, output=40, context_limit=8_192, output_limit=100)
    shop.wait_for_relays()
    chat = listed(client, "/v1beta/models/gpt-3.5-turbo", bearer(key))
    assert chat["supportedGenerationMethods"] == [
        "generateContent",
        "streamGenerateContent",
        "countTokens",
    ]
    assert (chat["inputTokenLimit"], chat["outputTokenLimit"]) == (8_192, 100)
    embedding = listed(client, "/v1/models/gemini-embedding-001", goog(key))
    assert embedding["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents"]
    assert embedding["displayName"] == "gemini-embedding-001"
    assert "outputTokenLimit" not in embedding


def test_one_model_is_described_in_each_shape(key: str, client: httpx.Client) -> None:
    assert listed(client, "/v1/models/gpt-4", bearer(key))["object"] == "model"
    one = listed(client, "/v1/models/gpt-4", bearer(key) | ANTHROPIC)
    assert (one["type"], one["display_name"]) == ("model", "gpt-4")
    assert listed(client, "/v1/models/gpt-4", goog(key))["name"] == "models/gpt-4"


def test_a_model_that_is_not_there_is_told_in_each_shape(key: str, client: httpx.Client) -> None:
    for name in ("gpt-unheard-of", "1792x1024/gpt-4"):
        path = f"/v1/models/{name}"
        anthropic = client.get(path, headers=bearer(key) | ANTHROPIC)
        assert (anthropic.status_code, anthropic.json()["error"]["type"]) == (
            404,
            "not_found_error",
        )
        gemini = client.get(path, headers=goog(key))
        assert (gemini.status_code, gemini.json()["error"]["status"]) == (404, "NOT_FOUND")
        openai = client.get(path, headers=bearer(key))
        assert (openai.status_code, openai.json()["error"]["code"]) == (404, "model_not_found")


def test_a_wrong_key_is_told_in_each_shape(key: str, client: httpx.Client) -> None:
    anthropic = client.get("/v1/models", headers=bearer("ak-wrong") | ANTHROPIC)
    assert (anthropic.status_code, anthropic.json()["type"]) == (401, "error")
    gemini = client.get("/v1beta/models", params={"key": "ak-wrong"})
    assert (gemini.status_code, gemini.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    none = client.get("/v1beta/models")
    assert (none.status_code, none.json()["error"]["message"]) == (
        401,
        gemini.json()["error"]["message"].replace(
            gemini.headers["x-request-id"], none.headers["x-request-id"]
        ),
    )


def test_a_clients_own_list_has_what_its_own_endpoints_serve(
    shop: Shop, client: httpx.Client
) -> None:
    shop.channel(
        "openai",
        provider="openai",
        base_url="https://api.example.com/v1",
        credential="sk-x",
        models={"gpt-4": "gpt-4"},
    )
    demo = shop.channel(models={"gpt-3.5-turbo": "x"})
    shop.change_channel(demo, allowed_endpoints=["gemini_generate", "chat_completions"])
    key = shop.key()
    shop.wait_for_relays()
    assert len(listed(client, "/v1/models", bearer(key))["data"]) == 2
    [only] = listed(client, "/v1/models", goog(key))["models"]
    assert only["name"] == "models/gpt-3.5-turbo"
    assert "countTokens" not in only["supportedGenerationMethods"]


def test_a_key_for_some_models_and_endpoints_is_shown_no_others(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    one = shop.key(allowed_models=["gpt-4", "gpt-unheard-of"])
    assert len(listed(client, "/v1beta/models", goog(one))["models"]) == 1
    chats = shop.key(allowed_endpoints=["chat_completions"])
    assert listed(client, "/v1beta/models", goog(chats)) == {"models": []}
    assert listed(client, "/v1/models", bearer(chats) | ANTHROPIC) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }
