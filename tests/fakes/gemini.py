"""A fake of Google's Gemini API on loopback: the server of `upstream`, which says what Google says.

In a test: `with FakeGemini() as fake:`; channels get `fake.origin` and a credential that begins
with `sk-fake-`. Directives are those of `upstream`, and those of `GeminiScript` here. Usage is made
up by a rule of its own (a word is a token; a prompt costs 7 and a third of its bytes), so that what
the relay charges is compared with a count that is not the relay's.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from tests.fakes import vendor
from tests.fakes.upstream import Exchange, FakeUpstream, Request
from tests.fakes.vendor import Json, Script, Truth

PICTURE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
SOUND = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAAAAAA"}}
IMAGE_TOKENS = 1_290


@dataclass
class GeminiScript(Script):
    """More directives: thoughts are `reasoning`; tokens of audio, images, what tools have read.

    `usage`: "asked" is Google's own way, in every event; "last" only in the last one. `deaf`: it
    does not keep to limits.
    """

    audio_in: int = 0
    audio_out: int = 0
    images: int = 0
    tools_read: int = 0
    searched: bool = False
    blocked: bool = False
    thinking: bool = False
    deaf: bool = False


class Content:
    """An answer: pieces of text, and the usage that it really has."""

    def __init__(self, asked: Json, script: GeminiScript) -> None:
        config = asked.get("generationConfig") or asked.get("generation_config") or {}
        limit = config.get("maxOutputTokens") or config.get("max_output_tokens")
        self.script = script
        self.candidates: int = config.get("candidateCount") or 1
        self.reason = "STOP"
        words = list(islice(cycle(vendor.WORDS), script.tokens))
        if limit is not None and len(words) > limit and not script.deaf:
            words, self.reason = words[:limit], "MAX_TOKENS"
        self.words = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
        self._asked = prompt_tokens(asked)

    def usage(self, words: int) -> Json:
        """Return the vendor's count once so many words of each candidate are out."""
        script = self.script
        prompt = self._asked + script.cached + script.audio_in
        written = words * self.candidates + script.audio_out + script.images * IMAGE_TOKENS
        usage: Json = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": written,
            "totalTokenCount": prompt + written + script.reasoning + script.tools_read,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt - script.audio_in}],
        }
        if script.cached:
            usage["cachedContentTokenCount"] = script.cached
        if script.reasoning:
            usage["thoughtsTokenCount"] = script.reasoning
        if script.tools_read:
            usage["toolUsePromptTokenCount"] = script.tools_read
        if script.audio_in:
            audio = {"modality": "AUDIO", "tokenCount": script.audio_in}
            usage["promptTokensDetails"].append(audio)
        kinds = {"AUDIO": script.audio_out, "IMAGE": script.images * IMAGE_TOKENS}
        details = [{"modality": kind, "tokenCount": size} for kind, size in kinds.items() if size]
        return usage | ({"candidatesTokensDetails": details} if details else {})

    def whole(self) -> Json:
        """Return the answer in one piece."""
        script = self.script
        if script.blocked:
            usage = {"promptTokenCount": self._asked, "totalTokenCount": self._asked}
            return {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage}
        parts = [*self._thoughts(), self._said("".join(self.words)), *self._media()]
        candidates = [self._candidate(at, parts, ends=True) for at in range(self.candidates)]
        return self._head(candidates, len(self.words), is_last=True)

    def events(self) -> Iterator[tuple[str, Json]]:
        """Yield the events of a stream, each with the text of the model in it."""
        if self.script.blocked:
            yield "", self.whole()
            return
        for part in self._thoughts():
            yield part["text"], self._head([self._candidate(0, [part])], 0)
        for at in range(self.candidates):
            for number, word in enumerate(self.words, start=1):
                is_last = number == len(self.words) and not self.script.no_finish
                parts = [self._said(word), *(self._media() if is_last else ())]
                candidate = self._candidate(at, parts, ends=is_last)
                yield word, self._head([candidate], number, is_last=is_last)

    def _thoughts(self) -> list[Json]:
        return [{"text": "Let me think", "thought": True}] if self.script.thinking else []

    def _said(self, text: str) -> Json:
        if self.script.tool:
            return {"functionCall": {"name": "get_weather", "args": {"city": "Beijing"}}}
        return {"text": text}

    def _media(self) -> list[Json]:
        script = self.script
        return [PICTURE] * script.images + ([SOUND] if script.audio_out else [])

    def _candidate(self, index: int, parts: list[Json], *, ends: bool = False) -> Json:
        candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": index}
        if ends:
            candidate["finishReason"] = self.reason
            if self.script.searched:
                candidate["groundingMetadata"] = {"webSearchQueries": ["weather", "beijing"]}
        return candidate

    def _head(self, candidates: list[Json], words: int, *, is_last: bool = False) -> Json:
        answer: Json = {"candidates": candidates, "modelVersion": "fake", "responseId": "fake"}
        style = self.script.usage
        if style == "none" or (style == "last" and not is_last):
            return answer
        return answer | {"usageMetadata": self.usage(words)}


