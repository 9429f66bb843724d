"""What a realtime conversation has used, what its next response may cost, and what a crash costs.

The vendor reports at the end of each response; that is charged. Before, only bounds are known: what
has been said since, what the conversation has come to, which the model reads again each time (most
of it from a cache), and what it writes. Called by `realtime`.
"""

from operator import add

from msgspec.structs import astuple

from billing.pricing import BUCKETS, Counts, Price, charge
from relay.protocols.realtime import (
    PCM_BYTES_PER_SECOND,
    TRANSCRIBED,
    Event,
    Given,
    bytes_per_second,
    is_audio_out,
    response_id,
    sound_bytes,
    used_by_response,
    used_by_transcription,
)
from relay.tokens import TokenMeter

AUDIO_IN_TOKENS_PER_SECOND = 10
AUDIO_OUT_TOKENS_PER_SECOND = 20
IMAGE_TOKENS = 2_000
# What the microphone hears while nobody speaks is not billed. The vendor takes what it calls
# speech, and a little before; until it has told us, so much of the sound is taken for speech.
UNHEARD_S = 30
BEFORE_SPEECH_S = 1
# What must be there for an answer to begin, and by how much a hold grows if it can.
LEAST_TOKENS = 64
STEP_TOKENS = 1_024

_INPUT, _CACHED, _OUTPUT, _AUDIO_IN, _AUDIO_OUT = (
    BUCKETS.index(name) for name in ("input", "cached_input", "output", "audio_in", "audio_out")
)


class _Part:
    """Text and sound of one side that no usage covers yet."""

    def __init__(self, model: str) -> None:
        self.text = TokenMeter(model)
        self.audio_bytes = 0
        self.images = 0

    def add(self, given: Given) -> None:
        self.text.add(given.text)
        self.audio_bytes += given.audio_bytes
        self.images += given.images


