"""The environment in which settings are read: own state, own secrets, own Valkey.

Loaded by `-p` (see `addopts`), because pytest-django reads the settings before any conftest.
Every process of a run, xdist's workers too, has its own state folder and its own Valkey.
"""

import atexit
import os
import signal
import subprocess

from portal.dev import state, valkey
from portal.dev.process import stop
from tests.plugins import postgres, run

_started: list[subprocess.Popen[bytes]] = []


def pytest_addoption() -> None:
    """Prepare everything; this is the first hook that a plugin gets."""
    run.begin()
    atexit.register(pytest_unconfigure)  # pytest skips its own hook when settings don't load
    folder = run.own_folder()
    server, process = valkey.start(folder)
    _started.append(process)
    os.environ.update(
        state.new_secrets(),
        TOLLGATE_VAR=str(folder),
        TOLLGATE_DEBUG="0",
        TOLLGATE_DEMO_PAYMENTS="1",
        DATABASE_URL=f"sqlite:///{folder / 'tollgate.sqlite3'}",
        REDIS_URL=server.url,
        DJANGO_SETTINGS_MODULE="portal.settings",
    )


def pytest_configure() -> None:
    """End in order at SIGTERM too, as at Ctrl-C, even if our caller ignores them."""
    if run.owner() == os.getpid():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """Stop what was started and leave no file behind."""
    while _started:
        stop(_started.pop(), patience_s=2)
    if run.owner() == os.getpid():
        postgres.stop_server()
    run.end()
