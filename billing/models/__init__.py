"""The tables of the domain core, one module per subject. Constraints live here and in `guards`."""

from billing.models.finding import (
    ChangeCounter,
    Notice,
    ReaperPass,
    ReconcileFinding,
    ReconcileRun,
)
from billing.models.key import ApiKey, BudgetWindow
from billing.models.ledger import Hold, Transfer
from billing.models.outbox import Announcement, LegalText, Mail
from billing.models.payment import (
    DemoCharge,
    Payment,
    PaymentEvent,
    PaymentInstance,
    ProviderReference,
    Refund,
)
from billing.models.price import PriceBook, PriceTier, PriceVersion
from billing.models.shop import Delivery, Order, OrderLine, Product
from billing.models.tenant import Domain, Member, Tenant
from billing.models.usage import Seal, UsageOpening, UsageRecord
from billing.models.user import User
from billing.models.wallet import Wallet

__all__ = [
    "Announcement",
    "ApiKey",
    "BudgetWindow",
    "ChangeCounter",
    "Delivery",
    "DemoCharge",
    "Domain",
    "Hold",
    "LegalText",
    "Mail",
    "Member",
    "Notice",
    "Order",
    "OrderLine",
    "Payment",
    "PaymentEvent",
    "PaymentInstance",
    "PriceBook",
    "PriceTier",
    "PriceVersion",
    "Product",
    "ProviderReference",
    "ReaperPass",
    "ReconcileFinding",
    "ReconcileRun",
    "Refund",
    "Seal",
    "Tenant",
    "Transfer",
    "UsageOpening",
    "UsageRecord",
    "User",
    "Wallet",
]
