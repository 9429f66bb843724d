"""The figures of the house style that are looked at, not enforced.

Recorded by `test_style.py` for the end of a test run.
"""

import statistics

from tests.architecture import sources
from tests.architecture.sources import FunctionNode, Source


def of_functions() -> str:
    """Say how long functions and tests are."""
    lengths = [length(node) for source in sources.product() for node in source.functions]
    of_tests = [
        length(node)
        for source in sources.tests()
        for node in source.functions
        if node.name.startswith("test_")
    ]
    return (
        f"{len(lengths)} functions, median {statistics.median(lengths):.0f} lines, "
        f"99 of 100 within {_percentile(lengths, 99)}; "
        f"{len(of_tests)} tests, median {statistics.median(of_tests):.0f}"
    )


def of_files() -> str:
    """Say how much code there is, and how much of it are tests."""
    code, tests = sources.product(), sources.tests()
    ratio = _line_count(tests) / _line_count(code)
    return f"{_line_count(code)} lines in {len(code)} files, test:code {ratio:.2f}"


def length(node: FunctionNode) -> int:
    """Return how many lines a function takes, from `def` to its end."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _line_count(files: list[Source]) -> int:
    return sum(len(source.lines) for source in files)


def _percentile(values: list[int], rank: int) -> int:
    return sorted(values)[min(len(values) - 1, len(values) * rank // 100)]
