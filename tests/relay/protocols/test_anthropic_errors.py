"""Errors in Anthropic's shape, with the types that its clients know."""

import json

import pytest

from relay import errors
from relay.errors import RelayError
from relay.protocols.anthropic import ANTHROPIC_ERRORS


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (errors.InvalidKey(), "authentication_error"),
        (errors.KeyExpired(), "authentication_error"),
        (errors.NotAllowed(), "permission_error"),
        (errors.ModelNotFound(), "not_found_error"),
        (errors.NotFound(), "not_found_error"),
        (errors.BadRequest(), "invalid_request_error"),
        (errors.EncodingRefused(), "invalid_request_error"),
        (errors.UnknownHost(), "invalid_request_error"),
        (errors.BodyTooLarge(), "request_too_large"),
        (errors.BodyTimeout(), "timeout_error"),
        (errors.InsufficientQuota(), "billing_error"),
        (errors.QuotaHeld(), "rate_limit_error"),
        (errors.RateLimited(), "rate_limit_error"),
        (errors.UpstreamTimedOut(), "timeout_error"),
        (errors.UpstreamCredentials(), "api_error"),
        (errors.NoChannel(), "overloaded_error"),
        (errors.Overloaded(), "overloaded_error"),
        (RelayError(), "api_error"),
    ],
)
def test_each_error_has_the_type_that_clients_know(error: RelayError, type_: str) -> None:
    told = json.loads(ANTHROPIC_ERRORS.body(error, "id-1"))
    assert (told["type"], told["request_id"]) == ("error", "id-1")
    assert told["error"]["type"] == type_
    assert told["error"]["message"].startswith(error.message)


def test_a_stream_ends_with_an_event_of_that_name() -> None:
    event = ANTHROPIC_ERRORS.event(errors.UpstreamFailed(), "id-1")
    name, data, *rest = event.split(b"\n")
    assert (name, rest) == (b"event: error", [b"", b""])
    assert json.loads(data.removeprefix(b"data: "))["error"]["type"] == "overloaded_error"


def test_clients_find_the_id_where_the_vendor_puts_it() -> None:
    assert ANTHROPIC_ERRORS.repeats_id
