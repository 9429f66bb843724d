"""Fixtures of the system tests: one running installation, shared by all that do not harm it."""

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.databases import sqlite_template
from tests.fakes.upstream import FakeUpstream
from tests.system import running
from tests.system.running import RunningSystem


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the end what the system that all share does not survive."""
    items.sort(key=lambda item: item.path.name == "test_crash.py")


@pytest.fixture(scope="session")
def migrated(django_db_blocker: DjangoDbBlocker) -> None:
    """Have a migrated database that systems can start from."""
    with django_db_blocker.unblock():
        sqlite_template()


@pytest.fixture(scope="package")
def running_system(
    migrated: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSystem]:
    """A system on SQLite, stopped after the last of these tests. They bring their own tenants."""
    folder = tmp_path_factory.mktemp("system") / "installation"
    with running.start(folder) as system:
        yield system


@pytest.fixture(autouse=True)
def open_books(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let these tests, and none that the worker runs after them, look into a database."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def fake() -> Iterator[FakeUpstream]:
    """A vendor with an empty log of truth."""
    with FakeUpstream() as server:
        yield server
