"""How Anthropic's API is addressed, and what its errors mean."""

import json
from typing import Any

import pytest

from relay.protocols.anthropic import COUNT_TOKENS, MESSAGES
from relay.protocols.base import Asked
from relay.protocols.openai import CHAT
from relay.providers import REGISTRY
from relay.providers.base import Failure

ANTHROPIC = REGISTRY["anthropic"]


def error(type_: str = "api_error", message: str = "Trouble", **fields: Any) -> bytes:
    told = {"type": type_, "message": message}
    return json.dumps(
        {"type": "error", "error": told, "request_id": "req_011CSb"} | fields
    ).encode()


def classified(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Failure:
    return ANTHROPIC.classify(status, list(headers), body, credential="very-secret")


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://api.anthropic.com", "/v1/messages"),
        ("https://api.anthropic.com/", "/v1/messages"),
        ("https://api.anthropic.com/v1", "/v1/messages"),
        ("https://api.anthropic.com/v1/v1/", "/v1/messages"),
        ("https://vendor.example/anthropic", "/anthropic/v1/messages"),
        ("https://vendor.example/api/anthropic/v1", "/api/anthropic/v1/messages"),
    ],
)
def test_the_path_continues_the_base_url(base_url: str, path: str) -> None:
    assert ANTHROPIC.path(base_url, MESSAGES, "claude", stream=True) == path
    assert ANTHROPIC.path(base_url, COUNT_TOKENS, "c", stream=False) == f"{path}/count_tokens"
    assert ANTHROPIC.models_path(base_url).startswith(path.replace("messages", "models?"))


def test_it_serves_its_own_dialect_only() -> None:
    assert ANTHROPIC.serves(MESSAGES)
    assert ANTHROPIC.serves(COUNT_TOKENS)
    assert not ANTHROPIC.serves(CHAT)


def test_the_credential_and_a_version_are_sent() -> None:
    assert dict(ANTHROPIC.headers("sk-ant-api03-1")) == {
        b"x-api-key": b"sk-ant-api03-1",
        b"anthropic-version": b"2023-06-01",
        b"user-agent": b"tollgate",
    }


def test_the_clients_version_and_betas_are_sent_as_they_are() -> None:
    asked = [(b"anthropic-version", b"2026-10-21"), (b"anthropic-beta", b"a-1,b-2")]
    headers = ANTHROPIC.headers("sk-ant-api03-1", asked)
    assert [value for name, value in headers if name.startswith(b"anthropic")] == [
        b"2026-10-21",
        b"a-1,b-2",
    ]


def test_a_credential_of_a_sign_in_goes_as_a_bearer_token() -> None:
    headers = dict(ANTHROPIC.headers("sk-ant-oat01-x", [(b"anthropic-beta", b"a-1")]))
    assert headers[b"authorization"] == b"Bearer sk-ant-oat01-x"
    assert headers[b"anthropic-beta"] == b"a-1,oauth-2025-04-20"
    assert b"x-api-key" not in headers


@pytest.mark.parametrize("name", [b"Authorization", b"X-Api-Key", b"cookie", b"Host"])
def test_headers_that_are_ours_can_not_be_replaced(name: bytes) -> None:
    assert (name.lower(), b"evil") not in ANTHROPIC.headers("sk-1", [(name, b"evil")])


def test_the_probe_is_a_short_message() -> None:
    endpoint, body = ANTHROPIC.probe("claude-haiku-4-5")
    facts = endpoint.dialect.read(endpoint, Asked(body))
    assert (endpoint, facts.model, facts.output_limit) == (MESSAGES, "claude-haiku-4-5", 16)


def test_its_limit_has_one_name() -> None:
    assert ANTHROPIC.limit_field("claude", MESSAGES) == "max_tokens"


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
        (504, "timeout"),
        (529, "unavailable"),
        (302, "unavailable"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", error(), b"[]", b'{"error":"x"}'])
def test_the_status_decides_whatever_the_body(status: int, kind: str, body: bytes) -> None:
    assert classified(status, body).kind == kind


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("overloaded_error", "unavailable"),
        ("api_error", "unavailable"),
        ("rate_limit_error", "rate_limited"),
        ("timeout_error", "timeout"),
        ("invalid_request_error", "client"),
        ("authentication_error", "credential"),
        ("billing_error", "credential"),
    ],
)
def test_in_a_stream_the_type_decides(type_: str, kind: str) -> None:
    assert classified(200, error(type_)).kind == kind


@pytest.mark.parametrize(
    "message",
    [
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
        "This organization has been disabled.",
    ],
)
def test_trouble_with_our_account_is_never_the_clients_mistake(message: str) -> None:
    failure = classified(400, error("invalid_request_error", message))
    assert (failure.kind, failure.body) == ("credential", None)


def test_the_vendors_words_are_passed_on_in_its_own_shape() -> None:
    words = "max_tokens: 99999999 > 64000, which is the maximum allowed"
    failure = classified(400, error("invalid_request_error", words))
    assert (failure.kind, failure.status, failure.style) == ("client", 400, "anthropic")
    assert json.loads(failure.body or b"") == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": words},
    }


@pytest.mark.parametrize(
    "trace",
    [
        "very-secret",
        "sk-ant-api03-AAAA",
        "req_011CSHoEeqs5C35K2UUqR7Fy",
        "org_01AbCdEfGhIjKl",
        "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ",
        "6b3c1f2e-1234-4abc-9def-0123456789ab",
        "owner@example.com",
    ],
)
def test_traces_of_our_account_are_taken_out(trace: str) -> None:
    failure = classified(404, error("not_found_error", f"model: x ({trace})", organization=trace))
    assert failure.body is not None
    assert trace not in failure.body.decode() + failure.message
    assert "model: x" in failure.message


def test_a_page_of_some_proxy_is_not_passed_on() -> None:
    failure = classified(413, b"<html>nginx at 10.0.0.7</html>")
    assert (failure.status, failure.body, failure.message) == (413, None, "")


def test_how_long_to_wait_is_read() -> None:
    assert classified(429, error(), (b"retry-after", b"7")).retry_after_s == 7
    assert classified(529, error(), (b"retry-after", b"2")).retry_after_s == 2
