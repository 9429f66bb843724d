"""What the portal may know of the relay: kinds of providers, and which models are usable now."""

from collections.abc import Iterable

from billing.scoping import all_tenants
from relay.models import Channel
from relay.providers import REGISTRY


def provider_names() -> list[str]:
    """Return the kinds of upstream that a channel can be of."""
    return sorted(REGISTRY)


def usable_models(models: Iterable[str], *, tenant_id: int, platform_id: int) -> frozenset[str]:
    """Return those of `models` that an enabled channel of the tenant or the platform serves."""
    with all_tenants():  # the platform's channels serve every tenant
        channels = list(
            Channel.objects.filter(
                tenant_id__in=(tenant_id, platform_id), is_enabled=True
            ).prefetch_related("models", "credentials")
        )
    offered = [
        {row.asked for row in channel.models.all()} for channel in channels if _can_call(channel)
    ]
    return frozenset(
        name for name in models if any(not asked or name in asked for asked in offered)
    )


def _can_call(channel: Channel) -> bool:
    provider = REGISTRY.get(channel.provider)
    if provider is None:
        return False
    return not provider.needs_credential or any(
        credential.is_enabled for credential in channel.credentials.all()
    )
