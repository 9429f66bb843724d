"""The image: linted, not root, and with everything in it that its commands need."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")
LAST_STAGE = DOCKERFILE.read_text().rpartition("\nFROM ")[2]


def copied() -> list[str]:
    """Return what of the repository is in the image."""
    lines = re.findall(r"^COPY ((?!--from).+) \S+$", LAST_STAGE, re.MULTILINE)
    return [name for line in lines for name in line.split()]


def test_the_linter_finds_nothing() -> None:
    linted = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_packages_are_installed_by_hash_and_from_wheels_only() -> None:
    install = "install --require-hashes --only-binary :all: -r /tmp/requirements.lock"
    assert install in DOCKERFILE.read_text()


def test_nothing_in_it_runs_as_root() -> None:
    assert re.search(r"^USER 10001:10001$", LAST_STAGE, re.MULTILINE)


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    sent = re.findall(r"^!(.+)$", (ROOT / "docker/Dockerfile.dockerignore").read_text(), re.M)
    assert set(sent) == {*copied(), "requirements.lock"}


def test_what_is_copied_is_a_whole_installation(tmp_path: Path) -> None:
    for name in copied():
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path)
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=tmp_path,
        env={**production(), "TOLLGATE_VAR": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr


def production() -> dict[str, str]:
    """Return the environment of a process as `compose.yaml` makes it."""
    return {
        "DATABASE_URL": "postgres://tollgate:secret@127.0.0.1/tollgate",
        "TOLLGATE_HTTPS": "1",
        "TOLLGATE_SECRET_KEY": secrets.token_urlsafe(50),
        "TOLLGATE_KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
        "TOLLGATE_SEALING_KEYS": f"1:{secrets.token_hex(32)}",
    }
