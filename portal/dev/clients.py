"""Client programs that the relay is tried with, each family in an environment of its own.

Called by `cli.py` for `python3 dev.py clients` only: they are large, and need a registry. Standard
library only.
"""

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

from portal.dev import install

FOLDER = install.ROOT / ".venv-clients"
NODE = FOLDER / "node"
SOURCES = install.ROOT / "tests" / "clients"
LOCK = SOURCES / "libraries.lock"

_STAMP = "installed-lock.json"
# Its program is another package, which its own script links into place.
_CLAUDE_CODE = "node_modules/@anthropic-ai/claude-code/install.cjs"


def prepare() -> None:
    """Install what is missing. Raises InstallError for Python's libraries; Node's may be absent."""
    install.ensure(LOCK, folder=FOLDER)
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm and node:
        _install_node(npm, node)
    else:
        print("dev.py: going on without Node's clients: there is no npm", file=sys.stderr)


def copy_programs() -> None:
    """Put Node's programs, as they are now, where they find their libraries."""
    NODE.mkdir(parents=True, exist_ok=True)
    for source in (SOURCES / "node").iterdir():
        shutil.copy(source, NODE / source.name)


def _install_node(npm: str, node: str) -> None:
    """Install what the lock pins, without any package's own scripts but one that is known."""
    lock, stamp = SOURCES / "node" / "package-lock.json", NODE / _STAMP
    copy_programs()
    if stamp.exists() and filecmp.cmp(lock, stamp, shallow=False):
        return
    argv = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    for command in (argv, [node, _CLAUDE_CODE]):
        if subprocess.run(command, cwd=NODE, stdout=sys.stderr).returncode:
            raise install.InstallError(f"{Path(command[0]).name} could not install Node's clients")
    shutil.copy(lock, stamp)
