"""Admin of usage records: the metered facts and the charge of every request. Read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from billing import keys
from billing.models import ApiKey, UsageRecord
from billing.pricing import BUCKETS, INPUT_BUCKETS
from portal.admin import values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import base_tokens
from portal.admin.roles import READ_ONLY, is_operator
from portal.amounts import seconds_text

# What a platform channel costs the platform is not the shop's to see.
_OPERATORS_ONLY = ("cost",)


@admin.register(UsageRecord)
class UsageRecordAdmin(ScopedAdmin):
    """One row per request. No column could hold a sentence of a chat."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        "moment",
        "model_asked",
        "outcome",
        "tokens_in",
        "tokens_out",
        "charged",
        "first_token",
        "total",
    )
    list_filter = (
        ("resolution", values.WordsFilter),
        ("usage_source", values.WordsFilter),
        "stream",
        "created_at",
    )
    search_fields = ("id", "upstream_request_id")
    search_help_text = _("Request id, key id or a whole key")
    ordering = ("-id",)
    readonly_fields = (
        "charged",
        "held",
        "absorbed",
        "wholesale",
        "cost",
        "first_token",
        "total",
        values.worded(UsageRecord, "resolution"),
        values.worded(UsageRecord, "usage_source"),
    )

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the request, the counts that are not zero, the amounts and the course."""
        counts = [
            f"{bucket}_count" for bucket in BUCKETS if obj and getattr(obj, f"{bucket}_count")
        ]
        amounts = ["charged", "held", "absorbed", "wholesale"]
        return (
            (None, {"fields": ("tenant", "id", "created_at", *_ASKED)}),
            (_("Counts"), {"fields": counts or ("input_count", "output_count")}),
            (
                _("Base tokens"),
                {"fields": [*amounts, *(_OPERATORS_ONLY if is_operator(request) else ())]},
            ),
            (_("Course"), {"fields": _COURSE}),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord], search_term: str
    ) -> Any:
        """Find by request id, by the id of a key, or by a pasted key."""
        text = search_term.strip()
        pasted = keys.parse(text)
        kid = pasted.kid if pasted else text
        if len(kid) == keys.KID_LENGTH:
            mine = ApiKey.objects.filter(kid=kid).values_list("pk", flat=True)
            if mine or pasted:
                return queryset.filter(key_id__in=list(mine)), False
        return super().get_search_results(request, queryset, text)

    @display(description=_("Time"), ordering="id")
    def moment(self, record: UsageRecord) -> str:
        """Show when the request came, to the second."""
        return f"{timezone.localtime(record.created_at):%Y-%m-%d %H:%M:%S}"

    @display(description=_("Tokens in"))
    def tokens_in(self, record: UsageRecord) -> str:
        """Show the whole input, of whichever price."""
        return f"{sum(getattr(record, f'{bucket}_count') for bucket in INPUT_BUCKETS):,}"

    @display(description=_("Tokens out"))
    def tokens_out(self, record: UsageRecord) -> str:
        """Show the whole output, of whichever price."""
        return f"{record.output_count + record.reasoning_count + record.audio_out_count:,}"

    @display(description=_("Outcome"), label={"ok": "success", "cut": "warning", "no": "danger"})
    def outcome(self, record: UsageRecord) -> tuple[str, Any]:
        """Say how the request ended."""
        if record.error_type:
            return ("cut" if record.charged_ubt else "no"), record.error_type
        word = values.word(UsageRecord, "resolution", record.resolution)
        return ("ok" if record.resolution == "settled" else "cut"), word

    @display(description=_("Charged"), ordering="charged_ubt")
    def charged(self, record: UsageRecord) -> str:
        """Show what the request cost the key."""
        return base_tokens(record.charged_ubt)

    @display(description=_("Held"), ordering="held_ubt")
    def held(self, record: UsageRecord) -> str:
        """Show what was held for it."""
        return base_tokens(record.held_ubt)

    @display(description=_("Not charged"), ordering="absorbed_ubt")
    def absorbed(self, record: UsageRecord) -> str:
        """Show what the shop bore."""
        return base_tokens(record.absorbed_ubt)

    @display(description=_("Wholesale"), ordering="wholesale_ubt")
    def wholesale(self, record: UsageRecord) -> str:
        """Show what the shop was billed."""
        return base_tokens(record.wholesale_ubt)

    @display(description=_("Cost"), ordering="cost_ubt")
    def cost(self, record: UsageRecord) -> str:
        """Show what the provider bills."""
        return base_tokens(record.cost_ubt)

    @display(description=_("First token"), ordering="first_token_ms")
    def first_token(self, record: UsageRecord) -> str:
        """Show the time to the first content."""
        return _seconds(record.first_token_ms)

    @display(description=_("Total"), ordering="total_ms")
    def total(self, record: UsageRecord) -> str:
        """Show the time to the end."""
        return _seconds(record.total_ms)


def _seconds(duration_ms: int | None) -> str:
    return "-" if duration_ms is None else seconds_text(duration_ms)


_ASKED = ("endpoint", "model_asked", "model_served", "key_id", "wallet_id", "channel_id", "stream")
_COURSE = (
    values.worded(UsageRecord, "resolution"),
    values.worded(UsageRecord, "usage_source"),
    "status",
    "error_type",
    "attempts",
    "first_token",
    "total",
    "upstream_request_id",
)
