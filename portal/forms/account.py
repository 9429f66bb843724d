"""The forms of the account: the address that signs in, and a key with its limits.

Called by `portal.views.sign_in` and `portal.views.account*`.
"""

import ipaddress
from collections.abc import Collection
from datetime import datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing.keys import KeyLimits
from portal.forms.fields import BaseTokensField, WordsField

NEVER, ON_A_DAY = "never", "day"
ENDS = {NEVER: _("Never"), "30": _("30 days"), "90": _("90 days"), ON_A_DAY: _("On a day")}

_LAST_MINUTE = time(23, 59)
_LONGEST = timedelta(days=3_660)


class SignInForm(forms.Form):
    """Where the link goes. `pack` names the product that was to be bought, if any."""

    pack = forms.SlugField(required=False, max_length=40, widget=forms.HiddenInput)
    email = forms.EmailField(
        max_length=254,
        label=_("E-mail"),
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
        error_messages={
            "required": _("The link is sent to this address."),
            "invalid": _("That is no complete address; it looks like name@example.com."),
        },
    )


class NewKeyForm(forms.Form):
    """What a new key may do. A limit that is left empty does not limit.

    `once` is another one in each form that is shown, so that one that is sent twice is one key.
    """

    once = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        max_length=32,
        label=_("Name"),
        help_text=_("By it you see later who uses the key."),
        error_messages={
            "required": _("Give it a name, such as the program that will use it."),
            "max_length": _("32 characters at most."),
        },
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    ends = forms.ChoiceField(
        choices=list(ENDS.items()),
        initial=NEVER,
        label=_("Ends"),
        error_messages=dict.fromkeys(("required", "invalid_choice"), _("Choose one of these.")),
    )
    ends_on = forms.DateField(
        required=False,
        input_formats=["%Y-%m-%d"],
        label=_("Last day"),
        help_text=_("Counts if you have chosen “On a day”."),
        error_messages={"invalid": _("That is no day; it looks like 2027-01-31.")},
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    cap_ubt = BaseTokensField(
        label=_("In all"), help_text=_("Left empty: all that the wallet has.")
    )
    budget_ubt = BaseTokensField(
        label=_("A month"), help_text=_("Counted anew on the first of each month.")
    )
    models = WordsField(
        label=_("Models"), help_text=_("Separated by commas. Left empty: every model of the shop.")
    )
    addresses = WordsField(
        label=_("IP addresses"),
        help_text=_("Addresses or networks such as 203.0.113.0/24. Left empty: from anywhere."),
    )
    rpm = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        label=_("Requests a minute"),
        help_text=_("Left empty: as many as the shop allows."),
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), _("A whole number, such as 60.")
        ),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )

    def __init__(self, data: Any = None, *, models: Collection[str], zone: ZoneInfo) -> None:
        super().__init__(data, initial={"once": uuid4()}, auto_id="key-%s")
        self._models, self._zone = models, zone

    def clean_models(self) -> list[str]:
        """Refuse a model that the shop has not: a slip would make a key that can do nothing."""
        words: list[str] = self.cleaned_data["models"]
        for word in words:
            if word not in self._models:
                raise forms.ValidationError(
                    _("The shop has no model “%(word)s”."), params={"word": word}
                )
        return words

    def clean_addresses(self) -> list[str]:
        """Return networks in their shortest form; one that can't be read would let nobody in."""
        words: list[str] = self.cleaned_data["addresses"]
        return [_network(word) for word in words]

    def clean(self) -> dict[str, Any]:
        """Bring the two answers about the end together as `expires_at`."""
        cleaned: dict[str, Any] = super().clean() or {}
        if "ends" in cleaned and "ends_on" in cleaned:
            cleaned["expires_at"] = self._end(cleaned)
        return cleaned

    def limits(self) -> KeyLimits:
        """Return the limits that were set."""
        asked = self.cleaned_data
        limits: KeyLimits = {
            "allowed_models": asked["models"],
            "allowed_addresses": asked["addresses"],
        }
        if asked["cap_ubt"]:
            limits["limit_ubt"] = asked["cap_ubt"]
        if asked["budget_ubt"]:
            limits |= {"budget_period": "month", "budget_ubt": asked["budget_ubt"]}
        if asked["rpm"]:
            limits["rpm"] = asked["rpm"]
        return limits

    def _end(self, cleaned: dict[str, Any]) -> datetime | None:
        """Return the last minute of the last day, in the shop's zone."""
        ends, day = cleaned["ends"], cleaned["ends_on"]
        today = timezone.now().astimezone(self._zone).date()
        if ends == NEVER:
            return None
        if ends != ON_A_DAY:
            day = today + timedelta(days=int(ends))
        if day is None:
            self.add_error("ends_on", _("Choose the last day."))
            return None
        if not today <= day <= today + _LONGEST:
            self.add_error("ends_on", _("Choose a day from today on, within ten years."))
            return None
        return datetime.combine(day, _LAST_MINUTE, tzinfo=self._zone)


def _network(word: str) -> str:
    try:
        network = ipaddress.ip_network("" if "%" in word else word, strict=False)
    except ValueError:
        raise forms.ValidationError(
            _("“%(word)s” is neither an address nor a network such as 203.0.113.0/24."),
            params={"word": word},
        ) from None
    return str(network.network_address if network.num_addresses == 1 else network)
