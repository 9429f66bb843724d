"""What a payment provider is to us: create a payment there, and say how it stands. No writes here.

One module per provider implements `Provider`; `billing.orders` alone calls it, never inside a
transaction. A provider's word is compared with the payment before anything is granted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable
from uuid import UUID

from billing.models import Payment, PaymentInstance


class Standing(StrEnum):
    """How a payment stands at its provider. What the provider does not know yet is open."""

    OPEN = "open"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True)
class ProviderState:
    """A provider's answer about one payment.

    `reference` is its own name of the payment, "" if it has none yet; `payment` is the public id
    of ours that it was told at the start, None where the protocol does not carry it.
    """

    status: Standing
    amount_minor: int
    currency: str
    reference: str = ""
    payment: UUID | None = None


class Provider(Protocol):
    """One way to pay. Methods that ask raise PaymentAway when there is no usable answer."""

    name: str

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Tell whether buyers can choose it: it is switched on and has its secrets."""

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> str:
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
    that it names, None if it is about no payment of ours; `answer` is what the provider wants to
    read when all is booked. `says_paid` is False for an event that promises no money.
    """

    event_id: str
    kind: str
    payment: UUID | None
    answer: str = ""
    says_paid: bool = True


@runtime_checkable
class Hearing(Provider, Protocol):
    """A provider that calls back."""

    def hear(self, instance: PaymentInstance, callback: Callback) -> Heard:
        """Verify a callback with the account's secrets. Raises CallbackRefused."""
