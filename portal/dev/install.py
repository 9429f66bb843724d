"""Virtual environments from hashed locks, with whatever installer the machine has.

Called by `cli.py` and `run.py`. Standard library only. The environment is made without pip,
because Debian's Python may lack ensurepip; uv or a pip from outside installs into it. A stamp
with the sha256 of each installed lock makes the next start install nothing.
"""

import fcntl
import hashlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / ".venv"
OLD_CLIENT = ROOT / ".venv-openai028"

RUN_LOCK = ROOT / "requirements.lock"
TEST_LOCK = ROOT / "requirements-dev.lock"
EMBEDDED_LOCK = ROOT / "requirements-embedded.lock"
FALLBACK_LOCK = ROOT / "requirements-fallback.lock"
FUZZ_LOCK = ROOT / "requirements-fuzz.lock"
OLD_CLIENT_LOCK = ROOT / "tests" / "clients" / "openai-0.28.1.lock"
_MAIN_LOCKS = (RUN_LOCK, TEST_LOCK, EMBEDDED_LOCK, FALLBACK_LOCK, FUZZ_LOCK)

_STAMP = "tollgate.json"
_FLAGS = ("--require-hashes", "--only-binary", ":all:")
_OLDEST_PIP = (22, 3)  # the first with `pip --python`
_DEBIAN_WHEELS = Path("/usr/share/python-wheels")  # where Debian's ensurepip finds pip
# They would send the packages elsewhere than into the environment.
_MISLEADING = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
_PIP_TO_UV = {
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
}


class InstallError(Exception):
    """The environment could not be made; the message says why and what would help."""


def python_of(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / "bin" / "python"


def ensure(lock: Path, *, folder: Path = MAIN) -> None:
    """Make the environment in `folder` if need be, and install `lock` unless it is there.

    Raises InstallError.
    """
    with _alone(folder):
        stamp = _read_stamp(folder)
        if not stamp:
            _make(folder)
        digest = _digest(lock)
        if stamp.get(lock.name) == digest:
            return
        _say(f"installing {lock.name} into {folder.name}")
        _install(lock, python=python_of(folder))
        others = _still_true(stamp, lock) if folder == MAIN else {}
        _write_stamp(folder, {**others, lock.name: digest})


def try_ensure(lock: Path, *, folder: Path = MAIN) -> bool:
    """Like `ensure`, for what we can do without; tell whether it is there."""
    try:
        ensure(lock, folder=folder)
    except InstallError as error:
        _say(f"going on without {lock.name}: {error}")
        return False
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time work on an environment."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InstallError(f"{folder} cannot be made: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _make(folder: Path) -> None:
    """Make an environment; one that somebody else made and that works is kept."""
    python = python_of(folder)
    works = [str(python), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if python.exists() and _succeeds(works):
        return
    _say(f"making {folder.name}")
    try:
        # Emptied, but not removed: we hold its lock.
        venv.EnvBuilder(with_pip=False, symlinks=True, clear=True).create(folder)
    except OSError as error:
        raise InstallError(f"{folder} cannot be made: {error}") from error


def _install(lock: Path, *, python: Path) -> None:
    tried = []
    for name, argv, environ in _installers(python):
        # Standard output belongs to the command that is to be run.
        if subprocess.run([*argv, "-r", lock], env=environ, stdout=sys.stderr).returncode == 0:
            return
        tried.append(name)
    if tried:
        names = " and ".join(dict.fromkeys(tried))
        raise InstallError(f"{names} could not install {lock.name}; see above")
    raise InstallError(
        f"neither uv nor pip {_OLDEST_PIP[0]}.{_OLDEST_PIP[1]} or newer was found. Install one, "
        "for example with `apt install python3-pip` or `dnf install python3-pip`, and try again"
    )


def _installers(python: Path) -> Iterator[tuple[str, list[str], Mapping[str, str]]]:
    """Yield name, command and environment of the installers, the best one first."""
    environ = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    uv = shutil.which("uv")
    if uv:
        argv = [uv, "pip", "install", "--python", str(python), *_FLAGS]
        yield "uv", argv, _environment_of_uv(environ)
    for pip in _pips():
        argv = [*pip, "--python", str(python), "install", *_FLAGS]
        yield "pip", [*argv, "--no-input", "--disable-pip-version-check"], environ


def _environment_of_uv(environ: Mapping[str, str]) -> dict[str, str]:
    """Tell uv of the mirror that pip was told of, and where it may write."""
    theirs = {new: environ[old] for old, new in _PIP_TO_UV.items() if old in environ}
    if not os.access(os.path.expanduser("~"), os.W_OK):
        theirs["UV_NO_CACHE"] = "1"
    return {**theirs, **environ}


def _pips() -> Iterator[list[str]]:
    """Yield commands that are a pip new enough to install into another environment.

    Ours come first: pip runs under the interpreter that it installs for, and one that belongs to
    an older Python may not work there.
    """
    ours = [[sys.executable, "-m", "pip"]]
    ours += [[sys.executable, str(wheel / "pip")] for wheel in _pip_wheels()]
    on_path = [[path] for name in ("pip3", "pip") if (path := shutil.which(name))]
    for candidates in (ours, on_path):
        new_enough = (argv for argv in candidates if _pip_version(argv) >= _OLDEST_PIP)
        yield from itertools.islice(new_enough, 1)


def _pip_wheels() -> Iterator[Path]:
    """Yield the wheels of pip that come with Python; pip runs straight out of one."""
    ensurepip = importlib.util.find_spec("ensurepip")
    packages = (ensurepip and ensurepip.submodule_search_locations) or ()
    for folder in (*(Path(package, "_bundled") for package in packages), _DEBIAN_WHEELS):
        yield from folder.glob("pip-*.whl")


def _pip_version(argv: list[str]) -> tuple[int, ...]:
    try:
        said = subprocess.run([*argv, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"pip (\d+)\.(\d+)", said.stdout) if said.returncode == 0 else None
    return tuple(int(digits) for digits in found.groups()) if found else ()


def _succeeds(argv: list[str]) -> bool:
    return subprocess.run(argv, capture_output=True).returncode == 0


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _read_stamp(folder: Path) -> dict[str, str]:
    """Return what is installed; nothing, if the interpreter has changed underneath."""
    try:
        stamp: dict[str, str] = json.loads((folder / _STAMP).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    python = python_of(folder)
    return stamp if python.exists() and stamp.get("python") == os.path.realpath(python) else {}


def _write_stamp(folder: Path, installed: Mapping[str, str]) -> None:
    stamp = {**installed, "python": os.path.realpath(python_of(folder))}
    fresh = folder / f"{_STAMP}.new"
    fresh.write_text(json.dumps(stamp, indent=2) + "\n")
    fresh.replace(folder / _STAMP)


def _still_true(stamp: Mapping[str, str], installed: Path) -> dict[str, str]:
    """Return the stamps of other locks that hold after `installed` was installed.

    A lock that pins nothing but what `installed` pins is there too, so a `run` after a `test`
    installs nothing; one that pins another version of anything is no longer there.
    """
    now = _pins(installed)
    kept = {}
    for lock in _MAIN_LOCKS:
        pins = _pins(lock)
        common = pins.keys() & now.keys()
        if pins.items() <= now.items():
            kept[lock.name] = _digest(lock)
        elif lock.name in stamp and all(pins[name] == now[name] for name in common):
            kept[lock.name] = stamp[lock.name]
    return kept


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))


def _say(text: str) -> None:
    print(f"dev.py: {text}", file=sys.stderr, flush=True)
