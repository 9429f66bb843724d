"""Fields of the pages' forms: base tokens as people write them, and lists of words."""

import re
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing import units
from billing.errors import AmountInexact

_between = re.compile(r"[\s,，、;；]+").split


class BaseTokensField(forms.CharField):
    """Takes whole base tokens, grouped or not; gives ubt, None for nothing."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})
        super().__init__(**{"required": False, "max_length": 40, "widget": widget, **options})

    def clean(self, value: Any) -> Any:
        """Return the amount in ubt."""
        text = re.sub(r"[,，\s]", "", super().clean(value))
        if not text:
            return None
        if not (text.isascii() and text.isdigit()):
            raise forms.ValidationError(_("A whole number of base tokens, such as 500,000."))
        try:
            return units.to_ubt(text) or None
        except AmountInexact:
            raise forms.ValidationError(_("That is more than a balance can be.")) from None


class WordsField(forms.CharField):
    """Takes words with commas or spaces between them; gives a list with each of them once."""

    MOST, LONGEST = 100, 64

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(
            attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}
        )
        super().__init__(**{"required": False, "max_length": 4_000, "widget": widget, **options})

    def clean(self, value: Any) -> Any:
        """Return the words."""
        words = list(dict.fromkeys(filter(None, _between(super().clean(value)))))
        if len(words) > self.MOST or any(len(word) > self.LONGEST for word in words):
            raise forms.ValidationError(_("Too many entries, or one that is too long."))
        return words
