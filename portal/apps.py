"""Application configs: ours, and Django's admin with our own site. Loaded by `INSTALLED_APPS`."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class PortalConfig(AppConfig):
    """Pages and admin; no tables of its own."""

    name = "portal"
    default = True

    def ready(self) -> None:
        """Register the system checks."""
        from portal.admin import checks  # noqa: F401  registers itself; needs the models


class AdminConfig(admin_apps.AdminConfig):
    """Makes `admin.site` our own site, so that registration looks like everywhere else."""

    default = False
    default_site = "portal.admin.site.TollgateAdminSite"
