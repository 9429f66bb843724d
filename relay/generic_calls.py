"""Requests below the prefixes of generic routes: passed on as they are to the route's channel.

What a route charges is charged by the call, through an exchange. Reading is free, and where a route
knows its jobs, only the owner of a job may read or change it. Called by `asgi` for what `paths`
does not know.
"""

import time
from urllib.parse import quote

from relay import auth
from relay.auth import Caller
from relay.call import Call
from relay.errors import MethodNotAllowed, NoChannel, NotFound, ObjectNotFound
from relay.exchange import serve_ordered
from relay.headers import Header, passed_to_client
from relay.keeping import only_credential
from relay.object_requests import ask, passed_content_type, passed_query, read
from relay.object_rows import TASK, Kept
from relay.objects_api import MAX_DOCUMENT_BYTES, note_ended
from relay.passing import Passage
from relay.protocols.generic import GenericFacts, RouteEntry, endpoint_of
from relay.protocols.videos import RUNNING
from relay.providers.base import LocalCall
from relay.services import Services
from relay.snapshot import ChannelEntry, CredentialEntry, Offer

_READING = frozenset({"GET", "HEAD"})
_CHANGING = frozenset({"DELETE", "PATCH", "PUT"})
_PLAIN = "/:@!$&'()*+,;=~-._"
_MAX_ACCEPT_BYTES = 1_024
_MAX_REST_BYTES = 4_096


async def serve_route(services: Services, call: Call, route: RouteEntry) -> None:
    """Answer a request below a route's prefix; raises RelayError for `asgi` to tell it."""
    method = call.scope["method"]
    if method not in route.methods:
        raise MethodNotAllowed(headers=[(b"allow", ", ".join(sorted(route.methods)).encode())])
    rest = rest_of(call.scope["path"], route)
    caller = await auth.known_caller(services, call)
    auth.check_policy(caller.key, endpoint="generic", model=route.price_model)
    shop = services.snapshot.shops[caller.key.tenant_id]
    channel = next((one for one in shop.route_channels if one.id == route.channel_id), None)
    if channel is None:
        raise NoChannel
    if route.price_model and method not in _READING:
        await _charge(services, call, route, caller=caller, channel=channel, rest=rest)
    else:
        await _read(services, call, route, caller=caller, channel=channel, rest=rest)


def rest_of(path: str, route: RouteEntry) -> str:
    """Return what stands behind a route's prefix, as it is sent upstream.

    Raises NotFound for an address that the upstream might take for one above its own prefix.
    """
    while "//" in path:
        path = path.replace("//", "/")
    rest = path[len(route.prefix) :]
    steps = rest.split("/")
    # Some servers drop what stands behind a semicolon before they look for dots.
    if "\\" in rest or any(step and not step.partition(";")[0].strip(". ") for step in steps):
        raise NotFound
    if any("%" in step or ord(character) < 32 for step in steps for character in step):
        raise NotFound
    quoted = quote(rest, safe=_PLAIN)
    if len(quoted) > _MAX_REST_BYTES:
        raise NotFound
    return quoted


async def _charge(
    services: Services,
    call: Call,
    route: RouteEntry,
    *,
    caller: Caller,
    channel: ChannelEntry,
    rest: str,
) -> None:
    """Pass a request on that has a price."""
    services.watch.add(call)
    body = await call.body(services.options.max_upload_bytes)
    endpoint = endpoint_of(route)
    facts = GenericFacts(
        endpoint,
        route.price_model,
        0,
        method=call.scope["method"],
        tail=rest,
        query=passed_query(call),
        content_type=passed_content_type(call),
        route=route,
    )
    offer = Offer(channel, route.price_model, endpoint)
    if route.rule is not None and facts.method in _CHANGING:
        kept = await _job(services, route, caller=caller, task=route.rule.task_near(rest))
        bound = only_credential(offer, kept.credential_id)
        if bound is None:
            raise NoChannel
        offer = bound
    await serve_ordered(services, call, facts, caller=caller, body=body, offer=offer)


async def _read(
    services: Services,
    call: Call,
    route: RouteEntry,
    *,
    caller: Caller,
    channel: ChannelEntry,
    rest: str,
) -> None:
    """Pass a request on that costs nothing."""
    services.lookups.enter(caller.key.id, now=time.monotonic())
    services.watch.add(call)
    body = await call.body(services.options.max_upload_bytes)
    kept = None
    if route.rule is not None:
        kept = await _job(services, route, caller=caller, task=route.rule.task_at(rest))
    credential = _credential(services, channel, kept)
    asked = LocalCall(
        endpoint_of(route),
        "",
        body,
        channel.timeouts,
        query=passed_query(call),
        method=call.scope["method"],
        tail=rest,
    )
    answer = await ask(services, channel, credential, asked, headers=_headers(call))
    if kept is None or route.rule is None:
        await Passage(call, answer, services.watch).run()
        return
    document = await read(answer, MAX_DOCUMENT_BYTES)
    state = route.rule.state_of(document)
    if kept.is_job and state not in (None, RUNNING):
        await note_ended(services, kept, str(state))
    await call.answer(answer.status, passed_to_client(answer.headers), document)


async def _job(services: Services, route: RouteEntry, *, caller: Caller, task: str | None) -> Kept:
    """Return the job that a request is about. Raises ObjectNotFound, be it about none."""
    key = caller.key
    kept = await services.objects.find(
        TASK, task or "", tenant_id=key.tenant_id, wallet_id=key.wallet_id, route_id=route.id
    )
    if kept is None:
        raise ObjectNotFound(TASK, task or "")
    return kept


def _credential(services: Services, channel: ChannelEntry, kept: Kept | None) -> CredentialEntry:
    """Return the credential that has begun a job; without one, that which is in the best health."""
    credentials = [
        one for one in channel.credentials if kept is None or one.id == kept.credential_id
    ]
    if not credentials:
        raise NoChannel
    return min(credentials, key=lambda one: services.health.cooling_until(one.id))


def _headers(call: Call) -> list[Header]:
    names = (b"accept", b"content-type")
    return [
        (name, value)
        for name in names
        if (value := call.headers.get(name)) is not None and len(value) <= _MAX_ACCEPT_BYTES
    ]
