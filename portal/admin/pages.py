"""Every page of the admin. Importing it registers them; `portal.apps` does, once models exist."""

from portal.admin import channels, keys, prices, reconcile, tenants, usage, users, wallets

__all__ = ["channels", "keys", "prices", "reconcile", "tenants", "usage", "users", "wallets"]
