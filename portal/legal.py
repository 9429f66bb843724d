"""What buyers agree to, and what is done with their data: a shop's own texts, else ours.

Called by the pages that show them and by the checkout, which notes the version with the order. Ours
are files, `texts/<purpose>/<version>.<language>.md`; a version begins with its day. A file that was
ever published stays, because orders name it: a change is a new file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from billing.models import LegalText, Tenant
from portal import markdown

TEXTS = Path(__file__).with_name("texts")
MOST_LISTED = 200

_DAY = len("2026-11-22")


@dataclass(frozen=True)
class LegalPage:
    """One version of a text, as Markdown; `language` may not be the one that was asked for."""

    version: str
    text: str
    published_at: datetime
    language: str

    @cached_property
    def html(self) -> SafeString:
        """The text as a page shows it."""
        return markdown.to_html(self.text)


def current(tenant: Tenant, purpose: str, language: str) -> LegalPage:
    """Return the text of a purpose that counts now, in the open scope. One query.

    A shop's own text in another language goes before ours in this one: it is what the shop says.
    """
    rows = list(_own(tenant, purpose)[:20])
    row = _in_language(rows, language, tenant)
    return _page(row) if row else _ours(tenant, purpose, _versions_of_ours(purpose)[0], language)


def version(tenant: Tenant, purpose: str, name: str, language: str) -> LegalPage | None:
    """Return a version by its name, a shop's own before ours; None if there is none, in the scope.

    Ours can always be read: an order may name it that was placed before the shop had its own.
    """
    # PostgreSQL refuses a text with a zero byte, which an address may hold.
    rows = list(_own(tenant, purpose).filter(version=name)) if name.isprintable() else []
    row = _in_language(rows, language, tenant)
    if row is not None:
        return _page(row)
    is_ours = name in _versions_of_ours(purpose)
    return _ours(tenant, purpose, name, language) if is_ours else None


def versions(tenant: Tenant, purpose: str, language: str) -> list[LegalPage]:
    """Return the versions that have counted in this shop, the newest first, in the open scope."""
    by_name: dict[str, list[LegalText]] = {}
    for row in _own(tenant, purpose)[:MOST_LISTED]:
        by_name.setdefault(row.version, []).append(row)
    chosen = (_in_language(rows, language, tenant) for rows in by_name.values())
    own = [_page(row) for row in chosen if row]
    ended_at = min((page.published_at for page in own), default=timezone.now())
    names = _ours_between(purpose, tenant.created_at, ended_at)
    return [*own, *(_ours(tenant, purpose, name, language) for name in names)]


def _own(tenant: Tenant, purpose: str) -> QuerySet[LegalText]:
    published = LegalText.objects.filter(
        tenant=tenant, purpose=purpose, published_at__lte=timezone.now()
    )
    return published.order_by("-published_at", "-id")


def _in_language(rows: list[LegalText], language: str, tenant: Tenant) -> LegalText | None:
    for wanted in (language, tenant.language):
        found = next((row for row in rows if row.language == wanted), None)
        if found:
            return found
    return rows[0] if rows else None


def _page(row: LegalText) -> LegalPage:
    return LegalPage(row.version, row.body, row.published_at, row.language)


def _ours(tenant: Tenant, purpose: str, name: str, language: str) -> LegalPage:
    text = _file(purpose, name, language)
    text = text.replace("{contact}", _contact(tenant))
    text = text.replace("{shop}", markdown.escape(tenant.name))
    return LegalPage(name, text, _day_of(name), language)


def _ours_between(purpose: str, began_at: datetime, ended_at: datetime) -> Iterator[str]:
    """Yield our versions that counted on a day of that time, the newest first."""
    names = _versions_of_ours(purpose)
    for name, newer in zip(names, [None, *names[:-1]], strict=True):
        is_over = newer is not None and _day_of(newer).date() < began_at.date()
        if not is_over and _day_of(name).date() <= ended_at.date():
            yield name


@cache
def _versions_of_ours(purpose: str) -> list[str]:
    """Return the names of our versions, the newest first."""
    files = (TEXTS / purpose).glob("*.en.md")
    return sorted((file.name.removesuffix(".en.md") for file in files), reverse=True)


@cache
def _file(purpose: str, name: str, language: str) -> str:
    return (TEXTS / purpose / f"{name}.{language}.md").read_text("utf-8")


def _day_of(name: str) -> datetime:
    return datetime.fromisoformat(name[:_DAY]).replace(tzinfo=UTC)


def _contact(tenant: Tenant) -> str:
    if tenant.contact_email:
        address = tenant.contact_email
        return f"[{markdown.escape(address)}](<mailto:{address}>)"
    if tenant.contact_url:
        return f"[{_('customer service')}](<{tenant.contact_url}>)"
    return _("the shop")
