"""Relay addresses of a shop as a visitor should write them down. Called by views and context."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.translation import gettext as _

from billing.errors import FieldInvalid
from billing.hostnames import hostname
from billing.models import Domain

MAX_LINES = 12
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Line:
    """One relay address; `base_url` ends without `/v1`. `id` is None for a host of no row."""

    id: int | None
    name: str
    hostname: str
    base_url: str
    is_primary: bool


def lines_of(request: HttpRequest) -> list[Line]:
    """Return a shop's lines, in the open scope: the primary first, then as they were added.

    The port of the request is theirs, too. A visitor who came by a host that is no row (the only
    shop of an installation answers on every host) is shown that host first. Names of the machine
    itself are for those who sit at it.
    """
    rows = list(Domain.objects.order_by("-is_primary", "pk")[:MAX_LINES])
    called, port = _called(request)
    is_local = called in _LOOPBACK
    shown = [row for row in rows if is_local or row.hostname not in _LOOPBACK]
    if called and called not in {row.hostname for row in rows}:
        beyond = Domain.objects.filter(hostname=called).first()
        shown = [*shown, beyond] if beyond else [Domain(hostname=called), *shown]
    return [
        Line(
            id=row.pk,
            name=row.label or _default_name(place),
            hostname=row.hostname,
            base_url=f"{request.scheme}://{_bracketed(row.hostname)}{port}",
            is_primary=place == 0,
        )
        for place, row in enumerate(shown)
    ]


def _called(request: HttpRequest) -> tuple[str, str]:
    """Return the host by which the visitor came, and its port with the colon if it has one."""
    host = request.get_host()
    try:
        name = hostname(host)
    except FieldInvalid:
        return "", ""
    tail = host.rpartition("]")[2] if host.startswith("[") else host
    _name, colon, port = tail.partition(":")
    return name, colon + port


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _default_name(place: int) -> str:
    return _("Line %(number)d") % {"number": place + 1} if place else _("Main line")
