"""Any upstream with OpenAI's API under a base URL: OpenAI itself, its imitators, other relays."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from relay.protocols.audio import SPEECH
from relay.protocols.base import Endpoint
from relay.protocols.moderations import MODERATIONS
from relay.protocols.openai import CHAT, EMBEDDINGS
from relay.protocols.realtime import REALTIME
from relay.protocols.rerank import RERANK
from relay.protocols.responses import RESPONSES
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

_DOUBLED_VERSION = re.compile(r"(?:/v1){2,}$")
_NEWER_LIMIT = re.compile(r"(?:^|/)(?:o\d|gpt-[5-9])")

_ONLY_RESPONSES = re.compile(r"codex|\b(?:o\d|gpt-5[\w.]*)-pro\b|computer-use|deep-research")
_PROBES: Sequence[tuple[re.Pattern[str], Endpoint, dict[str, Any]]] = (
    (_ONLY_RESPONSES, RESPONSES, {"input": "ping", "max_output_tokens": PROBE_TOKENS}),
    (re.compile(r"embedding|\bbge-m3"), EMBEDDINGS, {"input": "ping"}),
    (re.compile(r"moderation"), MODERATIONS, {"input": "ping"}),
    (re.compile(r"rerank"), RERANK, {"query": "ping", "documents": ["pong"]}),
    (re.compile(r"\btts\b"), SPEECH, {"input": "ping", "voice": "alloy"}),
)
"""What is asked of models that don't chat, by their names."""

_CREDENTIAL_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
        "access_terminated",
        "invalid_api_key",
        "invalid_organization",
        "insufficient_user_quota",
        "Arrearage",  # Alibaba's
        "1113",  # Zhipu's
    }
)
# These come with status 400 or 429 and are about the account that the channel uses. They stand at
# the beginning, where no vendor quotes what the client has sent.
_OUR_ACCOUNT = re.compile(
    r"user location is not supported"
    r"|access denied, please make sure your account is in good standing"
    r"|(?:sorry, )?(?:your )?account balance is (?:insufficient|too low)"
    r"|insufficient (?:account )?(?:balance|credits?)\b|[\u4e00-\u9fff]{0,12}(?:欠费|余额不足)",
    re.IGNORECASE,
)
_CLIENT_CODES = frozenset(
    {
        "context_length_exceeded",
        "string_above_max_length",
        "content_policy_violation",
        "content_filter",
        "invalid_prompt",
        "invalid_image_url",
        "unsupported_parameter",
        "unsupported_value",
    }
)
_RATE_CODES = frozenset({"rate_limit_exceeded", "rate_limit_error"})
_CREDENTIAL_STATUSES = frozenset({401, 402, 403, 407})
_CLIENT_STATUSES = frozenset({400, 404, 405, 406, 410, 411, 413, 414, 415, 416, 422, 431, 451})
_TIMEOUT_STATUSES = frozenset({408, 504, 522, 524})

_ANY = msgspec.json.Decoder()


class OpenAIProvider:
    """OpenAI's API over HTTP. The base URL is what the vendor's own library takes."""

    name = "openai"
    needs_credential = True
    local: LocalAnswerer | None = None

    def serves(self, endpoint: Endpoint) -> bool:
        """Say whether an endpoint is one of OpenAI's."""
        return endpoint.errors.name == "openai"

    def path(self, base_url: str, endpoint: Endpoint, served: str, *, stream: bool) -> str:
        """Return the path of an endpoint; see Provider."""
        path = _root(base_url) + endpoint.path.removeprefix("/v1")
        return f"{path}?model={quote(served, safe='')}" if endpoint is REALTIME else path

    def probe(self, model: str) -> tuple[Endpoint, bytes]:
        """Return a short question, or what else costs next to nothing; see Provider."""
        for names, endpoint, asked in _PROBES:
            if names.search(model.lower()):
                return endpoint, msgspec.json.encode({"model": model} | asked)
        question = {"role": "user", "content": "ping"}
        limit = {self.limit_field(model, CHAT): PROBE_TOKENS}
        return CHAT, msgspec.json.encode({"model": model, "messages": [question]} | limit)

    def models_path(self, base_url: str) -> str:
        """Return the path of the list of models; see Provider."""
        return _root(base_url) + "/models"

    def headers(self, credential: str, extra: Sequence[Header] = ()) -> list[Header]:
        """Return our headers, and those of `extra` that are neither ours nor about a connection."""
        ours: list[Header] = []
        if credential:
            ours.append((b"authorization", b"Bearer %b" % credential.encode("latin-1")))
        return with_given(ours, extra, owned={b"authorization"})

    def limit_field(self, model: str, endpoint: Endpoint) -> str:
        """Return `max_completion_tokens` where OpenAI refuses the older name, else `max_tokens`."""
        if endpoint.name != "completions" and _NEWER_LIMIT.search(model):
            return "max_completion_tokens"
        return "max_tokens"

    def classify(
        self, status: int, headers: Sequence[Header], body: bytes, *, credential: str = ""
    ) -> Failure:
        """Return what an error answer means; see Provider."""
        error = error_of(body)
        codes = {_name(error.get("code")), _name(error.get("type"))}
        wait_s = retry_after_s(headers)
        is_about_us = _OUR_ACCOUNT.match(str(error.get("message")))
        if codes & _CREDENTIAL_CODES or status in _CREDENTIAL_STATUSES or is_about_us:
            return Failure("credential", "upstream_credentials", retry_after_s=wait_s)
        is_blamed = codes & _CLIENT_CODES or (status == 200 and "invalid_request_error" in codes)
        if status in _CLIENT_STATUSES or is_blamed:
            return _client_failure(status, error, credential)
        if status == 429 or codes & _RATE_CODES:
            return Failure("rate_limited", "upstream_rate_limited", retry_after_s=wait_s)
        if status in _TIMEOUT_STATUSES:
            return Failure("timeout", "upstream_timeout", status=504, retry_after_s=wait_s)
        if status == 200:
            return Failure("unavailable", "upstream_error_event")
        return Failure("unavailable", "upstream_unavailable", retry_after_s=wait_s)


def _root(base_url: str) -> str:
    """Return the path of a base URL; one without any path stands for its `/v1`."""
    _, prefix = parse_base_url(base_url)
    return _DOUBLED_VERSION.sub("/v1", prefix.decode("ascii")) or "/v1"


def _client_failure(status: int, error: dict[str, Any], credential: str) -> Failure:
    """Return the failure that passes the vendor's own words on; HTML and the like stay here."""
    safe = without_account_details(error, credential=credential)
    passed = status if 400 <= status < 500 and status != 429 else 400
    return Failure(
        "client",
        "upstream_client_error",
        status=passed,
        code=_name(safe.get("code")),
        message=str(safe.get("message") or ""),
        body=msgspec.json.encode({"error": safe}) if safe else None,
    )


def error_of(body: bytes) -> dict[str, Any]:
    """Return the error object of a body in any of the shapes in use; empty if there is none."""
    try:
        answer = _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(answer, dict):
        return {}
    error = answer.get("error", answer)
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return {}
    if error is answer:
        message = answer.get("message") or answer.get("detail") or answer.get("error_msg")
        if not isinstance(message, str):
            return {}
        error = {"message": message, "type": answer.get("type"), "code": answer.get("code")}
    return {"message": "", "type": None, "param": None, "code": None} | error


def _name(value: object) -> str | None:
    """Return a code as text of a bounded length; None for numbers and nonsense."""
    return value[:64] if isinstance(value, str) and value else None
