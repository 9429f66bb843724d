"""Attempts: a request is sent to one channel after another until an answer is worth delivering.

Nothing has reached the client while this runs, so any failure that another channel or credential
might not have is tried there; a client's own mistake is passed on at once and cools nobody down.
A stream is only handed over when its first content has come: role chunks and pings are no content.
Called by `exchange`.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from relay.asking import ask
from relay.errors import BadRequest, NoChannel
from relay.headers import Header
from relay.protocols.base import AnswerFacts, EventFacts, EventReader, RequestFacts
from relay.providers.base import Failure, transport_failure
from relay.routing import Choice, is_full
from relay.snapshot import Offer
from relay.sse import EventSplitter
from relay.upstream import UpstreamError, UpstreamResponse
from relay.verdicts import refusal, verdict

if TYPE_CHECKING:
    from relay.exchange import Exchange

T = TypeVar("T")

MAX_ATTEMPTS = 6
MAX_ERROR_BYTES = 64 * 1024
MAX_STARTUP_BYTES = 256 * 1024
MAX_REQUEST_ID_BYTES = 64


class Whole:
    """An answer in one piece, complete."""

    __slots__ = ("body", "facts", "response")

    def __init__(self, response: UpstreamResponse, body: bytes, facts: AnswerFacts) -> None:
        self.response = response
        self.body = body
        self.facts = facts


class Started:
    """A stream whose first content is here: what came so far, and how to go on reading.

    `translator` makes the client's events from the upstream's, where the two differ.
    """

    __slots__ = (
        "events",
        "has_ended",
        "object_id",
        "reader",
        "response",
        "splitter",
        "translator",
    )

    def __init__(self, response: UpstreamResponse, offer: Offer, facts: RequestFacts) -> None:
        self.response = response
        self.splitter = EventSplitter()
        self.reader: EventReader = offer.endpoint.dialect.reader(facts)
        self.translator = offer.translation.events(facts) if offer.translation else facts.shape
        self.events: list[tuple[bytes, EventFacts]] = []
        self.has_ended = False
        self.object_id = ""


class Piped:
    """An answer of opaque bytes that has begun."""

    __slots__ = ("first", "response")

    def __init__(self, response: UpstreamResponse, first: bytes) -> None:
        self.response = response
        self.first = first


class AttemptFailed(Exception):
    """An attempt came to nothing."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


async def open_answer(exchange: "Exchange", choice: Choice) -> Whole | Started | Piped:
    """Return the first answer worth delivering; raises the error that all attempts come to."""
    answer = await first_success(exchange, choice, _attempt)
    exchange.upstream_request_id = _request_id(answer.response)
    return answer


async def first_success(
    exchange: "Exchange", choice: Choice, attempt: Callable[["Exchange", Choice], Awaitable[T]]
) -> T:
    """Return what the first attempt that does not raise AttemptFailed brings; see open_answer."""
    health = exchange.services.health
    tried: set[int] = set()
    failures: list[Failure] = []
    untranslatable: BadRequest | None = None
    if choice.offer.channel.concurrency is not None:
        choice = _with_room(exchange, choice)
    while True:
        tried.add(choice.credential.id)
        exchange.enter(choice)
        began_at = time.monotonic()
        try:
            answer = await attempt(exchange, choice)
        except AttemptFailed as failed:
            failure = failed.failure
            if failure.kind == "client":
                raise refusal(failure, style=exchange.facts.endpoint.errors.name) from None
            health.note_failure(choice.credential.id, failure, now=time.monotonic())
            failures.append(failure)
        except BadRequest as error:
            # A translation can't carry it over; another channel may speak the client's dialect.
            untranslatable = error
        else:
            now = time.monotonic()
            health.note_answer(choice.credential.id, first_byte_s=now - began_at, now=now)
            return answer
        exchange.leave()
        following = exchange.choose(tried)
        if following is None or len(failures) >= MAX_ATTEMPTS:
            raise verdict(failures) if failures else untranslatable or NoChannel()
        choice = following


def _with_room(exchange: "Exchange", choice: Choice) -> Choice:
    """Return the choice, or another: its channel may have filled up since, during the hold."""
    health = exchange.services.health
    if not is_full(choice.offer, health):
        return choice
    other = exchange.choose()
    if other is None:
        raise NoChannel
    return other


def _request_id(response: UpstreamResponse) -> str:
    """Return the upstream's own id of the request, if it is a plain short word."""
    found = response.header(b"x-request-id") or response.header(b"request-id")
    if found is None or len(found) > MAX_REQUEST_ID_BYTES or not found.isascii():
        return ""
    return found.decode()


