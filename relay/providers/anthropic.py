"""Anthropic, and every other upstream that speaks its Messages API under a base URL."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from relay.protocols.anthropic import MESSAGES
from relay.protocols.base import Endpoint
from relay.providers.base import (
    PROBE_TOKENS,
    Failure,
    LocalAnswerer,
    retry_after_s,
    with_given,
    without_account_details,
)
from relay.wire.messages import Header
from relay.wire.origin import parse_base_url

API_VERSION = b"2023-06-01"
"""What is asked for when the client names no version."""

_OURS = frozenset({b"authorization", b"x-api-key"})
_SIGN_IN_PREFIX = "sk-ant-oat"
_SIGN_IN_BETA = b"oauth-2025-04-20"
_VERSION = re.compile(r"(?:/v1)+$")

_CREDENTIAL_TYPES = frozenset({"authentication_error", "permission_error", "billing_error"})
_CREDENTIAL_STATUSES = frozenset({401, 402, 403, 407})
_CLIENT_TYPES = frozenset({"invalid_request_error", "not_found_error", "request_too_large"})
_CLIENT_STATUSES = frozenset({400, 404, 405, 406, 410, 411, 413, 414, 415, 416, 422, 431, 451})
_TIMEOUT_STATUSES = frozenset({408, 504, 522, 524})
# These come with status 400 and are about the account that the channel uses.
_OUR_ACCOUNT = re.compile(
    r"credit balance is too low|usage limits|organization has been disabled|purchase credits",
    re.IGNORECASE,
)
_ACCOUNT_IDS = re.compile(
    r"\b(?:req|org|wrkspc|apikey|user)_[A-Za-z0-9]{8,}"
    r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b",
    re.IGNORECASE,
)

_ANY = msgspec.json.Decoder()


class AnthropicProvider:
    """Anthropic's API over HTTP. The base URL is what the vendor's own library takes."""

    name = "anthropic"
    needs_credential = True
    local: LocalAnswerer | None = None

    def serves(self, endpoint: Endpoint) -> bool:
        """Say whether an endpoint is one of Anthropic's."""
        return endpoint.errors.name == "anthropic"

    def path(self, base_url: str, endpoint: Endpoint, served: str, *, stream: bool) -> str:
        """Return the path of an endpoint; see Provider."""
        return _root(base_url) + endpoint.path.removeprefix("/v1")

    def probe(self, model: str) -> tuple[Endpoint, bytes]:
        """Return a short question; see Provider."""
        question = {"role": "user", "content": "ping"}
        asked = {"model": model, "max_tokens": PROBE_TOKENS, "messages": [question]}
        return MESSAGES, msgspec.json.encode(asked)

    def models_path(self, base_url: str) -> str:
        """Return the path of the list of models, all on one page; see Provider."""
        return _root(base_url) + "/models?limit=1000"

    def headers(self, credential: str, extra: Sequence[Header] = ()) -> list[Header]:
        """Return our headers, and those of `extra` that are neither ours nor about a connection."""
        given: Sequence[Header] = [(name.lower(), value) for name, value in extra]
        ours: list[Header] = []
        if credential.startswith(_SIGN_IN_PREFIX):
            ours.append((b"authorization", b"Bearer %b" % credential.encode("latin-1")))
            given = _with_beta(given, _SIGN_IN_BETA)
        elif credential:
            ours.append((b"x-api-key", credential.encode("latin-1")))
        if not any(name == b"anthropic-version" for name, _ in given):
            ours.append((b"anthropic-version", API_VERSION))
        return with_given(ours, given, owned=_OURS)

    def limit_field(self, model: str, endpoint: Endpoint) -> str:
        """Return the only field there is; see Provider."""
        return "max_tokens"

    def classify(
        self, status: int, headers: Sequence[Header], body: bytes, *, credential: str = ""
    ) -> Failure:
        """Return what an error answer means; see Provider."""
        error = _error_of(body)
        kind, wait_s = error.get("type"), retry_after_s(headers)
        if kind in _CREDENTIAL_TYPES or status in _CREDENTIAL_STATUSES or _is_about_us(error):
            return Failure("credential", "upstream_credentials", retry_after_s=wait_s)
        if status in _CLIENT_STATUSES or (status == 200 and kind in _CLIENT_TYPES):
            return _client_failure(status, error, credential)
        if status == 429 or kind == "rate_limit_error":
            return Failure("rate_limited", "upstream_rate_limited", retry_after_s=wait_s)
        if status in _TIMEOUT_STATUSES or kind == "timeout_error":
            return Failure("timeout", "upstream_timeout", status=504, retry_after_s=wait_s)
        if status == 200:
            return Failure("unavailable", "upstream_error_event")
        return Failure("unavailable", "upstream_unavailable", retry_after_s=wait_s)


def _root(base_url: str) -> str:
    """Return the path of a base URL up to its `/v1`, which may be left out."""
    _, prefix = parse_base_url(base_url)
    return _VERSION.sub("", prefix.decode("ascii")) + "/v1"


def _with_beta(headers: Sequence[Header], feature: bytes) -> list[Header]:
    """Return the headers asking for one more beta feature."""
    asked = [value for name, value in headers if name == b"anthropic-beta"]
    others = [header for header in headers if header[0] != b"anthropic-beta"]
    return [*others, (b"anthropic-beta", b",".join([*asked, feature]))]


def _is_about_us(error: dict[str, str]) -> bool:
    return bool(_OUR_ACCOUNT.search(error.get("message", "")))


def _client_failure(status: int, error: dict[str, str], credential: str) -> Failure:
    """Return the failure that passes the vendor's own words on; HTML and the like stay here."""
    safe = without_account_details(error, credential=credential)
    safe = {name: _ACCOUNT_IDS.sub("[removed]", value) for name, value in safe.items()}
    return Failure(
        "client",
        "upstream_client_error",
        status=status if 400 <= status < 500 else 400,
        code=safe.get("type"),
        message=safe.get("message", ""),
        body=msgspec.json.encode({"type": "error", "error": safe}) if safe else None,
        style="anthropic",
    )


def _error_of(body: bytes) -> dict[str, str]:
    """Return type and message of an error body, empty if it has none; its ids are left behind."""
    try:
        answer: Any = _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return {}
    kind, message = error.get("type"), error.get("message")
    return {
        "type": kind[:64] if isinstance(kind, str) and kind else "api_error",
        "message": message if isinstance(message, str) else "",
    }