def prompt_tokens(asked: Json) -> int:
    """Return the vendor's own count of a prompt."""
    return 7 + len(_texts(asked).encode()) // 3


def _texts(asked: Json) -> str:
    contents = asked.get("contents") or asked.get("content") or []
    contents = contents if isinstance(contents, list) else [contents]
    parts = [part for content in contents for part in content.get("parts") or ()]
    return "".join(part.get("text") or "" for part in parts)


def error_body(status: int, code: str = "", *, quoting: str = "") -> Json:
    """Return the vendor's error for a status, with account details that must not get out."""
    usual = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
    usual |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
    told = {
        "code": status,
        "message": f"Fake trouble {status} of AIzaSyFakeSecretPart123. {quoting}",
        "status": code or usual.get(status, "UNKNOWN"),
        "details": [{"@type": "ErrorInfo", "metadata": {"consumer": "projects/12345678"}}],
    }
    return {"error": told}


class GeminiExchange(Exchange):
    """One request and its answer in Gemini's dialect."""

    def __init__(
        self,
        fake: FakeUpstream,
        request: Request,
        writer: asyncio.StreamWriter,
        upcoming: "asyncio.Task[Request | None]",
    ) -> None:
        super().__init__(fake, request, writer, upcoming)
        self._script: GeminiScript = GeminiScript()

    async def run(self) -> bool:
        """Answer; return whether the connection may be used again."""
        if self._request.method != "GET" or self._refusal():
            return await super().run()
        names = ("aqa", "gemini-2.5-flash", "gemini-embedding-001")
        listed = {"models": [{"name": f"models/{name}"} for name in names]}
        return await self._send(200, vendor.encode(listed))

    def _refusal(self) -> tuple[int, Json] | None:
        credential = self._request.headers.get("x-goog-api-key", "")
        if credential.startswith("sk-fake-"):
            return None
        told = error_body(400)
        told["error"]["details"][0]["reason"] = "API_KEY_INVALID"
        return 400, told

    def _error(self, status: int, code: str = "", *, quoting: str = "") -> Json:
        return error_body(status, code, quoting=quoting)

    def _note(self, asked: Json) -> Truth:
        prefix, _, rest = self._request.target.partition("/v1beta/models/")
        address, _, query = rest.partition("?")
        model, _, verb = address.rpartition(":")
        prompt = _texts(asked["requests"][0] if "requests" in asked else asked)
        vendor.tell(self._script, prompt, prefix)
        truth = Truth(
            path=verb,
            model=model,
            stream=verb == "streamGenerateContent",
            ref=vendor.ref_of(prompt),
            prompt=prompt,
            headers=self._request.headers,
            body=self._request.body.decode(),
            query=query,
        )
        self._fake.truth.append(truth)
        return truth

    async def _deliver(self, asked: Json, truth: Truth) -> bool:
        if truth.path == "countTokens":
            return await self._send_whole({"totalTokens": prompt_tokens(asked)}, truth)
        if truth.path == "embedContent":
            return await self._send_whole({"embedding": {"values": [0.5, 0.5]}}, truth)
        if truth.path == "batchEmbedContents":
            vectors = [{"values": [0.5, 0.5]} for _ in asked["requests"]]
            return await self._send_whole({"embeddings": vectors}, truth)
        content = Content(asked, self._script)
        if truth.stream:
            return await self._send_events(content, truth)
        body = content.whole()
        kept = await self._send_whole(body, truth)
        truth.usage = content.usage(len(content.words)) if truth.ended == "whole" else None
        return kept

    async def _send_events(self, content: Content, truth: Truth) -> bool:
        script = self._script
        if truth.query != "alt=sse":
            return await self._send(200, b"[%b]" % vendor.encode(content.whole()))
        await self._write(self._head(200, "text/event-stream", length=None))
        for number, (piece, told) in enumerate(content.events()):
            trouble = self._trouble(number, piece, truth)
            if trouble is not None:
                if trouble:
                    await self._write_chunk(trouble)
                return await self._break_off(truth, cleanly=bool(trouble))
            await self._event(vendor.encode(told))
            truth.text += piece
            truth.pieces += 1
            await self._pause(script.pause_ms if truth.pieces == 1 else script.delay_ms)
        await self._write(b"0\r\n\r\n")
        truth.usage, truth.ended = content.usage(len(content.words)), "whole"
        return True

    def _trouble(self, number: int, piece: str, truth: Truth) -> bytes | None:
        """Return what ends the stream before this event: an event, or b"" for a cut."""
        script = self._script
        if number == script.cut:
            return b""
        if number == script.error_event:
            return b"data: " + vendor.encode(error_body(503)) + b"\n\n"
        return b"data: {not json\n\n" if number == script.junk else None

    async def _event(self, data: bytes) -> None:
        await self._write_chunk(b"data: " + data + b"\r\n\r\n")


class FakeGemini(FakeUpstream):
    """The server; channels get its `origin`."""

    exchange = GeminiExchange


def told(answer_text: str, *, as_events: bool) -> list[Any]:
    """Return what the parts of a stream say, given as events or as an array."""
    if not as_events:
        parts: list[Any] = json.loads(answer_text)
        return parts
    lines = answer_text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
