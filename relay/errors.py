"""What a client can be told when its request fails: the error table, one class per case.

    RelayError
    +-- BadRequest                 400  wrong JSON, types or ranges; `param` names the field
    |   +-- NotFound               404  no such address
    |   |   +-- ObjectNotFound     404  no response, video or task of this wallet
    |   +-- PreviousResponseNotFound  400
    |   +-- MethodNotAllowed       405
    |   +-- BodyTooLarge           413
    |   +-- EncodingRefused        415  a compressed request body
    |   +-- BodyTimeout            408  the body did not arrive in time
    |   +-- UnknownHost            421  the Host belongs to nobody here
    |   +-- SessionExpired         408  a realtime conversation was too long, or idle
    +-- InvalidKey                 401  absent, malformed, unknown, wrong: always the same words
    |   +-- KeyDisabled            401  revoked, disabled or frozen
    |   +-- KeyExpired             401
    +-- ModelNotFound              404
    +-- NotAllowed                 403  this key may not use this model or endpoint
    |   +-- AddressNotAllowed      403
    +-- InsufficientQuota          429  balance, cap or budget used up
    +-- QuotaHeld                  429  enough balance, but running requests hold it
    +-- RateLimited                429
    +-- UpstreamRefused            4xx  the upstream's own answer to the client's mistake
    +-- UpstreamFailed             503  every attempt failed
    |   +-- UpstreamCredentials    502  every credential of ours was refused
    |   +-- UpstreamTimedOut       504
    +-- NoChannel                  503  nobody healthy serves the model
    +-- LedgerUnavailable          503
    +-- Overloaded                 503  too much at once in this process
    |   +-- Stopping               503
    +-- ClientGone                 499  nobody is there to be told; for usage records only

Raised anywhere in the relay, turned into a body by the client's protocol at the edge (`asgi.py`).
Messages name no amount, no upstream and no credential. `error_type` is a closed list used by usage
records and metrics: what the caller did, what a policy forbids, what an upstream or we ourselves
failed to do. Free of Django.
"""

from collections.abc import Sequence
from typing import ClassVar

Header = tuple[bytes, bytes]

ERROR_TYPES = frozenset(
    {
        "caller_bad_request",
        "caller_body",
        "caller_key",
        "caller_gone",
        "policy_host",
        "policy_model",
        "policy_address",
        "policy_quota",
        "policy_held",
        "policy_rate",
        "policy_wholesale",
        "upstream_client_error",
        "upstream_credentials",
        "upstream_rate_limited",
        "upstream_unavailable",
        "upstream_timeout",
        "upstream_cut",
        "upstream_error_event",
        "relay_no_channel",
        "relay_ledger",
        "relay_overloaded",
        "relay_stopping",
        "relay_lost",
        "relay_internal",
    }
)

_NOT_HELPED_BY_RETRY: Sequence[Header] = ((b"x-should-retry", b"false"),)


