"""Requests about what an upstream keeps: built for the channel and credential that made it.

Called by `objects_api` for clients and by `job_polls` for jobs.
"""

from collections.abc import Sequence
from urllib.parse import quote

from relay.headers import Header
from relay.protocols.base import Endpoint
from relay.snapshot import ChannelEntry, CredentialEntry
from relay.upstream import UpstreamRequest, parse_base_url


def address_of(
    channel: ChannelEntry, endpoint: Endpoint, model: str, tail: str, query: str = ""
) -> str:
    """Return where a channel keeps what was made at an endpoint: its path, `tail`, and queries."""
    served = channel.models.get(model, model)
    path = channel.provider.path(channel.base_url, endpoint, served, stream=False)
    path, _, own = path.partition("?")
    queries = "&".join(part for part in (own, query) if part)
    return path + tail + (f"?{queries}" if queries else "")


def quoted(upstream_id: str) -> str:
    """Return an id as a step of an address."""
    return quote(upstream_id, safe="")


def request_of(
    channel: ChannelEntry,
    credential: CredentialEntry,
    *,
    method: str,
    path: str,
    headers: Sequence[Header] = (),
    body: bytes = b"",
) -> UpstreamRequest:
    """Return a request with a channel's own headers and a credential."""
    origin, _ = parse_base_url(channel.base_url)
    extra = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in channel.extra_headers.items()]
    ours = channel.provider.headers(credential.secret, [*headers, *extra])
    return UpstreamRequest(method, origin, path.encode("ascii"), ours, body)
