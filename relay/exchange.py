"""One request told from top to bottom: admit -> hold -> choose -> forward -> meter -> settle.

`serve` is the story; `Exchange` carries its state, and whatever happens to it after the hold was
granted, `settle` is called exactly once. What it calls are leaves: `auth`, `limits`, `admission`,
`forwarding`, `streaming`.
"""

import asyncio
import time
from collections.abc import Awaitable, Collection

import msgspec

from billing.pricing import BUCKETS, Counts, Price, charge, input_total
from relay import admission, auth, tokens
from relay.admission import Admitted, counted_prompt
from relay.booking import hold_op, settle_op
from relay.call import Call
from relay.errors import ClientGone, ModelNotFound, NoChannel, RelayError, UpstreamFailed
from relay.forwarding import Started, Whole, open_answer
from relay.headers import passed_to_client
from relay.keeping import bound_offers, forget_unpaid, remember
from relay.keyring import KeyEntry
from relay.object_rows import Kept
from relay.piping import Pipe
from relay.protocols.base import Asked, Endpoint, RequestFacts
from relay.routing import Choice, choose
from relay.services import Services
from relay.snapshot import Host, Offer, Shop
from relay.streaming import Stream

_NOTHING = Counts()
_REQUEST = BUCKETS.index("request")


async def serve(services: Services, call: Call, endpoint: Endpoint, model: str = "") -> None:
    """Answer one request of a client; raises RelayError for `asgi` to tell it.

    `model` is the one that the address names.
    """
    options, snapshot = services.options, services.snapshots.current
    caller = await auth.known_caller(services, call)
    body = await call.body(options.max_upload_bytes if endpoint.uploads else options.max_body_bytes)
    facts = endpoint.dialect.read(endpoint, _asked(call, body, model))
    if facts.shape is not None:
        call.errors = facts.shape.errors
    auth.check_policy(caller.key, endpoint=endpoint.name, model=facts.model)
    exchange = Exchange(services, call, facts, key=caller.key, host=caller.host)
    exchange.shop = snapshot.shops[caller.key.tenant_id]
    exchange.price, exchange.offers = _sold(exchange.shop, facts)
    if facts.bound_to:
        exchange.offers = await bound_offers(exchange, facts.bound_to)
    exchange.body = body
    exchange.address_hash = caller.address_hash
    await perform(exchange)


async def serve_ordered(
    services: Services,
    call: Call,
    facts: RequestFacts,
    *,
    caller: auth.Caller,
    body: bytes,
    offer: Offer,
) -> None:
    """Answer a request that was read elsewhere and that only this offer can serve."""
    exchange = Exchange(services, call, facts, key=caller.key, host=caller.host)
    exchange.shop = services.snapshots.current.shops[caller.key.tenant_id]
    exchange.price = exchange.shop.price(facts)
    exchange.offers = (offer,)
    exchange.body = body
    exchange.address_hash = caller.address_hash
    await perform(exchange)


def perform(exchange: "Exchange") -> Awaitable[None]:
    """Run an exchange within the limits of its key, if it has any."""
    return _within_limits(exchange) if exchange.key.is_limited else exchange.run()


async def _within_limits(exchange: "Exchange") -> None:
    tokens_expected = _expected_tokens(exchange.facts)
    slot = await exchange.services.limits.enter(exchange.key.ceilings, tokens=tokens_expected)
    exchange.call.extra_headers = slot.headers()
    try:
        await exchange.run()
    finally:
        slot.release(exchange.used_tokens)


def _asked(call: Call, body: bytes, model: str) -> Asked:
    return Asked(
        body, model, call.headers.get(b"content-type", b""), call.scope.get("query_string", b"")
    )


def _sold(shop: Shop, facts: RequestFacts) -> tuple[Price, tuple[Offer, ...]]:
    """Return the price and the channels of what is asked for."""
    price = shop.price(facts)
    offers = shop.offers(facts.endpoint, facts.model)
    if not offers:
        raise ModelNotFound(f"The model `{facts.model}` is not offered here.", param="model")
    return price, offers


