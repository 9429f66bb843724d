"""A fake vendor of pictures, speech, transcripts, moderation and ranking on loopback.

The machinery is `upstream`'s: the same directives fail and cut answers. More of them say what the
vendor makes: `images=1` draws fewer than it was asked for, `seconds=90` is how long a sound really
was, `bytes=N` how much it speaks, or draws in a stream, `partial=N` how many pictures it shows on
the way, `plain` that it knows no events. What it bills stands in `truth`, as a count of each
bucket, by rules of its own.
"""

import asyncio
import base64
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.fakes import vendor
from tests.fakes.upstream import Exchange, FakeUpstream, Request
from tests.fakes.vendor import Json, Script, Truth

SPEECH_TYPE = "audio/mpeg"
WORDS = "The fake has heard it all."
# By this vendor's rules, not by anyone else's.
PROMPT_TOKENS, PICTURE_TOKENS, PARTIAL_TOKENS = 11, 1_056, 100
HEARD_TOKENS, WRITTEN_TOKENS, SPOKEN_TOKENS = 13, 8, 77
_PIECE_BYTES = 3_001


@dataclass
class MediaScript(Script):
    """What one request is told to get."""

    images: int = -1
    seconds: int = 7
    bytes: int = 20_000
    partial: int = 0
    billed: str = ""
    plain: bool = False