class Meter:
    """Meters one conversation. `counts` is what the vendor has reported so far."""

    def __init__(self, price: Price, model: str) -> None:
        self.counts = Counts()
        self.used_ubt = 0
        self.has_counted = False
        self._price = price
        self._model = model
        self._running = 0
        self._ended = ""
        self._context_text = self._context_audio = 0
        self._bytes_per_second = PCM_BYTES_PER_SECOND
        self._live_bytes = 0
        self._speech_from: int | None = None
        # Said before the response that runs, since then, and by the model in it.
        self._asked, self._given, self._written = (_Part(model) for _ in range(3))

    @property
    def is_responding(self) -> bool:
        """Say whether the model is at it."""
        return self._running > 0

    @property
    def has_written(self) -> bool:
        """Say whether a response that runs has delivered anything."""
        return bool(self._written.text.bound or self._written.audio_bytes)

    def hear(self, given: Given) -> None:
        """Note what the client has said."""
        self._given.add(given)
        self._live_bytes += given.live_bytes

    def commit_sound(self) -> None:
        """What was said into the microphone is part of the conversation now."""
        self._given.audio_bytes += self._live_bytes - (self._speech_from or 0)
        self.forget_sound()

    def forget_sound(self) -> None:
        """What was said into the microphone will not be heard."""
        self._live_bytes, self._speech_from = 0, None

    async def read(self, event: Event) -> None:
        """Note an event of the upstream's."""
        kind = event.type
        if kind.endswith(".delta") and kind.startswith("response."):
            if is_audio_out(event):
                self._written.audio_bytes += sound_bytes(event)
            else:
                self._written.text.add(event.delta)
        elif kind == "response.created":
            self._running += 1
            if response_id(event) == self._ended:
                self._ended = ""
            self._asked, self._given = self._given, _Part(self._model)
        elif kind == "response.done":
            await self._finish_response(event)
        elif kind == TRANSCRIBED:
            self._use(used_by_transcription(event) or Counts())
        elif kind in {"session.created", "session.updated"}:
            self._bytes_per_second = bytes_per_second(event)
        else:
            self._read_microphone(kind)

    def _read_microphone(self, kind: str) -> None:
        if kind == "input_audio_buffer.speech_started":
            before = BEFORE_SPEECH_S * self._bytes_per_second
            self._speech_from = max(0, self._live_bytes - before)
        elif kind == "input_audio_buffer.committed":
            self.commit_sound()
        elif kind == "input_audio_buffer.cleared":
            self.forget_sound()

    async def _finish_response(self, event: Event) -> None:
        """Note the end of a response. What is told twice has been used once."""
        ended = response_id(event)
        if ended and ended == self._ended:
            return
        self._ended = ended
        self._running = max(0, self._running - 1)
        used = used_by_response(event)
        if used is None:
            if self.has_written:
                await self.count()
                self._use(self._estimate())
                self.has_counted = True
        else:
            self._use(used.counts)
            self._context_text, self._context_audio = used.text_tokens, used.audio_tokens
        self._asked, self._written = _Part(self._model), _Part(self._model)

    def _use(self, counts: Counts) -> None:
        self.counts = Counts(*map(add, astuple(self.counts), astuple(counts)))
        self.used_ubt = charge(self._price, self.counts)

    # Bounds.

    def needed_ubt(self) -> int:
        """Return what must be held to go on: what is owed, and an answer that can begin.

        What the conversation has come to is expected to be read from the vendor's cache.
        """
        context = self._context_text + self._context_audio
        return self._owed_ubt(context * self._price.ubt[_CACHED], LEAST_TOKENS)

    def wanted_ubt(self) -> int:
        """Return what should be held if it can: for all to be read anew, and a longer answer."""
        ubt = self._price.ubt
        context_ubt = self._context_text * max(ubt[_INPUT], ubt[_CACHED])
        context_ubt += self._context_audio * max(ubt[_AUDIO_IN], ubt[_CACHED])
        return self._owed_ubt(context_ubt, STEP_TOKENS)

    def _owed_ubt(self, context_ubt: int, answer_tokens: int) -> int:
        ubt, written = self._price.ubt, self._written
        owed = self.used_ubt + context_ubt + answer_tokens * max(ubt[_OUTPUT], ubt[_AUDIO_OUT])
        for part in (self._asked, self._given):
            owed += (part.text.bound + self._image_tokens(part)) * ubt[_INPUT]
            owed += self._audio_in(part.audio_bytes) * ubt[_AUDIO_IN]
        owed += self._audio_in(self._speech_bytes()) * ubt[_AUDIO_IN]
        return owed + written.text.bound * ubt[_OUTPUT] + self._audio_out() * ubt[_AUDIO_OUT]

    def _image_tokens(self, part: _Part) -> int:
        return part.images * (self._price.image_input_tokens or IMAGE_TOKENS)

    def _speech_bytes(self) -> int:
        """Return how much of what the microphone hears is taken for speech."""
        if self._speech_from is not None:
            return self._live_bytes - self._speech_from
        return min(self._live_bytes, UNHEARD_S * self._bytes_per_second)

    def _audio_in(self, audio_bytes: int) -> int:
        per_second = self._price.audio_second_tokens or AUDIO_IN_TOKENS_PER_SECOND
        return -(-audio_bytes * per_second // self._bytes_per_second)

    def _audio_out(self) -> int:
        return self._written.audio_bytes * AUDIO_OUT_TOKENS_PER_SECOND // self._bytes_per_second

    async def count(self) -> None:
        """Count the text that has only been bounded by its bytes."""
        for part in (self._asked, self._given, self._written):
            await part.text.count_pending()

    # What is charged, and what a crash would be charged.

    async def final_counts(self) -> Counts:
        """Return what the conversation comes to, with what an unfinished response has delivered."""
        await self.count()
        if self.is_responding and self.has_written:
            self.has_counted = True
            return Counts(*map(add, astuple(self.counts), astuple(self._estimate())))
        return self.counts

    def _estimate(self) -> Counts:
        """Return what a response has come to that reports nothing, as far as it was counted."""
        asked, written = self._asked, self._written
        return Counts(
            input=asked.text.counted + self._image_tokens(asked),
            cached_input=self._context_text + self._context_audio,
            audio_in=self._audio_in(asked.audio_bytes),
            output=written.text.counted,
            audio_out=self._audio_out(),
        )

    def checkpoint(self) -> tuple[int, int, int]:
        """Return input and output tokens that cost what was used, or just less, and what they cost.

        A checkpoint knows text only; the vendor's own counts are charged in the end.
        """
        ubt = self._price.ubt
        output = self.used_ubt // ubt[_OUTPUT] if ubt[_OUTPUT] else 0
        left = self.used_ubt - output * ubt[_OUTPUT]
        given = left // ubt[_INPUT] if ubt[_INPUT] else 0
        return given, output, charge(self._price, Counts(input=given, output=output))
