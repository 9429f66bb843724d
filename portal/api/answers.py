"""What the API answers, field by field. Called by `views`; `reference` describes it from here.

Amounts are base tokens as decimal text, exact: a number of JSON would be a float to most who read
it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.models import ApiKey, UsageRecord
from billing.pricing import BUCKETS
from billing.reports import Balance, Bill
from billing.reports.listing import STATES
from billing.units import exact_base_tokens
from portal.usage.calls import began_at

STANDINGS = ("active", "used_up", "expired", "frozen", "revoked")

Moment = serializers.DateTimeField


@extend_schema_field(
    {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,6})?$", "examples": ["90000", "1.5"]}
)
class BaseTokens(serializers.Field):
    """An amount in base tokens, exact, as decimal text."""


class BudgetAnswer(serializers.Serializer):
    """What a key may use in each period."""

    period = serializers.ChoiceField(choices=["day", "week", "month"])
    base_tokens = BaseTokens()


class LimitsAnswer(serializers.Serializer):
    """What the key is held to. Null does not limit, and an empty list allows everything."""

    base_tokens = BaseTokens(allow_null=True, help_text="The most that this key may ever use.")
    budget = BudgetAnswer(allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    concurrency = serializers.IntegerField(allow_null=True)
    models = serializers.ListField(child=serializers.CharField())
    endpoints = serializers.ListField(child=serializers.CharField())


class KeyAnswer(serializers.Serializer):
    """A key, its money and its limits: granted - used - held = left, where nothing else limits."""

    key = serializers.CharField(help_text="Masked.")
    name = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(choices=STANDINGS)
    granted = BaseTokens()
    used = BaseTokens()
    held = BaseTokens(help_text="Reserved for requests that are running.")
    left = BaseTokens()
    created_at = Moment()
    expires_at = Moment(allow_null=True)
    last_used_at = Moment(allow_null=True)
    limits = LimitsAnswer()


class CountsAnswer(serializers.Serializer):
    """What a call used, in buckets that do not overlap: tokens, images, seconds and so on."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return a field for each bucket."""
        return {bucket: serializers.IntegerField(min_value=0) for bucket in BUCKETS}


class CallAnswer(serializers.Serializer):
    """One call."""

    request_id = serializers.UUIDField(help_text="As in `x-request-id` of the call's answer.")
    began_at = Moment()
    ended_at = Moment()
    endpoint = serializers.CharField()
    model = serializers.CharField(help_text="As it was asked for.")
    served_model = serializers.CharField(help_text="Which model answered.")
    stream = serializers.BooleanField()
    status = serializers.ChoiceField(choices=list(STATES))
    http_status = serializers.IntegerField(help_text="0: the answer was never finished.")
    error = serializers.CharField(allow_null=True, help_text="Why it did not end well.")
    counts = CountsAnswer()
    counted_by = serializers.CharField(
        help_text="`upstream`: the vendor's own count; `counted`, `checkpoint`: ours."
    )
    charge = BaseTokens()
    absorbed = BaseTokens(help_text="What the balance could not pay, borne by the shop.")
    first_token_ms = serializers.IntegerField(allow_null=True)
    total_ms = serializers.IntegerField()


class UsageAnswer(serializers.Serializer):
    """Some calls, newest first."""

    data = CallAnswer(many=True)
    next = serializers.URLField(allow_null=True, help_text="Where older calls are; null: none.")


def key_answer(
    key: ApiKey, balance: Balance, *, state: str, last_used_at: datetime | None
) -> dict[str, Any]:
    """Return a key as the API tells it."""
    budget_ubt = key.budget_ubt if key.budget_period else None
    ends, rates = balance.access_until, key.rate_limits
    return {
        "key": key.masked,
        "name": key.name,
        "state": state,
        "granted": exact_base_tokens(balance.granted_ubt),
        "used": exact_base_tokens(balance.used_ubt),
        "held": exact_base_tokens(balance.held_ubt),
        "left": exact_base_tokens(balance.left_ubt),
        "created_at": _moment(key.created_at),
        "expires_at": _moment(datetime.fromtimestamp(ends, UTC)) if ends else None,
        "last_used_at": _moment(last_used_at) if last_used_at else None,
        "limits": {
            "base_tokens": _amount(key.limit_ubt),
            "budget": None
            if budget_ubt is None
            else {"period": key.budget_period, "base_tokens": exact_base_tokens(budget_ubt)},
            "requests_per_minute": rates.rpm,
            "tokens_per_minute": rates.tpm,
            "concurrency": rates.concurrency,
            "models": key.allowed_models,
            "endpoints": key.allowed_endpoints,
        },
    }


def call_answers(records: Sequence[UsageRecord], bills: Sequence[Bill]) -> list[dict[str, Any]]:
    """Return calls and what they were charged, as the API tells them."""
    return [_call(row, bill) for row, bill in zip(records, bills, strict=True)]


def _call(row: UsageRecord, bill: Bill) -> dict[str, Any]:
    return {
        "request_id": str(row.pk),
        "began_at": _moment(began_at(row)),
        "ended_at": _moment(row.created_at),
        "endpoint": row.endpoint,
        "model": row.model_asked,
        "served_model": row.model_served,
        "stream": row.stream,
        "status": _state(row),
        "http_status": row.status,
        "error": row.error_type or None,
        "counts": {bucket: getattr(row, f"{bucket}_count") for bucket in BUCKETS},
        "counted_by": row.usage_source,
        "charge": exact_base_tokens(bill.charged_ubt),
        "absorbed": exact_base_tokens(bill.absorbed_ubt),
        "first_token_ms": row.first_token_ms,
        "total_ms": row.total_ms,
    }


def _state(row: UsageRecord) -> str:
    """Return which of STATES a call is in, as the filter of the same name has it."""
    if not row.error_type:
        return "done"
    return "interrupted" if row.charged_ubt else "failed"


def _amount(ubt: int | None) -> str | None:
    return None if ubt is None else exact_base_tokens(ubt)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
