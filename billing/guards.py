"""What the database itself refuses, whoever asks: declared here as data, installed by migrations.

Three kinds of guard:

- append-only tables: triggers refuse to change or delete a row that was booked. There is no
  switch; what is too old goes with its partition;
- one tenant per row and parent: `SameTenant`, a composite foreign key `(tenant_id, x_id)`, is
  declared in the `Meta.constraints` of the child, so that it survives SQLite's table rebuilds;
- touches: a change of configuration or of a key raises the counter that relay processes poll.

SQLite drops the triggers of a table that Django rebuilds. So `InstallGuards()` is the last
operation of every migration that touches a guarded table, and `RemoveGuards()` the first of one
that alters `change_counter`, which the touches of other tables write. A test compares the
declarations with the migrated database.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

APPEND_ONLY = (
    "price_tier",
    "price_version",
    "receipt",
    "reconcile_finding",
    "reconcile_run",
    "seal",
    "transfer",
    "usage_opening",
    "usage_record",
)


@dataclass(frozen=True)
class Touch:
    """Raise the counter of `topic` when a row is deleted, inserted or one of `columns` is set.

    No columns means any. A new row of `quiet` tables is found by its first use, not by a counter.
    """

    table: str
    topic: str
    columns: tuple[str, ...] = ()
    quiet: bool = False


_KEY_POLICY = (
    "tenant_id",
    "wallet_id",
    "kid",
    "mac",
    "pepper_version",
    "status",
    "expires_at",
    "revoked_at",
    "limit_ubt",
    "budget_period",
    "budget_ubt",
    "allowed_models",
    "allowed_endpoints",
    "allowed_addresses",
    "rpm",
    "tpm",
    "concurrency",
)

TOUCHES = (
    Touch("tenant", "config"),
    Touch("domain", "config"),
    Touch("price_book", "config"),
    Touch("price_version", "config"),
    Touch("price_tier", "config"),
    Touch("channel", "config"),
    Touch("channel_credential", "config"),
    Touch("channel_model", "config"),
    Touch("generic_route", "config"),
    Touch("api_key", "keys", _KEY_POLICY, quiet=True),
    Touch("wallet", "keys", ("status", "rpm", "tpm", "concurrency"), quiet=True),
)

TOPICS = ("config", "keys")

STORAGE = {
    "wallet": "fillfactor = 50",
    "api_key": "fillfactor = 70",
    "budget_window": "fillfactor = 70",
    "hold": "fillfactor = 70, autovacuum_vacuum_scale_factor = 0, "
    "autovacuum_vacuum_threshold = 20000",
}
"""How PostgreSQL stores tables that are written all the time: room for updates in place, and a
queue table that is vacuumed by count."""

POSTGRES_FUNCTIONS = {
    "tollgate_refuse": """
        CREATE OR REPLACE FUNCTION tollgate_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END $$""",
    "tollgate_touch": """
        CREATE OR REPLACE FUNCTION tollgate_touch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE change_counter SET version = version + 1 WHERE topic = TG_ARGV[0];
            RETURN NULL;
        END $$""",
}


@dataclass(frozen=True)
class Trigger:
    """One trigger as it must exist in the database: its name, its table and what it does."""

    name: str
    table: str
    when: str
    action: str = field(repr=False)


def triggers(vendor: str, touches: Sequence[Touch] = TOUCHES) -> list[Trigger]:
    """Return every trigger that a database of this vendor must have."""
    make = _postgres_triggers if vendor == "postgresql" else _sqlite_triggers
    return list(make(touches))


def _sqlite_triggers(touches: Sequence[Touch]) -> Iterator[Trigger]:
    for table in APPEND_ONLY:
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        yield Trigger(f"{table}_no_update", table, "BEFORE UPDATE", refuse)
        yield Trigger(f"{table}_no_delete", table, "BEFORE DELETE", refuse)
    for touch in touches:
        topic = f"WHERE topic = '{touch.topic}'"
        action = f"BEGIN UPDATE change_counter SET version = version + 1 {topic}; END"  # noqa: S608
        for event in _events(touch):
            name = f"{touch.table}_touch_{event.split()[0].lower()}"
            yield Trigger(name, touch.table, f"AFTER {event}", action)


def _postgres_triggers(touches: Sequence[Touch]) -> Iterator[Trigger]:
    refuse = "EXECUTE FUNCTION tollgate_refuse()"
    for table in APPEND_ONLY:
        row, statement = f"FOR EACH ROW {refuse}", f"FOR EACH STATEMENT {refuse}"
        yield Trigger(f"{table}_append_only", table, "BEFORE UPDATE OR DELETE", row)
        yield Trigger(f"{table}_no_truncate", table, "BEFORE TRUNCATE", statement)
    for touch in touches:
        when = "AFTER " + " OR ".join(_events(touch))
        action = f"FOR EACH STATEMENT EXECUTE FUNCTION tollgate_touch('{touch.topic}')"
        yield Trigger(f"{touch.table}_touch", touch.table, when, action)


def _events(touch: Touch) -> list[str]:
    update = f"UPDATE OF {', '.join(touch.columns)}" if touch.columns else "UPDATE"
    return ["DELETE", update] if touch.quiet else ["DELETE", update, "INSERT"]


class SameTenant(models.BaseConstraint):
    """A foreign key to a row of the same tenant: `(tenant_id, <field>_id)` of parent and child.

    The parent needs a unique constraint on `(tenant_id, id)`. A null reference is let through.
    """

    default_violation_error_message = "This belongs to another tenant."

    def __init__(self, *, field: str, name: str) -> None:
        super().__init__(name=name)
        self.field = field

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SameTenant):
            return NotImplemented
        return (self.name, self.field) == (other.name, other.field)

    def __hash__(self) -> int:
        return hash((self.name, self.field))

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return what a migration needs to make it again."""
        return "billing.guards.SameTenant", (), {"field": self.field, "name": self.name}

    def parent(self, model: type[models.Model]) -> type[models.Model]:
        """Return the model that is referred to."""
        related: type[models.Model] = model._meta.get_field(self.field).related_model  # type: ignore[assignment]
        return related

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        """Return the clause for CREATE TABLE."""
        quote = schema_editor.quote_name
        column = model._meta.get_field(self.field).get_attname_column()[1]
        parent = self.parent(model)._meta.db_table
        return (
            f"CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY ({quote('tenant_id')}, {quote(column)}) "
            f"REFERENCES {quote(parent)} ({quote('tenant_id')}, {quote('id')})"
        )

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        """Return the statement for an existing table (PostgreSQL; SQLite rebuilds the table)."""
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} ADD {self.constraint_sql(model, schema_editor)}"

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        """Return the statement that takes it away again."""
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Any = None,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        """Raise ValidationError if the parent is another tenant's."""
        parent_id = getattr(instance, f"{self.field}_id")
        if parent_id is None or self.field in (exclude or ()):
            return
        rows = self.parent(model)._base_manager.using(using)
        if not rows.filter(pk=parent_id, tenant_id=getattr(instance, "tenant_id")).exists():  # noqa: B009
            raise ValidationError({self.field: self.get_violation_error_message()})


