"""What every kind of upstream has to tell the relay: where to send, what with, what went wrong.

A provider is stateless; channels hold addresses and credentials. One file per provider, registered
in `relay/providers/__init__.py`. Free of Django.
"""

import re
import time
from collections.abc import Collection, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from relay.protocols.base import Endpoint
from relay.wire.errors import AddressRefused, InvalidRequest, UpstreamError, UpstreamTimeout
from relay.wire.messages import Header, Timeouts, UpstreamResponse

FailureKind = Literal["client", "credential", "rate_limited", "unavailable", "timeout"]

LONGEST_PASSED_CHARS = 2_000
USER_AGENT = b"tollgate"

_OURS = frozenset(
    b"content-type content-length cookie host connection transfer-encoding accept-encoding"
    b" forwarded x-forwarded-for x-forwarded-host x-forwarded-proto".split()
)
PROBE_TOKENS = 16


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt failed, and what follows from it.

    client: the request itself is refused, no other channel will do better; `status`, `code` and
    `body` (the vendor's words without account details, None if it had none) are for the client;
    `style` names the errors' shape that the body has.
    credential: ours is refused or used up. rate_limited, unavailable, timeout: another may serve.
    `retry_after_s` is what the upstream asked for.
    """

    kind: FailureKind
    error_type: str
    status: int = 502
    code: str | None = None
    message: str = ""
    body: bytes | None = None
    style: str = "openai"
    retry_after_s: float | None = None


class LocalCall(NamedTuple):
    """What would have been sent to an upstream.

    `tail` is what stands behind the endpoint's address: what it keeps, and what is to be done.
    """

    endpoint: Endpoint
    served: str
    body: bytes
    timeouts: Timeouts
    stream: bool = False
    content_type: bytes = b""
    query: bytes = b""
    method: str = "POST"
    tail: str = ""


class ConversationOver(Exception):
    """The upstream has hung up; `code` is its WebSocket's close code, 1006 for a cut."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Conversation(Protocol):
    """An upstream's side of a realtime conversation; both methods raise ConversationOver."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> str: ...

    async def close(self) -> None: ...


class LocalAnswerer(Protocol):
    """A provider's own answers: no connection, the same face."""

    async def respond(self, call: LocalCall) -> UpstreamResponse:
        """Return the answer; raises the leaves of UpstreamError like a real upstream."""

    def converse(self, call: LocalCall) -> Conversation:
        """Return the other side of a realtime conversation."""


class Provider(Protocol):
    """A kind of upstream. `local` is set for one that answers inside this process."""

    @property
    def name(self) -> str: ...

    @property
    def needs_credential(self) -> bool: ...

    @property
    def local(self) -> LocalAnswerer | None: ...

    def serves(self, endpoint: Endpoint) -> bool:
        """Say whether this vendor speaks the endpoint's own dialect there."""

    def path(self, base_url: str, endpoint: Endpoint, served: str, *, stream: bool) -> str:
        """Return the path on the base URL's origin that serves an endpoint, for one of its models.

        It may end with a query of the vendor's; what the client asked in its own is added.
        """

    def probe(self, model: str) -> tuple[Endpoint, bytes]:
        """Return the smallest request that shows whether a model answers, and where to send it."""

    def models_path(self, base_url: str) -> str:
        """Return the path at which this vendor lists its models."""

    def headers(self, credential: str, extra: Sequence[Header] = ()) -> list[Header]:
        """Return the request headers: ours, and of `extra` what we don't own."""

    def limit_field(self, model: str, endpoint: Endpoint) -> str:
        """Return the field in which this vendor takes a limit of the output."""

    def classify(
        self, status: int, headers: Sequence[Header], body: bytes, *, credential: str = ""
    ) -> Failure:
        """Return what an error answer means. Status 200 stands for an error inside an answer."""


def with_given(
    ours: Sequence[Header], extra: Sequence[Header], *, owned: Collection[bytes]
) -> list[Header]:
    """Return our headers and those of `extra`, in small letters, that nobody but us may write.

    `owned` are the ones that carry our credential. A user agent of the channel's goes before ours.
    """
    given = [
        (name, value)
        for name, value in ((name.lower(), value) for name, value in extra)
        if name not in _OURS and name not in owned
    ]
    if any(name == b"user-agent" for name, _ in given):
        return [*ours, *given]
    return [*ours, (b"user-agent", USER_AGENT), *given]


def transport_failure(error: UpstreamError) -> Failure:
    """Return what it means that no whole answer came."""
    if isinstance(error, UpstreamTimeout):
        return Failure("timeout", "upstream_timeout", status=504)
    if isinstance(error, AddressRefused | InvalidRequest):
        return Failure("unavailable", "relay_no_channel", status=503)
    if error.response_started:
        return Failure("unavailable", "upstream_cut")
    return Failure("unavailable", "upstream_unavailable")


def retry_after_s(headers: Sequence[Header]) -> float | None:
    """Return how many seconds an upstream wants to be left alone, None if it does not say."""
    named = dict(headers)
    try:
        if b"retry-after-ms" in named:
            return max(0.0, float(named[b"retry-after-ms"]) / 1000)
        value = named[b"retry-after"].decode("ascii").strip()
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (KeyError, ValueError, UnicodeDecodeError):
        return None


_ACCOUNT_DETAIL = re.compile(
    r"""
      \bsk-[\w*.…-]{4,}  # keys, masked ones too
    | \b(?:rk|pk|ak|gsk|xai)[-_](?=[\w.…-]*[\d*])[\w*.…-]{4,}
    | \b(?:org|proj|acct|user|ws)[-_](?=[A-Za-z]*\d)[A-Za-z0-9]{6,}  # whose they are
    | \bBearer\s+\S+
    | \bAIza[\w-]{10,}
    | (?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]+  # an address of the account's owner
    | (?<![\w-])[\w-]++\.(?:openai|cognitiveservices|services\.ai)\.azure\.com
    """,
    re.VERBOSE,
)


def without_account_details(value: Any, *, credential: str = "") -> Any:
    """Return an error value with the traces of our account taken out of its strings, shortened."""
    if isinstance(value, str):
        if credential:
            value = value.replace(credential, "[removed]")
        # Cut before the search too: it must never be slow, and a key at the edge must be found.
        shortened = value[: 2 * LONGEST_PASSED_CHARS]
        return _ACCOUNT_DETAIL.sub("[removed]", shortened)[:LONGEST_PASSED_CHARS]
    if isinstance(value, list):
        return [without_account_details(item, credential=credential) for item in value[:50]]
    if isinstance(value, dict):
        return {
            without_account_details(key, credential=credential): without_account_details(
                item, credential=credential
            )
            for key, item in list(value.items())[:50]
        }
    return value
