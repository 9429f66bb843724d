"""How orders are paid: a registry of providers, one module each. Called by `billing.orders`, pages.

A tenant's own account at a provider is a `PaymentInstance`. A new provider is one module that
implements `base.Provider` and one line in the registry.
"""

from billing.errors import PaymentAway
from billing.models import PaymentInstance, Tenant
from billing.payments.base import Callback, Opening, Provider, ProviderState, Standing
from billing.payments.demo import DemoProvider
from billing.payments.epay import EpayProvider
from billing.payments.free import FreeProvider, VoucherProvider
from billing.payments.manual import ManualProvider
from billing.payments.stripe import StripeProvider

__all__ = [
    "REGISTRY",
    "Callback",
    "Opening",
    "Provider",
    "ProviderState",
    "Standing",
    "offered",
    "provider_of",
]

REGISTRY: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        DemoProvider(),
        FreeProvider(),
        VoucherProvider(),
        EpayProvider(),
        StripeProvider(),
        ManualProvider(),
    )
}


def provider_of(name: str) -> Provider:
    """Return a provider by the name that rows keep. Raises PaymentAway for one that is gone."""
    provider = REGISTRY.get(name)
    if provider is None:
        raise PaymentAway(f"There is no payment provider {name!r}.")
    return provider


def offered(tenant: Tenant) -> list[PaymentInstance]:
    """Return the ways to pay that a shop's buyers can choose, in its order."""
    instances = PaymentInstance.objects.filter(tenant=tenant, is_enabled=True)
    return [instance for instance in instances if is_offered(instance)]


def is_offered(instance: PaymentInstance) -> bool:
    """Tell whether buyers can choose this way to pay."""
    provider = REGISTRY.get(instance.provider)
    return instance.is_enabled and provider is not None and provider.is_offered(instance)
