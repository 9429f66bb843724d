"""Usage by months: PostgreSQL's partitions of `usage_record`. Called by migrations and jobs.

A request id is a UUIDv7, so a range of ids is a range of time and the primary key alone prunes.
The default partition takes what no month was made for. SQLite has one plain table.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, connection, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import CreateModel
from django.db.migrations.state import ProjectState

TABLE = "usage_record"
MONTHS_AHEAD = 2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

log = structlog.get_logger(__name__)


def month_start(year: int, month: int) -> datetime:
    """Return the first moment of a month; months run on past 12 into the next years."""
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)


def first_id(moment: datetime) -> str:
    """Return the smallest UUIDv7 of a moment, as text."""
    prefix = f"{(moment - _EPOCH) // _MILLISECOND:012x}"
    return f"{prefix[:8]}-{prefix[8:]}-0000-0000-000000000000"


def partitions(now: datetime) -> dict[str, str]:
    """Return the default partition, this month's and the next ones: name and values."""
    wanted = {f"{TABLE}_default": "DEFAULT"}
    for month in range(now.month, now.month + MONTHS_AHEAD + 1):
        start, end = month_start(now.year, month), month_start(now.year, month + 1)
        wanted[f"{TABLE}_{start:%Y_%m}"] = (
            f"FOR VALUES FROM ('{first_id(start)}') TO ('{first_id(end)}')"
        )
    return wanted


def make_partitions(now: datetime) -> list[str]:
    """Make the partitions that are missing; return their names. Safe to repeat.

    Only a missing one is asked for, because making one locks the table for a moment. A month that
    was late, so that its usage lies in the default partition already, stays there.
    """
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relispartition")
        there = {name for (name,) in cursor.fetchall()}
    missing = {name: values for name, values in partitions(now).items() if name not in there}
    return [name for name, values in missing.items() if _is_made(name, values)]


def _is_made(name: str, values: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in _statements(name, values):
                cursor.execute(statement)
    except IntegrityError:
        log.warning("usage stays in the default partition", partition=name)
        return False
    return True


def _statements(name: str, values: str) -> list[str]:
    """Return what makes a partition, and its guard: a table's own does not cover its partitions."""
    return [
        f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {TABLE} {values}",
        f"CREATE OR REPLACE TRIGGER {TABLE}_no_truncate BEFORE TRUNCATE ON {name} "
        "FOR EACH STATEMENT EXECUTE FUNCTION tollgate_refuse()",
    ]


class CreatePartitionedModel(CreateModel):
    """Create a model whose table is partitioned by ranges of its id where PostgreSQL runs."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create the table, its default partition, and those of this month and the next."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.name)
        _create_partitioned(schema_editor, model)
        for name, values in partitions(datetime.now(UTC)).items():
            for statement in _statements(name, values):
                schema_editor.execute(statement)


def _create_partitioned(schema_editor: Any, model: type[models.Model]) -> None:
    plain = schema_editor.sql_create_table
    schema_editor.sql_create_table = f"{plain} PARTITION BY RANGE (id)"
    try:
        schema_editor.create_model(model)
    finally:
        schema_editor.sql_create_table = plain
