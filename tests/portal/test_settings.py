"""Settings: a wrong value stops the start with a sentence that names its variable."""

import os
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

SETTINGS = str(Path(__file__).resolve().parents[2] / "portal" / "settings.py")
WRONG = [
    ("TOLLGATE_SECRET_KEY", ""),
    ("TOLLGATE_SECRET_KEY", "short"),
    ("TOLLGATE_KEY_PEPPERS", "1:abc"),
    ("TOLLGATE_KEY_PEPPERS", "ab" * 32),
    ("TOLLGATE_KEY_PEPPERS", f"1:{'ab' * 32},1:{'cd' * 32}"),
    ("TOLLGATE_SEALING_KEYS", f"0:{'ab' * 32}"),
    ("TOLLGATE_SEALING_KEYS", f"1:{'ab' * 32},"),
    ("TOLLGATE_DEBUG", "maybe"),
    ("TOLLGATE_HTTPS", "2"),
    ("DATABASE_URL", "mysql://localhost/x"),
    ("DATABASE_URL", "tollgate.sqlite3"),
    ("DATABASE_URL", "postgres://me:hush/hush@localhost/x"),
    ("DATABASE_URL", "postgres://me:hush[hush@localhost/x"),
    ("DATABASE_URL", "postgres://me:hush@localhost:99999/x"),
    ("REDIS_URL", "redis://:hush/hush@localhost/0"),
    ("REDIS_URL", "http://localhost"),
    ("REDIS_URL", "localhost:6379"),
    ("TOLLGATE_BASE_TOKEN_USD_PER_MILLION", "0"),
    ("TOLLGATE_BASE_TOKEN_USD_PER_MILLION", "cheap"),
    ("TOLLGATE_BASE_TOKEN_USD_PER_MILLION", "NaN"),
    ("TOLLGATE_HOLD_STALE_S", "0"),
    ("TOLLGATE_HOLD_STALE_S", "1m"),
    ("TOLLGATE_HEARTBEAT_PERIOD_S", "59"),
    ("TOLLGATE_DRAIN_S", "-1"),
    ("TOLLGATE_MAX_BODY_BYTES", "10MB"),
    ("TOLLGATE_MAX_IN_FLIGHT", "0"),
    ("TOLLGATE_MAX_BODIES_MB", "0"),
    ("TOLLGATE_KEEPALIVE_S", "often"),
    ("TOLLGATE_TRUSTED_PROXIES", "10.0.0.0/8,proxy.example"),
    ("TOLLGATE_LOG_LEVEL", "loud"),
    ("TOLLGATE_PUBLIC_PORT", "http"),
    ("TOLLGATE_MAIL_FROM", "Shop <shop@example.com>"),
    ("TOLLGATE_MAIL_FROM", "shop"),
    ("TOLLGATE_MAIL_FROM", "a@b.example\nBcc: c@d.example"),
    ("TOLLGATE_EMAIL_URL", "mail.example"),
    ("TOLLGATE_EMAIL_URL", "http://mail.example"),
    ("TOLLGATE_EMAIL_URL", "file://mail"),
    ("TOLLGATE_EMAIL_URL", "smtp://"),
    ("TOLLGATE_EMAIL_URL", "smtp://me:hush@mail.example:x"),
    ("TOLLGATE_EMAIL_URL", "smtp://me:hush/hush@mail.example"),
    ("TOLLGATE_EMAIL_URL", "smtp://me@mail.example"),
    ("TOLLGATE_EMAIL_URL", "smtp://mail.example/?tls=yes"),
    ("TOLLGATE_EMAIL_URL", "smtp://mail.example/?starttls=1"),
    ("TOLLGATE_EMAIL_URL", "smtps://mail.example/?tls=1"),
    ("TOLLGATE_STRIPE_API", "api.example"),
    ("TOLLGATE_STRIPE_API", "http://api.example"),
    ("TOLLGATE_STRIPE_API", "https://me:hush@api.example"),
    ("TOLLGATE_STRIPE_API", "https://api.example/?key=hush"),
]


def settings_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """Read the settings in an environment with these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(SETTINGS)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name) as raised:
        settings_with(monkeypatch, **{name: value})
    assert "hush" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "name",
    [
        "TOLLGATE_KEY_PEPPERS",
        "TOLLGATE_SECRET_KEY",
        "TOLLGATE_EMAIL_URL",
        "DATABASE_URL",
        "REDIS_URL",
    ],
)
def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        settings_with(monkeypatch, **{name: "hush-hush"})
    assert "hush" not in str(raised.value)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 60 + "\n")
    monkeypatch.delenv("TOLLGATE_SECRET_KEY")
    found = settings_with(monkeypatch, TOLLGATE_SECRET_KEY_FILE=str(tmp_path / "key"))
    assert found["SECRET_KEY"] == "k" * 60


@pytest.mark.parametrize("content", [None, ""])
def test_a_missing_or_empty_secret_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ImproperlyConfigured, match="TOLLGATE_SECRET_KEY_FILE"):
        settings_with(monkeypatch, TOLLGATE_SECRET_KEY_FILE=str(path))


def test_sqlite_waits_for_its_turn_and_keeps_what_it_promised() -> None:
    options = runpy.run_path(SETTINGS)["DATABASES"]["default"]["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "synchronous=FULL" in options["init_command"]


def test_postgres_is_taken_from_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_with(monkeypatch, DATABASE_URL="postgres://me:secret@db.example:5433/books")
    database = found["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", 5433, "books")


def test_cookies_are_secure_behind_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_with(monkeypatch, TOLLGATE_HTTPS="1")
    assert found["SESSION_COOKIE_SECURE"]
    assert found["CSRF_COOKIE_SECURE"]
    assert found["SECURE_HSTS_SECONDS"]


def test_a_heartbeat_comes_well_before_a_hold_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_with(monkeypatch, TOLLGATE_HOLD_STALE_S="2")
    assert found["HEARTBEAT_PERIOD_S"] <= 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", ""), ("https://proxy.example/stripe/", "https://proxy.example/stripe")],
)
def test_stripe_can_be_asked_elsewhere(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    assert settings_with(monkeypatch, TOLLGATE_STRIPE_API=given)["STRIPE_API"] == expected


def test_debug_is_off_unless_asked_for() -> None:
    assert os.environ["TOLLGATE_DEBUG"] == "0"
    assert runpy.run_path(SETTINGS)["DEBUG"] is False


def test_a_relay_looks_for_changes_at_least_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLGATE_SNAPSHOT_PERIOD_S", raising=False)
    assert runpy.run_path(SETTINGS)["SNAPSHOT_PERIOD_S"] <= 0.5