class RelayError(Exception):
    """A failed request. Raised as it is, it is our own fault: 500 and nothing charged."""

    status: int = 500
    code: str | None = "relay_internal"
    type_: str = "server_error"
    error_type: str = "relay_internal"
    words: ClassVar[str] = "The relay could not process this request."

    def __init__(
        self,
        message: str = "",
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        headers: Sequence[Header] = (),
    ) -> None:
        super().__init__(message or self.words)
        self.message = message or self.words
        self.param = param
        self.headers = list(headers)
        if retry_after_s is not None:
            self.headers.append((b"retry-after", b"%d" % max(1, -int(-retry_after_s // 1))))


class BadRequest(RelayError):
    """The client's request is wrong; `param` names the field."""

    status = 400
    code: str | None = None
    type_ = "invalid_request_error"
    error_type = "caller_bad_request"
    words = "The request is not valid."


class NotFound(BadRequest):
    """No handler serves this address."""

    status = 404
    code = "not_found"
    words = "There is nothing at this address."


class ObjectNotFound(NotFound):
    """The wallet has no response, video or task by this id; somebody else may."""

    def __init__(self, kind: str, object_id: str) -> None:
        super().__init__(f"{kind.capitalize()} with id '{object_id[:128]}' not found.")


class PreviousResponseNotFound(BadRequest):
    """The request continues a response that the wallet does not have."""

    code = "previous_response_not_found"

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id '{response_id[:128]}' not found.",
            param="previous_response_id",
        )


class MethodNotAllowed(BadRequest):
    """The address exists, but not for this method."""

    status = 405
    code = "method_not_allowed"
    words = "This address does not answer this method."


class BodyTooLarge(BadRequest):
    """The body is longer than the operator allows."""

    status = 413
    code = "request_too_large"
    error_type = "caller_body"
    words = "The request body is too large."


class EncodingRefused(BadRequest):
    """Compressed request bodies are not read: they could inflate without bound."""

    status = 415
    code = "unsupported_encoding"
    error_type = "caller_body"
    words = "Compressed request bodies are not accepted."


class BodyTimeout(BadRequest):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"
    error_type = "caller_body"
    words = "The request body did not arrive in time."


class UnknownHost(BadRequest):
    """The Host header names no domain of any tenant."""

    status = 421
    code = "unknown_host"
    error_type = "policy_host"
    words = "This host is not served here."


class SessionExpired(BadRequest):
    """A realtime conversation has gone on for too long, or nobody says anything any more."""

    status = 408
    code = "session_expired"
    error_type = "caller_body"
    words = "The conversation has reached its longest duration, or was idle for too long."


class InvalidKey(RelayError):
    """No key, or none that we know; the words never tell which."""

    status = 401
    code = "invalid_api_key"
    type_ = "invalid_request_error"
    error_type = "caller_key"
    words = "Incorrect API key provided."


class KeyDisabled(InvalidKey):
    """Revoked, disabled or frozen; said only to who holds the secret."""

    code = "key_disabled"
    words = "This API key has been disabled."


class KeyExpired(InvalidKey):
    """Past its end; said only to who holds the secret."""

    code = "key_expired"
    words = "This API key has expired."


class ModelNotFound(RelayError):
    """No price or no channel of this tenant knows the model."""

    status = 404
    code = "model_not_found"
    type_ = "invalid_request_error"
    error_type = "policy_model"
    words = "The model does not exist or you do not have access to it."


class NotAllowed(RelayError):
    """The key's own lists exclude this model or endpoint."""

    status = 403
    code = "model_not_allowed"
    type_ = "invalid_request_error"
    error_type = "policy_model"
    words = "This API key may not use this model or endpoint."


class AddressNotAllowed(NotAllowed):
    """The client's address is not on the key's list."""

    code = "address_not_allowed"
    error_type = "policy_address"
    words = "This API key may not be used from this address."


class InsufficientQuota(RelayError):
    """The balance, the key's cap or its budget is used up; asking again is useless."""

    status = 429
    code = "insufficient_quota"
    type_ = "insufficient_quota"
    error_type = "policy_quota"
    words = "You exceeded your current quota, please check your balance."

    def __init__(self, message: str = "", *, param: str | None = None) -> None:
        super().__init__(message, param=param, headers=_NOT_HELPED_BY_RETRY)


class QuotaHeld(RelayError):
    """The balance would do, but running requests hold it."""

    status = 429
    code = "quota_held"
    type_ = "requests"
    error_type = "policy_held"
    words = "Your balance is reserved by running requests, please try again shortly."

    def __init__(self, message: str = "", *, retry_after_s: float = 5) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class RateLimited(RelayError):
    """Requests, tokens or running requests of the key are at their limit."""

    status = 429
    code = "rate_limit_exceeded"
    type_ = "requests"
    error_type = "policy_rate"
    words = "Rate limit reached for this API key."


class UpstreamRefused(RelayError):
    """The upstream refused what the client sent; its answer is passed on.

    `body` is the vendor's own error body without account details, or None to write one of ours.
    """

    type_ = "invalid_request_error"
    error_type = "upstream_client_error"
    words = "The request was refused upstream."

    def __init__(
        self, message: str = "", *, status: int, code: str | None = None, body: bytes | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.body = body


class UpstreamFailed(RelayError):
    """Every attempt on every channel failed before content."""

    status = 503
    code = "no_available_channel"
    error_type = "upstream_unavailable"
    words = "No channel could answer this request at the moment."


class UpstreamCredentials(UpstreamFailed):
    """Every credential of ours was refused."""

    status = 502
    code = "upstream_credentials"
    error_type = "upstream_credentials"
    words = "The upstream service is not available to the relay at the moment."


class UpstreamTimedOut(UpstreamFailed):
    """The upstream did not answer in time."""

    status = 504
    code = "upstream_timeout"
    error_type = "upstream_timeout"
    words = "The upstream service did not answer in time."


class NoChannel(RelayError):
    """No channel that could serve the model is healthy."""

    status = 503
    code = "no_available_channel"
    error_type = "relay_no_channel"
    words = "No channel is available for this model at the moment."

    def __init__(self, message: str = "", *, retry_after_s: float = 10) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class LedgerUnavailable(RelayError):
    """The database does not answer; without it no upstream is called (R9)."""

    status = 503
    code = "ledger_unavailable"
    error_type = "relay_ledger"
    words = "The service is temporarily unavailable, please try again shortly."

    def __init__(self, message: str = "", *, retry_after_s: float = 2) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class Overloaded(RelayError):
    """Too many requests run in this process at once."""

    status = 503
    code = "overloaded"
    error_type = "relay_overloaded"
    words = "The service is busy, please try again."

    def __init__(self, message: str = "") -> None:
        super().__init__(message, retry_after_s=1)


class Stopping(Overloaded):
    """This process is being stopped; another one will answer."""

    error_type = "relay_stopping"


class ClientGone(RelayError):
    """The client has closed its connection; never sent, but written into usage records."""

    status = 499
    code = "client_gone"
    error_type = "caller_gone"
    words = "The client has gone."
