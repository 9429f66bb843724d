"""What operator commands share: whom they work for, durations, numbers, one-line refusals."""

import re
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from billing import tenants
from billing.errors import BillingError
from billing.models import Tenant

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_read_duration = re.compile(r"([0-9]{1,9})([smhd])").fullmatch
_LONGEST = timedelta(days=36_500)
_MAX_INTEGER = 2**31 - 1


def add_owner(parser: ArgumentParser) -> None:
    """Add `--tenant SLUG | --platform`, one of which must be given."""
    owner = parser.add_mutually_exclusive_group(required=True)
    owner.add_argument("--tenant", metavar="SLUG", help="the shop it is for")
    owner.add_argument("--platform", action="store_true", help="for the platform: all shops use it")


def owner(options: dict[str, Any]) -> Tenant:
    """Return the tenant that the options name."""
    return tenants.platform() if options.get("platform") else named_tenant(options)


def named_tenant(options: dict[str, Any]) -> Tenant:
    """Return the tenant of `--tenant SLUG`."""
    with refusals("--tenant"):
        return tenants.by_slug(options["tenant"])


@contextmanager
def refusals(option: str = "") -> Iterator[None]:
    """Turn what billing refuses into one line on standard error and exit code 1."""
    try:
        yield
    except BillingError as error:
        raise CommandError(f"{option}: {error}" if option else str(error)) from None


def whole(options: dict[str, Any], name: str, *, at_least: int) -> int | None:
    """Return the whole number of an option, None if it was not given."""
    text = options[name]
    if text is None:
        return None
    number = int(text) if re.fullmatch(r"-?[0-9]{1,10}", text) else None
    if number is None or not at_least <= number <= _MAX_INTEGER:
        raise CommandError(
            f"--{name}: {text!r} is not a whole number from {at_least} to {_MAX_INTEGER}."
        )
    return number


def end_after(text: str | None, *, option: str) -> datetime | None:
    """Return the moment that lies a duration like 30d, 12h, 90m or 45s ahead; None for none."""
    if text is None:
        return None
    found = _read_duration(text)
    length = timedelta(seconds=int(found[1]) * _SECONDS[found[2]]) if found else timedelta()
    if not timedelta() < length <= _LONGEST:
        raise CommandError(f"{option}: {text!r} is not a duration like 30d, 12h, 90m or 45s.")
    return timezone.now() + length
