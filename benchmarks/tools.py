"""The programs that measuring needs, found or built; what is missing is said, never installed."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "load"
BUILD = HERE / "build"
CLOSED_LOOP = SOURCES / "closed.lua"

_POSTGRES_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")


class Missing(Exception):
    """A program is not on this machine; the message says which and what is left out."""


def program(name: str, *, package: str = "", needed_for: str) -> str:
    """Return the path of a program, or raise Missing with what can't be measured without it."""
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin")
    if found is None:
        raise Missing(f"{name} is not installed (Debian: {package or name}): no {needed_for}")
    return found


def built(name: str, *, needed_for: str) -> str:
    """Return the path of a load program, compiled from `load/NAME.c` when it is out of date."""
    source, binary = SOURCES / f"{name}.c", BUILD / name
    changed_at = max(file.stat().st_mtime for file in (source, SOURCES / "client.h"))
    if not binary.exists() or binary.stat().st_mtime < changed_at:
        compiler = program("gcc", needed_for=needed_for)
        BUILD.mkdir(exist_ok=True)
        subprocess.run([compiler, "-O2", "-Wall", "-o", str(binary), str(source)], check=True)
    return str(binary)


def postgres_binaries() -> Path:
    """Return the folder with `initdb` and `postgres`, the newest there is, or raise Missing."""
    found = [
        folder
        for pattern in _POSTGRES_FOLDERS
        for folder in Path("/").glob(pattern)
        if (folder / "initdb").exists()
    ]
    if not found:
        raise Missing("no PostgreSQL server binaries (Debian: postgresql): no figures for it")
    return max(found, key=lambda folder: int("".join(filter(str.isdigit, str(folder))) or 0))
