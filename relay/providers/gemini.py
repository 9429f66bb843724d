"""Google's Gemini API under a base URL, and others who speak it.

The same vendor's imitation of OpenAI's API is reached by a channel of the provider `openai`.
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from relay.protocols.base import Endpoint
from relay.protocols.gemini import EMBED, GENERATE, STREAM_GENERATE
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

_OURS = frozenset({b"authorization", b"x-goog-api-key", b"x-goog-user-project"})
_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*$")
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
# A file or a cache of another account, or none at all: what the client has named, not our key.
_NAMED_BY_CLIENT = re.compile(r"\b(?:file|cached ?content)s?\b", re.IGNORECASE)

_CREDENTIAL_REASONS = frozenset(
    {
        "API_KEY_INVALID",
        "API_KEY_EXPIRED",
        "API_KEY_SERVICE_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED",
        "BILLING_DISABLED",
        "CONSUMER_INVALID",
        "CONSUMER_SUSPENDED",
        "SERVICE_DISABLED",
    }
)
# FAILED_PRECONDITION: the account has no billing, or is not served from where the relay stands.
_CREDENTIAL_STATES = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "FAILED_PRECONDITION"})
_CREDENTIAL_STATUSES = frozenset({401, 402, 403, 407})
_CLIENT_STATES = frozenset({"INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE", "UNIMPLEMENTED"})
_CLIENT_STATUSES = frozenset({400, 404, 405, 411, 413, 414, 415, 422})
_TIMEOUT_STATUSES = frozenset({408, 504})

_ANY = msgspec.json.Decoder()


class GeminiProvider:
    """Gemini's API over HTTP. The base URL may end with a version; without one it is `/v1beta`."""

    name = "gemini"
    needs_credential = True
    local: LocalAnswerer | None = None

    def serves(self, endpoint: Endpoint) -> bool:
        """Say whether an endpoint is one of Gemini's."""
        return endpoint.errors.name == "gemini"

    def path(self, base_url: str, endpoint: Endpoint, served: str, *, stream: bool) -> str:
        """Return the path of an endpoint; see Provider. Streams always come as events."""
        verb = endpoint.path.rpartition(":")[2]
        if endpoint.name == GENERATE.name:
            chosen = STREAM_GENERATE if stream else GENERATE
            verb = chosen.path.rpartition(":")[2]
        folder = "" if served.startswith("tunedModels/") else "models/"
        name = quote(served.removeprefix("models/"), safe="/")
        return f"{_root(base_url)}/{folder}{name}:{verb}{'?alt=sse' if stream else ''}"

    def probe(self, model: str) -> tuple[Endpoint, bytes]:
        """Return a short question, or a text to embed; see Provider."""
        ping = {"parts": [{"text": "ping"}]}
        if "embedding" in model:
            return EMBED, msgspec.json.encode({"content": ping})
        config = {"maxOutputTokens": PROBE_TOKENS}
        return GENERATE, msgspec.json.encode({"contents": [ping], "generationConfig": config})

    def models_path(self, base_url: str) -> str:
        """Return the path of the list of models; see Provider."""
        return _root(base_url) + "/models?pageSize=1000"

    def headers(self, credential: str, extra: Sequence[Header] = ()) -> list[Header]:
        """Return our headers, and those of `extra` that are neither ours nor about a connection."""
        ours: list[Header] = []
        if credential:
            ours.append((b"x-goog-api-key", credential.encode("latin-1")))
        return with_given(ours, extra, owned=_OURS)

    def limit_field(self, model: str, endpoint: Endpoint) -> str:
        """Return the one name that a limit has; it stands inside the generation config."""
        return "maxOutputTokens"

    def classify(
        self, status: int, headers: Sequence[Header], body: bytes, *, credential: str = ""
    ) -> Failure:
        """Return what an error answer means; see Provider."""
        error = _error_of(body)
        details = _details(error)
        reasons = {detail.get("reason") for detail in details}
        state = str(error.get("status"))
        wait_s = retry_after_s(headers) or _retry_delay_s(details)
        is_ours = status in _CREDENTIAL_STATUSES or state in _CREDENTIAL_STATES
        if reasons & _CREDENTIAL_REASONS or (is_ours and not _is_named_by_client(error)):
            return Failure("credential", "upstream_credentials", retry_after_s=wait_s)
        if is_ours or status in _CLIENT_STATUSES or (status == 200 and state in _CLIENT_STATES):
            return _client_failure(status, error, credential)
        if status == 429 or state == "RESOURCE_EXHAUSTED":
            return Failure("rate_limited", "upstream_rate_limited", retry_after_s=wait_s)
        if status in _TIMEOUT_STATUSES or state == "DEADLINE_EXCEEDED":
            return Failure("timeout", "upstream_timeout", status=504, retry_after_s=wait_s)
        if status == 200:
            return Failure("unavailable", "upstream_error_event")
        return Failure("unavailable", "upstream_unavailable", retry_after_s=wait_s)


def _root(base_url: str) -> str:
    """Return the path of a base URL with the version that it names, or the usual one."""
    _, prefix = parse_base_url(base_url)
    path = prefix.decode("ascii")
    return path if _VERSION.search(path) else f"{path}/v1beta"


def _is_named_by_client(error: dict[str, Any]) -> bool:
    return _NAMED_BY_CLIENT.search(str(error.get("message") or "")) is not None


def _client_failure(status: int, error: dict[str, Any], credential: str) -> Failure:
    """Return the failure that passes the vendor's own words on; HTML and the like stay here.

    Of the details only those stay that say what is wrong with the request.
    """
    passed = status if 400 <= status < 500 and status != 429 else 400
    violations = [one for one in _details(error) if str(one.get("@type")).endswith("BadRequest")]
    told = {name: error[name] for name in ("code", "message", "status") if name in error}
    safe = without_account_details(
        told | ({"details": violations} if violations else {}), credential=credential
    )
    return Failure(
        "client",
        "upstream_client_error",
        status=passed,
        message=str(safe.get("message") or ""),
        body=msgspec.json.encode({"error": safe}) if safe else None,
        style="gemini",
    )


def _error_of(body: bytes) -> dict[str, Any]:
    """Return the error object of a body, which may be the first of an array; empty without one."""
    try:
        answer = _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if isinstance(answer, list) and answer:
        answer = answer[0]
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _retry_delay_s(details: Sequence[dict[str, Any]]) -> float | None:
    """Return how long the vendor wants to be left alone; it says so in the details only."""
    found = (_SECONDS.fullmatch(str(detail.get("retryDelay"))) for detail in details)
    return next((float(match[1]) for match in found if match), None)
