"""Every page of the admin. Importing it registers them; `portal.apps` does, once models exist."""

from portal.admin import (
    channels,
    coupons,
    deliveries,
    keys,
    mails,
    orders,
    payments,
    prices,
    products,
    reconcile,
    tenants,
    texts,
    usage,
    users,
    wallets,
    ways,
)

__all__ = [
    "channels",
    "coupons",
    "deliveries",
    "keys",
    "mails",
    "orders",
    "payments",
    "prices",
    "products",
    "reconcile",
    "tenants",
    "texts",
    "usage",
    "users",
    "wallets",
    "ways",
]
