"""Fixtures for every test: databases, and a wall around the loopback interface."""

import gc
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from hypothesis import HealthCheck, settings

from tests.plugins.proof import size

pytest_plugins = ["tests.databases"]
LONG = (
    "tests/system/",
    "tests/architecture/test_tools",
    "tests/security/",
    "tests/billing/ledger/",
    "tests/billing/orders/test_races",
)
# Unless they are named: they need a process to themselves, see portal/dev/testing.py.
collect_ignore = ["e2e"]


class OffLoopbackError(AssertionError):
    """A test tried to leave this machine.

    Not an OSError, so that code which answers for network faults cannot swallow it.
    """


def pytest_configure() -> None:
    """Keep hypothesis from timing single examples: on a busy machine that fails at random.

    And hash passwords by what takes no time: no test is about how slow that is.
    """
    django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.register_profile(
        "untimed",
        deadline=None,
        max_examples=size(50, proof=2_000),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: at the end they keep the other cores waiting."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of every garbage collection to come."""
    gc.collect()
    gc.freeze()


def check_loopback(address: Any) -> None:
    """Raise OffLoopbackError unless the socket address stays on this machine."""
    if not isinstance(address, tuple) or address[0] == "localhost":
        return
    try:
        inside = ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise OffLoopbackError(f"no test may connect to {address[0]}")


@pytest.fixture(scope="session", autouse=True)
def no_sockets_off_loopback() -> Iterator[None]:
    """Fail a test that connects to anything but loopback or a socket file."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("connect", "connect_ex"):
            original = getattr(socket.socket, name)

            def guarded(self: socket.socket, address: Any, original: Any = original) -> Any:
                check_loopback(address)
                return original(self, address)

            patched.setattr(socket.socket, name, guarded)
        yield


@pytest.fixture
def fresh_throttles() -> None:
    """Forget every try that other tests have made."""
    with redis.Redis.from_url(django_settings.REDIS_URL) as valkey:
        for slot in valkey.scan_iter("tollgate:throttle:*", count=1_000):
            valkey.delete(slot)
