"""The state folder: secrets made once, one `run` at a time, the same world for every command."""

import stat
from pathlib import Path

import pytest

from portal.dev import state


def test_secrets_are_made_once(tmp_path: Path) -> None:
    assert state.kept_secrets(tmp_path) == state.kept_secrets(tmp_path)


def test_no_other_user_can_read_the_secrets(tmp_path: Path) -> None:
    state.kept_secrets(tmp_path)
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_the_state_folder_may_be_anywhere(tmp_path: Path) -> None:
    assert state.folder({"TOLLGATE_VAR": str(tmp_path / "a" / "b")}) == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()


def test_the_database_lies_in_the_state_folder(tmp_path: Path) -> None:
    url = state.environment(tmp_path, {})["DATABASE_URL"]
    assert url == f"sqlite:///{tmp_path}/tollgate.sqlite3"


def test_what_the_caller_sets_wins(tmp_path: Path) -> None:
    environment = state.environment(tmp_path, {"DATABASE_URL": "postgres://x/y", "PATH": "/bin"})
    assert environment["DATABASE_URL"] == "postgres://x/y"
    assert environment["PATH"] == "/bin"


def test_a_second_run_on_the_same_state_is_refused_by_name(tmp_path: Path) -> None:
    with state.taken(tmp_path):
        state.announce(tmp_path, url="http://127.0.0.1:8000", redis_url="redis://x")
        with pytest.raises(
            state.StateTakenError, match=r"already running at http://127.0.0.1:8000"
        ):
            state.taken(tmp_path).__enter__()


def test_a_command_beside_a_run_finds_its_valkey(tmp_path: Path) -> None:
    with state.taken(tmp_path):
        state.announce(tmp_path, url="http://127.0.0.1:8000", redis_url="redis://x")
        assert state.environment(tmp_path, {})["REDIS_URL"] == "redis://x"
    assert "REDIS_URL" not in state.environment(tmp_path, {})


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://elsewhere\n")
    assert (
        state.given("REDIS_URL", {"REDIS_URL_FILE": str(tmp_path / "url")}) == "redis://elsewhere"
    )
    assert state.given("REDIS_URL", {}) == ""
