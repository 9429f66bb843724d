"""Form fields and cells of the admin: amounts in base tokens, lists as lines."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing import units
from billing.errors import AmountInexact


def base_tokens(amount_ubt: int | None) -> str:
    """Return an amount for a cell: base tokens with thousands separators, exact to the ubt."""
    if amount_ubt is None:
        return "-"
    whole, point, fraction = units.exact_base_tokens(amount_ubt).partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole != "-0" else f"-0{point}{fraction}"


class BaseTokensField(forms.CharField):
    """Takes base tokens as decimal text, thousands separators allowed; gives ubt."""

    widget = UnfoldAdminTextInputWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=40, **options)

    def prepare_value(self, value: Any) -> Any:
        """Show a stored amount as base tokens, and what was typed as it was typed."""
        return units.exact_base_tokens(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        """Return ubt, or None for an empty field that may be empty."""
        text = super().clean(value).replace(",", "").replace(" ", "")
        if not text:
            return None
        try:
            return units.to_ubt(text)
        except AmountInexact as problem:
            raise forms.ValidationError(
                _("Give base tokens with at most six decimals, for example 10000 or 0.5.")
            ) from problem


class WordsField(forms.CharField):
    """Takes one word a line and gives a list of them; every word is checked by its length."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, *, max_word: int = 64, max_words: int = 200, **options: Any) -> None:
        self.max_word = max_word
        self.max_words = max_words
        super().__init__(**{"required": False, "max_length": 16_000, **options})
        self.widget.attrs["rows"] = 4

    def prepare_value(self, value: Any) -> Any:
        """Show a list as lines."""
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        """Return the words, each once."""
        words = list(dict.fromkeys(super().clean(value).replace(",", " ").split()))
        if len(words) > self.max_words or any(len(word) > self.max_word for word in words):
            raise forms.ValidationError(_("Too many entries, or one that is too long."))
        return words

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare as lines, so that an untouched list is not written."""
        return super().has_changed(self.prepare_value(initial or []), data)
