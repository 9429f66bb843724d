"""What a run says at its end: the figures that tests have recorded, of the house style and others.

Loaded by `python3 dev.py test`.
"""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures; pytest itself has listed the reasons for what was skipped."""
    reports = terminalreporter.stats.get("passed", ())
    figures = [figure for report in reports for figure in report.user_properties]
    if figures:
        terminalreporter.section("figures")
    for name, value in figures:
        terminalreporter.write_line(f"{name}: {value}")
