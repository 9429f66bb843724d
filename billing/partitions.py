"""Usage by months: PostgreSQL's partitions of `usage_record`. Called by migrations and jobs.

A request id is a UUIDv7, so a range of ids is a range of time and the primary key alone prunes.
The default partition takes what no month was made for. SQLite has one plain table.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import CreateModel
from django.db.migrations.state import ProjectState

TABLE = "usage_record"
MONTHS_AHEAD = 2


def month_start(year: int, month: int) -> datetime:
    """Return the first moment of a month; months run on past 12 into the next years."""
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)


def first_id(moment: datetime) -> str:
    """Return the smallest UUIDv7 of a moment, as text."""
    prefix = f"{int(moment.timestamp() * 1000):012x}"
    return f"{prefix[:8]}-{prefix[8:]}-0000-0000-000000000000"


def partition_statements(now: datetime, *, months_ahead: int = MONTHS_AHEAD) -> list[str]:
    """Return the statements that make this month's partition and the next ones. Repeatable."""
    statements = [f"CREATE TABLE IF NOT EXISTS {TABLE}_default PARTITION OF {TABLE} DEFAULT"]
    for month in range(now.month, now.month + months_ahead + 1):
        start, end = month_start(now.year, month), month_start(now.year, month + 1)
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {TABLE}_{start:%Y_%m} PARTITION OF {TABLE} "
            f"FOR VALUES FROM ('{first_id(start)}') TO ('{first_id(end)}')"
        )
    return statements


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
        for statement in partition_statements(datetime.now(UTC)):
            schema_editor.execute(statement)


def _create_partitioned(schema_editor: Any, model: type[models.Model]) -> None:
    plain = schema_editor.sql_create_table
    schema_editor.sql_create_table = f"{plain} PARTITION BY RANGE (id)"
    try:
        schema_editor.create_model(model)
    finally:
        schema_editor.sql_create_table = plain
