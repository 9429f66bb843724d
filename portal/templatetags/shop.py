"""Tags of every page: amounts, money, times, icons, forms. `{% load shop %}`; words by language."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.forms import BoundField
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.models import Tenant
from portal import amounts
from portal.amounts import Amount

register = template.Library()

_FORMS = {
    "zh": {"date": "Y 年 n 月 j 日", "minute": "Y 年 n 月 j 日 H:i", "second": "Y-m-d H:i:s"},
    "en": {"date": "j M Y", "minute": "j M Y, H:i", "second": "Y-m-d H:i:s"},
}
_BARE = {"checkbox", "radio", "hidden"}


@register.simple_tag
def gap() -> str:
    """Part two sentences: by a space, in Chinese by the room that its full stop has."""
    return "" if amounts.is_chinese() else " "


@register.simple_tag
def base_tokens(amount_ubt: int) -> str:
    """Say a balance: whole base tokens, all digits, rounded down."""
    return amounts.base_tokens(amount_ubt)


@register.simple_tag
def used_base_tokens(amount_ubt: int) -> str:
    """Say what was used: whole base tokens, all digits, rounded up."""
    return amounts.used_base_tokens(amount_ubt)


@register.simple_tag
def amount(amount_ubt: int) -> str:
    """Say an offer within a sentence: 500 万, 5M."""
    return amounts.amount_text(amount_ubt)


@register.simple_tag
def amount_parts(amount_ubt: int) -> Amount:
    """Give an offer as `.number` and `.unit`, which are set in different sizes."""
    return amounts.amount(amount_ubt)


@register.simple_tag
def money(minor: int, currency: str, *, short: bool = False) -> str:
    """Say money with all decimals; `short=True` says ¥12 for ¥12.00."""
    return amounts.money(minor, currency, short=short)


@register.simple_tag
def multiplier(ubt: int) -> str:
    """Say a price as base tokens per token, exactly."""
    return amounts.multiplier(ubt)


@register.simple_tag
def seconds(duration_ms: int | None, *, bare: bool = False) -> str:
    """Say a duration in seconds; `bare=True` leaves the unit out, none is a dash."""
    if duration_ms is None:
        return "–"
    return amounts.seconds(duration_ms) if bare else amounts.seconds_text(duration_ms)


@register.simple_tag(takes_context=True)
def local_time(context: template.Context, at: datetime, form: str = "minute") -> SafeString:
    """Say a time in the shop's zone, as a `<time>`; forms are date, minute and second."""
    text = local_text(at, zone=_zone(context.get("tenant")), form=form)
    return format_html('<time datetime="{}">{}</time>', at.isoformat(timespec="seconds"), text)


@register.simple_tag(takes_context=True)
def local_words(context: template.Context, at: datetime, form: str = "minute") -> str:
    """Say a time in the shop's zone, as plain text for mails and attributes."""
    return local_text(at, zone=_zone(context.get("tenant")), form=form)


def local_text(at: datetime, *, zone: ZoneInfo, form: str) -> str:
    """Return a time in a zone, in one of the forms of `local_time`."""
    forms = _FORMS["zh" if amounts.is_chinese() else "en"]
    return str(date_format(timezone.localtime(at, zone), forms[form]))


@register.filter
def listed(words: Iterable[str]) -> str:
    """Say several names one after the other."""
    return ("、" if amounts.is_chinese() else ", ").join(words)


@register.filter
def mask_email(address: str) -> str:
    """Show an address to its owner and nobody else."""
    return amounts.mask_email(address)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon of `_icons.html`; a word stands beside it, so it says nothing by itself."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>', name)


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """Draw the control of a form's field, tied to its hint or error by `aria-describedby`."""
    attributes: dict[str, Any] = {}
    kind = getattr(field.field.widget, "input_type", "")
    if kind not in _BARE:
        attributes["class"] = f"input {field.field.widget.attrs.get('class', '')}".strip()
    if field.errors or field.help_text:
        attributes["aria-describedby"] = f"{field.auto_id}-note"
    return field.as_widget(attrs=attributes)


@register.inclusion_tag("portal/_meter.html")
def meter(
    used_ubt: int, held_ubt: int, total_ubt: int, label: str, kind: str = ""
) -> dict[str, str]:
    """Draw the ruler of a balance; `kind` is thin, low or out, or several of them.

    `label` says the same in words.
    """
    used, held = share(used_ubt, total_ubt), share(used_ubt + held_ubt, total_ubt)
    return {"used": used, "taken": held, "label": label, "kind": kind}


@register.inclusion_tag("portal/_span.html")
def span(p50: int, p90: int, p99: int, longest: int) -> dict[str, str]:
    """Draw p50 to p90 as a bar and a line on to p99, in a cell that ends at `longest`.

    Where both are one the bar is still a mark, as wide as can be seen.
    """
    width = max(p90 - p50, longest // 50)
    return {
        "low": share(min(p50, longest - width), longest),
        "width": share(width, longest),
        "end": share(p99, longest),
    }


def share(part: int, whole: int) -> str:
    """Return a part as percent for SVG, within 0 and 100: "37.8%"."""
    permille = min(max(part * 1000 // whole, 0), 1000) if whole > 0 else 0
    return f"{permille // 10}.{permille % 10}%"


def _zone(tenant: Tenant | None) -> ZoneInfo:
    return ZoneInfo(tenant.time_zone if tenant else "UTC")
