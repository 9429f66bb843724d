"""Databases for tests that commit: each test gets its own copy of a migrated template.

A flush would be a DELETE, and the ledger's tables refuse one; a copy also lets threads and
child processes see what a test writes. SQLite templates are copied as files, PostgreSQL's by
CREATE DATABASE ... TEMPLATE. A template is made once per run.

`migrated_database` runs a test on both engines, `sqlite_database` and `postgres_database` on
one. pytest-django's `db` works too, on SQLite, for tests that need no commit.
"""

import itertools
import runpy
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import psycopg
import pytest
from asgiref.local import Local
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql
from pytest_django import DjangoDbBlocker

from portal.dev.state import ROOT
from tests.plugins import postgres, run

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """One migrated database of one test; `url` is a DATABASE_URL for child processes."""

    vendor: str
    url: str


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def migrated_database(
    request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """Run the test on a fresh migrated SQLite and on a fresh migrated PostgreSQL."""
    with django_db_blocker.unblock(), _VENDORS[request.param]() as database:
        yield database


@pytest.fixture
def sqlite_database(django_db_blocker: DjangoDbBlocker) -> Iterator[Database]:
    """Run the test on a fresh migrated SQLite file."""
    with django_db_blocker.unblock(), _sqlite_copy() as database:
        yield database


@pytest.fixture
def postgres_database(django_db_blocker: DjangoDbBlocker) -> Iterator[Database]:
    """Run the test on a fresh migrated PostgreSQL database."""
    with django_db_blocker.unblock(), _postgres_copy() as database:
        yield database


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Serve pytest-django's own `db` from a copy of the SQLite template."""
    with django_db_blocker.unblock(), _sqlite_copy():
        django_db_blocker.block()
        yield
        django_db_blocker.restore()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need PostgreSQL by what they ask for."""
    for item in items:
        if "postgres_database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgres)


@contextmanager
def default_database(url: str) -> Iterator[None]:
    """Make `url` Django's default database in every thread, and close it afterwards."""
    configured = connections.configure_settings({DEFAULT_DB_ALIAS: _configuration(url)})
    opened: list[BaseDatabaseWrapper] = []
    create = connections.create_connection

    def create_and_note(alias: str) -> BaseDatabaseWrapper:
        opened.append(create(alias))
        return opened[-1]

    # Django keeps one connection per thread in `_connections`. A new store makes all threads,
    # also those that have a connection to another test's database, connect anew.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connections.settings, DEFAULT_DB_ALIAS, configured[DEFAULT_DB_ALIAS])
        patch.setattr(connections, "_connections", Local(connections.thread_critical))
        patch.setattr(connections, "create_connection", create_and_note)
        _forget_rows()
        try:
            yield
        finally:
            for connection in opened:
                connection.inc_thread_sharing()  # the thread that opened it may be gone
                connection.close()
    _forget_rows()


def _configuration(url: str) -> dict[str, Any]:
    """Return what the settings make of a DATABASE_URL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        settings = runpy.run_path(str(ROOT / "portal" / "settings.py"))
    return cast("dict[str, Any]", settings["DATABASES"][DEFAULT_DB_ALIAS])


def _forget_rows() -> None:
    # Content types are cached by id for the life of a process, and ids differ per database.
    from django.contrib.contenttypes.models import ContentType

    ContentType.objects.clear_cache()


def _migrate(url: str) -> None:
    with default_database(url):
        call_command("migrate", interactive=False, verbosity=0)


@contextmanager
def _sqlite_copy() -> Iterator[Database]:
    path = run.own_folder() / f"{next(_numbers)}.sqlite3"
    shutil.copyfile(sqlite_template(), path)
    database = Database(vendor="sqlite", url=f"sqlite:///{path}")
    with default_database(database.url):
        yield database
    for leftover in path.parent.glob(f"{path.name}*"):
        leftover.unlink()


def sqlite_template() -> Path:
    """Return a migrated SQLite database to be copied, made once per run."""
    template = run.folder() / "template.sqlite3"
    with run.alone("sqlite-template"):
        if not template.exists():
            growing = template.with_suffix(".growing")
            _migrate(f"sqlite:///{growing}")
            growing.rename(template)
    return template


@contextmanager
def _postgres_copy() -> Iterator[Database]:
    try:
        server = postgres.server_url()
    except postgres.Unavailable as reason:
        pytest.skip(str(reason))
    template = _postgres_template(server)
    name = f"{postgres.name_prefix()}{run.own_folder().name}_{next(_numbers)}"
    _execute(server, "CREATE DATABASE {} TEMPLATE {}", name, template)
    database = Database(vendor="postgresql", url=_named(server, name))
    try:
        with default_database(database.url):
            yield database
    finally:
        _execute(server, "DROP DATABASE {} WITH (FORCE)", name)


def _postgres_template(server: str) -> str:
    name = f"{postgres.name_prefix()}template"
    made = run.folder() / "postgres-template"
    with run.alone("postgres-template"):
        if not made.exists():
            _execute(server, "CREATE DATABASE {}", name)
            _migrate(_named(server, name))
            made.touch()
    return name


def _execute(server: str, statement: str, *names: str) -> None:
    identifiers = [sql.Identifier(name) for name in names]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(cast("Any", statement)).format(*identifiers))


def _named(server: str, name: str) -> str:
    return urlsplit(server)._replace(path=f"/{name}").geturl()


_VENDORS = {"sqlite": _sqlite_copy, "postgres": _postgres_copy}


@contextmanager
def locked_database() -> Iterator[None]:
    """Hold SQLite's one write lock, as a database that does not answer."""
    name = connections[DEFAULT_DB_ALIAS].settings_dict["NAME"]
    other = sqlite3.connect(name, isolation_level=None, timeout=10)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()
