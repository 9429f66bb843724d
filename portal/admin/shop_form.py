"""Forms of rows that belong to a shop, and know which: by its currency and by what it sells.

Used by pages of the admin. On a host of their own operators choose the shop in the form itself.
"""

from typing import Any

from django.db.models import Model
from django.forms import BaseForm, BaseInlineFormSet, ModelForm
from django.http import HttpRequest

from billing.models import Tenant
from portal.admin.base import ScopedAdmin, ScopedInline
from portal.admin.fields import MoneyField
from portal.admin.roles import is_operator
from portal.request import tenant_of


def shop_of(request: HttpRequest, row: Any) -> Tenant:
    """Return the shop of a row or, of one that is made just now, the shop that is chosen for it."""
    if row is not None and row.tenant_id:
        own: Tenant = row.tenant
        return own
    chosen = request.POST.get("tenant", "") if is_operator(request) else ""
    found = Tenant.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
    return found or tenant_of(request)


class ShopForm(ModelForm):  # type: ignore[type-arg]
    """A row of a shop; amounts of money are in its currency."""

    shop: Tenant
    """Set by the page."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        count_in(self, self.shop.currency)


class ShopFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """Rows below a row of a shop; amounts of money are in its currency."""

    shop: Tenant
    """Set by the inline."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """Tell each form the currency."""
        super().add_fields(form, index)
        count_in(form, self.shop.currency)


class ShopFormAdmin(ScopedAdmin):
    """A page whose form is a `ShopForm`."""

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any
    ) -> Any:
        """Tell the form whose row it is."""
        form = super().get_form(request, obj, change, **options)
        form.shop = shop_of(request, obj)
        return form


class ShopInline(ScopedInline):
    """An inline whose formset is a `ShopFormSet`."""

    def get_formset(self, request: HttpRequest, obj: Model | None = None, **options: Any) -> Any:
        """Tell the formset whose rows they are."""
        formset = super().get_formset(request, obj, **options)
        formset.shop = shop_of(request, obj)
        return formset


def count_in(form: BaseForm, currency: str) -> None:
    """Let a form take and show its amounts of money in a currency."""
    for field in form.fields.values():
        if isinstance(field, MoneyField):
            field.currency = currency