class MediaExchange(Exchange):
    """One request and its answer."""

    def __init__(
        self,
        fake: FakeUpstream,
        request: Request,
        writer: asyncio.StreamWriter,
        upcoming: "asyncio.Task[Request | None]",
    ) -> None:
        super().__init__(fake, request, writer, upcoming)
        self._script: MediaScript = MediaScript()

    def _asked(self) -> Json:
        kind = self._request.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            asked = super()._asked()
            return asked | {"prompt": asked["query"]} if "query" in asked else asked
        fields = read_form(self._request.body, kind.partition("boundary=")[2].encode())
        asked = {"model": None, "prompt": "", **fields}
        return asked | {"stream": asked.get("stream") == "true"}

    async def _deliver(self, asked: Json, truth: Truth) -> bool:
        answers: dict[str, Callable[[Json, Truth], Any]] = {
            "generations": self._draw,
            "edits": self._draw,
            "variations": self._draw,
            "speech": self._speak,
            "transcriptions": self._listen,
            "translations": self._listen,
            "moderations": self._moderate,
            "rerank": self._rank,
        }
        kept: bool = await answers[truth.path.rpartition("/")[2]](asked, truth)
        return kept

    async def _bill(self, body: Json | bytes, truth: Truth, billed: Json) -> bool:
        """Send a whole answer, and note what it costs once it is out."""
        if isinstance(body, bytes):
            data = body[: len(body) // 2] if self._script.cut >= 0 else body
            kind = "text/plain; charset=utf-8"
            await self._write(self._head(200, kind, length=len(body)) + data)
            truth.ended = "cut" if self._script.cut >= 0 else "whole"
            kept = truth.finished
        else:
            kept = await self._send_whole(body, truth)
        truth.usage = billed if truth.finished else None
        return kept

    async def _send_events(self, events: Iterator[Json], truth: Truth, billed: Json) -> bool:
        script = self._script
        await self._write(self._head(200, "text/event-stream", length=None))
        for number, event in enumerate(events):
            if number == script.cut:
                return await self._break_off(truth, cleanly=False)
            if number == script.error_event:
                failed = {"type": "error", "error": vendor.error_body(500)["error"]}
                await self._event(vendor.encode(failed))
                return await self._break_off(truth, cleanly=True)
            await self._event(vendor.encode(event))
            truth.pieces += 1
            await self._pause(script.delay_ms)
        await self._write(b"0\r\n\r\n")
        truth.usage, truth.ended = billed, "whole"
        return True

    async def _draw(self, asked: Json, truth: Truth) -> bool:
        script = self._script
        count = int(asked.get("n") or 1) if script.images < 0 else script.images
        if truth.stream:
            written = PICTURE_TOKENS + script.partial * PARTIAL_TOKENS
            usage = _tokens(PROMPT_TOKENS, written)
            events = self._pictures(usage, edits=truth.path.endswith("edits"))
            return await self._send_events(events, truth, _billed(usage) | {"image": 1})
        body: Json = {"created": 1, "data": [{"b64_json": "eA=="}] * count}
        if "gpt-image" not in str(asked["model"]):
            return await self._bill(body, truth, {"image": count})
        usage = _tokens(PROMPT_TOKENS, count * PICTURE_TOKENS)
        told = body if script.usage == "none" else body | {"usage": usage}
        return await self._bill(told, truth, _billed(usage) | {"image": count})

    def _pictures(self, usage: Json, *, edits: bool) -> Iterator[Json]:
        kind = "image_edit" if edits else "image_generation"
        for number in range(self._script.partial):
            yield {"type": f"{kind}.partial_image", "partial_image_index": number, "b64_json": "e"}
        picture = "e" * self._script.bytes
        yield {"type": f"{kind}.completed", "b64_json": picture, "usage": usage}

    async def _speak(self, asked: Json, truth: Truth) -> bool:
        characters = {"character": len(asked["input"])}
        sound = speech(self._script.bytes)
        pieces = [sound[at : at + _PIECE_BYTES] for at in range(0, len(sound), _PIECE_BYTES)]
        if asked.get("stream_format") == "sse" and not self._script.plain:
            usage = _tokens(PROMPT_TOKENS, SPOKEN_TOKENS)
            billed = {"input": PROMPT_TOKENS, "audio_out": SPOKEN_TOKENS} | characters
            return await self._send_events(_spoken(pieces, usage), truth, billed)
        await self._write(self._head(200, SPEECH_TYPE, length=None))
        for number, piece in enumerate(pieces):
            if number == self._script.cut:
                return await self._break_off(truth, cleanly=False)
            await self._write_chunk(piece)
            truth.pieces += 1
            await self._pause(self._script.delay_ms)
        await self._write(b"0\r\n\r\n")
        truth.usage, truth.ended = characters, "whole"
        return True

    async def _listen(self, asked: Json, truth: Truth) -> bool:
        script, format_ = self._script, asked.get("response_format") or "json"
        seconds = {"second": script.seconds}
        heard = script.seconds * HEARD_TOKENS
        inside = {"text_tokens": 0, "audio_tokens": heard}
        usage = _tokens(heard, WRITTEN_TOKENS) | {"type": "tokens", "input_token_details": inside}
        billed = {"audio_in": heard, "output": WRITTEN_TOKENS} | seconds
        if truth.stream and not script.plain:
            return await self._send_events(_written(usage), truth, billed)
        if format_ in ("text", "srt", "vtt"):
            return await self._bill(subtitles(format_, script.seconds), truth, seconds)
        body: Json = {"text": WORDS}
        if format_ != "json":
            body |= {"duration": script.seconds - 0.2, "segments": [{"end": script.seconds - 0.5}]}
        if "gpt-4o" in str(asked["model"]):
            return await self._bill(body | {"usage": usage}, truth, billed)
        if script.usage != "none":
            body["usage"] = {"type": "duration", "seconds": script.seconds}
        return await self._bill(body, truth, seconds)

    async def _moderate(self, asked: Json, truth: Truth) -> bool:
        results = [{"flagged": False, "categories": {}, "category_scores": {}}]
        body = {"id": "modr-1", "model": asked["model"], "results": results}
        return await self._bill(body, truth, {})

    async def _rank(self, asked: Json, truth: Truth) -> bool:
        results = [{"index": 0, "relevance_score": 0.5}]
        if self._script.billed == "searches":
            units = {"billed_units": {"search_units": 4}}
            return await self._bill({"results": results, "meta": units}, truth, {"search": 4})
        searches = -(-len(asked["documents"]) // 100)
        told = {"results": results, "usage": {"total_tokens": 321}}
        return await self._bill(told, truth, {"input": 321, "search": searches})


class FakeMedia(FakeUpstream):
    """The server; channels get its `base_url`."""

    exchange = MediaExchange


def read_form(body: bytes, boundary: bytes) -> dict[str, str]:
    """Return the fields of a form; of a file, its length."""
    fields = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part[2:-2].partition(b"\r\n\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0].decode()
        fields[name] = str(len(content)) if b"filename=" in head else content.decode()
    return fields


def speech(size: int) -> bytes:
    """Return bytes that are no text and nowhere the same."""
    return b"\xff\xfb" + random.Random(size).randbytes(size)


def subtitles(format_: str, seconds: int) -> bytes:
    """Return what was said, as text, SubRip or WebVTT."""
    if format_ == "text":
        return f"{WORDS}\n".encode()
    mark = "," if format_ == "srt" else "."
    ends_at = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}000"
    begin = "1\n" if format_ == "srt" else "WEBVTT\n\n"
    return f"{begin}00:00:00{mark}000 --> {ends_at}\n{WORDS}\n\n".encode()


def _spoken(pieces: list[bytes], usage: Json) -> Iterator[Json]:
    for piece in pieces:
        yield {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
    yield {"type": "speech.audio.done", "usage": usage}


def _written(usage: Json) -> Iterator[Json]:
    for word in WORDS.split(" "):
        yield {"type": "transcript.text.delta", "delta": f"{word} "}
    yield {"type": "transcript.text.done", "text": WORDS, "usage": usage}


def _tokens(read: int, written: int) -> Json:
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


def _billed(usage: Json) -> Json:
    return {"input": usage["input_tokens"], "output": usage["output_tokens"]}
