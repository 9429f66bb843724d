"""What upstreams keep, for its owner: responses and videos, looked at, fetched, deleted, remixed.

Each request goes to the channel and credential that made the object, and nowhere else. It costs
nothing but a remix, which makes a new job. Somebody else's id is answered like one that nobody has.
Called by `asgi`, by the names that `paths` gives.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from relay import auth, jobs, object_rows
from relay.auth import Caller
from relay.call import Call
from relay.errors import BadRequest, LedgerUnavailable, ObjectNotFound, UpstreamRefused
from relay.exchange import serve_ordered
from relay.headers import JSON, Header, passed_to_client
from relay.keeping import only_credential
from relay.object_requests import ask, passed_content_type, passed_query, quoted, read
from relay.object_rows import RESPONSE, VIDEO, Kept, Listed
from relay.passing import Passage
from relay.protocols import videos
from relay.protocols.base import Endpoint
from relay.protocols.responses import RESPONSES
from relay.protocols.videos import VIDEOS, video_facts
from relay.providers.base import LocalCall
from relay.services import Services
from relay.snapshot import ChannelEntry, CredentialEntry, Offer

MAX_DOCUMENT_BYTES = 1024 * 1024
MOST_LISTED = 100
_USUALLY_LISTED = 20
_MAX_RANGE_BYTES = 100
_STATUSES = {"running": "in_progress", "done": "completed", "failed": "failed", "lost": "failed"}


class Found(NamedTuple):
    """An object of the caller's wallet, and who can be asked for it."""

    caller: Caller
    kept: Kept
    channel: ChannelEntry
    credential: CredentialEntry
    endpoint: Endpoint
    body: bytes

    def call(
        self, method: str, tail: str = "", *, query: bytes = b"", body: bytes = b""
    ) -> LocalCall:
        """Return what to ask its upstream."""
        return LocalCall(
            self.endpoint,
            self.kept.model,
            body,
            self.channel.timeouts,
            query=query,
            method=method,
            tail=f"/{quoted(self.kept.upstream_id)}{tail}",
        )


async def response(services: Services, call: Call, argument: str) -> None:
    """Answer a response as it is now, or its events again; or have it deleted."""
    found = await _found(services, call, RESPONSES, RESPONSE, argument)
    if call.scope["method"] == "DELETE":
        await _delete(services, call, found)
    else:
        await _pass(services, call, found, "GET")


async def response_cancel(services: Services, call: Call, argument: str) -> None:
    """Have a response that runs in the background cancelled."""
    await _pass(
        services,
        call,
        await _found(services, call, RESPONSES, RESPONSE, argument),
        "POST",
        "/cancel",
    )


async def response_items(services: Services, call: Call, argument: str) -> None:
    """List what a response was asked."""
    found = await _found(services, call, RESPONSES, RESPONSE, argument)
    await _pass(services, call, found, "GET", "/input_items")


async def video(services: Services, call: Call, argument: str) -> None:
    """Answer how a video is getting on, or have it deleted."""
    found = await _found(services, call, VIDEOS, VIDEO, argument)
    if call.scope["method"] == "DELETE":
        if found.kept.is_job:
            await _document(services, found)
        await _delete(services, call, found)
        return
    status, headers, body = await _document(services, found)
    await call.answer(status, headers, body)


async def video_content(services: Services, call: Call, argument: str) -> None:
    """Pass a finished video on, piece by piece."""
    found = await _found(services, call, VIDEOS, VIDEO, argument)
    await _pass(services, call, found, "GET", "/content")


async def video_remix(services: Services, call: Call, argument: str) -> None:
    """Order a video that begins with another: a new job of the same length, charged as such."""
    found = await _found(services, call, VIDEOS, VIDEO, argument)
    kept = found.kept
    facts = video_facts(VIDEOS, kept.model, seconds=kept.second_count, size=kept.size)
    facts.tail = f"/{quoted(kept.upstream_id)}/remix"
    facts.content_type = passed_content_type(call)
    offer = only_credential(
        Offer(found.channel, found.channel.models.get(kept.model, kept.model), VIDEOS),
        found.credential.id,
    )
    if offer is None:
        raise ObjectNotFound(VIDEO, argument)
    await serve_ordered(services, call, facts, caller=found.caller, body=found.body, offer=offer)


