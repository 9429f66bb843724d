"""What a caller may ask for: the parameters of the usage list, checked by name.

Called by `views`; `reference` describes them from here. A parameter that there is not is refused,
so that a filter with a slip of the pen does not pass for none.
"""

from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from billing.reports import CallFilters
from billing.reports.listing import STATES
from portal.api import cursors

MAX_ROWS, USUAL_ROWS = 200, 50
_LONGEST_NAME = 64
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # no usage is older
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@extend_schema_field(
    {
        "anyOf": [
            {"type": "string", "format": "date"},
            {"type": "string", "format": "date-time"},
        ],
        "examples": ["2026-01-31", "2026-01-31T12:00:00Z"],
    }
)
class MomentField(serializers.DateTimeField):
    """A date of UTC or a moment with its zone; `ends` makes a date its end."""

    default_error_messages: ClassVar = {
        "invalid": "Give a date like 2026-01-31, or a time with its zone like 2026-01-31T12:00:00Z."
    }

    def __init__(self, *, ends: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.ends = ends

    def to_internal_value(self, value: Any) -> datetime:
        """Return the moment, within the years that there can be usage of."""
        try:
            day = parse_date(str(value))
            moment = self._of_day(day) if day else parse_datetime(str(value))
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return min(max(moment, _EARLIEST), _LATEST)
        raise self.fail("invalid")

    def _of_day(self, day: date) -> datetime:
        start = datetime.combine(day, time(), tzinfo=UTC)
        return start + _DAY if self.ends and start < _LATEST else start


class WordField(serializers.ChoiceField):
    """One of a few words."""

    default_error_messages: ClassVar = {
        "invalid_choice": "It is none of the values that there are."
    }


class WholeField(serializers.IntegerField):
    """A whole number, written in digits and nothing else."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if not str(data).isascii() or not str(data).isdigit():
            self.fail("invalid")
        return int(super().to_internal_value(data))


# `from` is no name that a class could give to a field.
_ASKED: dict[str, serializers.Field] = {
    "from": MomentField(
        required=False,
        help_text="Calls that began at this time or later: a date of UTC, or a time with its zone.",
    ),
    "to": MomentField(
        required=False,
        ends=True,
        help_text="Calls that began before this time; of a date, until its end.",
    ),
    "model": serializers.CharField(
        required=False, max_length=_LONGEST_NAME, help_text="The model that was asked for."
    ),
    "status": WordField(
        required=False,
        choices=list(STATES),
        help_text="`done`; `interrupted`: charged in part; `failed`: charged nothing.",
    ),
    "stream": WordField(
        required=False,
        choices=["true", "false"],
        help_text="Streamed calls only, or the others only.",
    ),
    "endpoint": serializers.CharField(
        required=False,
        max_length=_LONGEST_NAME,
        help_text="As in the rows: `chat_completions`, `embeddings`.",
    ),
    "limit": WholeField(
        required=False,
        min_value=1,
        max_value=MAX_ROWS,
        default=USUAL_ROWS,
        help_text="How many rows to answer at most.",
    ),
    "cursor": serializers.CharField(
        required=False,
        max_length=cursors.LENGTH,
        help_text="Out of `next`. It is good with the same key and filters only.",
    ),
}


class UsageQuery(serializers.Serializer):
    """The parameters of the usage list."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the fields, each a copy."""
        return deepcopy(_ASKED)


def asked(request: Request) -> dict[str, Any]:
    """Return the parameters as they are meant. Raises ValidationError by their names."""
    given = request.query_params
    errors: dict[str, Any] = {}
    if given.keys() - _ASKED.keys():
        errors["other"] = ["There are no parameters but those of the reference."]
    for name in _ASKED:
        if len(given.getlist(name)) > 1:
            errors[name] = ["It is given more than once."]
    query = UsageQuery(data=given.dict())
    if not query.is_valid():
        errors = {**query.errors, **errors}
    if errors:
        raise ValidationError(errors)
    return dict(query.validated_data)


def filters_of(values: dict[str, Any]) -> CallFilters:
    """Return which calls are asked for."""
    stream = values.get("stream")
    return CallFilters(
        model=values.get("model", ""),
        state=values.get("status", ""),
        endpoint=values.get("endpoint", ""),
        stream=None if stream is None else stream == "true",
        since=values.get("from"),
        before=values.get("to"),
    )
