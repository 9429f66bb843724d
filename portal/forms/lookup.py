"""The form that finds an order again. Called by `portal.views.orders`."""

from django import forms
from django.utils.translation import gettext_lazy as _


class LookupForm(forms.Form):
    """Number and e-mail of an order, as they were written down."""

    number = forms.CharField(
        max_length=40,
        label=_("Order number"),
        error_messages={"required": _("It stands in the mail and on the order page.")},
    )
    email = forms.EmailField(
        max_length=254,
        label=_("E-mail that you ordered with"),
        error_messages={
            "required": _("The link is sent there, if it is the one you ordered with."),
            "invalid": _("That is no complete address; it looks like name@example.com."),
        },
    )