async def _attempt(exchange: "Exchange", choice: Choice) -> Whole | Started | Piped:
    """Send the request once; raises AttemptFailed."""
    facts = exchange.facts
    try:
        response = await ask(exchange, choice)
        if not 200 <= response.status < 300:
            error = await error_body(response)
            raise _failed(choice, response.status, response.headers, error)
        if facts.stream and _is_stream(response, facts):
            return await _first_content(exchange, choice, response)
        if facts.endpoint.is_binary and not _is_text(response):
            return await _first_bytes(exchange, choice, response)
        return await _whole(exchange, choice, response)
    except UpstreamError as error:
        raise AttemptFailed(transport_failure(error)) from None


async def error_body(response: UpstreamResponse) -> bytes:
    """Return what an error answer says, nothing if it is too long or cut: its status says enough.

    Some vendors quote the whole request in theirs; that is no fault of the channel.
    """
    try:
        return await response.read(MAX_ERROR_BYTES)
    except UpstreamError:
        return b""


def _failed(choice: Choice, status: int, headers: Sequence[Header], body: bytes) -> AttemptFailed:
    """Return the failure that an error answer means to its provider."""
    provider = choice.offer.channel.provider
    return AttemptFailed(
        provider.classify(status, headers, body, credential=choice.credential.secret)
    )


def _is_stream(response: UpstreamResponse, facts: RequestFacts) -> bool:
    """Say whether an answer is events: some vendors forget to call them so, where all is text.

    A page is what gateways send in the place of an answer.
    """
    kind = response.header(b"content-type") or b""
    if facts.endpoint.is_binary:
        return kind.startswith(b"text/event-stream")
    return not kind.startswith((b"application/json", b"text/html"))


def _is_text(response: UpstreamResponse) -> bool:
    """Say whether an answer is a JSON document or a page, which is looked into."""
    kind = response.header(b"content-type") or b""
    is_events = kind.startswith(b"text/event-stream")
    return not is_events and kind.startswith((b"application/json", b"text/"))


async def _whole(exchange: "Exchange", choice: Choice, response: UpstreamResponse) -> Whole:
    body = await response.read(exchange.services.options.max_answer_bytes)
    offer, asked = choice.offer, exchange.facts
    kind = response.header(b"content-type") or b""
    facts = offer.endpoint.dialect.answer(body, asked, kind)
    if facts.error is not None:
        raise _failed(choice, response.status, response.headers, facts.error)
    if offer.translation is not None:
        body = offer.translation.answer(body, asked)
    return Whole(response, body, facts)


async def _first_bytes(
    exchange: "Exchange", choice: Choice, response: UpstreamResponse
) -> Whole | Piped:
    """Read the first bytes of an answer that nobody looks into; if there are none, that is all."""
    try:
        first = await response.next_chunk()
    except BaseException:
        response.close()
        raise
    return Piped(response, first) if first else await _whole(exchange, choice, response)


async def _first_content(
    exchange: "Exchange", choice: Choice, response: UpstreamResponse
) -> Started:
    """Read up to the first content; an error or the end before it fails the attempt."""
    started = Started(response, choice.offer, exchange.facts)
    size = 0
    try:
        while True:
            chunk = await response.next_chunk()
            size += len(chunk)
            started.has_ended = not chunk
            is_content = _take(started, chunk, choice)
            if is_content or size - started.splitter.pending_bytes > MAX_STARTUP_BYTES:
                return started
            if started.has_ended:
                break
    except BaseException:
        response.close()
        raise
    if started.reader.usage is None and not started.reader.finished:
        raise AttemptFailed(Failure(kind="unavailable", error_type="upstream_cut"))
    return started


def _take(started: Started, chunk: bytes, choice: Choice) -> bool:
    """Read what has come; say whether there is content in it.

    Trouble behind a finished answer fails nothing, be it in one piece with the answer or not.
    """
    is_content = False
    events = started.splitter.feed(chunk) if chunk else last_event(started.splitter)
    for event in events:
        facts = started.reader.read(event)
        if facts.error is not None and not (is_content and started.reader.finished):
            raise _failed(choice, 200, (), facts.error)
        if facts.object_id:
            started.object_id = facts.object_id
        started.events.append((event, facts))
        is_content = is_content or facts.has_content
    return is_content


def last_event(splitter: EventSplitter) -> list[bytes]:
    """Return what stands after the last blank line of a stream that has ended, as an event."""
    rest = splitter.rest
    return [rest.rstrip(b"\r\n") + b"\n\n"] if rest.strip() else []
