"""What a shop says above its pages now. Called by the context of every page."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db.models import Q

from billing.models import Announcement

AT_MOST = 3


@dataclass(frozen=True)
class Notice:
    """A line of text; `link` is empty or a path or web address that it leads to."""

    text: str
    link: str


def current(*, language: str, now: datetime) -> list[Notice]:
    """Return what the open tenant announces in a language now, the newest first. One query."""
    rows = Announcement.objects.filter(
        Q(starts_at__isnull=True) | Q(starts_at__lte=now),
        Q(ends_at__isnull=True) | Q(ends_at__gt=now),
        language__in=("", language),
        is_active=True,
    )
    return [Notice(row.text, _safe_link(row.link_url)) for row in rows[:AT_MOST]]


def _safe_link(link: str) -> str:
    """Return the link if it leads to a page, nothing for script and other schemes."""
    try:
        parts = urlsplit(link.strip())
    except ValueError:
        return ""
    if parts.scheme in {"http", "https"} and parts.netloc:
        return link.strip()
    is_path = not parts.scheme and not parts.netloc and parts.path.startswith("/")
    return link.strip() if is_path and "\\" not in link else ""
