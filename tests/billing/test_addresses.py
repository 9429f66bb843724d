"""Which addresses are ordinary public ones, so that a typed-in host may be called."""

from ipaddress import ip_address

import pytest

from billing.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("192.0.0.1", "192.88.99.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
        *("fe80::1", "fe80::1%2", "fc00::1", "::", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1"),
        *("2001:db8::1", "2001::1", "::ffff:8.8.8.8", "3fff::1"),
    ],
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "104.18.6.192",
        "172.32.0.1",
        "192.167.1.1",
        "100.128.0.1",
        "2606:4700::6812:6c0",
        "2a00:1450:4001:81b::200a",
        "2400:cb00::1",
    ],
)
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))