async def video_list(services: Services, call: Call, argument: str) -> None:
    """List the wallet's videos, from what is known here."""
    caller = await _caller(services, call, VIDEOS)
    query = parse_qs(call.scope.get("query_string", b"").decode("latin-1"))
    count = _count(query.get("limit", [str(_USUALLY_LISTED)])[0])
    after = query.get("after", [""])[0]
    if after and not videos.is_plain(after):
        raise ObjectNotFound(VIDEO, after)
    rows = await services.reader.run(
        object_rows.listed,
        tenant_id=caller.key.tenant_id,
        wallet_id=caller.key.wallet_id,
        kind=VIDEO,
        after=after,
        is_oldest_first=query.get("order", ["desc"])[0] == "asc",
        count=count + 1,
    )
    if rows is None:
        raise ObjectNotFound(VIDEO, after)
    data = [_listed(row) for row in rows[:count]]
    answer = {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(rows) > count,
    }
    await call.answer_json(200, msgspec.json.encode(answer))


def _listed(row: Listed) -> dict[str, Any]:
    return {
        "id": row.upstream_id,
        "object": "video",
        "created_at": row.created_at,
        "model": row.model,
        "status": _STATUSES[row.state],
        "progress": 100 if row.state == "done" else 0,
        "seconds": str(row.second_count),
        "size": row.size,
        "error": None,
    }


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MOST_LISTED):
        raise BadRequest(f"'limit' must be from 1 to {MOST_LISTED}.", param="limit")
    return int(text)


async def _caller(services: Services, call: Call, endpoint: Endpoint, model: str = "") -> Caller:
    caller = await auth.known_caller(services, call)
    services.lookups.enter(caller.key.id, now=time.monotonic())
    auth.check_policy(caller.key, endpoint=endpoint.name, model=model)
    return caller


async def _found(
    services: Services, call: Call, endpoint: Endpoint, kind: str, object_id: str
) -> Found:
    """Return the object that a caller means. Raises ObjectNotFound, and what `auth` raises."""
    caller = await _caller(services, call, endpoint)
    services.watch.add(call)
    key, body = caller.key, await call.body(services.options.max_body_bytes)
    kept = await services.objects.find(
        kind, object_id, tenant_id=key.tenant_id, wallet_id=key.wallet_id
    )
    if kept is None:
        raise ObjectNotFound(kind, object_id)
    auth.check_policy(key, endpoint=endpoint.name, model=kept.model)
    for channel in services.snapshot.shops[key.tenant_id].channels:
        for credential in channel.credentials:
            if (channel.id, credential.id) == (kept.channel_id, kept.credential_id):
                return Found(caller, kept, channel, credential, endpoint, body)
    raise ObjectNotFound(kind, object_id)


async def _pass(services: Services, call: Call, found: Found, method: str, tail: str = "") -> None:
    """Ask the upstream and pass its answer on as it comes."""
    body = found.body if method == "POST" else b""
    asked = found.call(method, tail, query=passed_query(call), body=body)
    headers = [JSON] if asked.body else []
    if found.kept.kind == VIDEO and (wanted := call.headers.get(b"range")):
        headers.append((b"range", wanted[:_MAX_RANGE_BYTES]))
    answer = await ask(services, found.channel, found.credential, asked, headers=headers)
    await Passage(call, answer, services.watch).run()


async def _delete(services: Services, call: Call, found: Found) -> None:
    """Have the upstream delete an object and forget it; even one that it knows no more."""
    try:
        answer = await ask(services, found.channel, found.credential, found.call("DELETE"))
        body = await read(answer, MAX_DOCUMENT_BYTES)
    except UpstreamRefused as refused:
        if refused.status == 404:
            await services.objects.forget(found.kept)
        raise
    await services.objects.forget(found.kept)
    await call.answer(answer.status, passed_to_client(answer.headers), body)


async def _document(services: Services, found: Found) -> tuple[int, list[Header], bytes]:
    """Return how a video is getting on, in the upstream's words; conclude it if it has ended."""
    answer = await ask(services, found.channel, found.credential, found.call("GET"))
    body = await read(answer, MAX_DOCUMENT_BYTES)
    state = videos.state_of(body)
    if found.kept.is_job and state not in (None, videos.RUNNING):
        await note_ended(services, found.kept, str(state))
    return answer.status, passed_to_client(answer.headers), body


async def note_ended(services: Services, kept: Kept, state: str) -> None:
    """Conclude a job whose end its client sees; if the ledger is away, the poller will."""
    with suppress(LedgerUnavailable):
        await services.reader.run(
            jobs.note_state, tenant_id=kept.tenant_id, job_id=kept.id, state=state
        )
        if state == videos.DONE:
            services.objects.note_done(kept)


ANSWERS: dict[str, Callable[[Services, Call, str], Awaitable[None]]] = {
    "response": response,
    "response_cancel": response_cancel,
    "response_items": response_items,
    "videos": video_list,
    "video": video,
    "video_content": video_content,
    "video_remix": video_remix,
}
