"""Every page of the admin. Importing it registers them; `portal.apps` does, once models exist."""

from portal.admin import keys, prices, reconcile, tenants, usage, users

__all__ = ["keys", "prices", "reconcile", "tenants", "usage", "users"]
