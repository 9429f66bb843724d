"""The figures of the house style that are looked at, not enforced.

Printed at the end of a test run: lengths of functions and tests, tests in proportion to code.
"""

import statistics

from tests.architecture import sources
from tests.architecture.sources import FunctionNode, Source


def lines() -> list[str]:
    """Return one line per figure."""
    code, tests = sources.product(), sources.tests()
    lengths = [length(node) for source in code for node in source.functions]
    of_tests = [
        length(node)
        for source in tests
        for node in source.functions
        if node.name.startswith("test_")
    ]
    ratio = _line_count(tests) / _line_count(code)
    return [
        f"functions  {len(lengths)}, median {statistics.median(lengths):.0f} lines, "
        f"99 of 100 within {_percentile(lengths, 99)}",
        f"tests      {len(of_tests)}, median {statistics.median(of_tests):.0f} lines",
        f"code       {_line_count(code)} lines in {len(code)} files",
        f"test:code  {ratio:.2f}",
    ]


def length(node: FunctionNode) -> int:
    """Return how many lines a function takes, from `def` to its end."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _line_count(files: list[Source]) -> int:
    return sum(len(source.lines) for source in files)


def _percentile(values: list[int], rank: int) -> int:
    return sorted(values)[min(len(values) - 1, len(values) * rank // 100)]
