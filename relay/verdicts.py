"""What a client is told when its request has been refused upstream, or every attempt has failed.

Called by `forwarding` and `object_requests`.
"""

from relay.errors import (
    RelayError,
    UpstreamCredentials,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimedOut,
)
from relay.providers.base import Failure


def refusal(failure: Failure, *, style: str) -> UpstreamRefused:
    """Return the client's own mistake as the upstream put it, whole if that is in its style."""
    body = failure.body if failure.style == style else None
    return UpstreamRefused(failure.message, status=failure.status, code=failure.code, body=body)


def verdict(failures: list[Failure]) -> RelayError:
    """Return what the client is told when every attempt has failed."""
    kinds = {failure.kind for failure in failures}
    if kinds == {"credential"}:
        return UpstreamCredentials()
    if failures[-1].kind == "timeout":
        return UpstreamTimedOut()
    waits = [f.retry_after_s for f in failures if f.retry_after_s is not None]
    error = UpstreamFailed(retry_after_s=min(waits, default=5.0))
    if kinds == {"rate_limited"}:
        error.error_type = "upstream_rate_limited"
    return error
