"""A realtime conversation: a client's WebSocket, an upstream's, and a hold that goes ahead of both.

Events pass untouched, but for what an upstream says about our own account. Nothing that may cost
something is let through, either way, before the hold covers it. One conversation is one exchange:
held before the upstream is called, checkpointed after each response, settled once at its end. It
has no time to a first token: that would be the time in which somebody thinks what to say.
Called by `asgi`.
"""

import asyncio
import time

import msgspec

from billing.ledger.ops import Growth, ProgressOp
from relay import auth
from relay.admission import LOOK_AGAIN_S, WAIT_S
from relay.booking import progress_op
from relay.call import Call
from relay.errors import (
    BadRequest,
    ClientGone,
    InsufficientQuota,
    KeyExpired,
    LedgerUnavailable,
    ModelNotFound,
    Overloaded,
    RelayError,
    SessionExpired,
    Stopping,
    UpstreamFailed,
)
from relay.exchange import Exchange, perform
from relay.forwarding import first_success
from relay.protocols.base import Asked
from relay.protocols.realtime import REALTIME, Event, Given, error_event, given_by, read_event
from relay.providers.base import Conversation, ConversationOver, without_account_details
from relay.realtime_meter import Meter
from relay.realtime_upstream import open_conversation
from relay.routing import Choice
from relay.services import Services

LONGEST_S = 3_600.0
IDLE_S = 900.0
TICK_S = 0.5

NORMAL, GOING_AWAY, UNSUPPORTED, POLICY, INTERNAL, RESTART = 1000, 1001, 1003, 1008, 1011, 1012

_PROTOCOL = "realtime"
_KEY = "openai-insecure-api-key."
_BETA = "openai-beta."
_OUR_LIMITS = "rate_limits.updated"


async def serve(services: Services, call: Call) -> None:
    """Hold one conversation; raises RelayError for what keeps it from beginning."""
    call.check_headers()
    if len(services.calls) > services.options.max_in_flight:
        raise Overloaded
    if services.is_stopping:
        raise Stopping
    _take_protocols(call)
    caller = await auth.known_caller(services, call)
    facts = REALTIME.dialect.read(REALTIME, Asked(b"", query=call.scope["query_string"]))
    auth.check_policy(caller.key, endpoint=REALTIME.name, model=facts.model)
    exchange = RealtimeExchange(services, call, facts, key=caller.key, host=caller.host)
    exchange.shop = services.snapshot.shops[caller.key.tenant_id]
    exchange.price = exchange.shop.price(facts)
    exchange.offers = exchange.shop.offers(REALTIME, facts.model)
    if not exchange.offers:
        raise ModelNotFound(f"The model `{facts.model}` is not offered here.", param="model")
    exchange.address_hash = caller.address_hash
    await perform(exchange)


def _take_protocols(call: Call) -> None:
    """Read key and beta where browsers have to put them: among the names of subprotocols."""
    for name in call.scope["subprotocols"]:
        if name.startswith(_KEY) and b"authorization" not in call.headers:
            call.headers[b"authorization"] = b"Bearer " + name.removeprefix(_KEY).encode()
        elif name.startswith(_BETA) and b"openai-beta" not in call.headers:
            beta = name.removeprefix(_BETA).replace("-", "=", 1)
            call.headers[b"openai-beta"] = beta.encode()


class RealtimeExchange(Exchange):
    """An exchange whose answer is a conversation."""

    async def _deliver(self, first: Choice) -> None:
        try:
            upstream = await first_success(self, first, open_conversation)
            await Talk(self, upstream).run()
        except asyncio.CancelledError:
            verdict = self.call.interrupted()
            self._fail(verdict)
            raise verdict from None


