"""What an offer is in words: what it buys, for which models, how long. Called by shop pages.

Works for a product and for the line of an order, which keeps the terms of its product.
"""

from collections.abc import Iterator, Mapping

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.models import Payment, PaymentInstance
from billing.models.shop import Terms
from billing.pricing import BUCKETS, Price
from billing.units import UBT_PER_BASE_TOKEN
from portal import amounts

_OUTPUT = BUCKETS.index("output")
_BEST_KNOWN = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "deepseek-chat", "gpt-3.5-turbo")
_MODELS_NAMED = 4


def promise(terms: Terms, prices: Mapping[str, Price]) -> str:
    """Return one sentence: what the base tokens buy, for which models, how long, how fast."""
    phrases = list(_phrases(terms, prices))
    sentence = ("，" if amounts.is_chinese() else ", ").join(phrases)
    return sentence[:1].upper() + sentence[1:] + ("。" if amounts.is_chinese() else ".")


def title(terms: Terms) -> str:
    """Return what is bought: "5M base tokens"."""
    return _("%(amount)s base tokens") % {"amount": amounts.amount_text(terms.grant_ubt)}


def how_long(terms: Terms) -> str:
    """Return how long the base tokens are valid."""
    if terms.valid_days is None:
        return _("never expires")
    return ngettext("valid for %(days)d day", "valid for %(days)d days", terms.valid_days) % {
        "days": terms.valid_days
    }


def method_of(instance: PaymentInstance) -> str:
    """Return what buyers call a way to pay."""
    name: str = instance.name or provider_name(instance.provider)
    return name


def paid_by(payment: Payment) -> str:
    """Return how a payment was made."""
    return method_of(payment.instance) if payment.instance else provider_name(payment.provider)


def provider_name(provider: str) -> str:
    """Return the name of a provider, where its shop has given none."""
    names = {
        "demo": _("Demo Pay"),
        "epay": _("epay"),
        "free": _("Free of charge"),
        "manual": _("Bank transfer"),
        "voucher": _("Redemption code"),
    }
    return names.get(provider, provider.title())


def _phrases(terms: Terms, prices: Mapping[str, Price]) -> Iterator[str]:
    known = _measure(terms, prices)
    if known:
        bought = terms.grant_ubt // prices[known].ubt[_OUTPUT]
        words = {"count": amounts.amount_text(_about(bought)), "model": known}
        yield _("about %(count)s %(model)s output tokens") % words
    if terms.allowed_models:
        yield _("for %(models)s only") % {"models": _names(terms.allowed_models)}
    elif prices:
        yield _("for all %(number)d models") % {"number": len(prices)}
    yield how_long(terms)
    if terms.rpm:
        yield ngettext(
            "%(number)d request a minute at most", "%(number)d requests a minute at most", terms.rpm
        ) % {"number": terms.rpm}


def _about(count: int) -> int:
    """Round to two digits, and give the count in the unit that amounts are told in."""
    step = 10 ** max(0, len(str(count)) - 2)
    rounded: int = (count + step // 2) // step * step
    return rounded * UBT_PER_BASE_TOKEN


def _measure(terms: Terms, prices: Mapping[str, Price]) -> str:
    """Return the model that the amount is told in: one that people know and that may be used."""
    allowed: list[str] = terms.allowed_models
    for name in (*_BEST_KNOWN, *allowed):
        usable = not allowed or name in allowed
        if usable and name in prices and prices[name].ubt[_OUTPUT]:
            return name
    return ""


def _names(models: list[str]) -> str:
    shown = ("、" if amounts.is_chinese() else ", ").join(models[:_MODELS_NAMED])
    more = len(models) - _MODELS_NAMED
    return (
        shown if more <= 0 else _("%(models)s and %(more)d more") % {"models": shown, "more": more}
    )
