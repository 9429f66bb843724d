"""Admin of generic routes and of the jobs that upstreams run: prefixes checked, refunds seen."""

from collections.abc import Iterator
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from billing import catalogue
from billing.errors import StateInvalid
from billing.models import ApiKey
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import WordsField, base_tokens, page_link
from portal.admin.roles import DELETE, EDIT, READ_ONLY
from relay import generic_routes
from relay.models import Channel, GenericRoute, UpstreamObject


def taken_names() -> frozenset[str]:
    """Return the first steps of all addresses of the shop's pages and files."""
    roots = (str(pattern.pattern) for pattern in _patterns(get_resolver().url_patterns))
    pages = {root.strip("^/").partition("/")[0] for root in roots}
    files = settings.STATIC_URL.strip("/").partition("/")[0]
    return frozenset({name.casefold() for name in pages if name} | {files, ".well-known"})


def _patterns(patterns: list[Any]) -> Iterator[URLPattern | URLResolver]:
    """Yield the patterns that begin at the root, also those that are included there."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver) and not str(pattern.pattern):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


class RouteForm(ModelForm):  # type: ignore[type-arg]
    """A route, checked as a whole."""

    methods = forms.MultipleChoiceField(
        label=_("Methods"),
        choices=[(method, method) for method in generic_routes.METHODS],
        initial=["GET", "POST"],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    done_values = WordsField(
        label=_("Values that mean done"), help_text=_("One a line. Upper and lower case are one.")
    )
    failed_values = WordsField(
        label=_("Values that mean failed"),
        help_text=_("One a line. A job that fails gets its charge back."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "channel" in self.fields:
            field = cast("forms.ModelChoiceField[Any]", self.fields["channel"])
            field.queryset = cast("QuerySet[Channel]", field.queryset).filter(
                provider=generic_routes.PROVIDER
            )
            field.help_text = _("A channel of the provider “generic”.")
        for name, words in _HELP.items():
            if name in self.fields:
                self.fields[name].help_text = words

    def clean_prefix(self) -> str:
        """Take a path that nothing else answers at."""
        prefix = str(self.cleaned_data["prefix"]).strip().rstrip("/")
        if not generic_routes.is_prefix(prefix):
            raise forms.ValidationError(_("Give a path like /mj or /suno/v1."))
        is_page = prefix[1:].partition("/")[0].casefold() in taken_names()
        if is_page or generic_routes.is_answered(prefix):
            raise forms.ValidationError(_("The shop or the relay answers there already."))
        return prefix

    def clean_upstream_prefix(self) -> str:
        """Take a path, or nothing for the channel's own address."""
        prefix = str(self.cleaned_data["upstream_prefix"]).strip().rstrip("/")
        if prefix and not generic_routes.is_prefix(prefix):
            raise forms.ValidationError(_("Give a path like /mj or /suno/v1."))
        return prefix

    def clean_poll_path(self) -> str:
        """Take a path with the place of a job in it."""
        path = str(self.cleaned_data["poll_path"]).strip().rstrip("/")
        if path and not generic_routes.is_poll_path(path):
            raise forms.ValidationError(_("Give a path like /task/{task}/fetch."))
        return path

    def clean_task_field(self) -> str:
        """Take the name of a field."""
        return self._field_name("task_field")

    def clean_state_field(self) -> str:
        """Take the name of a field."""
        return self._field_name("state_field")

    def _field_name(self, name: str) -> str:
        text = str(self.cleaned_data[name]).strip()
        if text and not generic_routes.is_field(text):
            raise forms.ValidationError(_("Give a field like result or data.task_id."))
        return text

    def clean(self) -> dict[str, Any]:
        """Check that the rule of the jobs is whole, and that the prefix is this route's alone."""
        found = super().clean() or self.cleaned_data
        if "tenant" not in self.fields and self.instance.tenant_id is None and "channel" in found:
            self.instance.tenant_id = found["channel"].tenant_id  # which constraints compare
        if not self.errors:
            self._check_rule(found)
            self._check_prefix(found)
        return found

    def _check_rule(self, found: dict[str, Any]) -> None:
        if bool(found["task_field"]) != bool(found["poll_path"]):
            self.add_error("poll_path", _("The field of a job and its path belong together."))
        if found["task_field"] and not found["price_model"]:
            self.add_error("price_model", _("A route with jobs needs a price, be it of nothing."))
        ends = [found["state_field"], found["done_values"], found["failed_values"]]
        if any(ends) and not (all(ends) and found["task_field"]):
            self.add_error(
                "state_field", _("To follow jobs, give the field of their state and both its ends.")
            )

    def _check_prefix(self, found: dict[str, Any]) -> None:
        # The shop is no field of the form for its members, so Django would not compare.
        rows = GenericRoute.objects.filter(prefix=found["prefix"]).exclude(pk=self.instance.pk)
        tenant_id = found["tenant"].pk if "tenant" in found else self.instance.tenant_id
        if (rows.filter(tenant_id=tenant_id) if tenant_id else rows).exists():
            self.add_error("prefix", _("There is a route of this prefix already."))


