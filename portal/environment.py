"""Typed readers of environment variables, called by `portal.settings` alone.

Every reader also takes `<NAME>_FILE`, the path of a file that holds the value. A wrong value
raises ImproperlyConfigured with a sentence that names the variable and never shows a secret.
"""

import ipaddress
import os
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_SECRET = re.compile(r"[1-9][0-9]{0,3}:[0-9a-fA-F]{64}")


def text(name: str, *, default: str | None = None) -> str:
    """Return the value of a variable; without a default it must be set."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        return _contents(name, Path(path))
    value = os.environ.get(name, "")
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} must be set (or {name}_FILE to a file with its value).")
    return default


def secret(name: str, *, min_length: int) -> str:
    """Return a secret of at least `min_length` characters."""
    value = text(name)
    if len(value) < min_length:
        raise ImproperlyConfigured(f"{name} must have at least {min_length} characters.")
    return value


def versioned_secrets(name: str) -> str:
    """Return secrets in the form `1:<64 hex>,2:<64 hex>`, with every version given once."""
    value = text(name)
    entries = [entry.strip() for entry in value.split(",")]
    if not all(_SECRET.fullmatch(entry) for entry in entries):
        raise ImproperlyConfigured(
            f"{name} must be a list like 1:<64 hex digits>,2:<64 hex digits>, newest last."
        )
    versions = [entry.partition(":")[0] for entry in entries]
    if len(set(versions)) != len(versions):
        raise ImproperlyConfigured(f"{name} gives a version twice.")
    return ",".join(entries)


def flag(name: str, *, default: bool) -> bool:
    """Return a yes or no: 1/true/yes/on or 0/false/no/off."""
    word = text(name, default="1" if default else "0").strip().lower()
    if word not in _TRUE | _FALSE:
        raise ImproperlyConfigured(f"{name} must be true or false, not {word!r}.")
    return word in _TRUE


def choice(name: str, *, default: str, choices: tuple[str, ...]) -> str:
    """Return one of a few words."""
    value = text(name, default=default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value


def whole(name: str, *, default: int, at_least: int = 1) -> int:
    """Return a whole number."""
    value = text(name, default=str(default))
    if not re.fullmatch(r"[0-9]{1,15}", value) or int(value) < at_least:
        raise ImproperlyConfigured(
            f"{name} must be a whole number of at least {at_least}, not {value!r}."
        )
    return int(value)


def seconds(
    name: str, *, default: float, at_most: float = 86_400.0, may_be_zero: bool = False
) -> float:
    """Return a time span in seconds, above zero and at most a day unless told otherwise."""
    value = text(name, default=str(default))
    span = float(value) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", value) else -1.0
    if span > at_most or span < 0 or (span == 0 and not may_be_zero):
        least = "from 0" if may_be_zero else "above 0"
        raise ImproperlyConfigured(
            f"{name} must be a number of seconds {least} and at most {at_most:g}, not {value!r}."
        )
    return span


def decimal(name: str, *, default: str) -> str:
    """Return a decimal number above zero, as it was written."""
    value = text(name, default=default)
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or number <= 0:
        raise ImproperlyConfigured(f"{name} must be a decimal number above 0, not {value!r}.")
    return value


def networks(name: str) -> list[str]:
    """Return addresses and networks, parted by commas; none by default."""
    entries = [entry.strip() for entry in text(name, default="").split(",") if entry.strip()]
    for entry in entries:
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} must list addresses or networks, and {entry!r} is neither."
            ) from None
    return entries


def redis_url(name: str, *, default: str) -> str:
    """Return the address of a Valkey or Redis server; it may contain a password."""
    value = text(name, default=default)
    parts = _address(value)
    schemes = {"redis", "rediss", "unix"}
    if parts is None or parts.scheme not in schemes or not (parts.hostname or parts.path):
        raise ImproperlyConfigured(f"{name} must look like redis://:password@host:6379/0.")
    return value


def database(name: str, *, default: str) -> dict[str, Any]:
    """Return Django's settings for a SQLite or PostgreSQL address; it may contain a password."""
    value = text(name, default=default)
    parts = _address(value)
    if parts is None or parts.scheme not in {"sqlite", "postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"{name} must look like sqlite:////path/file or postgres://user:password@host/name; "
            "in a password, characters like / # ? @ : are written as %2F and so on."
        )
    config: dict[str, Any] = environ.Env.db_url_config(value)
    return config


@dataclass(frozen=True)
class MailRoute:
    """How mails leave: by SMTP, into files, or onto the console."""

    backend: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = False
    tls: bool = False
    folder: str = ""


_SMTP = "django.core.mail.backends.smtp.EmailBackend"
_CONSOLE = MailRoute("django.core.mail.backends.console.EmailBackend")


def mail_route(name: str, *, default: str) -> MailRoute:
    """Return the way that mails take; the address may contain a password."""
    value = text(name, default=default)
    parts = _address(value)
    if value == "console:":
        return _CONSOLE
    if parts and parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return MailRoute("portal.mail.files.EmlBackend", folder=unquote(parts.path))
    route = _smtp_route(parts) if parts and parts.scheme in {"smtp", "smtps"} else None
    if route is None:
        raise ImproperlyConfigured(
            f"{name} must look like smtp://user:password@host:587/?tls=1, smtps://user:password@"
            "host, file:///folder or console: (in a password, / # ? @ : are written as %2F ...)."
        )
    return route


def _smtp_route(parts: SplitResult) -> MailRoute | None:
    """Return what an SMTP address says, None if it says something else as well."""
    wants = parse_qs(parts.query, keep_blank_values=True)
    starttls = wants.pop("tls", ["0"])
    has_half_a_login = bool(parts.username) != bool(parts.password)
    if wants or starttls not in (["0"], ["1"]) or has_half_a_login:
        return None
    is_tls = parts.scheme == "smtps"
    if not parts.hostname or parts.path.strip("/") or (is_tls and starttls == ["1"]):
        return None
    usual = 465 if is_tls else 587 if starttls == ["1"] else 25
    return MailRoute(
        _SMTP,
        host=parts.hostname,
        port=parts.port or usual,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=starttls == ["1"],
        tls=is_tls,
    )


def email_address(name: str, *, default: str | None) -> str:
    """Return one bare address like shop@example.com."""
    value = text(name, default=default)
    try:
        validate_email(value)
    except ValidationError:
        raise ImproperlyConfigured(
            f"{name} must be one address like shop@example.com, not {value!r}."
        ) from None
    return value


def api_base(name: str) -> str:
    """Return the address of an API without a slash at its end, "" if none is given.

    Credentials travel to it, so it has TLS, unless it is on this machine.
    """
    value = text(name, default="")
    parts = _address(value)
    if value and not (parts and _is_safe_base(parts)):
        raise ImproperlyConfigured(f"{name} must look like https://host/path.")
    return value.rstrip("/")


def _is_safe_base(parts: SplitResult) -> bool:
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        return False
    is_near = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return parts.scheme == "https" or (parts.scheme == "http" and is_near)


def _address(value: str) -> SplitResult | None:
    """Return the parts of an address, None if it has none; their errors may show a password."""
    try:
        parts = urlsplit(value)
        return parts if parts.port is None or parts.port else None
    except ValueError:
        return None


def _contents(name: str, path: Path) -> str:
    try:
        value = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ImproperlyConfigured(f"{name}_FILE names a file that can't be read: {path}") from (
            problem
        )
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE names an empty file: {path}")
    return value
