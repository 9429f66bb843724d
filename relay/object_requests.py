"""Requests about what an upstream keeps, to the channel and credential that made it.

Called by `objects_api` and `generic_calls` for clients, and by `job_polls` for jobs.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from relay.errors import BadRequest, NoChannel
from relay.forwarding import error_body
from relay.headers import Header, encoded
from relay.protocols.base import Endpoint
from relay.protocols.multipart import MAX_TYPE_BYTES
from relay.providers.base import LocalCall, transport_failure
from relay.snapshot import ChannelEntry, CredentialEntry
from relay.upstream import UpstreamError, UpstreamRequest, UpstreamResponse, parse_base_url
from relay.verdicts import refusal, verdict

if TYPE_CHECKING:
    from relay.call import Call
    from relay.services import Services

MAX_QUERY_BYTES = 4_096


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


def passed_query(call: "Call") -> bytes:
    """Return a client's query for an upstream, without a key that the client may have put there.

    Raises BadRequest for one that is absurdly long.
    """
    query: bytes = call.scope.get("query_string", b"")
    if len(query) > MAX_QUERY_BYTES:
        raise BadRequest("The query of the address is too long.")
    return b"&".join(part for part in query.split(b"&") if not part.startswith(b"key="))


def passed_content_type(call: "Call") -> bytes:
    """Return the type of a client's body for an upstream. Raises BadRequest, as passed_query."""
    content_type = call.headers.get(b"content-type", b"")
    if len(content_type) > MAX_TYPE_BYTES:
        raise BadRequest("The content-type of the request is too long.")
    return content_type


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
    extra = encoded(channel.extra_headers)
    ours = channel.provider.headers(credential.secret, [*headers, *extra])
    return UpstreamRequest(method, origin, path.encode("ascii"), ours, body)


async def ask(
    services: "Services",
    channel: ChannelEntry,
    credential: CredentialEntry,
    call: LocalCall,
    *,
    headers: Sequence[Header] = (),
) -> UpstreamResponse:
    """Return an upstream's answer that is no error, from its head on; other attempts are not made.

    Raises NoChannel if the channel is off, and what the failure of a lone attempt comes to.
    """
    if not channel.is_enabled:
        raise NoChannel
    try:
        response = await _send(services, channel, credential, call, headers)
        if 200 <= response.status < 300:
            return response
        error = await error_body(response)
    except UpstreamError as broken:
        raise verdict([transport_failure(broken)]) from None
    failure = channel.provider.classify(
        response.status, response.headers, error, credential=credential.secret
    )
    if failure.kind == "client":
        raise refusal(failure, style=call.endpoint.errors.name)
    raise verdict([failure])


async def _send(
    services: "Services",
    channel: ChannelEntry,
    credential: CredentialEntry,
    call: LocalCall,
    headers: Sequence[Header],
) -> UpstreamResponse:
    if channel.provider.local is not None:
        return await channel.provider.local.respond(call)
    path = address_of(channel, call.endpoint, call.served, call.tail, call.query.decode("latin-1"))
    request = request_of(
        channel, credential, method=call.method, path=path, headers=headers, body=call.body
    )
    upstream = services.upstream(channel.proxy_url)
    return await upstream.send(request, channel.timeouts, channel.policy, stream=True)


async def read(response: UpstreamResponse, limit_bytes: int) -> bytes:
    """Return an answer's body; raises what it comes to that it is cut or too long."""
    try:
        return await response.read(limit_bytes)
    except UpstreamError as broken:
        raise verdict([transport_failure(broken)]) from None
