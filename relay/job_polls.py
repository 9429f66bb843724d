"""Asks upstreams how jobs are getting on: many at once, within a bounded time. For `jobs` alone."""

import asyncio
from collections.abc import Sequence

import msgspec

from relay.object_requests import address_of, quoted, request_of
from relay.protocols import videos
from relay.protocols.task_rules import TaskRule
from relay.providers.base import LocalCall
from relay.providers.generic import address_below
from relay.snapshot import ChannelEntry, CredentialEntry
from relay.upstream import HttpxUpstream, Timeouts, UpstreamError, UpstreamResponse

TIMEOUTS = Timeouts(connect_s=4.0, write_s=4.0, first_byte_s=8.0, idle_s=8.0, total_s=8.0)
MAX_ANSWER_BYTES = 1024 * 1024
AT_ONCE = 16
# One worker may do everything there is to do: the reaper's turn must not come late.
_IN_ALL_S = 10.0


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be asked for. Without a rule it is a video."""

    job_id: bytes
    channel: ChannelEntry
    credential: CredentialEntry
    upstream_id: str
    model: str
    rule: TaskRule | None
    upstream_prefix: str


def ask_all(polls: Sequence[Poll]) -> list[tuple[bytes, str]]:
    """Return the states of those jobs that an upstream has told. In a thread without a loop."""
    return asyncio.run(_ask_all(polls)) if polls else []


async def _ask_all(polls: Sequence[Poll]) -> list[tuple[bytes, str]]:
    upstreams = {
        proxy: HttpxUpstream(proxy=proxy or None)
        for proxy in {poll.channel.proxy_url for poll in polls}
    }
    turns = asyncio.Semaphore(AT_ONCE)
    states: list[tuple[bytes, str]] = []

    async def ask(poll: Poll) -> None:
        async with turns:
            state = await _state(poll, upstreams[poll.channel.proxy_url])
        if state is not None:
            states.append((poll.job_id, state))

    try:
        async with asyncio.timeout(_IN_ALL_S):
            await asyncio.gather(*map(ask, polls))
    except TimeoutError:
        pass  # the others have their turn again
    finally:
        await asyncio.gather(*(upstream.aclose() for upstream in upstreams.values()))
    return states


async def _state(poll: Poll, upstream: HttpxUpstream) -> str | None:
    """Return what the upstream says of a job; None where it says nothing that can be read."""
    try:
        answer = await _answer(poll, upstream)
        body = await answer.read(MAX_ANSWER_BYTES)
    except UpstreamError:
        return None
    if answer.status != 200:
        return None
    return poll.rule.state_of(body) if poll.rule else videos.state_of(body)


async def _answer(poll: Poll, upstream: HttpxUpstream) -> UpstreamResponse:
    channel, tail = poll.channel, f"/{quoted(poll.upstream_id)}"
    if poll.rule is not None:
        below = poll.upstream_prefix + poll.rule.address_of(poll.upstream_id)
        path = address_below(channel.base_url, below)
    elif channel.provider.local is not None:
        call = LocalCall(videos.VIDEOS, poll.model, b"", TIMEOUTS, method="GET", tail=tail)
        return await channel.provider.local.respond(call)
    else:
        path = address_of(channel, videos.VIDEOS, poll.model, tail)
    request = request_of(channel, poll.credential, method="GET", path=path)
    return await upstream.send(request, TIMEOUTS, channel.policy)
