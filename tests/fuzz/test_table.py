"""What `python3 dev.py fuzz` tells of the output of atheris."""

from pathlib import Path

from tests.fuzz.__main__ import Result, line, result_of

SAID = """\
#2\tINITED cov: 31 ft: 31 corp: 1/9b exec/s: 0 rss: 88Mb
#4096\tpulse  cov: 36 ft: 90 corp: 22/311b lim: 33 exec/s: 2048 rss: 88Mb
stat::number_of_executed_units: 12345
stat::average_exec_per_sec:     2469
"""
CRASH = """\
#9\tNEW    cov: 12 ft: 15 corp: 2/10b
 === Uncaught Python exception: ===
AssertionError: events are cut
artifact_prefix='x/'; Test unit written to x/crash-da39
stat::number_of_executed_units: 10
"""


def test_a_target_that_held_is_a_line_of_numbers() -> None:
    result = result_of("sse", SAID, is_held=True, folder=Path("x"))
    assert result == Result("sse", 12_345, 36, "")
    assert line(result, 5).split() == ["sse", "12,345", "2,469", "36"]


def test_a_target_that_broke_shows_how_and_where_the_bytes_are() -> None:
    result = result_of("sse", CRASH, is_held=False, folder=Path("x"))
    assert line(result, 5).endswith("BROKEN")
    assert "AssertionError: events are cut" in result.trouble
    assert result.trouble.endswith("See x.")


def test_output_without_numbers_is_no_success() -> None:
    assert result_of("sse", "Killed", is_held=False, folder=Path("x")).trouble
