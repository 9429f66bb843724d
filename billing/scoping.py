"""Which tenant the code is working for. Every table of a tenant is read and written through this.

It fails closed: with no tenant open, nothing that touches the database works. The restriction is
added when a query is compiled, not when it is written down, so a queryset made outside a scope
(a form's choices, a default) is harmless, and one made in another scope follows the scope it runs
in. `all_tenants()` is the explicit way around, for look-ups that happen before a tenant is known,
for jobs over all tenants and for platform staff.

Scopes are opened by the web middleware, the relay's reader, tenant tasks and operator commands.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Any, ClassVar, Final, NoReturn, Self, TypeVar

from django.db import models
from django.db.models import sql

from billing.errors import ScopeMissing, TenantMismatch

M = TypeVar("M", bound=models.Model)


class AllTenants(Enum):
    """The type of ALL_TENANTS: the scope in which every tenant's rows are seen."""

    ALL_TENANTS = "all tenants"


ALL_TENANTS: Final = AllTenants.ALL_TENANTS

_scope: ContextVar[int | AllTenants] = ContextVar("tenant_scope")


def current_scope() -> int | AllTenants:
    """Return the open tenant's id, or ALL_TENANTS. Raises ScopeMissing."""
    try:
        return _scope.get()
    except LookupError:
        raise ScopeMissing(
            "No tenant is open: use tenant_scope(tenant_id), or all_tenants() on purpose."
        ) from None


@contextmanager
def tenant_scope(tenant_id: int) -> Iterator[None]:
    """Work for one tenant: its rows alone are seen, and only they can be written.

    A generator must not yield inside of it: whoever asks for its items would be in the scope, too.
    """
    if type(tenant_id) is not int or tenant_id < 1:
        raise ScopeMissing(f"{tenant_id!r} is not the id of a tenant.")
    with _opened(tenant_id):
        yield


@contextmanager
def all_tenants() -> Iterator[None]:
    """Work for the whole installation. Each use is listed, with its reason, in a test."""
    with _opened(ALL_TENANTS):
        yield


@contextmanager
def _opened(scope: int | AllTenants) -> Iterator[None]:
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def _refuse_other_tenant(model: type[models.Model], tenant_id: object) -> None:
    scope = current_scope()
    if scope is not ALL_TENANTS and tenant_id != scope:
        _mismatch(model, scope)


def _mismatch(model: type[models.Model], scope: int | AllTenants) -> NoReturn:
    raise TenantMismatch(f"Tenant {scope} is open; a {model._meta.verbose_name} is not its own.")


class ScopedQuery(sql.Query):
    """A query that names its tenant in the moment in which it becomes SQL.

    Reads, counts, subqueries and parts of unions all pass `get_compiler`; updates and deletes turn
    into another class by `chain`. Both put the tenant in, so there is no third way.
    """

    def get_compiler(
        self, using: str | None = None, connection: Any | None = None, elide_empty: bool = True
    ) -> Any:
        """Return a compiler of the restricted query."""
        return self.chain(sql.Query).get_compiler(using, connection, elide_empty)

    def chain(self, klass: type[sql.Query] | None = None) -> sql.Query:
        """Return a copy; one of another class is restricted, as it won't do so itself."""
        query = super().chain(klass)
        if klass is not None:
            _restrict(query)
        return query


def _restrict(query: sql.Query) -> None:
    scope = current_scope()
    if scope is ALL_TENANTS or query.combinator:
        return  # the parts of a union are scoped queries themselves
    if query.alias_map and not query.alias_refcount[query.base_table]:
        return  # an exclude() over a relation: its subquery no longer reads our own table
    query.add_q(models.Q(tenant_id=scope))


class ScopedQuerySet(models.QuerySet[M]):
    """A queryset over a tenant's table. Reads are restricted, writes are checked."""

    def __init__(
        self,
        model: type[M] | None = None,
        query: sql.Query | None = None,
        using: str | None = None,
        hints: dict[str, models.Model] | None = None,
    ) -> None:
        if query is None and model is not None:
            query = ScopedQuery(model)
        super().__init__(model, query, using, hints)

    def raw(
        self,
        raw_query: Any,
        params: Any = (),
        translations: dict[str, str] | None = None,
        using: str | None = None,
    ) -> "models.query.RawQuerySet[M]":
        """Run SQL of one's own: only where all tenants are meant, for it can't be restricted."""
        if current_scope() is not ALL_TENANTS:
            raise ScopeMissing("Raw SQL can't be restricted to a tenant: use all_tenants().")
        return super().raw(raw_query, params, translations, using)

    def bulk_create(
        self,
        objs: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> list[M]:
        """Insert rows. An upsert could take over another tenant's row, so it needs all tenants."""
        rows = self._own(objs)
        if update_conflicts and current_scope() is not ALL_TENANTS:
            raise TenantMismatch("An upsert can't be restricted to a tenant: use all_tenants().")
        return super().bulk_create(
            rows, batch_size, ignore_conflicts, update_conflicts, *args, **kwargs
        )

    def bulk_update(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> int:
        """Update rows, all of which must be the open tenant's."""
        return super().bulk_update(self._own(objs), *args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        """Update the open tenant's rows; none can be given away."""
        for name in ("tenant", "tenant_id"):
            if name in kwargs:
                value = kwargs[name]
                _refuse_other_tenant(self.model, getattr(value, "pk", value))
        return super().update(**kwargs)

    # Below is what Model.save, bulk_create and Model.delete really run.

    def _insert(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> Any:
        return super()._insert(self._own(objs), *args, **kwargs)  # type: ignore[misc]

    def _own(self, objs: Iterable[M]) -> list[M]:
        rows = list(objs)
        for row in rows:
            _refuse_other_tenant(self.model, getattr(row, "tenant_id", None))
        return rows

    def _raw_delete(self, using: str | None) -> int:
        bound = self.all()
        bound.query = self.query.chain(sql.Query)
        return super(ScopedQuerySet, bound)._raw_delete(using)


class ScopedManager(models.Manager[M]):
    """The manager of every model with a tenant: the default, the base and the related one."""

    def get_queryset(self) -> ScopedQuerySet[M]:
        """Return all rows of whichever tenant is open when the query runs."""
        return ScopedQuerySet(self.model, using=self._db, hints=self._hints)  # type: ignore[attr-defined]


class ScopedModel(models.Model):
    """Base of every model with a tenant. Rows loaded in one scope can't be written in another."""

    tenant: models.ForeignKey[Any, Any]
    tenant_id: int

    objects: ClassVar[ScopedManager[Self]] = ScopedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """Write the row; raises TenantMismatch unless it is the open tenant's."""
        _refuse_other_tenant(type(self), self.tenant_id)
        super().save_base(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the row; raises TenantMismatch unless it is the open tenant's."""
        _refuse_other_tenant(type(self), self.tenant_id)
        return super().delete(*args, **kwargs)