def _expected_tokens(facts: RequestFacts) -> int:
    """Return what a tokens-per-minute limit takes at first: a guess, corrected at the end."""
    return facts.text_bytes // 4 + facts.token_ids + 1


class Exchange:
    """A request from its hold to its settle. Amounts are ubt, times are of `time.monotonic`."""

    __slots__ = (
        "_is_running",
        "actual_ubt",
        "address_hash",
        "admitted",
        "attempts",
        "body",
        "call",
        "choice",
        "counts",
        "error_type",
        "facts",
        "first_content_at",
        "host",
        "kept",
        "key",
        "offers",
        "price",
        "prompt_tokens",
        "resolution",
        "services",
        "shop",
        "status",
        "upstream_request_id",
        "usage_source",
    )

    def __init__(
        self, services: Services, call: Call, facts: RequestFacts, *, key: KeyEntry, host: Host
    ) -> None:
        self.services = services
        self.call = call
        self.facts = facts
        self.key = key
        self.host = host
        self.shop: Shop
        self.price: Price
        self.offers: tuple[Offer, ...]
        self.admitted: Admitted
        self.body = b""
        self.address_hash = 0
        self.choice: Choice | None = None
        self.attempts = 0
        self.prompt_tokens: int | None = None
        self.first_content_at = 0.0
        self.counts = _NOTHING
        self.actual_ubt = 0
        self.usage_source = "none"
        self.resolution = "voided"
        self.status = 0
        self.error_type = ""
        self.upstream_request_id = ""
        self.kept: Kept | None = None
        self._is_running = False

    async def run(self) -> None:
        """Hold, forward, deliver, settle."""
        first = self.choose()
        if first is None:
            raise NoChannel
        try:
            self.admitted = await admission.reserve(
                self.services.ledger,
                self.services.room,
                hold_op(self, first),
                bound=admission.bound_of(self.facts, self.price),
                body=self.body,
                facts=self.facts,
            )
        except asyncio.CancelledError:
            raise self.call.interrupted() from None
        room, wallet_id = self.services.room, self.key.wallet_id
        room.enter(wallet_id)
        try:
            await self._deliver(first)
        except RelayError as error:
            self._fail(error)
            raise
        # What can't be foreseen charges nothing more; the edge logs it and answers 500.
        except Exception:
            self._fail(RelayError())
            raise
        finally:
            room.leave(wallet_id)
            self.leave()
            if self.kept is not None:
                forget_unpaid(self, self.kept)
            self.services.ledger.settle(settle_op(self))

    async def _deliver(self, first: Choice) -> None:
        """Forward until an answer is worth delivering, and deliver it."""
        stream: Stream | None = None
        self.call.keeps_going = not self.facts.stream and self._finishes_abandoned()
        try:
            if not self.call.keeps_going and self.call.has_gone():
                raise ClientGone
            with self.services.watch.keeping_alive(self.call, self.facts):
                answer = await open_answer(self, first)
                if isinstance(answer, Whole):
                    await self._deliver_whole(answer)
                elif isinstance(answer, Started):
                    if answer.object_id:
                        await remember(self, answer.object_id)
                    stream = Stream(self, answer)
                    await stream.run()
                else:
                    await Pipe(self, answer).run()
        except asyncio.CancelledError:
            verdict = self.call.interrupted()
            self._fail(verdict)
            if stream is not None:
                await stream.charge_counted()
            elif isinstance(verdict, ClientGone) and not self.facts.stream and not self.is_charged:
                self.services.abandoned.note(self.key.id)
            raise verdict from None

    async def _deliver_whole(self, answer: Whole) -> None:
        """Send a whole answer and charge it; for a client that has gone see R8."""
        is_gone = self.call.has_gone()
        if is_gone and not self.call.keeps_going:
            self.services.abandoned.note(self.key.id)
            raise ClientGone
        if self.call.is_started:
            raise UpstreamFailed  # a stream was begun, and this is none
        if answer.facts.object_id:
            await remember(self, answer.facts.object_id)
        usage, source = answer.facts.usage, "upstream"
        if usage is None and answer.facts.has_content:
            # First: nothing may come between delivering and charging.
            usage, source = await self._counted_answer(answer), "counted"
        self.status = answer.response.status
        self.first_content_at = time.monotonic()
        headers = passed_to_client(answer.response.headers)
        await self.call.answer(self.status, headers, answer.body)
        if usage is not None:
            self.charge(usage, source=source)
        if is_gone:
            self.resolution, self.error_type = "client_gone", ClientGone.error_type

    async def _counted_answer(self, answer: Whole) -> Counts:
        await self.count_prompt()
        output = await asyncio.to_thread(tokens.count, answer.facts.text, self.facts.model)
        return self.counted(output, answer.facts.units)

    def _finishes_abandoned(self) -> bool:
        return self.shop.finishes_abandoned or self.services.abandoned.is_often(self.key.id)

    # What the leaves note here.

    def enter(self, choice: Choice) -> None:
        """An attempt begins."""
        self.choice = choice
        self.attempts += 1
        self._is_running = True
        self.services.health.enter(choice.offer.channel.id)

    def leave(self) -> None:
        """The attempt has ended, or its answer has been delivered."""
        if self._is_running and self.choice is not None:
            self._is_running = False
            self.services.health.leave(self.choice.offer.channel.id)

    def charge(self, counts: Counts, *, source: str) -> None:
        """Charge what was delivered; the last word counts."""
        if self.price.ubt[_REQUEST]:
            counts = msgspec.structs.replace(counts, request=1)
        self.counts = counts
        self.actual_ubt = charge(self.price, counts)
        self.usage_source = source
        if self.resolution == "voided":
            self.resolution = "settled"

    @property
    def is_charged(self) -> bool:
        """Whether something has been delivered, be it for nothing."""
        return self.usage_source != "none"

    def counted(self, output: int, delivered: Counts | None = None) -> Counts:
        """Return what an answer of so many tokens comes to, as far as we can count ourselves.

        `delivered` is what it shows beside text; what was asked for, if it shows nothing.
        """
        units = delivered or self.facts.units or _NOTHING
        return msgspec.structs.replace(
            units, input=self.prompt_tokens or 0, output=output + units.output
        )

    async def count_prompt(self) -> None:
        """Count the prompt once, off the loop; afterwards its text is no longer needed."""
        if self.prompt_tokens is None:
            facts, price = self.facts, self.price
            counted = await asyncio.to_thread(counted_prompt, self.body, facts)
            counted += facts.images * price.image_input_tokens
            self.prompt_tokens = counted + facts.files * price.file_input_tokens
            if facts.stream:
                self.body = b""

    def choose(self, tried: Collection[int] = ()) -> Choice | None:
        """Return what to try next, None if there is nothing left; `tried` are credential ids."""
        conversation = self.facts.conversation
        return choose(
            self.offers,
            self.services.health,
            tried=tried,
            now=time.monotonic(),
            # As random as the request's id.
            draw=int.from_bytes(self.call.id[-4:], "big") / 4294967296,
            # Clients of different people may use the same name.
            conversation=f"{self.key.wallet_id} {conversation}" if conversation else "",
        )

    @property
    def used_tokens(self) -> int:
        """All tokens of the request, for its limits."""
        counts = self.counts
        return input_total(counts) + counts.output + counts.reasoning + counts.audio_out

    def _fail(self, error: RelayError) -> None:
        """Note how the request has ended for its client; what is charged stays charged."""
        self.status = error.status
        self.error_type = error.error_type
        if isinstance(error, ClientGone):
            self.resolution = "client_gone"