_HELP = {
    "prefix": _("Requests at and below this path go to the channel."),
    "upstream_prefix": _("What stands there in its place; empty: nothing."),
    "price_model": _(
        "A row of the price book with a price per request. Reading is always free; empty: all is."
    ),
    "task_field": _("Where an answer names the job that it has begun, such as result."),
    "poll_path": _("Where the state of a job is read, below the prefix: /task/{task}/fetch."),
    "state_field": _("Where that answer says how the job is getting on, such as status."),
}


@admin.register(GenericRoute)
class RouteAdmin(ScopedAdmin):
    """Requests below a prefix, passed on to a channel. The platform's routes are every shop's."""

    verbs = member_verbs = EDIT | {DELETE}
    form = RouteForm
    list_display = ("name", "prefix", "channel", "price_model", "state")
    list_filter = ("is_enabled",)
    list_select_related = ("channel",)
    search_fields = ("name", "prefix", "price_model")
    ordering = ("prefix",)
    readonly_fields = ("created_at",)
    fieldsets = (
        (None, {"fields": ("tenant", "name", "is_enabled", "prefix", "methods")}),
        (_("Upstream"), {"fields": ("channel", "upstream_prefix")}),
        (_("Charge"), {"fields": ("price_model",)}),
        (
            _("Jobs"),
            {
                "fields": (
                    "task_field",
                    "poll_path",
                    "state_field",
                    "done_values",
                    "failed_values",
                )
            },
        ),
    )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the route, and say so if its calls have no price yet."""
        super().save_model(request, obj, form, change)
        prices = catalogue.price_lists([obj.tenant_id])[obj.tenant_id]
        if obj.price_model and obj.price_model not in prices:
            self.message_user(
                request,
                _("There is no price of this name yet: until there is, calls are refused."),
                messages.WARNING,
            )

    @display(description=_("State"), label={"on": "success", "off": "danger"})
    def state(self, route: GenericRoute) -> tuple[str, Any]:
        """Say whether it is switched on."""
        return ("on", _("On")) if route.is_enabled else ("off", _("Off"))


class GiveBackForm(forms.Form):
    """Why a charge goes back."""

    reason = forms.CharField(label=_("Reason"), max_length=150, widget=UnfoldAdminTextInputWidget)


_KIND = values.worded(UpstreamObject, "kind")
_STATE = values.worded(UpstreamObject, "state")


@admin.register(UpstreamObject)
class JobAdmin(ScopedAdmin):
    """Videos and tasks that upstreams were given, and what became of them. Nothing to edit."""

    verbs = member_verbs = READ_ONLY
    list_display = ("upstream_id", _KIND, "model", _STATE, "given_back", "created_at")
    list_filter = (("kind", values.WordsFilter), ("state", values.WordsFilter), "created_at")
    search_fields = ("upstream_id", "id")
    search_help_text = _("Id at the upstream, or request id")
    ordering = ("-created_at", "-id")
    actions_detail = ("give_back",)
    readonly_fields = (_KIND, _STATE, "given_back", "key")
    fieldsets = (
        (None, {"fields": ("tenant", "id", "upstream_id", _KIND, "model", "created_at")}),
        (_("Course"), {"fields": (_STATE, "poll_count", "next_poll_at", "given_back_at")}),
        (_("Base tokens"), {"fields": ("given_back",)}),
        (_("Whose"), {"fields": ("key", "wallet_id", "channel_id", "expires_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out what is no job."""
        return super().get_queryset(request).filter(kind__in=generic_routes.JOB_KINDS)

    @display(description=_("Given back"), ordering="given_back_ubt")
    def given_back(self, job: UpstreamObject) -> str:
        """Show what was credited for a failure."""
        return base_tokens(job.given_back_ubt) if job.given_back_at else "-"

    @display(description=_("Key"))
    def key(self, job: UpstreamObject) -> Any:
        """Lead to the key that ordered it."""
        key = ApiKey.objects.filter(pk=job.key_id).first()
        return page_link(ApiKey, key.pk, key) if key else job.key_id

    def hidden_actions(self, row: Any) -> set[str]:
        """Offer to give back what still can be."""
        return {"give_back"} if row.given_back_at else set()

    @action(
        description=_("Give the charge back"),
        url_path="give-back",
        permissions=["act"],
        icon="undo",
    )
    def give_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Credit what a job was charged, as if it had failed."""
        job = steps.row_or_404(self, request, object_id)

        def deed(given: dict[str, Any]) -> HttpResponse:
            if not generic_routes.give_up(job, actor=str(request.user), reason=given["reason"]):
                raise StateInvalid("The request of this job is not settled yet.")
            self.message_user(request, _("The charge has been given back."))
            return redirect(reverse("admin:relay_upstreamobject_change", args=[job.pk]))

        return steps.step(
            self,
            request,
            deed=deed,
            form=GiveBackForm(steps.posted(request)),
            row=job,
            title=_("Give the charge back"),
            sentence=_(
                "The wallet is credited with what this job was charged, and the job counts as "
                "failed. Its key can spend the amount again."
            ),
            button=_("Give the charge back"),
        )
