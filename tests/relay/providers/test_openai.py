"""How OpenAI-compatible upstreams are addressed, and what their errors mean."""

import json
from typing import Any

import pytest

from relay.errors import ERROR_TYPES
from relay.protocols.audio import SPEECH
from relay.protocols.base import Asked, Endpoint
from relay.protocols.moderations import MODERATIONS
from relay.protocols.openai import CHAT, COMPLETIONS, EMBEDDINGS
from relay.protocols.rerank import RERANK
from relay.protocols.responses import RESPONSES
from relay.providers import REGISTRY
from relay.providers.base import Failure, retry_after_s, transport_failure
from relay.wire.errors import (
    AddressRefused,
    ConnectFailed,
    ConnectionLost,
    FirstByteTimeout,
    UpstreamError,
)

OPENAI = REGISTRY["openai"]


def error(**fields: Any) -> bytes:
    return json.dumps({"error": {"message": "Trouble", "param": None} | fields}).encode()


def classified(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Failure:
    return OPENAI.classify(status, list(headers), body, credential="very-secret")


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://api.openai.com/v1", "/v1/chat/completions"),
        ("https://api.openai.com/v1/", "/v1/chat/completions"),
        ("https://api.openai.com", "/v1/chat/completions"),
        ("https://api.openai.com/v1/v1/", "/v1/chat/completions"),
        ("https://relay.example/openai/v1", "/openai/v1/chat/completions"),
        ("https://open.example/api/paas/v4", "/api/paas/v4/chat/completions"),
    ],
)
def test_the_path_continues_the_base_url(base_url: str, path: str) -> None:
    assert OPENAI.path(base_url, CHAT, "gpt-4", stream=False) == path


def test_each_endpoint_has_its_path() -> None:
    for endpoint in (COMPLETIONS, EMBEDDINGS):
        assert OPENAI.path("https://x.example/v1", endpoint, "m", stream=False) == endpoint.path


def test_the_credential_and_our_own_agent_are_sent() -> None:
    headers = dict(OPENAI.headers("sk-1", [(b"Accept", b"text/event-stream")]))
    assert headers == {
        b"authorization": b"Bearer sk-1",
        b"user-agent": b"tollgate",
        b"accept": b"text/event-stream",
    }


@pytest.mark.parametrize(
    "name",
    [b"Authorization", b"cookie", b"Host", b"X-Forwarded-For", b"Content-Length", b"forwarded"],
)
def test_headers_that_are_ours_can_not_be_replaced(name: bytes) -> None:
    assert (name.lower(), b"evil") not in OPENAI.headers("sk-1", [(name, b"evil")])


def test_an_operator_may_set_the_agent_of_a_channel() -> None:
    assert dict(OPENAI.headers("sk-1", [(b"User-Agent", b"shop")]))[b"user-agent"] == b"shop"


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("gpt-4o", "max_tokens"),
        ("gpt-4.1-mini", "max_tokens"),
        ("gpt-3.5-turbo", "max_tokens"),
        ("deepseek-chat", "max_tokens"),
        ("olmo-2", "max_tokens"),
        ("o1", "max_completion_tokens"),
        ("o3-mini", "max_completion_tokens"),
        ("openai/o4-mini", "max_completion_tokens"),
        ("gpt-5-nano", "max_completion_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_model_takes(model: str, field: str) -> None:
    assert OPENAI.limit_field(model, CHAT) == field


def test_completions_know_only_the_older_limit() -> None:
    assert OPENAI.limit_field("gpt-5", COMPLETIONS) == "max_tokens"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "client"),
        (404, "client"),
        (413, "client"),
        (422, "client"),
        (401, "credential"),
        (402, "credential"),
        (403, "credential"),
        (408, "timeout"),
        (409, "unavailable"),
        (429, "rate_limited"),
        (500, "unavailable"),
        (502, "unavailable"),
        (503, "unavailable"),
        (504, "timeout"),
        (529, "unavailable"),
        (302, "unavailable"),
        (418, "unavailable"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>oops</html>", error(), b'{"detail":"Trouble"}', b"[]"]
)
def test_the_status_decides_whatever_the_body(status: int, kind: str, body: bytes) -> None:
    failure = classified(status, body)
    assert failure.kind == kind
    assert failure.error_type in ERROR_TYPES


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "insufficient_quota", "credential"),
        (400, "billing_hard_limit_reached", "credential"),
        (429, "rate_limit_exceeded", "rate_limited"),
        (500, "context_length_exceeded", "client"),
        (200, "context_length_exceeded", "client"),
        (200, "insufficient_quota", "credential"),
        (200, "rate_limit_exceeded", "rate_limited"),
        (200, "whatever", "unavailable"),
        (200, None, "unavailable"),
        (200, 429, "unavailable"),
    ],
)
def test_a_code_says_more_than_the_status(status: int, code: object, kind: str) -> None:
    assert classified(status, error(code=code)).kind == kind


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Access denied, please make sure your account is in good standing."),
        (400, "User location is not supported for the API use."),
        (429, "Your account balance is insufficient"),
        (400, "Insufficient credits. Add more and retry."),
        (429, "您的账户已欠费,请充值后重试"),
    ],
)
def test_trouble_with_our_account_is_ours_whatever_its_status(status: int, message: str) -> None:
    assert classified(status, error(message=message)).kind == "credential"


