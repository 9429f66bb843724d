"""A shop's account at Stripe, as its secrets tell it. Called by `stripe`."""

import re
from dataclasses import dataclass, field

from billing.errors import PaymentAway, SealBroken
from billing.models import Payment, PaymentInstance
from billing.payments import credentials

_METHODS = "card,alipay,wechat_pay"
_API_KEY = re.compile(r"(?:sk|rk)_(live|test)_[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Account:
    """What signs and asks; its key says whether money is real."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    methods: tuple[str, ...]
    is_live: bool


def account_of(instance: PaymentInstance) -> Account | None:
    """Return what the secrets of an instance say, None if they are not all there."""
    try:
        secrets = credentials.read(instance)
    except SealBroken:
        return None
    api_key = secrets.get("api_key", "").strip()
    webhook_secret = secrets.get("webhook_secret", "").strip()
    kind = _API_KEY.fullmatch(api_key)
    if kind is None or not webhook_secret:
        return None
    methods = secrets.get("methods", "").strip() or _METHODS
    return Account(
        api_key=api_key,
        webhook_secret=webhook_secret,
        methods=tuple(word.strip() for word in methods.split(",") if word.strip()),
        is_live=kind[1] == "live",
    )


def needed_account(payment: Payment) -> Account:
    """Return the account that a payment was begun with. Raises PaymentAway if it is unusable."""
    account = account_of(payment.instance) if payment.instance else None
    if account is None:
        raise PaymentAway("The account at Stripe has no usable secrets.")
    return account
