"""What a payment provider is to us: create a payment there, and say how it stands. No writes here.

One module per provider implements `Provider`; `billing.orders` alone calls it, never inside a
transaction. A provider's word is compared with the payment before anything is granted.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
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
