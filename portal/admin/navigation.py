"""The admin's side bar, in the order in which a shop is run. Named in `portal.appearance`."""

from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from billing.models import (
    Announcement,
    ApiKey,
    CodeBatch,
    Coupon,
    Delivery,
    Dispute,
    Domain,
    Hold,
    LegalText,
    Mail,
    Member,
    Order,
    Payment,
    PaymentInstance,
    PriceBook,
    PriceVersion,
    Product,
    Receipt,
    ReconcileFinding,
    ReconcileRun,
    RedemptionCode,
    Refund,
    Tenant,
    Transfer,
    UsageRecord,
    User,
    Wallet,
)
from portal.admin.roles import is_operator
from portal.request import PortalRequest
from relay.models import Channel, GenericRoute, UpstreamObject

_GROUPS = (
    (
        _("Selling"),
        (
            (_("Orders"), "shopping_bag", Order),
            (_("Payments"), "payments", Payment),
            (_("Deliveries"), "local_shipping", Delivery),
            (_("Refunds"), "undo", Refund),
            (_("Disputes"), "gavel", Dispute),
            (_("Receipts"), "receipt", Receipt),
            (_("Mails"), "mail", Mail),
        ),
    ),
    (
        _("Keys and balances"),
        (
            (_("Keys"), "key", ApiKey),
            (_("Wallets"), "account_balance_wallet", Wallet),
            (_("Transfers"), "swap_vert", Transfer),
        ),
    ),
    (
        _("Relay"),
        (
            (_("Calls"), "receipt_long", UsageRecord),
            (_("Running now"), "hourglass_top", Hold),
            (_("Channels"), "hub", Channel),
            (_("Generic routes"), "alt_route", GenericRoute),
            (_("Jobs"), "movie", UpstreamObject),
        ),
    ),
    (
        _("On offer"),
        (
            (_("Products"), "sell", Product),
            (_("Coupons"), "confirmation_number", Coupon),
            (_("Batches of codes"), "redeem", CodeBatch),
            (_("Redemption codes"), "qr_code_2", RedemptionCode),
            (_("Prices of models"), "price_change", PriceVersion),
            (_("Price books"), "menu_book", PriceBook),
        ),
    ),
    (
        _("Shop"),
        (
            (_("Announcements"), "campaign", Announcement),
            (_("Agreement and privacy"), "article", LegalText),
            (_("Ways to pay"), "credit_card", PaymentInstance),
            (_("Shops"), "storefront", Tenant),
            (_("Domains"), "language", Domain),
            (_("Members"), "group", Member),
            (_("Users"), "person", User),
        ),
    ),
    (
        _("Books"),
        (
            (_("Findings"), "rule", ReconcileFinding),
            (_("Reconcile runs"), "fact_check", ReconcileRun),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups with those pages that the user may open."""
    return [
        {"title": title, "separator": True, "items": items}
        for title, pages in _GROUPS
        if (items := [_item(*page) for page in pages if _may_open(page[2], request)])
    ]


def subheader(request: HttpRequest) -> str:
    """Say whose rows are shown."""
    if is_operator(request):
        return str(_("All shops"))
    tenant = getattr(cast("PortalRequest", request), "tenant", None)
    return tenant.name if tenant else ""


def _item(title: Any, icon: str, model: type[Any]) -> dict[str, Any]:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return {"title": title, "icon": icon, "link": reverse_lazy(name)}


def _may_open(model: type[Any], request: HttpRequest) -> bool:
    page = admin.site._registry.get(model)
    return page is not None and page.has_module_permission(request)
