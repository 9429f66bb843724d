"""What buyers agree to, and what is done with their data: a shop's own text, else ours.

Called by the pages that show them and by the checkout, which notes the version with the order.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from billing.models import LegalText, Tenant
from portal import markdown

TEXTS = Path(__file__).with_name("texts")


@dataclass(frozen=True)
class LegalPage:
    """One version of a text; `language` is that of the text, which may not be the one asked for."""

    version: str
    html: SafeString
    published_at: datetime
    language: str


def current(tenant: Tenant, purpose: str, language: str) -> LegalPage:
    """Return the text of a purpose that counts now, in the open scope. One query.

    A shop's own text in another language goes before ours in this one: it is what the shop says.
    """
    row = _own(tenant, purpose, language)
    if row is None:
        return _ours(tenant, purpose, language)
    return LegalPage(row.version, markdown.to_html(row.body), row.published_at, row.language)


def _own(tenant: Tenant, purpose: str, language: str) -> LegalText | None:
    rows = list(
        LegalText.objects.filter(
            tenant=tenant, purpose=purpose, published_at__lte=timezone.now()
        ).order_by("-published_at", "-id")[:20]
    )
    for wanted in (language, tenant.language):
        found = next((row for row in rows if row.language == wanted), None)
        if found:
            return found
    return rows[0] if rows else None


def _ours(tenant: Tenant, purpose: str, language: str) -> LegalPage:
    version, text = _file(purpose, language)
    text = text.replace("{contact}", _contact(tenant))
    text = text.replace("{shop}", markdown.escape(tenant.name))
    published_at = datetime.fromisoformat(version).replace(tzinfo=UTC)
    return LegalPage(version, markdown.to_html(text), published_at, language)


@cache
def _file(purpose: str, language: str) -> tuple[str, str]:
    first, _blank, text = (TEXTS / f"{purpose}.{language}.md").read_text("utf-8").partition("\n\n")
    return first.removeprefix("version:").strip(), text


def _contact(tenant: Tenant) -> str:
    if tenant.contact_email:
        address = tenant.contact_email
        return f"[{markdown.escape(address)}](<mailto:{address}>)"
    if tenant.contact_url:
        return f"[{_('customer service')}](<{tenant.contact_url}>)"
    return _("the shop")
