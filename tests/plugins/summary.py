"""What a run says at its end: figures of the house style and of tests, and what was not tested.

Loaded by `python3 dev.py test`. Where TOLLGATE_REQUIRE names postgres (the build machine), a
run that skipped a test for PostgreSQL has failed.
"""

import pytest

from tests.architecture import figures
from tests.plugins import postgres


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures; pytest itself has listed the reasons for what was skipped."""
    terminalreporter.section("figures")
    for line in figures.lines():
        terminalreporter.write_line(line)
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if PostgreSQL was required and a test did without."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not postgres.required():
        return
    missed = [one for one in reporter.stats.get("skipped", []) if "postgres" in one.keywords]
    if missed:
        reporter.write_line(f"\n{len(missed)} tests for PostgreSQL were skipped, none may be")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
