"""The base of every `ModelAdmin` and inline: who sees which rows, and who may do what with them.

The open scope already restricts every query to the shop. This class is the second wall, and the
only one for the two tables that belong to no shop: tenants and users. A system check fails for a
registration that is not built on it.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import BaseModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.db.models import ForeignKey, Model, QuerySet
from django.forms import BaseModelFormSet, ModelChoiceField, ModelForm
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.views import ChangeList

from billing.models import Member, Tenant, User
from portal.admin.roles import ADD, CHANGE, DELETE, NOTHING, VIEW, is_operator, verbs_of
from portal.request import tenant_of


def has_tenant(model: type[Model]) -> bool:
    """Tell whether rows of the model belong to a shop."""
    return any(field.name == "tenant" for field in model._meta.get_fields())


def visible(rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Return those of the rows that the user of this request may know of."""
    if is_operator(request):
        return rows
    tenant = tenant_of(request)
    if rows.model is Tenant:
        return rows.filter(pk=tenant.pk)
    if rows.model is User:
        return rows.filter(pk__in=Member.objects.filter(tenant=tenant).values("user_id"))
    if has_tenant(rows.model):
        return rows.filter(tenant=tenant)
    return rows.none()


class _Scoped(BaseModelAdmin):  # type: ignore[type-arg]
    """What admin pages and inlines have in common.

    `verbs` exist at all for this model; of these, members of a shop have at most `member_verbs`.
    """

    verbs: frozenset[str] = NOTHING
    member_verbs: frozenset[str] = NOTHING

    def allowed(self, request: HttpRequest) -> frozenset[str]:
        """Return what this user may do with these rows."""
        here = self.verbs if is_operator(request) else self.verbs & self.member_verbs
        return here & verbs_of(request)

    def owns(self, request: HttpRequest, row: Model | None) -> bool:
        """Tell whether a row, if there is one, is among those that the user may know of."""
        if row is None or is_operator(request) or row.pk is None:
            return True
        return visible(type(row)._default_manager.all(), request).filter(pk=row.pk).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return VIEW in self.allowed(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return VIEW in self.allowed(request) and self.owns(request, _row(obj))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return ADD in self.allowed(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return CHANGE in self.allowed(request) and self.owns(request, _row(obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return DELETE in self.allowed(request) and self.owns(request, _row(obj))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(super().get_queryset(request), request)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> "ModelChoiceField[Any] | None":
        given = kwargs.get("queryset")
        rows = db_field.remote_field.model._default_manager.all() if given is None else given
        return super().formfield_for_foreignkey(
            db_field, request, **{**kwargs, "queryset": visible(rows, request)}
        )


class ScopedInline(_Scoped, TabularInline):
    """Rows below a row of the same shop; the shop is taken from the row above."""

    extra = 0
    hide_title = True


class _List(ChangeList):
    """A list that offers to show all only where it does not."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ScopedAdmin(_Scoped, ModelAdmin):
    """The base of every admin page. Operators see a column, filter and field for the shop."""

    list_filter_sheet = False
    show_full_result_count = False
    list_per_page = 50
    list_select_related: Sequence[str] | bool = False
    search_help_text: Any = ""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[_List]:
        return _List

    def get_list_display(self, request: HttpRequest) -> Sequence[str]:
        shown = list(super().get_list_display(request))
        return [*shown[:1], "tenant", *shown[1:]] if self._shows_tenant(request) else shown

    def get_list_filter(self, request: HttpRequest) -> Sequence[Any]:
        shown = list(super().get_list_filter(request))
        return ["tenant", *shown] if self._shows_tenant(request) else shown

    def get_list_select_related(self, request: HttpRequest) -> Any:
        related = super().get_list_select_related(request)
        if self._shows_tenant(request) and isinstance(related, list | tuple):
            return [*related, "tenant"]
        return related

    def get_exclude(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        excluded = list(super().get_exclude(request, obj) or ())
        return excluded if is_operator(request) else [*excluded, "tenant"]

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the groups of fields; overridden where they depend on the row."""
        return super().get_fieldsets(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        groups = self.sections(request, obj)
        return groups if is_operator(request) else [_without_tenant(*group) for group in groups]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fixed = list(super().get_readonly_fields(request, obj))
        return [*fixed, "tenant"] if obj is not None and has_tenant(self.model) else fixed

    def save_model(
        self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool
    ) -> None:
        """Write what the form changed and nothing else: balances beside it may have moved."""
        if change:
            columns = {field.name for field in self.model._meta.concrete_fields}
            obj.save(update_fields=[name for name in form.changed_data if name in columns])
            return
        if has_tenant(self.model) and not is_operator(request):
            obj.tenant = tenant_of(request)
        obj.save()

    def save_formset(
        self, request: HttpRequest, form: Any, formset: "BaseModelFormSet[Any, Any]", change: bool
    ) -> None:
        """Give the rows below the shop of the row above."""
        above = form.instance
        for row in formset.save(commit=False):
            row.tenant_id = above.pk if isinstance(above, Tenant) else above.tenant_id
            row.save()
        for row in formset.deleted_objects:
            row.delete()
        formset.save_m2m()

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """Say in words what the database refuses, if no form has said it before."""
        try:
            return super().changeform_view(request, *args, **options)
        except IntegrityError:
            messages.error(request, _("Not saved: it would contradict something that is there."))
            return redirect(request.get_full_path())

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether the user may press the buttons of rows that nobody can edit."""
        return CHANGE in verbs_of(request) and self.has_view_permission(request, obj)

    def hidden_actions(self, row: Any) -> set[str]:
        """Return the names of those actions that make no sense for a row as it is."""
        return set()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer the actions that may be done, but for those that make no sense."""
        offered = super().get_actions_detail(request, object_id)
        row = self.get_object(request, object_id) if offered else None
        hidden = self.hidden_actions(row) if row is not None else set()
        return [one for one in offered if one.method.__name__ not in hidden]

    def check_may_add(self, request: HttpRequest) -> None:
        """Raise PermissionDenied unless the user may add here; for add pages of our own."""
        if not self.has_add_permission(request):
            raise PermissionDenied

    def _shows_tenant(self, request: HttpRequest) -> bool:
        return has_tenant(self.model) and is_operator(request)


def _without_tenant(title: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return title, {**options, "fields": [name for name in options["fields"] if name != "tenant"]}


def _row(found: Any) -> Model | None:
    # Unfold asks its detail actions' permissions with the id from the address.
    return found if isinstance(found, Model) else None
