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
from billing.models.price import PriceBook, PriceTier, PriceVersion
from billing.models.tenant import Domain, Member, Tenant
from billing.models.usage import Seal, UsageOpening, UsageRecord
from billing.models.user import User
from billing.models.wallet import Wallet

__all__ = [
    "ApiKey",
    "BudgetWindow",
    "ChangeCounter",
    "Domain",
    "Hold",
    "Member",
    "Notice",
    "PriceBook",
    "PriceTier",
    "PriceVersion",
    "ReaperPass",
    "ReconcileFinding",
    "ReconcileRun",
    "Seal",
    "Tenant",
    "Transfer",
    "UsageOpening",
    "UsageRecord",
    "User",
    "Wallet",
]
