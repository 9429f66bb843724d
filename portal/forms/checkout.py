"""The checkout form: who gets the key, how many, how it is paid. Called by `portal.views.checkout`.

It carries no price: what things cost is the server's business, so that there is nothing to tamper
with. Which fields there are depends on the product.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.errors import OrderInvalid
from billing.models import PaymentInstance, Product
from portal.forms.refusals import refusal
from portal.legal import LegalPage

NEW_KEY, TOP_UP = "new", "top_up"


class CheckoutForm(forms.Form):
    """What is sent to buy one product. `key` is never shown again, not even with an error."""

    checkout_id = forms.UUIDField(widget=forms.HiddenInput)
    agreement_version = forms.CharField(max_length=40, widget=forms.HiddenInput)
    to = forms.ChoiceField(choices=[(NEW_KEY, NEW_KEY), (TOP_UP, TOP_UP)])
    key = forms.CharField(
        required=False,
        max_length=100,
        label=_("Key to top up"),
        widget=forms.PasswordInput(render_value=False),
    )
    email = forms.EmailField(max_length=254, label=_("E-mail for the key"))
    quantity = forms.IntegerField(min_value=1, label=_("Quantity"))
    payment = forms.ChoiceField(label=_("Payment method"))
    coupon = forms.CharField(
        required=False,
        max_length=32,
        label=_("Coupon"),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )
    agreed = forms.BooleanField()

    def __init__(
        self,
        data: Any = None,
        *,
        product: Product,
        instances: Sequence[PaymentInstance],
        agreement: LegalPage,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial, auto_id="%s")
        self.product, self.instances, self.agreement = product, instances, agreement
        self._fit()
        self._word()
        self.fields["email"].widget.attrs |= {"autocomplete": "email", "inputmode": "email"}
        if "key" in self.fields:
            self.fields["key"].widget.attrs |= {
                "autocomplete": "off",
                "class": "mono",
                "spellcheck": "false",
            }

    @property
    def can_choose(self) -> bool:
        """Whether the product may be a new key as well as a top-up."""
        return "to" in self.fields

    @property
    def is_for_key(self) -> bool:
        """Whether the form, as it is shown, tops a key up."""
        return self["to"].value() == TOP_UP if self.can_choose else "key" in self.fields

    @property
    def shown_quantity(self) -> int:
        """The quantity that the form shows; a wrong one is shown as 1."""
        answers = self.cleaned_data if self.is_bound else self.initial
        return 1 if self.is_for_key else answers.get("quantity", 1)

    @property
    def shown_coupon(self) -> str:
        """The coupon that stands in the form, "" for one that was refused."""
        if "coupon" not in self.fields or "coupon" in self.errors:
            return ""
        return str(self["coupon"].value() or "")

    @property
    def first_wrong(self) -> str:
        """The first field that a visitor has to put right, "" when there is none."""
        shown = [field.name for field in self.visible_fields()]
        return next((name for name in shown if name in self.errors), "")

    @property
    def chosen_instance(self) -> PaymentInstance:
        """How the order is to be paid."""
        chosen: str = self.cleaned_data["payment"]
        return next(one for one in self.instances if str(one.public_id) == chosen)

    def put_cursor(self) -> None:
        """Let the page open with the cursor where something is to be put right."""
        if self.is_bound and self.first_wrong:
            self.fields[self.first_wrong].widget.attrs["autofocus"] = True

    def refuse(self, error: OrderInvalid) -> None:
        """Say beside its field why the order can't be placed."""
        field = {"agreement": "agreed"}.get(error.field, error.field)
        self.add_error(field if field in self.fields else None, refusal(error))

    def clean_agreement_version(self) -> str:
        """Refuse a consent to another text than the one that counts now."""
        version: str = self.cleaned_data["agreement_version"]
        if version != self.agreement.version:
            self.add_error(
                "agreed", _("The agreement has changed meanwhile. Read it again before you agree.")
            )
        return version

    def clean_quantity(self) -> int:
        """Refuse more than the product may be sold at once."""
        quantity: int = self.cleaned_data["quantity"]
        if quantity > self.product.max_quantity:
            raise forms.ValidationError(
                _("At most %(number)d at once.") % {"number": self.product.max_quantity}
            )
        return quantity

    def clean(self) -> dict[str, Any]:
        """Bring the answers together: a top-up is one, and needs a key."""
        cleaned: dict[str, Any] = super().clean() or {}
        is_top_up = cleaned.get("to", self._only_way) == TOP_UP
        if is_top_up and not cleaned.get("key") and "key" not in self.errors:
            self.add_error("key", _("Paste the key that you want to top up."))
        if is_top_up or self.product.kind == Product.TRIAL:
            cleaned["quantity"] = 1
        return cleaned | {"is_top_up": is_top_up}

    @property
    def _only_way(self) -> str:
        return TOP_UP if self.product.kind == Product.TOP_UP else NEW_KEY

    def _fit(self) -> None:
        """Take away what this product has no use for."""
        product = self.product
        if product.kind != Product.KEY or not product.also_tops_up or product.allowed_models:
            del self.fields["to"]
        if product.kind != Product.TOP_UP and not self.can_choose:
            del self.fields["key"]
        if product.kind != Product.KEY:
            del self.fields["quantity"]
        if product.kind == Product.TRIAL:
            del self.fields["payment"], self.fields["coupon"]
        else:
            choices = [(str(one.public_id), str(one)) for one in self.instances]
            self.fields["payment"] = forms.ChoiceField(choices=choices)

    def _word(self) -> None:
        """Say what is wrong in words of the shop, with an example of what is right."""
        fields = self.fields
        fields["email"].error_messages = {
            "required": _("The key is sent to this address, so it can't be left out."),
            "invalid": _("That is no complete address; it looks like name@example.com."),
            "max_length": _("That address is too long."),
        }
        if "coupon" in fields:
            fields["coupon"].error_messages["max_length"] = _("That is too long for a coupon.")
        fields["agreed"].error_messages["required"] = _("Without your consent we can't sell.")
        fields["checkout_id"].error_messages = dict.fromkeys(
            ("required", "invalid"), _("This form was not sent as we made it. Try once more.")
        )
        fields["agreement_version"].error_messages = fields["checkout_id"].error_messages
        if "quantity" in fields:
            fields["quantity"].error_messages = dict.fromkeys(
                ("required", "invalid", "min_value"), _("Choose how many, at least 1.")
            )
        for name in ("to", "payment"):
            if name in fields:
                fields[name].error_messages = dict.fromkeys(
                    ("required", "invalid_choice"), _("Choose one of these.")
                )
