"""Pages between a button and its deed: what will happen, a form if it needs one, one button.

A detail action is a link, and a link must change nothing: the deed is done by the form's POST.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import Model
from django.forms import Form, HiddenInput, UUIDField
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing import errors
from billing.ids import uuid7

Text = str | Promise

_REFUSALS: dict[type[errors.BillingError], Text] = {
    errors.StateInvalid: _("Its state has changed, so this can't be done any more."),
    errors.PaymentAway: _("The payment provider gives no usable answer. Try again in a moment."),
    errors.InsufficientBalance: _("The wallet has less than that."),
    errors.NotFound: _("It is not there any more."),
    errors.LimitReached: _("That was done too often."),
    errors.FieldInvalid: _("That can't be stored as it was given. Look at the figures once more."),
    errors.SealBroken: _("What is sealed can't be opened: it was changed, or its key is gone."),
}


def posted(request: HttpRequest) -> QueryDict | None:
    """Return what to bind a form to: the data of a POST, even if there is none in it."""
    return request.POST if request.method == "POST" else None


class OnceForm(Form):
    """Nothing to fill in; `once` makes a button that is pressed twice one deed."""

    once = UUIDField(widget=HiddenInput)


def once_form(request: HttpRequest) -> OnceForm:
    """Return the form of a page that only asks."""
    return OnceForm(posted(request), initial={"once": uuid7()})


def refusal_text(refusal: errors.BillingError) -> str:
    """Return why billing refuses something, in the reader's language where there are words."""
    return str(_REFUSALS.get(type(refusal), refusal))


def row_or_404(page: "ModelAdmin[Any]", request: HttpRequest, object_id: str) -> Any:
    """Return the row if it is among those that the user may see."""
    row = page.get_object(request, object_id)
    if row is None or not page.has_view_permission(request, row):
        raise Http404
    return row


def step(
    page: "ModelAdmin[Any]",
    request: HttpRequest,
    *,
    deed: Callable[[dict[str, Any]], HttpResponse],
    form: Form,
    **texts: Any,
) -> HttpResponse:
    """Show the form until it is valid and billing does not refuse, then do the deed."""
    if request.method == "POST" and form.is_valid():
        try:
            return deed(form.cleaned_data)
        except errors.BillingError as refusal:
            form.add_error(None, refusal_text(refusal))
    return ask(page, request, form=form, **texts)


def ask(
    page: "ModelAdmin[Any]",
    request: HttpRequest,
    *,
    title: Text,
    sentence: Text,
    button: Text,
    form: Form | None = None,
    row: Model | None = None,
    is_destructive: bool = False,
    facts: Sequence[tuple[Text, Text]] = (),
) -> TemplateResponse:
    """Show what the button will do, below figures that one should know."""
    return show(
        page,
        request,
        template="admin/tollgate/step.html",
        title=title,
        row=row,
        sentence=sentence,
        facts=facts,
        form=form,
        button=button,
        danger=is_destructive,
    )


def show(
    page: "ModelAdmin[Any]",
    request: HttpRequest,
    *,
    template: str,
    title: Text,
    row: Model | None = None,
    **context: Any,
) -> TemplateResponse:
    """Show a page of the admin with its frame around it."""
    frame = {
        **page.admin_site.each_context(request),
        "opts": page.model._meta,
        "original": row,
        "back": _back(page, row),
        "title": title,
        "subtitle": None,
    }
    return TemplateResponse(request, template, {**frame, **context})


def _back(page: "ModelAdmin[Any]", row: Model | None) -> str:
    name = f"{page.admin_site.name}:{page.opts.app_label}_{page.opts.model_name}"
    return (
        reverse(f"{name}_changelist") if row is None else reverse(f"{name}_change", args=[row.pk])
    )