class _Over(Exception):
    """The conversation ends: with which code, and what the client is told before."""

    def __init__(self, code: int, error: RelayError | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


class Talk:
    """The conversation itself, from the moment in which the upstream has picked up."""

    def __init__(self, exchange: RealtimeExchange, upstream: Conversation) -> None:
        self._exchange = exchange
        self._call = exchange.call
        self._upstream = upstream
        self._meter = Meter(exchange.price, exchange.facts.model)
        self._began_at = self._said_at = time.monotonic()
        self._growing = asyncio.Lock()
        self._keys_version = exchange.services.snapshots.keys_version

    async def run(self) -> None:
        """Pass events on, both ways, until one side or we have had enough; charge what was used."""
        over = _Over(INTERNAL)
        try:
            await self._accept()
            over = await self._talk()
        finally:
            await self._upstream.close()
            await self._charge()
        self._note_end(over)
        await self._hang_up(over)

    async def _accept(self) -> None:
        call = self._call
        if call.has_gone():
            raise ClientGone
        offered = call.scope["subprotocols"]
        headers = [(b"x-request-id", call.request_id.encode()), *call.extra_headers]
        call.is_started = call.is_received = True
        subprotocol = _PROTOCOL if _PROTOCOL in offered else None
        accept = {"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers}
        try:
            await call.send(accept)
        except OSError:
            raise ClientGone from None

    async def _talk(self) -> _Over:
        tasks = [asyncio.ensure_future(work()) for work in (self._hear, self._read, self._watch)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        error = next(iter(done)).exception()
        if isinstance(error, _Over):
            return error
        if isinstance(error, ConversationOver):
            is_whole = error.code in {NORMAL, GOING_AWAY}
            return _Over(error.code) if is_whole else _Over(INTERNAL, UpstreamFailed())
        if isinstance(error, OSError):
            return _Over(NORMAL, ClientGone())
        raise error or RelayError()

    async def _hear(self) -> None:
        """Pass on what the client says."""
        while True:
            message = await self._call.receive()
            if message["type"] == "websocket.disconnect":
                raise self._disconnected(message.get("code"))
            text = message.get("text")
            if text is None:
                raise _Over(UNSUPPORTED, BadRequest("Events are JSON texts."))
            self._said_at = time.monotonic()
            self._meter_heard(text)
            await self._afford()
            await self._upstream.send(text)

    def _disconnected(self, code: int | None) -> _Over:
        """Return the end that the server tells of: its own, or the client's."""
        if not self._meter.is_responding:
            return _Over(NORMAL)
        return _Over(NORMAL, Stopping() if code == RESTART else ClientGone())

    def _meter_heard(self, text: str) -> None:
        event = read_event(text)
        if event is None:
            # What we can't read the upstream may.
            self._meter.hear(Given(text))
            return
        self._meter.hear(given_by(event))
        if event.type == "input_audio_buffer.commit":
            self._meter.commit_sound()
        elif event.type == "input_audio_buffer.clear":
            self._meter.forget_sound()

    async def _read(self) -> None:
        """Pass on what the upstream says."""
        while True:
            text = await self._upstream.receive()
            self._said_at = time.monotonic()
            event = read_event(text)
            if event is not None:
                if event.type == _OUR_LIMITS:
                    continue
                text = self._cleaned(event, text)
                await self._meter_read(event)
            await self._call.send({"type": "websocket.send", "text": text})
            if event is not None and event.type == "response.done":
                self._checkpoint()

    async def _meter_read(self, event: Event) -> None:
        """Note an event; what it delivers fits into what is kept for an answer to begin."""
        if event.delta:
            await self._afford()
        await self._meter.read(event)

    def _cleaned(self, event: Event, text: str) -> str:
        """Return an event without what it says about our account, which errors do."""
        if event.type != "error" and not (event.type == "response.done" and '"failed"' in text):
            return text
        choice = self._exchange.choice
        if choice is None:
            return text
        secret = choice.credential.secret
        if event.type == "error":
            failure = choice.offer.channel.provider.classify(
                200, (), text.encode(), credential=secret
            )
            if failure.kind == "credential":
                now = time.monotonic()
                self._exchange.services.health.note_failure(choice.credential.id, failure, now=now)
                raise _Over(INTERNAL, UpstreamFailed())
        said = msgspec.json.decode(text)
        clean = without_account_details(said, credential=secret)
        return text if clean == said else msgspec.json.encode(clean).decode()

    async def _watch(self) -> None:
        """End what takes too long, and what is idle when this process stops."""
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            if now - self._began_at > LONGEST_S or now - self._said_at > IDLE_S:
                raise _Over(GOING_AWAY, SessionExpired())
            if self._exchange.services.is_stopping and not self._meter.is_responding:
                raise _Over(GOING_AWAY)
            await self._check_key()

    async def _check_key(self) -> None:
        """End the conversation of a key that is not good any more."""
        services, key = self._exchange.services, self._exchange.key
        if key.expires_at is not None and key.expires_at <= time.time():
            raise _Over(POLICY, KeyExpired())
        version = services.snapshots.keys_version
        if version == self._keys_version:
            return
        try:
            await auth.authenticate(self._call, services.snapshot, services.keyring)
        except LedgerUnavailable:
            return
        except RelayError as error:
            raise _Over(POLICY, error) from None
        self._keys_version = version

    # The hold.

    async def _afford(self) -> None:
        """Return once the hold covers what is about to pass; raises _Over if it can't."""
        admitted, meter = self._exchange.admitted, self._meter
        if meter.needed_ubt() <= admitted.held_ubt:
            return
        async with self._growing:
            if meter.needed_ubt() <= admitted.held_ubt:
                return
            room, wallet_id = self._exchange.services.room, self._exchange.key.wallet_id
            give_up_at = time.monotonic() + WAIT_S
            while not await self._grow():
                if not room.is_shared(wallet_id) or time.monotonic() >= give_up_at:
                    raise _Over(POLICY, InsufficientQuota())
                # What others of the wallet hold may come back in a moment.
                await room.wait(wallet_id, timeout_s=LOOK_AGAIN_S)

    async def _grow(self) -> bool:
        """Have the hold grow; say if it covers all now, when the text has been counted, too."""
        admitted, meter = self._exchange.admitted, self._meter
        wanted_ubt = max(meter.wanted_ubt(), meter.needed_ubt())
        answer = await self._exchange.services.ledger.progress(self._progress(wanted_ubt))
        if answer.growth is Growth.RECORDED:
            admitted.held_ubt = answer.amount_ubt
        if meter.needed_ubt() > admitted.held_ubt:
            await meter.count()
        return meter.needed_ubt() <= admitted.held_ubt

    def _checkpoint(self) -> None:
        self._exchange.services.ledger.progress(self._progress(0))

    def _progress(self, wanted_ubt: int) -> ProgressOp:
        counted_input, counted_output, delivered_ubt = self._meter.checkpoint()
        return progress_op(
            self._exchange,
            counted_input=counted_input,
            counted_output=counted_output,
            delivered_ubt=delivered_ubt,
            wanted_ubt=wanted_ubt,
        )

    # The end.

    async def _charge(self) -> None:
        counts = await self._meter.final_counts()
        if any(msgspec.structs.astuple(counts)):
            source = "counted" if self._meter.has_counted else "upstream"
            self._exchange.charge(counts, source=source)

    def _note_end(self, over: _Over) -> None:
        exchange, error = self._exchange, over.error
        exchange.status = 200
        if isinstance(error, ClientGone):
            exchange.resolution = "client_gone"
        if error is not None and not isinstance(error, SessionExpired):
            exchange.error_type = error.error_type

    async def _hang_up(self, over: _Over) -> None:
        """Tell the client why, if it is there."""
        call = self._call
        if call.has_gone():
            return
        await hang_up(call, over.code, over.error)


async def hang_up(call: Call, code: int, error: RelayError | None) -> None:
    """End a client's WebSocket, after an event that says why, if it is still there."""
    call.is_answered = True
    try:
        if error is not None:
            event = error_event(error, call.request_id).decode()
            await call.send({"type": "websocket.send", "text": event})
        await call.send({"type": "websocket.close", "code": code})
    except OSError:
        return


async def tell(call: Call, error: RelayError) -> None:
    """Tell a client why there is no conversation, or none any more."""
    if isinstance(error, ClientGone) or call.is_answered or call.has_gone():
        return
    if call.is_started:
        code = GOING_AWAY if isinstance(error, Stopping) else INTERNAL
        await hang_up(call, code, error)
        return
    call.is_answered = True
    body = call.errors.body(error, call.request_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"x-request-id", call.request_id.encode()),
        *error.headers,
    ]
    start = {"type": "websocket.http.response.start", "status": error.status, "headers": headers}
    await call.send(start)
    await call.send({"type": "websocket.http.response.body", "body": body})
    # uvicorn complains of a call that returns before the refused connection is closed.
    while not getattr(call.connection, "disconnected", True):
        await call.receive()
