"""Fixtures of the mail tests: a shop that has sold a key, and a mail server that settings name."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from billing.models import Tenant
from billing.scoping import tenant_scope
from tests.cast import Shop
from tests.fakes.smtp import FakeSmtp
from tests.sales import Sale, sell


@pytest.fixture
def sale(north: Shop) -> Iterator[Sale]:
    """A sale of a shop with a Chinese name and an address for answers; its scope is open."""
    shop = Tenant.objects.filter(pk=north.tenant.pk)
    shop.update(name="北辰 API", contact_email="help@n.example")
    with tenant_scope(north.tenant.pk):
        yield sell(shop.get())


@pytest.fixture
def smtp(settings: Settings) -> Iterator[FakeSmtp]:
    """The mail server that the settings name."""
    with FakeSmtp() as fake:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", fake.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_TIMEOUT = 0.5
        settings.DEFAULT_FROM_EMAIL = "shop@platform.example"
        yield fake
