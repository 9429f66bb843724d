"""Background jobs: what the app is told, what a tenant's task demands, and one real worker."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from billing import outbox, tenants
from billing.errors import ScopeMissing
from billing.scoping import all_tenants, current_scope
from portal.celery import TenantTask, app
from portal.dev.process import spawn, stop

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def scope_task() -> Any:
    """A task of a tenant that says which scope it runs in."""

    @app.task(base=TenantTask, name="tests.scope")
    def scope(tenant_id: int) -> object:
        return current_scope()

    yield scope
    app.tasks.pop("tests.scope", None)


def test_a_tenants_task_runs_in_its_scope(scope_task: Any) -> None:
    assert scope_task(tenant_id=7) == 7


@pytest.mark.parametrize("tenant_id", [None, "7", 7.0, True])
def test_a_tenants_task_refuses_to_run_without_a_tenant(scope_task: Any, tenant_id: Any) -> None:
    with pytest.raises(ScopeMissing):
        scope_task(tenant_id=tenant_id)


def test_a_tenants_task_needs_its_tenant_by_name(scope_task: Any) -> None:
    with pytest.raises(ScopeMissing):
        scope_task(7)


def test_a_task_leaves_no_scope_behind(scope_task: Any) -> None:
    scope_task(tenant_id=7)
    with pytest.raises(ScopeMissing):
        current_scope()


def test_messages_are_json_and_nothing_else() -> None:
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"


def test_every_thread_sends_by_this_app() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: current_app.main).result() == "tollgate"


def test_a_task_whose_worker_dies_is_run_again() -> None:
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1


def test_money_has_a_queue_of_its_own() -> None:
    assert {queue.name for queue in app.amqp.queues.values()} == {"money", "mail", "cron"}
    assert app.amqp.router.route({}, "billing.reap")["queue"].name == "money"


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def test_the_reaper_comes_as_often_as_the_settings_say() -> None:
    assert app.conf.beat_schedule["reap"]["schedule"] == settings.REAPER_PERIOD_S


def test_who_wakes_a_job_does_not_wait_for_a_broker_that_is_away() -> None:
    begun = time.monotonic()
    with (
        app.connection_for_write("redis://127.0.0.1:1/0") as away,
        pytest.raises(OperationalError),
    ):
        app.send_task(outbox.DELIVER_TASK, connection=away, retry=False)
    assert time.monotonic() - begun < 2


def test_who_wakes_a_job_does_not_wait_for_a_broker_that_hangs() -> None:
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with app.connection_for_write(address) as hanging, pytest.raises(OperationalError):
            app.send_task(outbox.DELIVER_TASK, connection=hanging, retry=False)
    assert time.monotonic() - begun < 10


def waiting_in(queue: str) -> int:
    """Return how many messages nobody has fetched."""
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        return int(channel.client.llen(queue))


def test_a_mail_wakes_its_job_when_its_cause_is_committed(sqlite_database: Any) -> None:
    shop = tenants.create_tenant(slug="north", name="N", hosts=["n.example"])
    before = waiting_in("mail")
    with all_tenants(), transaction.atomic():
        for once in ("first", "first", "second"):
            outbox.write(
                kind="order",
                subject_id=1,
                recipient="a@b.example",
                language="en",
                once=once,
                tenant_id=shop.pk,
            )
        assert waiting_in("mail") == before
    assert waiting_in("mail") == before + 2


@pytest.mark.system
def test_a_real_worker_runs_what_is_sent(sqlite_database: Any, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        worker = start_worker(sqlite_database.url, output)
    try:
        app.send_task("billing.reap", queue="money")
        wait_for("billing.reap", log, worker)
    finally:
        stop(worker, patience_s=10)
    assert b"Traceback" not in log.read_bytes()


def start_worker(database_url: str, output: Any) -> subprocess.Popen[bytes]:
    """Start a worker on the test run's Valkey and on the test's database."""
    argv = [sys.executable, "-m", "celery", "-A", "portal.celery", "worker", "-Q", "money"]
    argv += ["--pool", "threads", "--concurrency", "1", "-l", "info", "--without-gossip"]
    return spawn(argv, env={**os.environ, "DATABASE_URL": database_url}, cwd=ROOT, output=output)


def wait_for(task: str, log: Path, worker: subprocess.Popen[bytes]) -> None:
    """Wait until the worker says that the task succeeded."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at and worker.poll() is None:
        if any(task in line and "succeeded" in line for line in log.read_text().splitlines()):
            return
        time.sleep(0.05)
    pytest.fail(log.read_text()[-2000:])
