"""How Azure OpenAI is addressed on both of its surfaces, and what its errors mean."""

import json
from typing import Any

import pytest

from relay.protocols.openai import CHAT, COMPLETIONS, EMBEDDINGS
from relay.protocols.realtime import REALTIME
from relay.protocols.responses import RESPONSES
from relay.providers import REGISTRY
from relay.providers.base import Failure

AZURE = REGISTRY["azure"]
NAME = "https://north.openai.azure.com"
DEPLOYMENTS = f"{NAME}/openai/deployments"


def classified(status: int, **error: Any) -> Failure:
    body = json.dumps({"error": {"message": "Trouble"} | error}).encode()
    return AZURE.classify(status, [], body, credential="very-secret")


@pytest.mark.parametrize("path", ["", "/openai", "/openai/v1", "/openai/v1/"])
def test_the_newer_surface_is_the_usual_one(path: str) -> None:
    served = AZURE.path(NAME + path, CHAT, "my-gpt", stream=True)
    assert served == "/openai/v1/chat/completions"


def test_a_gateway_in_front_keeps_its_path() -> None:
    path = AZURE.path("https://gate.example/ai/openai/v1", RESPONSES, "my-gpt", stream=True)
    assert path == "/ai/openai/v1/responses"


def test_the_older_surface_has_the_deployment_in_the_address() -> None:
    path = AZURE.path(DEPLOYMENTS, CHAT, "my gpt/4", stream=False)
    assert path == ("/openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21")


def test_its_version_stands_in_the_base_url() -> None:
    base_url = f"{DEPLOYMENTS}/2025-04-01-preview"
    path = AZURE.path(base_url, EMBEDDINGS, "ada", stream=False)
    assert path == "/openai/deployments/ada/embeddings?api-version=2025-04-01-preview"


def test_responses_are_under_no_deployment() -> None:
    path = AZURE.path(f"{DEPLOYMENTS}/2025-04-01-preview", RESPONSES, "my-gpt", stream=False)
    assert path == "/openai/responses?api-version=2025-04-01-preview"


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        (NAME, "/openai/v1/models"),
        (DEPLOYMENTS, "/openai/models?api-version=2024-10-21"),
    ],
)
def test_models_are_listed_on_both_surfaces(base_url: str, path: str) -> None:
    assert AZURE.models_path(base_url) == path


def test_the_key_is_in_a_header_of_its_own() -> None:
    headers = dict(AZURE.headers("secret", [(b"Api-Key", b"mine"), (b"x-more", b"1")]))
    assert headers[b"api-key"] == b"secret"
    assert headers[b"x-more"] == b"1"
    assert b"authorization" not in headers


def test_a_limit_has_the_name_that_every_chat_model_takes() -> None:
    assert AZURE.limit_field("anything", CHAT) == "max_completion_tokens"
    assert AZURE.limit_field("anything", COMPLETIONS) == "max_tokens"


def test_a_filtered_prompt_is_the_clients_own_affair() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}
    failure = classified(400, code="content_filter", param="prompt", innererror=inner)
    assert (failure.kind, failure.status, failure.code) == ("client", 400, "content_filter")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, {"code": "DeploymentNotFound"}),
        (404, {"code": "DeploymentNotFound", "type": "invalid_request_error"}),
        (404, {"code": "404", "message": "Resource not found"}),
        (400, {"code": "UnsupportedApiVersion"}),
    ],
)
def test_what_is_set_up_wrongly_is_not_the_clients_mistake(
    status: int, error: dict[str, Any]
) -> None:
    assert classified(status, **error).kind == "unavailable"


def test_a_response_that_is_not_there_is_the_clients_mistake() -> None:
    failure = classified(404, code="previous_response_not_found", type="invalid_request_error")
    assert (failure.kind, failure.status) == ("client", 404)


@pytest.mark.parametrize(("status", "code"), [(401, "401"), (401, "PermissionDenied"), (403, "x")])
def test_a_refused_key_is_a_matter_of_the_channel(status: int, code: str) -> None:
    assert classified(status, code=code).kind == "credential"


def test_a_full_deployment_is_left_alone_for_a_while() -> None:
    body = json.dumps({"error": {"code": "429", "message": "Exceeded"}}).encode()
    failure = AZURE.classify(429, [(b"retry-after", b"7")], body)
    assert (failure.kind, failure.retry_after_s) == ("rate_limited", 7.0)


def test_the_name_of_the_resource_stays_here() -> None:
    failure = classified(400, message="At north.openai.azure.com: too long", type="x")
    assert b"north" not in (failure.body or b"")


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        (NAME, "/openai/v1/realtime?model=my%20gpt"),
        (DEPLOYMENTS, "/openai/realtime?api-version=2024-10-21&deployment=my%20gpt"),
    ],
)
def test_conversations_name_the_deployment_in_the_query(base_url: str, path: str) -> None:
    assert AZURE.path(base_url, REALTIME, "my gpt", stream=True) == path
