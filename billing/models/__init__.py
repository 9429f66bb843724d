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
    ManualReceipt,
    Payment,
    PaymentEvent,
    PaymentInstance,
    ProviderReference,
)
from billing.models.price import PriceBook, PriceTier, PriceVersion
from billing.models.refund import Dispute, Receipt, ReceiptCounter, Refund
from billing.models.shop import Delivery, Order, OrderLine, PriceStep, Product
from billing.models.tenant import Domain, Member, Tenant
from billing.models.usage import Seal, UsageOpening, UsageRecord
from billing.models.user import User
from billing.models.voucher import CodeBatch, Coupon, CouponProduct, CouponUse, RedemptionCode
from billing.models.wallet import Wallet

__all__ = [
    "Announcement",
    "ApiKey",
    "BudgetWindow",
    "ChangeCounter",
    "CodeBatch",
    "Coupon",
    "CouponProduct",
    "CouponUse",
    "Delivery",
    "DemoCharge",
    "Dispute",
    "Domain",
    "Hold",
    "LegalText",
    "Mail",
    "ManualReceipt",
    "Member",
    "Notice",
    "Order",
    "OrderLine",
    "Payment",
    "PaymentEvent",
    "PaymentInstance",
    "PriceBook",
    "PriceStep",
    "PriceTier",
    "PriceVersion",
    "Product",
    "ProviderReference",
    "ReaperPass",
    "Receipt",
    "ReceiptCounter",
    "ReconcileFinding",
    "ReconcileRun",
    "RedemptionCode",
    "Refund",
    "Seal",
    "Tenant",
    "Transfer",
    "UsageOpening",
    "UsageRecord",
    "User",
    "Wallet",
]
