"""What the portal may know of the relay's state: which models can be used now. Read only."""

from collections.abc import Iterable

from billing.scoping import all_tenants
from relay.models import Channel

_NEEDS_NO_CREDENTIAL = frozenset({"demo"})


def usable_models(models: Iterable[str], *, tenant_id: int, platform_id: int) -> frozenset[str]:
    """Return those of `models` that an enabled channel of the tenant or the platform serves."""
    with all_tenants():  # the platform's channels serve every tenant
        channels = list(
            Channel.objects.filter(
                tenant_id__in=(tenant_id, platform_id), is_enabled=True
            ).prefetch_related("models", "credentials")
        )
    working = [channel for channel in channels if _can_call(channel)]
    offered = [{row.asked for row in channel.models.all()} for channel in working]
    return frozenset(
        name for name in models if any(not asked or name in asked for asked in offered)
    )


def _can_call(channel: Channel) -> bool:
    return channel.provider in _NEEDS_NO_CREDENTIAL or any(
        credential.is_enabled for credential in channel.credentials.all()
    )
