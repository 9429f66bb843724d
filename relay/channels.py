"""Channels and their credentials: made and read. Called by commands, admin and the relay's reader.

A credential is sealed for its channel, so a row moved to another channel can't be opened there.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction

from billing.addresses import is_public
from billing.errors import FieldInvalid, NameTaken
from billing.models import Tenant
from billing.names import checked_name
from billing.sealing import seal, unseal
from relay.models import Channel, ChannelCredential, ChannelModel
from relay.providers import REGISTRY
from relay.wire.errors import InvalidRequest
from relay.wire.origin import parse_base_url

MAX_CREDENTIAL_LENGTH = 2_000
MAX_ADDRESS_LENGTH = 300

_PROXY_SCHEMES = ("http", "https")

_doubled_version = re.compile(r"(/v[0-9]+)(?:\1)+$")
_is_credential = re.compile(r"[\x21-\x7e]+").fullmatch


def create_channel(
    *,
    tenant: Tenant,
    name: str,
    provider: str,
    base_url: str = "",
    credential: str = "",
    models: Mapping[str, str] | None = None,
    priority: int = 0,
    weight: int = 1,
    allow_private_network: bool = False,
) -> Channel:
    """Make a channel with its credential and models (asked -> served), in the open scope.

    No models means every priced model. Raises FieldInvalid, and NameTaken for the tenant's name.
    """
    base_url = check_address(provider, base_url, allow_private_network=allow_private_network)
    check_credential(provider, credential)
    if weight < 1:
        raise FieldInvalid("The weight must be at least 1.")
    for model in [*(models or {}), *(models or {}).values()]:
        if not 1 <= len(model) <= 64 or not model.isprintable():
            raise FieldInvalid(f"{model!r} is not the name of a model.")
    channel = Channel(
        tenant=tenant,
        name=checked_name(name, what="The name", at_most=60),
        provider=provider,
        base_url=base_url,
        allows_private_network=allow_private_network,
        priority=priority,
        weight=weight,
    )
    with transaction.atomic():
        _store(channel)
        if credential:
            add_credential(channel, credential)
        ChannelModel.objects.bulk_create(
            ChannelModel(tenant=tenant, channel=channel, asked=asked, served=served)
            for asked, served in (models or {}).items()
        )
    return channel


def _store(channel: Channel) -> None:
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError:
        raise NameTaken(f"There is a channel {channel.name!r} already.") from None


def add_credential(channel: Channel, secret: str) -> ChannelCredential:
    """Seal a credential for a channel, in the open scope. Raises FieldInvalid."""
    check_credential(channel.provider, secret)
    return ChannelCredential.objects.create(
        tenant_id=channel.tenant_id,
        channel=channel,
        sealed=seal(secret.encode(), context=_context(channel.pk)),
        hint=secret[-4:] if len(secret) >= 16 else "",
    )


def read_credential(credential: ChannelCredential) -> str:
    """Return the secret of a credential, for the call it is made for. Raises SealBroken."""
    return unseal(bytes(credential.sealed), context=_context(credential.channel_id)).decode()


def _context(channel_id: int) -> str:
    return f"channel:{channel_id}"


def check_credential(provider: str, secret: str) -> None:
    """Raise FieldInvalid for a secret that can't be sent, or a missing one that is needed."""
    if not secret and not _needs_credential(provider):
        return
    if len(secret) > MAX_CREDENTIAL_LENGTH or not _is_credential(secret):
        raise FieldInvalid(
            f"The credential of provider {provider} must be 1 to {MAX_CREDENTIAL_LENGTH} "
            "printable ASCII characters without spaces."
        )


def check_address(provider: str, base_url: str, *, allow_private_network: bool) -> str:
    """Return the base URL of a channel as it is stored; raises FieldInvalid.

    A trailing slash goes, `//` and a doubled `/v1` are read as one. Plain http and addresses that
    are not public need `allow_private_network`; names are checked when they are connected to.
    """
    if provider not in REGISTRY:
        raise FieldInvalid(f"There is no provider {provider!r}; there are {_names()}.")
    if not _needs_credential(provider):
        if base_url:
            raise FieldInvalid(f"The provider {provider} answers by itself and takes no base URL.")
        return ""
    if not base_url:
        raise FieldInvalid(f"The provider {provider} needs a base URL.")
    return _checked(base_url, allow_private_network=allow_private_network)


def _checked(base_url: str, *, allow_private_network: bool) -> str:
    try:
        origin, prefix = parse_base_url(base_url)
    except InvalidRequest as error:
        raise FieldInvalid(f"In {base_url!r}, {error}.") from None
    if not allow_private_network:
        if origin.scheme != "https":
            raise FieldInvalid("The base URL must begin with https:// outside a private network.")
        if origin.host == "localhost" or _is_private_number(origin.host):
            raise FieldInvalid(f"The address {origin.host} is not public.")
    path = re.sub("/{2,}", "/", prefix.decode("ascii"))
    address = str(origin) + _doubled_version.sub(r"\1", path)
    if len(address) > MAX_ADDRESS_LENGTH:
        raise FieldInvalid(f"The base URL must have at most {MAX_ADDRESS_LENGTH} characters.")
    return address


def check_proxy(url: str) -> str:
    """Return the address of an outbound proxy, "" for none; raises FieldInvalid."""
    url = url.strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not _is_credential(url):
        raise FieldInvalid("A proxy looks like http://host:port or http://user:password@host:port.")
    return url


def _is_private_number(host: str) -> bool:
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return False  # a name: its addresses are checked each time one is connected to


def _needs_credential(provider: str) -> bool:
    return REGISTRY[provider].needs_credential if provider in REGISTRY else True


def _names() -> str:
    return ", ".join(sorted(REGISTRY))
