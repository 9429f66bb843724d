"""What a test run may not do without: what TOLLGATE_REQUIRE names, as on the build machine.

Loaded by `python3 dev.py test`. A test that needs something carries its name as a marker, and is
skipped where that is missing; a run in which one was skipped for a required thing has failed.
"""

import os

import pytest

_THINGS = {"postgres": "PostgreSQL", "chromium": "Chromium"}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if something was required and a test did without."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    for name in sorted(set(os.environ.get("TOLLGATE_REQUIRE", "").split(",")) & _THINGS.keys()):
        missed = sum(name in one.keywords for one in skipped)
        if missed:
            words = f"{missed} tests for {_THINGS[name]} were skipped, none may be"
            reporter.write_line(f"\n{words}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
