"""The databases of the tests: migrated, one's own, the same for every thread and process."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from portal.dev.state import ROOT
from tests.conftest import OffLoopbackError, check_loopback
from tests.databases import Database


def mark() -> None:
    ContentType.objects.create(app_label="tests", model="mark")


def marks() -> int:
    return ContentType.objects.filter(app_label="tests").count()


def test_a_database_is_migrated_and_of_the_kind_asked_for(migrated_database: Database) -> None:
    assert connection.vendor == migrated_database.vendor
    assert "api_key" in connection.introspection.table_names()


@pytest.mark.parametrize("_time", ["first", "again"])
def test_what_a_test_writes_is_gone_for_the_next(migrated_database: Database, _time: str) -> None:
    assert marks() == 0
    mark()


def test_a_new_thread_sees_what_was_written(migrated_database: Database) -> None:
    mark()
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(marks()))
    thread.start()
    thread.join()
    assert seen == [1]


def test_a_child_process_sees_what_was_written(migrated_database: Database) -> None:
    mark()
    script = "import django; django.setup()\nfrom tests.plugins.test_databases import marks\n"
    done = subprocess.run(
        [sys.executable, "-c", script + "print(marks())"],
        env={**os.environ, "DATABASE_URL": migrated_database.url},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "1"


def test_sqlite_is_set_up_as_in_production(sqlite_database: Database) -> None:
    with connection.cursor() as cursor:
        found = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS]
    assert found == ["wal", 2, 1]


PRAGMAS = ("journal_mode", "synchronous", "foreign_keys")


def test_postgres_commits_as_in_production(postgres_database: Database) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)


@pytest.mark.parametrize("_time", ["first", "again"])
def test_the_plain_fixture_rolls_back(db: None, _time: str) -> None:
    assert marks() == 0
    mark()


def test_a_test_that_asks_for_no_database_gets_none() -> None:
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        marks()


@pytest.mark.parametrize("address", [("127.0.0.1", 1), ("::1", 1, 0, 0), ("localhost", 1), "/x"])
def test_loopback_is_open(address: object) -> None:
    check_loopback(address)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com", "::ffff:192.0.2.1", "0.0.0.0"])
def test_everything_else_is_closed(host: str) -> None:
    with pytest.raises(OffLoopbackError, match="no test may connect"):
        check_loopback((host, 443))


def test_every_process_of_a_run_has_its_own_state() -> None:
    assert Path(os.environ["TOLLGATE_VAR"]).is_dir()
    assert "tollgate-test-" in os.environ["TOLLGATE_VAR"]
