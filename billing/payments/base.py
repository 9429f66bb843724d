"""What a payment provider is to us: create a payment there, and say how it stands. No writes here.

One module per provider implements `Provider`, and of the others what it can do: `Hearing`,
`Refunding`, `Closing`, `Testing`. `billing.orders` alone calls it, never inside a transaction. A
provider's word is compared with the payment before anything is granted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable
from uuid import UUID

from billing.models import Payment, PaymentInstance, Refund


class Standing(StrEnum):
    """How a payment stands at its provider. What the provider does not know yet is open."""

    OPEN = "open"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Outcome(StrEnum):
    """How a refund or a dispute has ended at its provider, if it has."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True)
class DisputeState:
    """A case that a buyer's bank has made of a payment: open, won or lost by the shop.

    `reference` is the provider's name of the case, `reason` its word for why (at most 64 letters).
    """

    reference: str
    outcome: Outcome
    amount_minor: int
    reason: str = ""


@dataclass(frozen=True)
class ProviderState:
    """A provider's answer about one payment.

    `amount_minor` is what was paid, `refunded_minor` what of it has gone back by now. `reference`
    is the provider's own name of the payment, "" if it has none yet, and `also_known_as` are other
    names by which its events may call it; `payment` is the public id of ours that it was told at
    the start, None where the protocol does not carry it.
    """

    status: Standing
    amount_minor: int
    currency: str
    reference: str = ""
    payment: UUID | None = None
    refunded_minor: int = 0
    disputes: tuple[DisputeState, ...] = ()
    also_known_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opening:
    """Where a buyer pays: an address to be sent to and, if there is one, a code for a phone.

    `waits_for` is how long money may take on its way, where that is longer than orders wait: then
    the order waits as long, and its buyer is mailed how to pay.
    """

    address: str
    qr_text: str = ""
    waits_for: timedelta | None = None


@dataclass(frozen=True)
class RefundState:
    """What a provider says of a refund: open, done or failed; `reference` is its name of it."""

    outcome: Outcome
    reference: str = ""
    failure: str = ""


class Provider(Protocol):
    """One way to pay. Methods that ask raise PaymentAway when there is no usable answer."""

    name: str

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Tell whether buyers can choose it: it is switched on and has its secrets."""

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> Opening:
        """Open the payment there, once however often it is called; return where to pay."""

    def fetch(self, payment: Payment) -> ProviderState:
        """Ask how the payment stands."""


@dataclass(frozen=True)
class Callback:
    """What came to the address of an account, as it came; header names are in lower case."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Heard:
    """What a genuine callback says: that it is worth asking about a payment. Never more.

    `event_id` is the provider's own name of the event, or one made of what makes it that event (at
    most 128 characters), so that the same event is noted once; `payment` is the public id of ours
    that it names, None if it names none; then `reference` may be the provider's name of one.
    `answer` is what the provider wants to read when all is booked. `says_paid` is False for an
    event that promises no money.
    """

    event_id: str
    kind: str
    payment: UUID | None
    answer: str = ""
    says_paid: bool = True
    reference: str = ""


@runtime_checkable
class Hearing(Provider, Protocol):
    """A provider that calls back."""

    def hear(self, instance: PaymentInstance, callback: Callback) -> Heard:
        """Verify a callback with the account's secrets. Raises CallbackRefused."""


@runtime_checkable
class Refunding(Provider, Protocol):
    """A provider that gives money back when it is asked to.

    `repeats_refunds` says whether asking twice for one refund gives back once: then a question
    without an answer is asked again, else a person has to look.
    """

    repeats_refunds: bool

    def refund(self, refund: Refund) -> RefundState:
        """Give money back. Raises PaymentAway where nobody knows whether it did."""

    def fetch_refund(self, refund: Refund) -> RefundState:
        """Ask how a refund stands that was open. Raises PaymentAway."""


@runtime_checkable
class Closing(Provider, Protocol):
    """A provider that can end a payment which nobody has made yet."""

    def close(self, payment: Payment) -> None:
        """See to it that nobody can pay it any more. Raises PaymentAway."""


@runtime_checkable
class Testing(Provider, Protocol):
    """A provider that can be asked whether an account's secrets are right."""

    def test(self, instance: PaymentInstance) -> None:
        """Ask it something that changes nothing. Raises PaymentAway in words for staff."""
