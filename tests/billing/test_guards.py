"""The database refuses by itself what nobody may do: compared with the catalogue, then tried."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.db.migrations.state import ProjectState

from billing import guards
from billing.ids import uuid7
from billing.models import (
    ApiKey,
    ChangeCounter,
    PriceBook,
    PriceTier,
    PriceVersion,
    ReconcileFinding,
    ReconcileRun,
    Seal,
    Tenant,
    Transfer,
    UsageOpening,
    UsageRecord,
    Wallet,
)
from billing.partitions import partitions
from billing.scoping import ScopedModel, all_tenants
from relay.models import Channel, ChannelCredential, ChannelModel, GenericRoute
from tests.billing import purchases
from tests.databases import Database

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def everyone() -> Iterator[None]:
    with all_tenants():
        yield


@pytest.fixture
def anna(migrated_database: Database) -> Tenant:
    return Tenant.objects.create(slug="anna", name="Anna")


@pytest.fixture
def bert(migrated_database: Database) -> Tenant:
    return Tenant.objects.create(slug="bert", name="Bert")


def rows_that_were_booked(tenant: Tenant) -> dict[str, models.Model]:
    wallet = Wallet.objects.create(tenant=tenant)
    book = PriceBook.objects.create(tenant=tenant, purpose=PriceBook.RETAIL)
    version = PriceVersion.objects.create(tenant=tenant, book=book, model="m", valid_from=NOW)
    run = ReconcileRun.objects.create(
        started_at=NOW, finished_at=NOW, wallet_count=0, finding_count=0
    )
    rows: list[models.Model] = [
        version,
        PriceTier.objects.create(tenant=tenant, version=version, min_input=1),
        run,
        ReconcileFinding.objects.create(tenant=tenant, run=run, invariant="I1"),
        Seal.objects.create(period="2026-04", record_count=0, charged_ubt=0),
        Transfer.objects.create(
            tenant=tenant, wallet=wallet, kind="promo", direction=1, amount_ubt=1, source="test"
        ),
        UsageOpening.objects.create(
            tenant=tenant,
            wallet_id=wallet.pk,
            key_id=1,
            through=uuid7(),
            record_count=0,
            charged_ubt=0,
            wholesale_ubt=0,
        ),
        UsageRecord.objects.create(
            id=uuid7(), tenant=tenant, wallet_id=wallet.pk, key_id=1, created_at=NOW
        ),
        purchases.purchase(tenant)["cancels"],
    ]
    return {row._meta.db_table: row for row in rows}


def run_sql(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("table", guards.APPEND_ONLY)
def test_booked_rows_can_be_neither_changed_nor_deleted(anna: Tenant, table: str) -> None:
    row = rows_that_were_booked(anna)[table]
    column = row._meta.fields[-1].column
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):  # noqa: S608
        with pytest.raises(IntegrityError, match="append-only"):
            run_sql(statement)
    assert type(row)._base_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("table", guards.APPEND_ONLY)
def test_append_only_tables_can_not_be_truncated(postgres_database: Database, table: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        run_sql(f"TRUNCATE {table} CASCADE")


def test_a_month_of_usage_can_not_be_truncated(postgres_database: Database) -> None:
    for partition in partitions(datetime.now(UTC)):
        with pytest.raises(IntegrityError, match="append-only"):
            run_sql(f"TRUNCATE {partition}")


@pytest.mark.parametrize("table", guards.APPEND_ONLY)
def test_a_booked_row_can_not_be_replaced(sqlite_database: Database, table: str) -> None:
    anna = Tenant.objects.create(slug="anna", name="Anna")
    rows_that_were_booked(anna)
    with pytest.raises(IntegrityError, match="append-only"):
        run_sql(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")  # noqa: S608


@pytest.mark.parametrize("table", guards.APPEND_ONLY)
def test_a_booked_row_can_not_be_upserted(anna: Tenant, table: str) -> None:
    row = rows_that_were_booked(anna)[table]
    column = row._meta.fields[-1].column
    with pytest.raises(IntegrityError, match="append-only"):
        run_sql(
            f"INSERT INTO {table} SELECT * FROM {table} WHERE true "  # noqa: S608
            f"ON CONFLICT (id) DO UPDATE SET {column} = excluded.{column}"
        )


def existing_triggers() -> set[tuple[str, str]]:
    sql = {
        "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": (
            "SELECT tgname, relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid "
            "WHERE NOT tgisinternal AND NOT relispartition AND tgenabled = 'O'"
        ),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql[connection.vendor])
        return set(cursor.fetchall())


def existing_foreign_keys(table: str) -> set[tuple[str, ...]]:
    """Return composite keys as (parent, child column, child column, ...)."""
    sql = {
        "sqlite": (
            'SELECT "table", group_concat("from") FROM '
            "(SELECT * FROM pragma_foreign_key_list(%s) ORDER BY id, seq) GROUP BY id"
        ),
        "postgresql": (
            "SELECT confrelid::regclass::text, string_agg(attname, ',' ORDER BY place) "
            "FROM pg_constraint, unnest(conkey) WITH ORDINALITY columns(number, place) "
            "JOIN pg_attribute ON attnum = number WHERE attrelid = conrelid "
            "AND contype = 'f' AND convalidated AND conrelid = %s::regclass "
            "GROUP BY pg_constraint.oid, confrelid"
        ),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql[connection.vendor], [table])
        return {(parent, *columns.split(",")) for parent, columns in cursor.fetchall()}


def test_the_database_has_every_declared_trigger_and_no_other(migrated_database: Database) -> None:
    declared = {(trigger.name, trigger.table) for trigger in guards.triggers(connection.vendor)}
    assert existing_triggers() == declared


def scoped_references() -> list[tuple[type[models.Model], models.ForeignKey[Any, Any]]]:
    """Every foreign key from one table of a tenant to another."""
    return [
        (model, field)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey)
        and issubclass(model, ScopedModel)
        and issubclass(field.remote_field.model, ScopedModel)
    ]


def test_every_reference_between_tenants_rows_is_a_composite_key(
    migrated_database: Database,
) -> None:
    missing = [
        f"{model.__name__}.{field.name}"
        for model, field in scoped_references()
        if (field.remote_field.model._meta.db_table, "tenant_id", field.column)
        not in existing_foreign_keys(model._meta.db_table)
    ]
    assert len(scoped_references()) == 40
    assert missing == []


def test_every_other_reference_is_without_a_tenant() -> None:
    plain = {
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        if issubclass(model, ScopedModel)
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey)
        and not issubclass(field.remote_field.model, ScopedModel)
        and field.name != "tenant"
    }
    assert plain == {
        *("PriceBook.customer", "Member.user", "Wallet.owner", "Order.user"),
        "ReconcileFinding.run",
    }


def foreign_rows(owner: Tenant, other: Tenant) -> dict[str, models.Model]:
    """Rows of `owner` that refer to rows of `other`."""
    wallet = Wallet.objects.create(tenant=other)
    key = ApiKey(tenant=other, wallet=wallet, kid="12345678", pepper_version=1, mac=b"", hint="")
    key.save()
    book = PriceBook.objects.create(tenant=other, purpose=PriceBook.RETAIL)
    version = PriceVersion.objects.create(tenant=other, book=book, model="m", valid_from=NOW)
    transfer = Transfer(tenant=other, wallet=wallet, direction=1, amount_ubt=1, kind="promo")
    transfer.save()
    own_wallet = Wallet.objects.create(tenant=owner)
    channel = Channel.objects.create(tenant=other, name="c", provider="demo")
    model = apps.get_model
    return {
        "ApiKey.wallet": ApiKey(tenant=owner, wallet=wallet, pepper_version=1, mac=b"", kid="k"),
        "BudgetWindow.key": model("billing", "BudgetWindow")(
            tenant=owner, key=key, period="day", starts_at=NOW, limit_ubt=1
        ),
        "Transfer.wallet": Transfer(
            tenant=owner, wallet=wallet, direction=1, amount_ubt=1, source_id="1"
        ),
        "Transfer.reverses": Transfer(
            tenant=owner, wallet=own_wallet, reverses=transfer, direction=1, amount_ubt=1
        ),
        "PriceVersion.book": PriceVersion(tenant=owner, book=book, model="n", valid_from=NOW),
        "PriceTier.version": PriceTier(tenant=owner, version=version, min_input=1),
        "Channel.cost_book": Channel(tenant=owner, name="d", provider="demo", cost_book=book),
        "ChannelCredential.channel": ChannelCredential(tenant=owner, channel=channel, sealed=b""),
        "ChannelModel.channel": ChannelModel(tenant=owner, channel=channel, asked="m", served="m"),
        "GenericRoute.channel": GenericRoute(tenant=owner, name="r", prefix="/mj", channel=channel),
        **purchases.foreign_rows(owner, other),
    }


REFERENCES = sorted(f"{model.__name__}.{field.name}" for model, field in scoped_references())


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_row_can_not_refer_to_another_tenants(anna: Tenant, bert: Tenant, reference: str) -> None:
    row = foreign_rows(anna, bert)[reference]
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()
    with pytest.raises(ValidationError, match="another tenant"):
        row.validate_constraints()


def version_of(topic: str) -> int:
    return ChangeCounter.objects.get(topic=topic).version


def test_a_change_of_configuration_raises_its_counter(anna: Tenant) -> None:
    before = version_of("config")
    channel = Channel.objects.create(tenant=anna, name="c", provider="demo")
    created = version_of("config")
    Channel.objects.filter(pk=channel.pk).update(priority=3)
    updated = version_of("config")
    channel.delete()
    assert before < created < updated < version_of("config")


def test_a_policy_of_a_key_raises_the_counter_of_keys_and_spending_does_not(anna: Tenant) -> None:
    wallet = Wallet.objects.create(tenant=anna, credits_ubt=9)
    key = ApiKey.objects.create(
        tenant=anna, wallet=wallet, kid="12345678", pepper_version=1, mac=b""
    )
    before = version_of("keys")
    Wallet.objects.update(pending_ubt=1)
    ApiKey.objects.update(spent_ubt=1, pending_ubt=1)
    assert version_of("keys") == before
    for change in ({"status": "disabled"}, {"expires_at": NOW + timedelta(days=1)}, {"rpm": 3}):
        ApiKey.objects.filter(pk=key.pk).update(**change)
    assert version_of("keys") >= before + 3


def test_a_policy_of_a_wallet_raises_the_counter_of_keys(anna: Tenant) -> None:
    Wallet.objects.create(tenant=anna)
    before = version_of("keys")
    for change in ({"status": Wallet.FROZEN}, {"rpm": 3}, {"tpm": 4}, {"concurrency": 5}):
        Wallet.objects.update(**change)
    assert version_of("keys") >= before + 4


def test_every_column_of_a_key_but_those_that_running_requests_write_is_policy() -> None:
    columns = {field.column for field in ApiKey._meta.concrete_fields}
    [touch] = [touch for touch in guards.TOUCHES if touch.table == "api_key"]
    assert columns - set(touch.columns) == {
        *("id", "created_at", "expired_at"),  # said by expires_at
        "replaced_at",  # said by revoked_at or expires_at
        *("prefix", "hint", "name"),  # only shown
        *("spent_ubt", "pending_ubt"),
    }


def rebuild(model: type[models.Model], *, first: list[guards.InstallGuards]) -> None:
    """Do what a migration does that alters a table on SQLite: make it anew, and install guards."""
    state = ProjectState.from_apps(apps)
    with connection.schema_editor(atomic=True) as editor:
        for operation in first:
            operation.database_forwards("billing", editor, state, state)
        editor._remake_table(model)  # type: ignore[attr-defined]
        guards.InstallGuards().database_forwards("billing", editor, state, state)


@pytest.mark.parametrize("model", [Wallet, Transfer, PriceVersion, Tenant])
def test_guards_survive_a_rebuilt_table(
    sqlite_database: Database, model: type[models.Model]
) -> None:
    triggers = existing_triggers()
    keys = existing_foreign_keys(model._meta.db_table)
    rebuild(model, first=[])
    assert existing_triggers() == triggers
    assert existing_foreign_keys(model._meta.db_table) == keys


def test_the_table_that_triggers_write_to_can_be_rebuilt(sqlite_database: Database) -> None:
    triggers = existing_triggers()
    with pytest.raises(OperationalError, match="change_counter"):
        rebuild(ChangeCounter, first=[])
    connection.close()
    rebuild(ChangeCounter, first=[guards.RemoveGuards()])
    assert existing_triggers() == triggers


def test_busy_tables_leave_room_for_updates(postgres_database: Database) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL")
        stored = {table: ", ".join(options) for table, options in cursor.fetchall()}
    declared = {table: text.replace(" = ", "=") for table, text in guards.STORAGE.items()}
    assert {table: stored.get(table) for table in declared} == declared
