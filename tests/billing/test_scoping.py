"""The tenant scope fails closed: every way to the database is tried without and with a scope.

The cast: Anna and Bert have a shop each, with one wallet, one key and one domain in it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from django import forms
from django.apps import apps
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Sum

from billing.errors import ScopeMissing, TenantMismatch
from billing.models import ApiKey, Domain, Tenant, Transfer, Wallet
from billing.scoping import (
    ALL_TENANTS,
    ScopedManager,
    ScopedModel,
    ScopedQuerySet,
    all_tenants,
    current_scope,
    tenant_scope,
)

pytestmark = pytest.mark.django_db


@dataclass
class Shop:
    tenant: Tenant
    wallet: Wallet
    key: ApiKey
    domain: Domain

    @property
    def id(self) -> int:
        return self.tenant.pk


def open_shop(slug: str) -> Shop:
    tenant = Tenant.objects.create(slug=slug, name=slug.title())
    with tenant_scope(tenant.pk):
        wallet = Wallet.objects.create(tenant=tenant, name=slug, credits_ubt=10)
        key = ApiKey.objects.create(
            tenant=tenant, wallet=wallet, kid=f"{slug}-key", pepper_version=1, mac=b""
        )
        domain = Domain.objects.create(tenant=tenant, hostname=f"{slug}.example")
    return Shop(tenant, wallet, key, domain)


@pytest.fixture
def anna() -> Shop:
    return open_shop("anna")


@pytest.fixture
def bert() -> Shop:
    return open_shop("bert")


def names(rows: Any) -> list[str]:
    return sorted(row.name for row in rows)


# What every public method of a queryset does. A method that Django adds must be put here.
READS: dict[str, Callable[[Any], Any]] = {
    "aggregate": lambda rows: rows.aggregate(total=Sum("credits_ubt")),
    "contains": lambda rows: rows.contains(Wallet(pk=10**9)),
    "count": lambda rows: rows.count(),
    "earliest": lambda rows: rows.earliest("id"),
    "exists": lambda rows: rows.exists(),
    "explain": lambda rows: rows.explain(),
    "first": lambda rows: rows.first(),
    "get": lambda rows: rows.get(),
    "in_bulk": lambda rows: rows.in_bulk(),
    "iterator": lambda rows: list(rows.iterator()),
    "last": lambda rows: rows.last(),
    "latest": lambda rows: rows.latest("id"),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "bulk_create": lambda rows: rows.bulk_create([Wallet(tenant_id=1)]),
    "bulk_update": lambda rows: rows.bulk_update([Wallet(pk=1, tenant_id=1)], ["name"]),
    "create": lambda rows: rows.create(tenant_id=1),
    "delete": lambda rows: rows.delete(),
    "get_or_create": lambda rows: rows.get_or_create(tenant_id=1, name="none"),
    "update": lambda rows: rows.update(name="other"),
    "update_or_create": lambda rows: rows.update_or_create(tenant_id=1, name="none"),
}
LAZY: dict[str, Callable[[Any], Any]] = {
    "alias": lambda rows: rows.alias(double=F("credits_ubt") * 2),
    "all": lambda rows: rows.all(),
    "annotate": lambda rows: rows.annotate(keys=Count("api_keys")),
    "complex_filter": lambda rows: rows.complex_filter(Q(credits_ubt=10)),
    "dates": lambda rows: rows.dates("created_at", "year"),
    "datetimes": lambda rows: rows.datetimes("created_at", "year"),
    "defer": lambda rows: rows.defer("name"),
    "difference": lambda rows: rows.difference(Wallet.objects.filter(name="none")),
    "distinct": lambda rows: rows.distinct(),
    "exclude": lambda rows: rows.exclude(name="none"),
    "extra": lambda rows: rows.extra(where=["1 = 1 OR 1 = 1"]),
    "filter": lambda rows: rows.filter(Q(credits_ubt=10) | Q(credits_ubt=11)),
    "intersection": lambda rows: rows.intersection(Wallet.objects.all()),
    "only": lambda rows: rows.only("name"),
    "order_by": lambda rows: rows.order_by("name"),
    "prefetch_related": lambda rows: rows.prefetch_related("api_keys"),
    "reverse": lambda rows: rows.order_by("id").reverse(),
    "select_for_update": lambda rows: rows.select_for_update(),
    "select_related": lambda rows: rows.select_related("tenant"),
    "union": lambda rows: rows.union(Wallet.objects.filter(credits_ubt=10)),
    "using": lambda rows: rows.using("default"),
    "values": lambda rows: rows.values("name"),
    "values_list": lambda rows: rows.values_list("name"),
}
HARMLESS = {
    "as_manager": "makes a manager",
    "none": "reads nothing",
    "raw": "tested apart: it needs all tenants",
    "resolve_expression": "inside another query, which is scoped",
}
ASYNC = {
    name for name in dir(models.QuerySet) if name.startswith("a") and name[1:] in {*READS, *WRITES}
}


def public_methods(cls: type) -> set[str]:
    return {
        name
        for name, _ in inspect.getmembers(cls, predicate=inspect.isroutine)
        if not name.startswith("_")
    }


def test_every_method_of_a_queryset_is_classified() -> None:
    known = {*READS, *WRITES, *LAZY, *HARMLESS, *ASYNC}
    assert public_methods(ScopedQuerySet) == known
    assert len(ASYNC) == len(READS) + len(WRITES) - len({"explain", "iterator"}) + 2


def test_every_special_method_that_reads_is_tried() -> None:
    own = {name for name in vars(models.QuerySet) if name.startswith("__")}
    assert own - {
        *("__module__", "__doc__", "__init__", "__class_getitem__", "__deepcopy__", "__dict__"),
        *("__setstate__", "__weakref__", "__annotations__", "__static_attributes__"),
        *("__firstlineno__", "__repr__", "__getstate__", "__and__", "__or__", "__xor__"),
    } == {"__len__", "__iter__", "__aiter__", "__bool__", "__getitem__"}


SPECIAL: dict[str, Callable[[Any], Any]] = {
    "__len__": len,
    "__iter__": list,
    "__bool__": bool,
    "__getitem__": lambda rows: rows[0],
    "slice with a step": lambda rows: rows[0:2:2],
    "__repr__": repr,
    "__and__": lambda rows: list(rows & rows),
    "__or__": lambda rows: list(rows | rows),
    "__xor__": lambda rows: list(rows ^ rows),
}


def listed(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda rows: list(method(rows))


EVERY_READ = {
    **READS,
    **SPECIAL,
    **{name: listed(method) for name, method in LAZY.items()},
}


@pytest.mark.parametrize("name", [*EVERY_READ, *WRITES])
def test_nothing_runs_without_a_scope(anna: Shop, name: str) -> None:
    with pytest.raises(ScopeMissing):
        (EVERY_READ | WRITES)[name](Wallet.objects.all())
    with pytest.raises(ScopeMissing):
        Wallet.objects.raw("SELECT * FROM wallet")


@pytest.mark.parametrize("name", LAZY)
def test_a_scope_sees_its_own_rows_alone(anna: Shop, bert: Shop, name: str) -> None:
    with tenant_scope(anna.id):
        assert len(list(LAZY[name](Wallet.objects.all()))) == 1
        assert LAZY[name](Wallet.objects.filter(pk=bert.wallet.pk)).exists() is (name == "union")


READ_OF_ANNA = {
    "aggregate": {"total": 10},
    "contains": False,
    "count": 1,
    "exists": True,
}


@pytest.mark.parametrize("name", [*READS, *SPECIAL])
def test_a_read_says_nothing_of_others(anna: Shop, bert: Shop, name: str) -> None:
    with tenant_scope(anna.id):
        answer = (READS | SPECIAL)[name](Wallet.objects.all())
    if name in READ_OF_ANNA:
        assert answer == READ_OF_ANNA[name]
    elif name != "__xor__":
        assert "bert" not in repr(answer)


def test_all_tenants_sees_everything(anna: Shop, bert: Shop) -> None:
    with all_tenants():
        assert names(Wallet.objects.all()) == ["anna", "bert"]
        assert len(list(Wallet.objects.raw("SELECT * FROM wallet"))) == 2
        assert current_scope() is ALL_TENANTS


def test_scopes_nest_and_end(anna: Shop, bert: Shop) -> None:
    with all_tenants():
        with tenant_scope(anna.id), pytest.raises(ZeroDivisionError), tenant_scope(bert.id):
            raise ZeroDivisionError
        assert current_scope() is ALL_TENANTS


@pytest.mark.parametrize("wrong", [None, 0, -1, True, "1", 1.0])
def test_what_is_no_tenant_opens_no_scope(wrong: Any) -> None:
    with pytest.raises(ScopeMissing), tenant_scope(wrong):
        pass


def test_raw_sql_is_refused_in_a_tenants_scope(anna: Shop) -> None:
    with tenant_scope(anna.id), pytest.raises(ScopeMissing):
        Wallet.objects.raw("SELECT * FROM wallet")


def test_a_queryset_follows_the_scope_it_runs_in(anna: Shop, bert: Shop) -> None:
    with tenant_scope(anna.id):
        rows = Wallet.objects.all()
    with tenant_scope(bert.id):
        assert names(rows.all()) == ["bert"]
    with pytest.raises(ScopeMissing):
        rows.count()


def test_a_query_over_relations_keeps_to_the_scope(anna: Shop, bert: Shop) -> None:
    with tenant_scope(anna.id):
        own_key = Exists(ApiKey.objects.filter(wallet=OuterRef("pk")))
        assert names(Wallet.objects.exclude(api_keys__status="disabled")) == ["anna"]
        assert names(Wallet.objects.exclude(api_keys__status="active")) == []
        assert names(Wallet.objects.filter(own_key)) == ["anna"]
        assert names(Wallet.objects.filter(pk__in=Wallet.objects.values("pk"))) == ["anna"]
        assert [row["n"] for row in Wallet.objects.values("tenant").annotate(n=Count("id"))] == [1]


def test_a_subquery_of_another_tenants_rows_is_empty(anna: Shop, bert: Shop) -> None:
    strangers = ApiKey.objects.filter(kid=bert.key.kid)
    with tenant_scope(anna.id):
        assert not Wallet.objects.filter(pk__in=strangers.values("wallet")).exists()
        assert not Tenant.objects.filter(pk__in=strangers.values("tenant")).exists()


def test_related_rows_keep_to_the_scope(anna: Shop, bert: Shop) -> None:
    with tenant_scope(anna.id):
        assert list(bert.tenant.domains.all()) == []
        assert list(anna.tenant.domains.all()) == [anna.domain]
        assert list(bert.wallet.api_keys.all()) == []
        with pytest.raises(Wallet.DoesNotExist):
            ApiKey(wallet_id=bert.wallet.pk).wallet  # noqa: B018
        tenants = Tenant.objects.prefetch_related("domains").filter(is_platform=False)
        assert {row.slug: list(row.domains.all()) for row in tenants} == {
            "anna": [anna.domain],
            "bert": [],
        }
    with pytest.raises(ScopeMissing):
        list(anna.tenant.domains.all())


def test_a_row_of_another_tenant_is_not_read_again(anna: Shop, bert: Shop) -> None:
    with tenant_scope(anna.id), pytest.raises(Wallet.DoesNotExist):
        bert.wallet.refresh_from_db()


WRITES_OF_BERTS: dict[str, Callable[[Shop, Shop], Any]] = {
    "create": lambda anna, bert: Wallet.objects.create(tenant=bert.tenant),
    "create without a tenant": lambda anna, bert: Wallet.objects.create(name="nobody's"),
    "create by relation": lambda anna, bert: bert.tenant.domains.create(hostname="new"),
    "get_or_create": lambda anna, bert: Wallet.objects.get_or_create(tenant=bert.tenant, name="n"),
    "update_or_create": lambda anna, bert: Wallet.objects.update_or_create(
        tenant=bert.tenant, name="bert", defaults={"name": "x"}
    ),
    "bulk_create": lambda anna, bert: Wallet.objects.bulk_create([Wallet(tenant=bert.tenant)]),
    "upsert": lambda anna, bert: Domain.objects.bulk_create(
        [Domain(tenant=anna.tenant, hostname="bert.example")],
        update_conflicts=True,
        update_fields=["tenant"],
        unique_fields=["hostname"],
    ),
    "upsert by position": lambda anna, bert: Domain.objects.bulk_create(
        [Domain(tenant=anna.tenant, hostname="bert.example")],
        *(None, False, True, ["tenant"], ["hostname"]),
    ),
    "bulk_update": lambda anna, bert: Wallet.objects.bulk_update([bert.wallet], ["name"]),
    "save": lambda anna, bert: bert.wallet.save(),
    "save some fields": lambda anna, bert: bert.wallet.save(update_fields=["name"]),
    "delete": lambda anna, bert: bert.wallet.delete(),
    "give away": lambda anna, bert: Wallet.objects.update(tenant=bert.tenant),
    "give away by id": lambda anna, bert: Wallet.objects.update(tenant_id=bert.id),
    "give away by expression": lambda anna, bert: Wallet.objects.update(tenant_id=F("id")),
    "add to a relation": lambda anna, bert: bert.tenant.domains.add(anna.domain),
    "move": lambda anna, bert: moved(anna.wallet, bert.tenant).save(),
}


def moved(wallet: Wallet, tenant: Tenant) -> Wallet:
    wallet.tenant = tenant
    return wallet


@pytest.mark.parametrize("name", WRITES_OF_BERTS)
def test_another_tenants_row_is_never_written(anna: Shop, bert: Shop, name: str) -> None:
    with tenant_scope(anna.id), pytest.raises(TenantMismatch):
        WRITES_OF_BERTS[name](anna, bert)
    with all_tenants():
        assert names(Wallet.objects.all()) == ["anna", "bert"]
        assert Wallet.objects.filter(tenant=bert.tenant).count() == 1


def test_set_based_writes_do_not_reach_another_tenant(anna: Shop, bert: Shop) -> None:
    with tenant_scope(anna.id):
        assert Wallet.objects.filter(pk=bert.wallet.pk).update(name="x") == 0
        assert Domain.objects.filter(hostname="bert.example").delete() == (0, {})
        assert Domain.objects.all().delete()[0] == 1
        assert Domain.objects.all()._raw_delete("default") == 0
    with all_tenants():
        assert names(Wallet.objects.all()) == ["anna", "bert"]
        assert Domain.objects.get().hostname == "bert.example"


def test_a_row_that_took_another_tenants_id_overwrites_nothing(anna: Shop, bert: Shop) -> None:
    thief = Wallet(pk=bert.wallet.pk, tenant=anna.tenant, name="thief")
    with tenant_scope(anna.id), pytest.raises(Exception, match=r"UNIQUE|duplicate"):
        thief.save()


class TransferForm(forms.ModelForm):
    """Made when no scope is open, like every form in a module."""

    class Meta:
        model = Transfer
        fields = ("wallet",)


def test_a_forms_choices_are_the_open_tenants(anna: Shop, bert: Shop) -> None:
    with tenant_scope(anna.id):
        choices = cast("forms.ModelChoiceField[Wallet]", TransferForm().fields["wallet"]).queryset
        assert list(choices or ()) == [anna.wallet]
        form = TransferForm({"wallet": bert.wallet.pk}, instance=Transfer(tenant=anna.tenant))
        assert "wallet" in form.errors
    with pytest.raises(ScopeMissing):
        str(TransferForm()["wallet"])


UNSCOPED = {
    "billing.ChangeCounter": "counts changes of the whole installation",
    "billing.ReaperPass": "one row: the reaper works for all tenants",
    "billing.ReconcileRun": "a run looks at all tenants; its findings have a tenant",
    "billing.Seal": "seals a period of all usage; sums only",
    "billing.Tenant": "is the tenant; what belongs to it is scoped",
    "billing.User": "one sign-in for all shops; memberships have a tenant",
}


def own_models() -> list[type[models.Model]]:
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in {"billing", "relay", "portal"} and not model._meta.auto_created
    ]


def test_every_model_is_scoped_or_listed_with_its_reason() -> None:
    unscoped = {model._meta.label for model in own_models() if not issubclass(model, ScopedModel)}
    assert unscoped == UNSCOPED.keys()
    assert {m._meta.label for m in own_models() if m._meta.label in UNSCOPED} == UNSCOPED.keys()


@pytest.mark.parametrize("model", [m for m in own_models() if issubclass(m, ScopedModel)])
def test_every_manager_of_a_scoped_model_is_scoped(model: type[ScopedModel]) -> None:
    managers = [*model._meta.managers, model._base_manager, model._default_manager]
    assert all(isinstance(manager, ScopedManager) for manager in managers)
    assert model._meta.get_field("tenant").related_model is Tenant


JOINABLE = {"Tenant.domains": "hostnames are public, and the list of shops is searched by them"}


def test_no_query_of_an_unscoped_table_reaches_tenants_rows_by_a_join() -> None:
    reachable = {
        f"{model.__name__}.{relation.name}"
        for model in apps.get_models()
        if not issubclass(model, ScopedModel)
        for relation in model._meta.related_objects
        if issubclass(relation.related_model, ScopedModel)
    }
    assert reachable == JOINABLE.keys()


def test_no_unscoped_model_has_a_tenant() -> None:
    assert not [
        model._meta.label
        for model in own_models()
        if not issubclass(model, ScopedModel)
        and any(field.name == "tenant" for field in model._meta.get_fields() if field.concrete)
    ]
