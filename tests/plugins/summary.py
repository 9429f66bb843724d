"""What a run says at its end: figures of the house style and of tests.

Loaded by `python3 dev.py test`.
"""

import pytest

from tests.architecture import figures


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures; pytest itself has listed the reasons for what was skipped."""
    terminalreporter.section("figures")
    for line in figures.lines():
        terminalreporter.write_line(line)
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
