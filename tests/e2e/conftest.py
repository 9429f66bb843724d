"""Fixtures of the tests in a browser: the browser, one running installation, a watched page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django import DjangoDbBlocker

from tests.databases import sqlite_template
from tests.e2e import browser as chromium
from tests.e2e.buying import Visitor
from tests.fakes.epay import FakeEpay
from tests.fakes.stripe import FakeStripe
from tests.system import running
from tests.system.running import RunningSystem

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say of each of these tests what it needs, and begin with the file that takes longest."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.chromium)
    items.sort(key=lambda item: item.path != HERE / "test_pages.py")


def pytest_runtest_setup() -> None:
    """Skip these tests where they can't run; here, so that the reason is printed once."""
    if chromium.executable() is None:
        pytest.skip(chromium.MISSING)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or whichever this machine has."""
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        # Playwright's loop runs in this thread, so Django takes all of it for a coroutine.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        started = chromium.launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="session")
def stripe() -> Iterator[FakeStripe]:
    """The Stripe that the installation knows, with its pages for buyers."""
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="session")
def gateway() -> Iterator[FakeEpay]:
    """A gateway that speaks epay, with a cashier, where the shop is merchant 1001."""
    with FakeEpay() as fake:
        fake.open_account("1001", key="k3y")
        yield fake


@pytest.fixture(scope="session")
def installation(
    browser: Browser,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
    stripe: FakeStripe,
) -> Iterator[RunningSystem]:
    """Everything that `dev.py run` starts, with mails into files."""
    with django_db_blocker.unblock():
        sqlite_template()
    folder = tmp_path_factory.mktemp("e2e") / "installation"
    settings = {"TOLLGATE_STRIPE_API": stripe.url, "TOLLGATE_PAYMENT_PRIVATE_NETWORK": "1"}
    with running.start(folder, settings=settings) as system:
        yield system


@pytest.fixture(autouse=True)
def open_books(
    browser: Browser, installation: RunningSystem, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Let the tests look into the installation's database; forget who tried what before."""
    valkey = installation.valkey()
    for slot in valkey.scan_iter("tollgate:throttle:*", count=1_000):
        valkey.delete(slot)
    valkey.close()
    with django_db_blocker.unblock():
        yield


@pytest.fixture(params=["zh-hans", "en"])
def language(request: pytest.FixtureRequest) -> str:
    """Run the test in both languages."""
    return str(request.param)


@pytest.fixture
def page(
    browser: Browser,
    installation: RunningSystem,
    stripe: FakeStripe,
    gateway: FakeEpay,
    request: pytest.FixtureRequest,
) -> Iterator[Page]:
    """A fresh visitor; the test fails if the browser has anything to say against a page."""
    spoken = request.getfixturevalue("language") if "language" in request.fixturenames else "en"
    elsewhere = (stripe.url, gateway.url)
    with chromium.visit(browser, installation.url, language=spoken, leads_to=elsewhere) as visit:
        page, complaints = visit
        yield page
    assert not complaints.said


@pytest.fixture
def visitor(page: Page) -> Visitor:
    """Somebody at that page, with a mouse."""
    return Visitor(page)
