"""The page that compares prices with the vendors' list, where a person ticks what is to count.

Called by the admin of prices, for platform operators and for a shop's owner.
"""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.widgets import UnfoldAdminSelectWidget

from billing import tenants, vendor_prices
from billing.catalogue import Change
from billing.models import PriceVersion, Tenant
from billing.vendor_prices import Difference, Listed
from portal.admin import steps
from portal.admin.roles import is_operator
from portal.request import tenant_of

LIMIT_NAMES = {
    "context_limit": _("Context"),
    "output_limit": _("Longest answer"),
    "usual_output": _("Usual answer"),
    "is_reasoning": _("Reasoning"),
}

VENDOR_NAMES = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "deepseek": "DeepSeek",
    "mistral": "Mistral",
    "xai": "xAI",
    "moonshot": "Moonshot",
    "qwen": "Qwen",
    "zhipu": "Zhipu",
}


WORDS = {"yes": _("Yes"), "no": _("No")}


@dataclass(frozen=True)
class Figure:
    """One figure of a model as the page shows it; `before` is None if it is new."""

    label: Any
    min_input: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Row:
    """A model as the page shows it."""

    listed: Listed
    vendor: str
    is_new: bool
    figures: list[Figure]


class ShownForm(forms.Form):
    """Whose prices are compared, and which vendor's models are shown."""

    vendor = forms.ChoiceField(
        label=_("Vendor"),
        required=False,
        choices=[("", _("All vendors")), *VENDOR_NAMES.items()],
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, data: QueryDict, *, shops: Any = None) -> None:
        super().__init__(data)
        if shops is not None:
            self.fields["shop"] = forms.ModelChoiceField(
                label=_("Shop"),
                queryset=shops,
                required=False,
                empty_label=_("The platform's list"),
                widget=UnfoldAdminSelectWidget,
            )


def compare(page: "ModelAdmin[Any]", request: HttpRequest, labels: dict[str, Any]) -> HttpResponse:
    """Show how the list differs from what is sold; publish what was ticked."""
    shops = Tenant.objects.filter(is_platform=False).order_by("name")
    form = ShownForm(request.GET, shops=shops if is_operator(request) else None)
    chosen = form.cleaned_data if form.is_valid() else {}
    tenant = chosen.get("shop") or (
        tenants.platform() if is_operator(request) else tenant_of(request)
    )
    if request.method == "POST":
        return _publish(page, request, tenant)
    found = vendor_prices.compare(tenant.pk)
    vendor = chosen.get("vendor")
    changes = sorted(found.changes, key=lambda change: change.before is None)
    rows = [_row(change, labels) for change in changes]
    return steps.show(
        page,
        request,
        template="admin/tollgate/vendor_list.html",
        title=_("Vendors' prices"),
        form=form,
        tenant=tenant,
        rows=[row for row in rows if not vendor or row.listed.vendor == vendor],
        same=found.same,
        not_listed=found.not_listed,
        origin=vendor_prices.origin(),
        fingerprint=vendor_prices.fingerprint(),
    )


def _row(change: Change, labels: dict[str, Any]) -> Row:
    listed = vendor_prices.listed()[change.model]
    return Row(
        listed=listed,
        vendor=VENDOR_NAMES[listed.vendor],
        is_new=change.before is None,
        figures=[_figure(one, labels) for one in vendor_prices.differences(change)],
    )


def _figure(one: Difference, labels: dict[str, Any]) -> Figure:
    return Figure(
        label=labels.get(one.name) or LIMIT_NAMES.get(one.name, one.name),
        min_input=f"{one.min_input:,}" if one.min_input else "",
        before=one.before and _shown(one.before),
        after=_shown(one.after),
    )


def _shown(figure: str) -> Any:
    """Return a figure with thousands separators, or a word for one."""
    whole, point, fraction = figure.partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole.isdigit() else WORDS.get(figure, figure)


def _publish(page: "ModelAdmin[Any]", request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Publish the models that were ticked, if the list is still the one that was shown."""
    if request.POST.get("list") != vendor_prices.fingerprint():
        messages.error(request, _("The list has changed meanwhile. Look again before you publish."))
        return redirect(request.get_full_path())
    changes = vendor_prices.apply(tenant.pk, models=set(request.POST.getlist("model")))
    names = [change.model for change in changes]
    versions = PriceVersion.objects.filter(tenant=tenant, model__in=names).order_by("-id")
    for version in versions[: len(changes)]:
        page.log_addition(request, version, [{"added": {}}])
    if changes:
        text = ngettext("%(n)s price is published.", "%(n)s prices are published.", len(changes))
        messages.success(request, text % {"n": len(changes)})
    else:
        messages.info(request, _("Nothing was ticked that differs from what is sold."))
    return redirect(request.get_full_path())
