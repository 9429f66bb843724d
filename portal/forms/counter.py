"""The form of the token counter. Called by `portal.views.counter`."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from portal.token_counter import ENCODINGS, MAX_CHARS, clean


class PastedText(forms.CharField):
    """A text of any characters, kept as it is but for what no model would be sent."""

    widget = forms.Textarea(attrs={"rows": 8, "spellcheck": "false"})

    def to_python(self, value: Any) -> Any:
        """Return the text with line ends of one kind and without broken characters."""
        text = super().to_python(value)
        return clean(text) if isinstance(text, str) else text

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what stands in the box when the form is shown again."""
        return clean(data) if isinstance(data, str) else data

    def validate(self, value: Any) -> None:
        """Refuse what is too long; the limit is told with what there is."""
        super().validate(value)
        if len(value) > MAX_CHARS:
            raise ValidationError(
                _("That is %(length)s characters; %(limit)s at most."),
                params={"length": f"{len(value):,}", "limit": f"{MAX_CHARS:,}"},
            )


class CounterForm(forms.Form):
    """What to count, and by which encoding to show it."""

    text = PastedText(
        label=_("Text"), strip=False, error_messages={"required": _("Paste a text to count.")}
    )
    encoding = forms.ChoiceField(
        label=_("Show the tokens of"),
        choices=[(encoding, encoding) for encoding in ENCODINGS],
        required=False,
    )
