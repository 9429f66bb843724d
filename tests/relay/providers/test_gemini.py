"""How Gemini is addressed, and what its errors mean."""

import json
from typing import Any

import pytest

from relay.errors import ERROR_TYPES
from relay.protocols.gemini import (
    BATCH_EMBED,
    COUNT_TOKENS,
    EMBED,
    ENDPOINTS,
    GENERATE,
    STREAM_GENERATE,
)
from relay.protocols.openai import CHAT
from relay.providers.base import Failure
from relay.providers.gemini import GeminiProvider

GEMINI = GeminiProvider()
GOOGLE = "https://generativelanguage.googleapis.com"
MODEL = "gemini-2.5-flash"
INVALID_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "13.5s"}
VIOLATION = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": []}


def error(code: int = 400, status: str = "", message: str = "Trouble", **more: Any) -> bytes:
    return json.dumps(
        {"error": {"code": code, "message": message, "status": status} | more}
    ).encode()


def classified(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Failure:
    return GEMINI.classify(status, list(headers), body, credential="very-secret")


@pytest.mark.parametrize(
    ("base_url", "root"),
    [
        (GOOGLE, "/v1beta"),
        (GOOGLE + "/", "/v1beta"),
        (GOOGLE + "/v1beta", "/v1beta"),
        (GOOGLE + "/v1/", "/v1"),
        (GOOGLE + "/v1alpha", "/v1alpha"),
        ("https://relay.example/gemini", "/gemini/v1beta"),
        ("https://relay.example/gemini/v1beta", "/gemini/v1beta"),
    ],
)
def test_the_path_continues_the_base_url(base_url: str, root: str) -> None:
    path = GEMINI.path(base_url, GENERATE, MODEL, stream=False)
    assert path == f"{root}/models/{MODEL}:generateContent"
    assert GEMINI.models_path(base_url).startswith(f"{root}/models")


@pytest.mark.parametrize("endpoint", [GENERATE, STREAM_GENERATE])
def test_a_stream_is_asked_for_by_the_address_and_as_events(endpoint: Any) -> None:
    streamed = GEMINI.path(GOOGLE, endpoint, MODEL, stream=True)
    assert streamed == f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
    whole = GEMINI.path(GOOGLE, endpoint, MODEL, stream=False)
    assert whole == f"/v1beta/models/{MODEL}:generateContent"


@pytest.mark.parametrize("endpoint", [COUNT_TOKENS, EMBED, BATCH_EMBED])
def test_each_endpoint_has_its_path(endpoint: Any) -> None:
    path = GEMINI.path(GOOGLE, endpoint, MODEL, stream=False)
    assert path == endpoint.path.format(model=MODEL)


@pytest.mark.parametrize(
    ("served", "name"),
    [
        ("models/gemini-pro", "models/gemini-pro"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("odd?name#1 ", "models/odd%3Fname%231%20"),
    ],
)
def test_a_name_stays_a_name_in_the_address(served: str, name: str) -> None:
    path = GEMINI.path(GOOGLE, GENERATE, served, stream=False)
    assert path == f"/v1beta/{name}:generateContent"


def test_it_serves_its_own_endpoints_only() -> None:
    assert all(GEMINI.serves(endpoint) for endpoint in ENDPOINTS.values())
    assert not GEMINI.serves(CHAT)


def test_the_credential_has_a_header_of_its_own() -> None:
    headers = GEMINI.headers("AIza-1", [(b"Accept", b"*/*"), (b"X-Goog-Api-Key", b"client's")])
    assert headers == [
        (b"x-goog-api-key", b"AIza-1"),
        (b"user-agent", b"tollgate"),
        (b"accept", b"*/*"),
    ]


def test_an_operator_may_set_the_agent_of_a_channel() -> None:
    assert dict(GEMINI.headers("k", [(b"User-Agent", b"shop")]))[b"user-agent"] == b"shop"


def test_the_probe_is_short_and_knows_embeddings() -> None:
    endpoint, body = GEMINI.probe(MODEL)
    assert (endpoint, json.loads(body)["generationConfig"]) == (GENERATE, {"maxOutputTokens": 16})
    assert GEMINI.probe("gemini-embedding-001")[0] is EMBED
    assert GEMINI.limit_field(MODEL, GENERATE) == "maxOutputTokens"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error(status="INVALID_ARGUMENT"), "client"),
        (400, error(status="INVALID_ARGUMENT", details=[INVALID_KEY]), "credential"),
        (400, error(status="FAILED_PRECONDITION"), "credential"),
        (401, b"", "credential"),
        (403, error(403, "PERMISSION_DENIED"), "credential"),
        (403, error(403, "PERMISSION_DENIED", "You may not access the File abc."), "client"),
        (403, error(403, "PERMISSION_DENIED", "CachedContent not found"), "client"),
        (404, error(404, "NOT_FOUND"), "client"),
        (413, b"<html>", "client"),
        (429, error(429, "RESOURCE_EXHAUSTED"), "rate_limited"),
        (429, b"", "rate_limited"),
        (500, error(500, "INTERNAL"), "unavailable"),
        (503, error(503, "UNAVAILABLE"), "unavailable"),
        (504, error(504, "DEADLINE_EXCEEDED"), "timeout"),
        (200, error(400, "INVALID_ARGUMENT"), "client"),
        (200, error(429, "RESOURCE_EXHAUSTED"), "rate_limited"),
        (200, error(500, "INTERNAL"), "unavailable"),
        (302, b"", "unavailable"),
    ],
)
def test_an_error_means_what_google_means(status: int, body: bytes, kind: str) -> None:
    failure = classified(status, body)
    assert failure.kind == kind
    assert failure.error_type in ERROR_TYPES


def test_an_error_may_come_in_an_array() -> None:
    failure = classified(400, b"[" + error(status="INVALID_ARGUMENT") + b"]")
    assert (failure.kind, failure.message) == ("client", "Trouble")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"error":7}', b"<html>x</html>"])
def test_what_is_no_error_body_stays_here(body: bytes) -> None:
    failure = classified(400, body)
    assert (failure.kind, failure.body) == ("client", None)


def test_the_vendors_words_reach_the_client_without_our_account() -> None:
    body = error(
        status="INVALID_ARGUMENT",
        message="Bad, says very-secret of AIzaSyA1234567890abc.",
        details=[{"metadata": {"consumer": "projects/1234567"}}, VIOLATION],
    )
    failure = classified(400, body)
    assert (failure.status, failure.style) == (400, "gemini")
    told = json.loads(failure.body or b"")["error"]
    assert (told["code"], told["status"]) == (400, "INVALID_ARGUMENT")
    assert told["details"] == [VIOLATION]
    assert not any(trace in str(told) for trace in ("very-secret", "AIza", "projects/"))
    assert "[removed]" in told["message"]


def test_an_error_inside_an_answer_gets_a_status_of_the_clients() -> None:
    assert classified(200, error(400, "INVALID_ARGUMENT")).status == 400


@pytest.mark.parametrize(
    ("body", "headers", "wait_s"),
    [
        (error(429, details=[RETRY]), [], 13.5),
        (error(429, details=[RETRY]), [(b"retry-after", b"7")], 7.0),
        (error(429, details=[{"retryDelay": "soon"}, 7]), [], None),
        (error(429, details="none"), [], None),
    ],
)
def test_the_wish_to_be_left_alone_stands_in_the_details(
    body: bytes, headers: list[tuple[bytes, bytes]], wait_s: float | None
) -> None:
    assert classified(429, body, *headers).retry_after_s == wait_s
