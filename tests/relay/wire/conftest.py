"""The event loops that a relay runs on, a client that must be left clean, and certificates."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from relay.upstream import WireUpstream
from tests.plugins.proof import is_asked_for

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Call what runs on asyncio a part of the proofs."""
    for item in items:
        if item.path.is_relative_to(HERE) and "[asyncio" in item.name:
            item.add_marker(pytest.mark.proof)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run all asynchronous tests on uvloop where there is one, on asyncio else and in proofs."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    try:
        import uvloop
    except ImportError:
        return factories
    marker = item.get_closest_marker("asyncio")
    is_named = marker is not None and "loop_factories" in marker.kwargs
    others = factories if is_named or is_asked_for() else {}
    return {**others, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def client() -> AsyncIterator[WireUpstream]:
    """A client; afterwards nothing may be under way, lost from the books or left unhandled."""
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    client = WireUpstream()
    yield client
    gc.collect(0)
    await asyncio.sleep(0)
    assert unhandled == []
    assert client.running == 0
    assert client.open_connections == client.idle_connections
    await client.aclose()
    assert client.open_connections == 0


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
