"""The forms of the usage page: the key, filters, a top-up, a replacement, settings.

Called by `portal.views.usage*`. The key that is typed is never shown again, not even in an error.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import RegexValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from billing import keys
from billing.errors import OrderInvalid
from billing.models import PaymentInstance, Product, Wallet
from billing.reports import CallFilters
from portal import amounts
from portal.forms.fields import BaseTokensField
from portal.forms.refusals import refusal
from portal.usage import words

BODY_LENGTH = 48
OVERLAPS = {"0": _("At once"), "3600": _("In 1 hour"), "86400": _("In 24 hours")}

_EARLIEST = date(2020, 1, 1)  # no usage is older


class EntryForm(forms.Form):
    """The key whose usage is asked for."""

    key = forms.CharField(
        label=_("API key"),
        max_length=200,
        widget=forms.PasswordInput(
            attrs={
                "class": "mono",
                "autocomplete": "off",
                "spellcheck": "false",
                "placeholder": "ak-tg1…",
            }
        ),
        error_messages={
            "required": _("Paste the key first."),
            "max_length": _("That is far too long for a key. Copy only the key."),
        },
    )

    def clean_key(self) -> str:
        """Tell a key that was not copied whole from one that is wrong."""
        text: str = self.cleaned_data["key"].strip()
        if keys.parse(text) is None:
            raise forms.ValidationError(_form_of(text))
        return text


class FilterForm(forms.Form):
    """Which calls are looked for, and where a page of them begins. Sent by GET."""

    model = forms.CharField(required=False, max_length=64)
    state = forms.ChoiceField(required=False, choices=[("", ""), *words.CALLS.items()])
    endpoint = forms.CharField(
        required=False, max_length=32, validators=[RegexValidator(r"\A[a-z_]+\Z")]
    )
    stream = forms.ChoiceField(required=False, choices=[("", ""), ("1", ""), ("0", "")])
    since = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    after = forms.UUIDField(required=False)
    before = forms.UUIDField(required=False)

    NARROWING = ("model", "state", "endpoint", "stream", "since")

    def clean_since(self) -> date | None:
        """Refuse days on which there was no usage yet, or which have not come."""
        since: date | None = self.cleaned_data["since"]
        if since and not _EARLIEST <= since <= timezone.now().date() + timedelta(days=1):
            raise forms.ValidationError(_("There were no calls then."))
        return since

    def filters(self, *, zone: ZoneInfo, since: datetime) -> CallFilters:
        """Return what is asked for: from the day that was given, else from `since` on."""
        asked = self.cleaned_data
        stream = asked.get("stream", "")
        day = asked.get("since")
        return CallFilters(
            model=asked.get("model", ""),
            state=asked.get("state", ""),
            endpoint=asked.get("endpoint", ""),
            stream=stream == "1" if stream else None,
            since=datetime.combine(day, time(), tzinfo=zone).astimezone(UTC) if day else since,
        )

    def query(self) -> dict[str, str]:
        """Return the filters that hold, as they stand in an address."""
        return {name: self.data[name] for name in self.NARROWING if self.cleaned_data.get(name)}


class TopUpForm(forms.Form):
    """Which pack is bought for the key, and how it is paid. It carries no price."""

    checkout_id = forms.UUIDField(widget=forms.HiddenInput)
    agreement_version = forms.CharField(max_length=40, widget=forms.HiddenInput)
    product = forms.ChoiceField(
        error_messages=dict.fromkeys(("required", "invalid_choice"), _("Choose one of the packs."))
    )
    payment = forms.ChoiceField(
        error_messages=dict.fromkeys(("required", "invalid_choice"), _("Choose one of these."))
    )
    email = forms.EmailField(
        max_length=254,
        label=_("E-mail for the confirmation"),
        error_messages=dict.fromkeys(
            ("required", "invalid", "max_length"),
            _("That is no complete address; it looks like name@example.com."),
        ),
    )

    def __init__(
        self,
        data: Any = None,
        *,
        products: Iterable[Product],
        instances: Sequence[PaymentInstance],
        wallet: Wallet,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial, auto_id="top-%s")
        self.instances, self.agreement = instances, (initial or {}).get("agreement_version")
        product, payment = self.fields["product"], self.fields["payment"]
        product.choices = [(str(one.pk), str(one)) for one in products]  # type: ignore[attr-defined]
        payment.choices = [(str(one.public_id), "") for one in instances]  # type: ignore[attr-defined]
        if wallet.notify_email:
            del self.fields["email"]

    @property
    def is_stale(self) -> bool:
        """Whether what people don't type is wrong, so that only a new form helps."""
        return bool(self.errors.keys() & {"checkout_id", "agreement_version", "payment"})

    def clean_agreement_version(self) -> str:
        """Refuse a consent to another text than the one that counts now."""
        version: str = self.cleaned_data["agreement_version"]
        if version != self.agreement:
            raise forms.ValidationError(_("The agreement has changed meanwhile."))
        return version

    @property
    def chosen_instance(self) -> PaymentInstance:
        """How it is to be paid."""
        chosen: str = self.cleaned_data["payment"]
        return next(one for one in self.instances if str(one.public_id) == chosen)

    def refuse(self, error: OrderInvalid) -> None:
        """Say why the order can't be placed."""
        field = error.field if error.field in self.fields else None
        self.add_error(field, refusal(error))


