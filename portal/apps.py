"""Application configs: ours, and Django's admin with our own site. Loaded by `INSTALLED_APPS`."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class PortalConfig(AppConfig):
    """Pages and admin; no tables of its own."""

    name = "portal"
    default = True

    def ready(self) -> None:
        """Name what the admin shows, and register its pages and checks; all need the models."""
        from portal.admin import words

        words.name_everything()
        from portal.admin import checks, pages  # noqa: F401  they register themselves


class AdminConfig(admin_apps.SimpleAdminConfig):
    """Makes `admin.site` our own site. Nothing is discovered: other apps' pages aren't scoped."""

    default = False
    default_site = "portal.admin.site.TollgateAdminSite"