@pytest.mark.parametrize(
    "message", ["Invalid value: 'insufficient balance'", "Expected no '余额不足'", "Wrong location"]
)
def test_words_of_a_clients_mistake_are_not_taken_for_our_account(message: str) -> None:
    assert classified(400, error(message=message)).kind == "client"


def test_an_invalid_request_inside_an_answer_is_the_clients() -> None:
    failure = classified(200, error(type="invalid_request_error"))
    assert (failure.kind, failure.status) == ("client", 400)


def test_the_vendors_words_reach_the_client() -> None:
    failure = classified(400, error(type="invalid_request_error", code="context_length_exceeded"))
    assert (failure.status, failure.code, failure.message) == (
        400,
        "context_length_exceeded",
        "Trouble",
    )
    assert failure.body is not None
    assert json.loads(failure.body)["error"] == {
        "message": "Trouble",
        "type": "invalid_request_error",
        "param": None,
        "code": "context_length_exceeded",
    }


@pytest.mark.parametrize(
    "body", [b'{"error":"Trouble"}', b'{"message":"Trouble","code":400}', b'{"detail":"Trouble"}']
)
def test_other_shapes_of_errors_are_put_into_openais(body: bytes) -> None:
    failure = classified(400, body)
    assert failure.body is not None
    assert json.loads(failure.body)["error"]["message"] == "Trouble"


@pytest.mark.parametrize("body", [b"", b"<html>gateway.internal</html>", b"[1]", b'{"error":[1]}'])
def test_what_is_no_error_body_stays_here(body: bytes) -> None:
    failure = classified(400, body)
    assert (failure.status, failure.body) == (400, None)


@pytest.mark.parametrize(
    "detail",
    [
        "very-secret",
        "sk-proj-abc123def456",
        "sk-ab***********xyz1",
        "sk-fake-secret-part",
        "org-Ab12Cd34Ef56",
        "proj_Ab12Cd34Ef56",
        "Bearer abcdef",
        "owner@example.com",
        "AIzaSyA1234567890abc",
    ],
)
def test_traces_of_our_account_are_taken_out(detail: str) -> None:
    body = error(message=f"Limit for {detail}.", meta={"who": [detail], detail: 1})
    failure = classified(400, body)
    assert detail not in repr(failure)
    assert "Limit for" in failure.message


def test_ordinary_words_are_left_alone() -> None:
    words = "Invalid user-provided key-value in org-level task-oriented schema for gpt-4o-2024."
    assert classified(400, error(message=words)).message == words


def test_endless_errors_are_shortened() -> None:
    failure = classified(400, error(message="x" * 100_000, items=list(range(5_000))))
    assert failure.body is not None
    assert len(failure.body) < 3_000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"7")], 7.0),
        ([(b"retry-after", b"1.5")], 1.5),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"9")], 1.5),
        ([(b"retry-after", b"Wed, 21 Oct 2015 07:28:00 GMT")], 0.0),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"\xff")], None),
        ([(b"retry-after", b"-5")], None),
        ([(b"retry-after", b"nan")], None),
        ([], None),
    ],
)
def test_the_upstreams_wish_to_be_left_alone_is_read(
    headers: list[tuple[bytes, bytes]], seconds: float | None
) -> None:
    assert retry_after_s(headers) == seconds
    assert classified(429, b"", *headers).retry_after_s == seconds


@pytest.mark.parametrize(
    ("error", "kind", "error_type"),
    [
        (ConnectFailed("no"), "unavailable", "upstream_unavailable"),
        (FirstByteTimeout("no"), "timeout", "upstream_timeout"),
        (ConnectionLost("no", request_sent=True), "unavailable", "upstream_unavailable"),
        (ConnectionLost("no", response_started=True), "unavailable", "upstream_cut"),
        (AddressRefused("no"), "unavailable", "relay_no_channel"),
    ],
)
def test_no_whole_answer_means_another_may_serve(
    error: UpstreamError, kind: str, error_type: str
) -> None:
    failure = transport_failure(error)
    assert (failure.kind, failure.error_type) == (kind, error_type)
    assert error_type in ERROR_TYPES


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ("gpt-4o-mini", CHAT),
        ("text-embedding-3-small", EMBEDDINGS),
        ("omni-moderation-latest", MODERATIONS),
        ("jina-reranker-v2", RERANK),
        ("gpt-4o-mini-tts", SPEECH),
        ("tts-1", SPEECH),
        ("gpt-5.1-codex-mini", RESPONSES),
        ("o3-pro", RESPONSES),
        ("gpt-5-pro-2026-01-01", RESPONSES),
        ("gpt-5.2", CHAT),
    ],
)
def test_a_model_is_tried_at_what_it_can_do(model: str, endpoint: Endpoint) -> None:
    asked_at, body = OPENAI.probe(model)
    assert asked_at is endpoint
    assert endpoint.dialect.read(endpoint, Asked(body)).model == model