class InstallGuards(Operation):
    """Put every declared guard on every table that exists by now. Safe to repeat."""

    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Leave the models as they are."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create functions, triggers, counters and storage parameters."""
        for statement in installation(schema_editor.connection.vendor, _tables(to_state)):
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Leave the guards on: they go with their tables."""

    def describe(self) -> str:
        """Say what the operation does, for `migrate --plan`."""
        return "Install the database's guards"


class RemoveGuards(InstallGuards):
    """Take all triggers away, before a migration alters a table that they write to."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the declared triggers; `InstallGuards()` must follow in the same migration."""
        vendor, tables = schema_editor.connection.vendor, _tables(from_state)
        for trigger in triggers(vendor):
            if trigger.table in tables:
                schema_editor.execute(_drop(vendor, trigger), params=None)

    def describe(self) -> str:
        """Say what the operation does, for `migrate --plan`."""
        return "Remove the database's guards until the end of this migration"


def installation(vendor: str, tables: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Yield the statements that guard these tables, each with the columns that it has by now."""
    for topic in TOPICS:
        yield (
            f"INSERT INTO change_counter (topic, version) VALUES ('{topic}', 0) "  # noqa: S608
            "ON CONFLICT DO NOTHING"
        )
    if vendor == "postgresql":
        yield from POSTGRES_FUNCTIONS.values()
        for table, parameters in STORAGE.items():
            if table in tables:
                yield f'ALTER TABLE "{table}" SET ({parameters})'
    touches = [_narrowed(touch, tables.get(touch.table, ())) for touch in TOUCHES]
    for trigger in triggers(vendor, touches):
        if trigger.table in tables:
            yield _drop(vendor, trigger)
            yield (
                f'CREATE TRIGGER "{trigger.name}" {trigger.when} ON "{trigger.table}" '
                f"{trigger.action}"
            )


def _drop(vendor: str, trigger: Trigger) -> str:
    on_table = f' ON "{trigger.table}"' if vendor == "postgresql" else ""
    return f'DROP TRIGGER IF EXISTS "{trigger.name}"{on_table}'


def _narrowed(touch: Touch, columns: Collection[str]) -> Touch:
    """Return a touch without the columns that only a later migration adds."""
    return replace(touch, columns=tuple(name for name in touch.columns if name in columns))


def _tables(state: ProjectState) -> dict[str, set[str]]:
    """Return the tables as a migration finds them, with their columns."""
    return {
        str(model.options.get("db_table", "")): {
            f"{name}_id" if column.many_to_one or column.one_to_one else name
            for name, column in model.fields.items()
        }
        for model in state.models.values()
    }
