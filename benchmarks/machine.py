"""What the kernel knows: processor time, memory, cores, and what machine this is.

Used by the runner. Linux only: elsewhere there is no schedstat to read.
"""

import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

RELAY_CORE, OTHER_CORE = "1", "0"


def on_core(core: str, *argv: str) -> list[str]:
    """Return a command line that runs on that core, if this machine has two."""
    return ["taskset", "-c", core, *argv] if (os.cpu_count() or 1) > 1 else list(argv)


def tree(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    parents = dict(_parents())
    found = [pid]
    for candidate in found:
        found.extend(child for child, parent in parents.items() if parent == candidate)
    return found


def cpu_ns(pids: Iterable[int]) -> int:
    """Return the processor time that the threads of these processes have had so far."""
    spent_ns = 0
    for pid in pids:
        for account in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                spent_ns += int(account.read_text().split()[0])
            except OSError:  # the thread has ended since the folder was read
                continue
    return spent_ns


def memory_bytes(pids: Iterable[int]) -> int:
    """Return the proportional set size: shared pages are counted once."""
    total_kb = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total_kb += int(line.split()[1])
    return total_kb * 1024


def description(load_before: str) -> list[str]:
    """Return lines that say what was measured on, and how busy that was before and after."""
    now = time.strftime("%Y-%m-%d")
    return [
        f"{now}: {_processor()}, {os.cpu_count()} cores, Linux {platform.release()}.",
        f"Python {platform.python_version()}, {_versions()}.",
        f"Load average before {load_before}, after {load_average()}.",
    ]


def load_average() -> str:
    """Return the load of the last minute."""
    return f"{os.getloadavg()[0]:.2f}"


def _parents() -> Iterable[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name in parentheses may hold anything, so the fields are counted after it.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended since the folder was read
            continue
        yield int(folder.name), int(fields[1])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "psycopg"))
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False)
    return f"{packages}, SQLite {sqlite3.sqlite_version}, {nginx.stderr.strip()}"
