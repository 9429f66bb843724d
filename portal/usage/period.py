"""The stretch of time that the usage page is about: whole hours or days of the shop's zone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from billing.models import Tenant

DEFAULT = "7d"
DAYS = {"24h": 1, "7d": 7, "30d": 30}
HOUR_S = 3_600

_STEPS_S = {"24h": HOUR_S, "7d": 3 * HOUR_S, "30d": 12 * HOUR_S}


@dataclass(frozen=True)
class Period:
    """A stretch of time by its name, up to now; a fine chart of it goes by steps of `step_s`."""

    name: str
    since: datetime
    now: datetime
    zone: ZoneInfo
    step_s: int


def period_of(name: str, *, shop: Tenant) -> Period:
    """Return a period by its name, the default for a name that is none."""
    name = name if name in DAYS else DEFAULT
    now, zone = timezone.now(), ZoneInfo(shop.time_zone)
    local = now.astimezone(zone)
    if name == "24h":
        hour = local.replace(minute=0, second=0, microsecond=0)
        since = datetime.fromtimestamp(int(hour.timestamp()) - 23 * HOUR_S, zone)
    else:
        day = local.date() - timedelta(days=DAYS[name] - 1)
        since = datetime(day.year, day.month, day.day, tzinfo=zone)
    return Period(name, since, now, zone, _STEPS_S[name])
