"""What the usage page says: states, errors, buckets, sources, credits. In the active language."""

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.models import UsageRecord
from billing.reports import balances


class State(NamedTuple):
    """A word, and the kind that colours it: ok, warn, bad or off."""

    kind: str
    words: str | Promise


KEYS = {
    balances.ACTIVE: State("ok", _("Usable")),
    balances.USED_UP: State("bad", _("Used up")),
    balances.EXPIRED: State("bad", _("Expired")),
    balances.FROZEN: State("warn", _("Paused")),
    balances.REVOKED: State("off", _("Revoked")),
}

PERIODS = {"24h": _("24 hours"), "7d": _("7 days"), "30d": _("30 days")}
CALLS = {
    "done": _("Done"),
    "interrupted": _("Cut off, charged in part"),
    "failed": _("Failed, not charged"),
}

BUCKETS = {
    "input": _("Input, not cached"),
    "cached_input": _("Input, cached"),
    "cache_write_5m": _("Written to the cache, 5 minutes"),
    "cache_write_1h": _("Written to the cache, 1 hour"),
    "output": _("Output"),
    "reasoning": _("Reasoning"),
    "audio_in": _("Audio input"),
    "audio_out": _("Audio output"),
    "image": _("Images"),
    "second": _("Seconds"),
    "character": _("Characters"),
    "request": _("Request"),
    "search": _("Searches"),
}

SOURCES = {
    "upstream": _("reported upstream"),
    "counted": _("counted here"),
    "checkpoint": _("the last checkpoint"),
    "none": _("nothing to count"),
}

CREDITS = {
    "purchase": _("Purchase"),
    "redeem": _("Code redeemed"),
    "promo": _("Gift"),
    "refund": _("Refund"),
    "chargeback": _("Payment disputed"),
    "chargeback_reversal": _("Dispute settled"),
    "expiry": _("Expired"),
    "adjustment": _("Adjusted by the shop"),
    "debt": _("Advanced by the shop"),
    "debt_recovery": _("Advance paid back"),
    "move_in": _("Moved here"),
    "move_out": _("Moved away"),
}
TOP_UP = _("Top-up")

_CUT = _("Cut off, charged for what arrived")
_ERRORS = {
    "caller_gone": _("Client disconnected"),
    "caller_bad_request": _("Request not valid"),
    "caller_body": _("Request not valid"),
    "policy_quota": _("Balance used up"),
    "policy_held": _("Balance reserved"),
    "policy_rate": _("Rate limited"),
    "policy_wholesale": _("Shop can't serve"),
    "upstream_client_error": _("Refused upstream"),
    "upstream_rate_limited": _("Upstream busy"),
    "upstream_timeout": _("Upstream timed out"),
    "upstream_cut": _("Upstream broke off"),
    "upstream_error_event": _("Upstream error"),
    "upstream_credentials": _("Upstream unavailable"),
    "upstream_unavailable": _("Upstream unavailable"),
    "relay_no_channel": _("No channel free"),
    "relay_lost": _("Lost here"),
}
_OURS = _("Error here")


def state_of_call(row: UsageRecord) -> State:
    """Return how a call ended, as people say it."""
    if not row.error_type:
        return State("ok", CALLS["done"])
    if row.charged_ubt:
        return State("warn", _CUT)
    kind = "off" if row.error_type == "caller_gone" else "bad"
    return State(kind, _ERRORS.get(row.error_type, _OURS))


def endpoint(name: str) -> str:
    """Return an endpoint as clients write it: chat_completions -> chat/completions."""
    return name.replace("_", "/", 1)
