"""Form fields and cells of the admin: base tokens, money, lists as lines, links to rows."""

import re
from typing import Any

from django import forms
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing import units
from billing.errors import AmountInexact
from portal import amounts

_is_setting = re.compile(r"[a-z][a-z0-9_]{0,39}").fullmatch


def base_tokens(amount_ubt: int | None) -> str:
    """Return an amount for a cell: base tokens with thousands separators, exact to the ubt."""
    if amount_ubt is None:
        return "-"
    whole, point, fraction = units.exact_base_tokens(amount_ubt).partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole != "-0" else f"-0{point}{fraction}"


def page_link(model: type[Model], pk: Any, text: Any) -> SafeString:
    """Return a link that leads to the page of a row."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[pk]), text)


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


class MoneyField(forms.CharField):
    """Takes money as decimal text in a currency; gives its minor units. Never a float."""

    widget = UnfoldAdminTextInputWidget
    currency = "CNY"

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=20, **options)

    def prepare_value(self, value: Any) -> Any:
        """Show minor units as money without its symbol, and what was typed as it was typed."""
        return amounts.plain_money(value, self.currency) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        """Return minor units, or None for an empty field that may be empty."""
        text = super().clean(value).replace(",", "").strip()
        if not text:
            return None
        decimals = amounts.decimals(self.currency)
        if not re.fullmatch(rf"[0-9]{{1,12}}(\.[0-9]{{0,{decimals}}})?", text):
            raise forms.ValidationError(_("Give an amount of money, for example 58 or 58.50."))
        whole, _point, fraction = text.partition(".")
        return int(whole + fraction.ljust(decimals, "0"))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare as money, so that 58 and 58.00 are the same."""
        try:
            return bool(initial != self.clean(data))
        except forms.ValidationError:
            return True


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


def parse_settings(text: str) -> dict[str, str]:
    """Return lines like name=value as a dictionary. Raises ValidationError, which repeats none."""
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = line.partition("=")
        if not equals or not _is_setting(name.strip()) or not value.strip():
            raise forms.ValidationError(_("Give one a line, as name=value."))
        found[name.strip()] = value.strip()
    return found
