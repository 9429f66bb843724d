"""Admin of what a shop says: announcements, and the texts that its buyers agree to."""

from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from billing.models import Announcement, LegalText
from portal.admin import values
from portal.admin.base import ScopedAdmin
from portal.admin.roles import ADD, EVERYTHING, VIEW


class AnnouncementForm(ModelForm):  # type: ignore[type-arg]
    """A line, for whom and for how long."""

    language = forms.ChoiceField(
        label=_("Language"),
        required=False,
        choices=lambda: [
            ("", _("Every language")),
            *[pair for pair in values.choices_of(Announcement, "language") if pair[0]],
        ],
        widget=UnfoldAdminSelectWidget,
    )

    def clean_link_url(self) -> str:
        """Take a page of the shop or a secure address elsewhere."""
        url = str(self.cleaned_data["link_url"])
        is_page = url.startswith("/") and not url.startswith("//")
        if url and not is_page and not url.startswith("https://"):
            raise forms.ValidationError(_("Give a path like /models/ or an address with https."))
        return url

    def clean(self) -> dict[str, Any]:
        """Take no end before the beginning."""
        found = super().clean() or self.cleaned_data
        starts_at, ends_at = found.get("starts_at"), found.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", _("It would end before it begins."))
        return found


@admin.register(Announcement)
class AnnouncementAdmin(ScopedAdmin):
    """Lines above the pages of a shop."""

    verbs = member_verbs = EVERYTHING
    form = AnnouncementForm
    list_display = (
        "text",
        values.worded(Announcement, "language"),
        "state",
        "starts_at",
        "ends_at",
    )
    list_display_links = ("text",)
    list_filter = ("is_active",)
    search_fields = ("text",)
    ordering = ("-id",)
    fields = ("tenant", "text", "link_url", "language", "is_active", "starts_at", "ends_at")

    @display(
        description=_("State"),
        label={"shown": values.GOOD, "later": values.FAIR, "over": "", "off": ""},
    )
    def state(self, line: Announcement) -> tuple[str, Any]:
        """Say whether it is shown now."""
        now = timezone.now()
        if not line.is_active:
            return "off", _("Off")
        if line.ends_at and line.ends_at <= now:
            return "over", _("Over")
        if line.starts_at and line.starts_at > now:
            return "later", _("Not yet")
        return "shown", _("Shown")


class LegalTextForm(ModelForm):  # type: ignore[type-arg]
    """A version of a text. Buyers agree to it by its name, so it never changes afterwards."""

    purpose = forms.ChoiceField(
        label=_("Purpose"),
        choices=lambda: values.choices_of(LegalText, "purpose"),
        widget=UnfoldAdminSelectWidget,
    )
    language = forms.ChoiceField(
        label=_("Language"),
        choices=lambda: [pair for pair in values.choices_of(LegalText, "language") if pair[0]],
        widget=UnfoldAdminSelectWidget,
    )
    body = forms.CharField(
        label=_("Text"),
        max_length=60_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 24}),
        help_text=_("Markdown: # headings, - lists, **bold**, [links](https://example.com)."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "version" in self.fields and not self.initial.get("version"):
            self.initial["version"] = f"{timezone.localdate():%Y-%m-%d}"
        if "published_at" in self.fields and not self.initial.get("published_at"):
            self.initial["published_at"] = timezone.now()


@admin.register(LegalText)
class LegalTextAdmin(ScopedAdmin):
    """Agreement and privacy page in a shop's own words. A change is a new version."""

    verbs = member_verbs = frozenset({VIEW, ADD})
    form = LegalTextForm
    list_display = (
        "version",
        values.worded(LegalText, "purpose"),
        values.worded(LegalText, "language"),
        "published_at",
        "created_at",
    )
    list_display_links = ("version",)
    list_filter = (("purpose", values.WordsFilter), ("language", values.WordsFilter))
    ordering = ("-published_at", "-id")
    fields = ("tenant", "purpose", "language", "version", "published_at", "body")
