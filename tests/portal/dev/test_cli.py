"""What `python3 dev.py WORD` prepares before it becomes another program."""

import os
import subprocess
import sys
from pathlib import Path

from portal.dev.install import MAIN, ROOT

ASK = "import sys; print(sys.dont_write_bytecode, sys.pycache_prefix)"


def asked(state: Path, **environment: str) -> str:
    """Pass a command on that says how Python keeps what it has compiled."""
    argv = [sys.executable, str(ROOT / "dev.py"), "shell", "-v", "0", "-c", ASK]
    inherited = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    environ = {**inherited, "TOLLGATE_VAR": str(state), **environment}
    return subprocess.run(argv, capture_output=True, text=True, check=True, env=environ).stdout


def test_compiled_modules_are_kept_where_none_may_lie_beside_the_sources(tmp_path: Path) -> None:
    assert asked(tmp_path, PYTHONDONTWRITEBYTECODE="1") == f"False {MAIN / 'compiled'}\n"


def test_compiled_modules_lie_where_python_wants_them_otherwise(tmp_path: Path) -> None:
    assert asked(tmp_path) == "False None\n"
