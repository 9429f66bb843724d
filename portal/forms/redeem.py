"""Forms that take a redemption code: on its own page, and on the usage page of a key.

Called by `portal.views.redeem` and `usage_acts`. A code is typed once and never shown again.
"""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.errors import OrderInvalid
from portal.forms.refusals import refusal

NEW_KEY, TOP_UP, OWN_KEY, ACCOUNT = "new", "top_up", "own", "account"


class CodeForm(forms.Form):
    """A code for what is known already; `email` is asked for where no address is known."""

    checkout_id = forms.UUIDField(widget=forms.HiddenInput)
    agreement_version = forms.CharField(max_length=40, widget=forms.HiddenInput)
    code = forms.CharField(
        max_length=60,
        label=_("Redemption code"),
        widget=forms.TextInput(
            attrs={
                "class": "mono",
                "autocomplete": "off",
                "autocapitalize": "characters",
                "spellcheck": "false",
                "placeholder": "7F3K9-…",
            }
        ),
        error_messages={
            "required": _("Type the code, or paste it."),
            "max_length": _("That is far too long for a code."),
        },
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
        self, data: Any = None, *, known_email: str, initial: dict[str, Any], auto_id: str
    ) -> None:
        super().__init__(data, initial=initial, auto_id=auto_id)
        self.known_email, self._agreement = known_email, initial["agreement_version"]
        self._fit()

    def _fit(self) -> None:
        """Take away what this form has no use for."""
        if self.known_email:
            del self.fields["email"]

    @property
    def is_stale(self) -> bool:
        """Whether what people don't type is wrong, so that only a new form helps."""
        return bool(self.errors.keys() & {"checkout_id", "agreement_version"})

    @property
    def recipient(self) -> str:
        """Where the confirmation goes."""
        return self.cleaned_data.get("email") or self.known_email

    def clean_agreement_version(self) -> str:
        """Refuse a consent to another text than the one that counts now."""
        version: str = self.cleaned_data["agreement_version"]
        if version != self._agreement:
            raise forms.ValidationError(_("The agreement has changed meanwhile."))
        return version

    def refuse(self, error: OrderInvalid) -> None:
        """Say beside its field why the code can't be redeemed like that."""
        words = refusal(error)
        if (error.field, error.code) == ("product", "other_kind"):
            words = _("This code can't be added to that. Redeem it for a new key.")
        self.add_error(error.field if error.field in self.fields else None, words)


class RedeemForm(CodeForm):
    """A code, and what it is for: a new key, a key that is pasted, that of the visit, an account.

    `ways` are those that there are for this visitor.
    """

    to = forms.ChoiceField(
        error_messages=dict.fromkeys(("required", "invalid_choice"), _("Choose one of these."))
    )
    key = forms.CharField(
        required=False,
        max_length=100,
        label=_("Key to top up"),
        widget=forms.PasswordInput(
            render_value=False,
            attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"},
        ),
    )
    agreed = forms.BooleanField(
        error_messages={"required": _("Without your consent nothing can be redeemed.")}
    )

    field_order = ("code", "key", "email", "agreed")

    def __init__(self, data: Any = None, *, known_emails: dict[str, str], **options: Any) -> None:
        self.known_emails = known_emails
        super().__init__(data, known_email="", **options)

    def _fit(self) -> None:
        self.fields["to"] = forms.ChoiceField(choices=[(way, way) for way in self.known_emails])
        email = self.fields["email"]
        email.required = False
        email.label = _("E-mail for the key")
        email.widget.attrs |= {"autocomplete": "email", "inputmode": "email"}

    @property
    def recipient(self) -> str:
        """Where the key's link or the confirmation goes."""
        known = self.known_emails[self.cleaned_data["to"]]
        return self.cleaned_data.get("email") or known

    @property
    def first_wrong(self) -> str:
        """The first field that a visitor has to put right, "" when there is none."""
        shown = [field.name for field in self.visible_fields()]
        return next((name for name in shown if name in self.errors), "")

    def clean_agreement_version(self) -> str:
        """Ask for consent again where the text has changed while the page was open."""
        version: str = self.cleaned_data["agreement_version"]
        if version != self._agreement:
            self.add_error(
                "agreed", _("The agreement has changed meanwhile. Read it again before you agree.")
            )
        return version

    def put_cursor(self) -> None:
        """Let the page open with the cursor where something is to be put right."""
        if self.is_bound and self.first_wrong:
            self.fields[self.first_wrong].widget.attrs["autofocus"] = True

    def clean(self) -> dict[str, Any]:
        """Ask for what the chosen way needs."""
        cleaned: dict[str, Any] = super().clean() or {}
        way = cleaned.get("to", "")
        if way == TOP_UP and not cleaned.get("key") and "key" not in self.errors:
            self.add_error("key", _("Paste the key that you want to top up."))
        known = self.known_emails.get(way, "")
        if way and not cleaned.get("email") and not known and "email" not in self.errors:
            self.add_error("email", _("The key is sent to this address, so it can't be left out."))
        return cleaned
