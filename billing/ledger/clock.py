"""The database's clock, which decides what has expired and what has gone silent. Used by jobs.

Machines disagree about the time; the database is the one that all of them share.
"""

from datetime import UTC, datetime

from django.db import connection

_NOW = {
    "postgresql": "SELECT clock_timestamp()",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
}


def database_now() -> datetime:
    """Return the time by the clock of Django's default database."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW[connection.vendor])
        now: datetime | str = cursor.fetchone()[0]
    if isinstance(now, str):
        return datetime.fromisoformat(now).replace(tzinfo=UTC)
    return now
