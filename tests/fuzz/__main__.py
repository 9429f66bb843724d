"""`python3 dev.py fuzz [SECONDS] [TARGET ...]`: give every target to atheris, and tell in a table.

Each target has so many seconds (10 if nothing is said), as many at once as there are cores. What
was found worth trying is kept in `var/fuzz` for the next time; bytes that break a property stay
there as well.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from portal.dev.state import ROOT
from tests.fuzz.targets import TARGETS

FOLDER = ROOT / "var" / "fuzz"
USUAL_S = 10
GRACE_S = 120
_TRIES = re.compile(r"stat::number_of_executed_units: +(\d+)")
_COVERED = re.compile(r"\bcov: (\d+)")
_SHOWN_LINES = 25


class Result(NamedTuple):
    """What came of a target; `trouble` is how a property was broken, with the bytes that did it."""

    name: str
    tries: int
    covered: int
    trouble: str


def main(arguments: Sequence[str]) -> int:
    """Run the targets and print what came of them. Returns 1 if a property was broken."""
    if find_spec("atheris") is None:
        print("There is no atheris here: it needs Linux on x86-64 and Python 3.11 to 3.13.")
        print("The same properties run without it: python3 dev.py test tests/fuzz")
        return 2
    words = list(arguments)
    seconds = int(words.pop(0)) if words and words[0].isdigit() else USUAL_S
    names = [name for name in TARGETS if not words or any(word in name for word in words)]
    print(f"{len(names)} targets, {seconds} s each")
    print(f"{'target':<32}{'tries':>12}{'a second':>10}{'covered':>9}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = []
        for result in pool.map(lambda name: _fuzzed(name, seconds), names):
            results.append(result)
            print(line(result, seconds), flush=True)
    for broken in (result for result in results if result.trouble):
        print(f"\n{broken.name}\n{broken.trouble}")
    return int(any(result.trouble for result in results))


def _fuzzed(name: str, seconds: int) -> Result:
    folder = FOLDER / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.engine", name, str(folder), str(seconds)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, timeout=seconds + GRACE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Result(name, 0, 0, "It did not end in time.")
    said = (done.stdout + done.stderr).decode(errors="replace")
    return result_of(name, said, is_held=done.returncode == 0, folder=folder)


def result_of(name: str, said: str, *, is_held: bool, folder: Path) -> Result:
    """Return what the output of atheris tells."""
    tries, covered = _TRIES.findall(said), _COVERED.findall(said)
    end = "" if is_held else "\n".join([*said.splitlines()[-_SHOWN_LINES:], f"See {folder}."])
    return Result(name, int(tries[-1]) if tries else 0, int(covered[-1]) if covered else 0, end)


def line(result: Result, seconds: int) -> str:
    """Return a line of the table."""
    end = "  BROKEN" if result.trouble else ""
    a_second = result.tries // max(seconds, 1)
    return f"{result.name:<32}{result.tries:>12,}{a_second:>10,}{result.covered:>9,}{end}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
