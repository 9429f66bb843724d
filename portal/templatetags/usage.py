"""Tags of the usage page: digits in groups, times as short as they may be. `{% load usage %}`."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.models import Tenant
from portal import amounts

register = template.Library()


@register.filter
def digits(number: int) -> str:
    """Say a number with all its digits, in groups of three."""
    return f"{number:,}"


@register.simple_tag
def seconds_unit() -> str:
    """Say the unit of seconds."""
    return "秒" if amounts.is_chinese() else "s"


@register.simple_tag
def seconds_span(longest_ms: int) -> str:
    """Say from where to where a span reaches: "0 – 4 秒"."""
    return f"0 – {longest_ms // 1000} {seconds_unit()}"


@register.simple_tag(takes_context=True)
def local_clock(context: template.Context, at: datetime) -> str:
    """Say the time of day in the shop's zone: "14:18"."""
    return f"{_local(context, at):%H:%M}"


@register.simple_tag(takes_context=True)
def call_time(context: template.Context, at: datetime, is_today: bool) -> SafeString:
    """Say when a call began in the shop's zone: the time of day, before today with the day."""
    local = _local(context, at)
    text = f"{local:%H:%M:%S}" if is_today else f"{local:%m-%d %H:%M:%S}"
    return format_html('<time datetime="{}">{}</time>', at.isoformat(timespec="seconds"), text)


@register.simple_tag(takes_context=True)
def short_time(context: template.Context, at: datetime) -> SafeString:
    """Say a time of this year in the shop's zone: "11-18 20:11", an earlier one with its year."""
    local = _local(context, at)
    is_this_year = local.year == timezone.now().astimezone(local.tzinfo).year
    text = f"{local:%m-%d %H:%M}" if is_this_year else f"{local:%Y-%m-%d}"
    return format_html('<time datetime="{}">{}</time>', at.isoformat(timespec="seconds"), text)


def _local(context: template.Context, at: datetime) -> datetime:
    tenant: Tenant = context["tenant"]
    return timezone.localtime(at, ZoneInfo(tenant.time_zone))
