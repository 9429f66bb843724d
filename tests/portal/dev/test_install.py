"""Environments from hashed locks: installed once, refused when tampered with, explained."""

import ast
import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from portal.dev import install
from portal.dev.install import InstallError, ensure, python_of

WHEEL = "brick-1.0-py3-none-any.whl"


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a lock for one small package, in a folder that stands for the whole index."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    info = "brick-1.0.dist-info"
    with zipfile.ZipFile(shelf / WHEEL, "w") as wheel:
        wheel.writestr("brick.py", "COLOUR = 'red'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: brick\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "brick.py,,\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    digest = hashlib.sha256((shelf / WHEEL).read_bytes()).hexdigest()
    lock = tmp_path / "brick.lock"
    lock.write_text(f"brick==1.0 \\\n    --hash=sha256:{digest}\n")
    return lock


@pytest.fixture
def without_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))


def colour(folder: Path) -> str:
    argv = [str(python_of(folder)), "-c", "import brick; print(brick.COLOUR)"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_a_lock_is_installed_into_a_new_environment(tmp_path: Path, lock: Path) -> None:
    ensure(lock, folder=tmp_path / "venv")
    assert colour(tmp_path / "venv") == "red"


@pytest.mark.usefixtures("without_uv")
def test_a_pip_from_outside_will_do(tmp_path: Path, lock: Path) -> None:
    ensure(lock, folder=tmp_path / "venv")
    assert colour(tmp_path / "venv") == "red"


def test_a_second_time_nothing_is_installed(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(lock, folder=tmp_path / "venv")
    monkeypatch.delenv("PIP_FIND_LINKS")
    ensure(lock, folder=tmp_path / "venv")


@pytest.mark.usefixtures("without_uv")
def test_a_package_with_another_hash_is_refused(tmp_path: Path, lock: Path) -> None:
    lock.write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", lock.read_text()))
    with pytest.raises(InstallError, match=r"could not install brick\.lock"):
        ensure(lock, folder=tmp_path / "venv")


def test_a_broken_environment_is_made_again(tmp_path: Path, lock: Path) -> None:
    ensure(lock, folder=tmp_path / "venv")
    python_of(tmp_path / "venv").unlink()
    ensure(lock, folder=tmp_path / "venv")
    assert colour(tmp_path / "venv") == "red"


@pytest.mark.usefixtures("without_uv")
def test_a_machine_without_any_installer_is_told_what_to_do(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pip", "ensurepip"):
        (tmp_path / "empty" / name).mkdir(parents=True)
        (tmp_path / "empty" / name / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "empty"))
    monkeypatch.syspath_prepend(tmp_path / "empty")
    monkeypatch.setattr(install, "_DEBIAN_WHEELS", tmp_path)
    with pytest.raises(InstallError, match="apt install python3-pip"):
        ensure(lock, folder=tmp_path / "venv")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, lock: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InstallError, match="file/venv cannot be made"):
        ensure(lock, folder=tmp_path / "file" / "venv")


def test_what_can_be_done_without_does_not_stop_us(lock: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not install.try_ensure(lock, folder=tmp_path / "file" / "venv")
    assert install.try_ensure(lock, folder=tmp_path / "venv")


def test_a_run_after_a_test_installs_nothing() -> None:
    assert _versions(install.RUN_LOCK).items() <= _versions(install.TEST_LOCK).items()


@pytest.mark.parametrize(
    "lock",
    [
        install.RUN_LOCK,
        install.TEST_LOCK,
        install.EMBEDDED_LOCK,
        install.FALLBACK_LOCK,
        install.FUZZ_LOCK,
    ],
)
def test_the_exported_locks_agree_with_uv_lock(lock: Path) -> None:
    packages = tomllib.loads((install.ROOT / "uv.lock").read_text())["package"]
    known = {(package["name"], package.get("version")) for package in packages}
    assert set(_versions(lock).items()) <= known


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((install.ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {re.split(r"[\[<>=; ]", line)[0] for line in wanted}
    assert names <= _versions(install.TEST_LOCK).keys()


def test_an_old_python_can_read_dev_py() -> None:
    assert ast.parse((install.ROOT / "dev.py").read_text(), feature_version=(3, 6))


def test_dev_py_explains_itself() -> None:
    argv = [sys.executable, str(install.ROOT / "dev.py")]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ})
    assert "python3 dev.py run" in said.stdout


def _versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))
