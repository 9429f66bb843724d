"""Where a key stands in a request, and which address a request comes from."""

import ipaddress
from typing import Any

import pytest

from relay.auth import Addresses, check_address, presented_key, take_key_from_query
from relay.call import Call
from relay.errors import AddressNotAllowed, InvalidKey
from relay.keyring import KeyEntry
from relay.protocols.gemini import GEMINI_ERRORS

SALT = b"salt" * 8


def call(client: tuple[str, int] | None, **headers: str) -> Call:
    """Return a call from this peer with these headers."""
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}

    async def nothing(*_: Any) -> Any:
        return {}

    return Call(
        id=bytes(16),
        scope={"client": client, "headers": list(named.items())},
        headers=named,
        entered_at=0.0,
        received_at=0.0,
        task=None,
        receive=nothing,
        send=nothing,
    )


def addresses(*trusted: str) -> Addresses:
    """Return the reader of addresses behind these proxies."""
    return Addresses(trusted=tuple(map(ipaddress.ip_network, trusted)), salt=SALT)


def listed() -> KeyEntry:
    """Return a key for one network only."""
    return KeyEntry(
        id=1,
        kid="kid",
        tenant_id=1,
        wallet_id=1,
        is_enabled=True,
        expires_at=None,
        models=frozenset(),
        endpoints=frozenset(),
        addresses=(ipaddress.ip_network("10.0.0.0/8"),),
        budget_period="",
        budget_ubt=None,
    )


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER  abc "])
def test_a_bearer_may_be_written_in_any_case(value: str) -> None:
    assert presented_key({b"authorization": value.encode()}) == b"abc"


@pytest.mark.parametrize("value", ["Basic abc", "abc", ""])
def test_any_other_scheme_is_no_key(value: str) -> None:
    with pytest.raises(InvalidKey):
        presented_key({b"authorization": value.encode()})


def test_a_key_in_a_header_goes_before_one_in_the_query() -> None:
    assert presented_key({b"x-goog-api-key": b"abc"}, b"xyz") == b"abc"
    assert presented_key({}, b"xyz") == b"xyz"


@pytest.mark.parametrize(
    "query", [b"key=abc&alt=sse", b"alt=sse&key=abc", b"key=abc&alt=sse&key=d"]
)
def test_a_key_is_taken_out_of_the_query_of_a_protocol_that_has_it_there(query: bytes) -> None:
    asked = call(None)
    asked.errors = GEMINI_ERRORS
    asked.scope |= {"path": "/v1beta/models", "query_string": query}
    assert take_key_from_query(asked) == b"abc"
    assert asked.scope["query_string"] == b"alt=sse"
    assert take_key_from_query(asked) is None


def test_a_query_of_any_other_protocol_is_left_alone() -> None:
    asked = call(None)
    asked.scope |= {"path": "/v1/messages", "query_string": b"beta=true&key=abc"}
    assert take_key_from_query(asked) is None
    assert asked.scope["query_string"] == b"beta=true&key=abc"


def test_without_a_trusted_proxy_its_header_is_not_believed() -> None:
    found = addresses().of(call(("10.0.0.9", 1), x_forwarded_for="1.2.3.4"))
    assert found == "10.0.0.9"


def test_a_trusted_proxy_tells_the_clients_address() -> None:
    found = addresses("10.0.0.0/8").of(call(("10.0.0.9", 1), x_forwarded_for="1.2.3.4"))
    assert found == "1.2.3.4"


def test_what_a_client_has_put_before_its_own_address_is_not_believed() -> None:
    header = "9.9.9.9, 1.2.3.4, 10.0.0.5"
    found = addresses("10.0.0.0/8").of(call(("10.0.0.9", 1), x_forwarded_for=header))
    assert found == "1.2.3.4"


def test_a_stranger_cannot_pose_as_a_proxy() -> None:
    found = addresses("10.0.0.0/8").of(call(("8.8.8.8", 1), x_forwarded_for="1.2.3.4"))
    assert found == "8.8.8.8"


def test_an_address_is_stored_as_a_keyed_hash() -> None:
    one = addresses().hash_of("1.2.3.4")
    assert one == addresses().hash_of("1.2.3.4")
    assert one != addresses().hash_of("1.2.3.5")
    assert one != Addresses(trusted=(), salt=b"other").hash_of("1.2.3.4")
    assert 0 <= one < 2**63


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_an_address_on_the_keys_list_passes(address: str) -> None:
    check_address(listed(), address)


@pytest.mark.parametrize("address", ["11.1.2.3", "::1", "", "nonsense"])
def test_any_other_address_does_not(address: str) -> None:
    with pytest.raises(AddressNotAllowed):
        check_address(listed(), address)