class ReplaceForm(forms.Form):
    """When the old key ends. `kid` names the key that is meant, so that a repeat does nothing."""

    kid = forms.CharField(max_length=8)
    overlap_s = forms.TypedChoiceField(choices=list(OVERLAPS.items()), coerce=int)


class NameForm(forms.Form):
    """The key's name."""

    name = forms.CharField(
        required=False,
        max_length=32,
        label=_("Name"),
        help_text=_("Only you see it. 32 characters at most."),
        error_messages={"max_length": _("32 characters at most.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class AlertForm(forms.Form):
    """Below which balance a mail is sent, and to whom: the address that is known, or another one.

    A known address is shown masked, because a key may be in more hands than its owner's mailbox.
    """

    below = BaseTokensField(
        label=_("Mail me when the balance falls below"),
        help_text=_("In base tokens, such as 500,000. Left empty, no mail is sent."),
    )
    email = forms.EmailField(
        required=False,
        max_length=254,
        label=_("Another address"),
        error_messages={
            "invalid": _("That is no complete address; it looks like name@example.com.")
        },
    )

    def __init__(self, data: Any = None, *, wallet: Wallet) -> None:
        below_ubt = wallet.alert_below_ubt
        below = amounts.base_tokens(below_ubt) if below_ubt else ""
        super().__init__(data, initial={"below": below}, auto_id="alert-%s")
        self.known = wallet.notify_email
        if self.known:
            masked = amounts.mask_email(self.known)
            sentence = _("Now they go to %(address)s. Left empty, it stays.") % {"address": masked}
            self.fields["email"].help_text = sentence
        else:
            self.fields["email"].label = _("E-mail")

    def clean(self) -> dict[str, Any]:
        """Ask for an address where there is to be a mail."""
        cleaned: dict[str, Any] = super().clean() or {}
        cleaned["email"] = cleaned.get("email") or self.known
        if cleaned.get("below") and not cleaned["email"] and "email" not in self.errors:
            self.add_error("email", _("Where should the mail go?"))
        return cleaned


def _form_of(text: str) -> str:
    """Say what is wrong with the form of a key, which tells nothing about any key."""
    head, hyphen, body = text.partition("-")
    whole = len(head) + len(hyphen) + BODY_LENGTH if hyphen else BODY_LENGTH
    missing = BODY_LENGTH - len(body if hyphen else head)
    if 0 < missing < BODY_LENGTH:
        return ngettext(
            "%(missing)d character is missing: a key has %(whole)d. Was it copied whole?",
            "%(missing)d characters are missing: a key has %(whole)d. Was it copied whole?",
            missing,
        ) % {"missing": missing, "whole": whole}
    if missing < 0:
        return ngettext(
            "%(extra)d character too many: a key has %(whole)d. Copy only the key.",
            "%(extra)d characters too many: a key has %(whole)d. Copy only the key.",
            -missing,
        ) % {"extra": -missing, "whole": whole}
    return str(_("That is not a key, or a letter of it has changed. Copy it whole and paste it."))
