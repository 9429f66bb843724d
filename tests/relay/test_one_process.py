"""Pages and relay in one process: what is below a route is the relay's, at its own shop alone."""

from collections.abc import Iterator

import httpx
import pytest

from billing.scoping import tenant_scope
from relay.models import GenericRoute
from tests.fakes.jobs import FakeJobs
from tests.relay.conftest import Shop, open_shop
from tests.relay.server import RelayServer, running_relay
from tests.relay.test_generic_routes import add_route


@pytest.fixture
def jobs() -> Iterator[FakeJobs]:
    with FakeJobs() as fake:
        yield fake


@pytest.fixture
def relay_server(shop: Shop, jobs: FakeJobs) -> Iterator[RelayServer]:
    """A relay of a shop with a route, and another shop without one."""
    add_route(shop, jobs)
    open_shop("other", hosts=("other.example",))
    with running_relay() as server:
        yield server


def is_asked(server: RelayServer, path: str, host: bytes = b"127.0.0.1") -> bool:
    return server.relay.is_asked({"path": path, "headers": [(b"host", host)]})


@pytest.mark.parametrize("path", ["/mj", "/mj/submit/imagine", "//mj//task", "/v1/models"])
def test_the_relay_is_asked(relay_server: RelayServer, path: str) -> None:
    assert is_asked(relay_server, path)


@pytest.mark.parametrize("path", ["/", "/mjx", "/usage/", "/x/mj", "/admin/"])
def test_pages_stay_pages(relay_server: RelayServer, path: str) -> None:
    assert not is_asked(relay_server, path)


@pytest.mark.parametrize("host", [b"other.example", b"nobody.example"])
def test_a_route_is_no_other_hosts(relay_server: RelayServer, host: bytes) -> None:
    assert not is_asked(relay_server, "/mj/submit", host)


def test_a_route_that_comes_or_goes_is_noticed(relay_server: RelayServer, shop: Shop) -> None:
    with tenant_scope(shop.tenant.pk):
        GenericRoute.objects.all().delete()
    shop.wait_for_relays()
    assert not is_asked(relay_server, "/mj")
    assert httpx.post(f"{relay_server.url}/mj").status_code == 404
