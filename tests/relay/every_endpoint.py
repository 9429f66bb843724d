"""Requests of every endpoint and every outcome, made from a seed, and what each must have cost.

The plan and the oracle of `test_every_endpoint.py`. Costs come from what the fake vendors say they
have billed, multiplied out here; nothing of the relay's own metering is used.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from relay import tokens
from tests.fakes.vendor import Truth

UBT = 1_000_000
TOKENS: dict[str, int | str] = {
    "input": 3,
    "cached_input": "0.3",
    "cache_write_5m": 5,
    "cache_write_1h": 7,
    "output": 11,
    "reasoning": 13,
    "audio_in": 17,
    "audio_out": 19,
    "search": 3_700,
}
PRICES: Mapping[str, Mapping[str, int | str]] = {
    "gpt-x": TOKENS,
    "gpt-r": TOKENS,
    "claude-x": TOKENS,
    "gemini-x": TOKENS,
    "gemini-picture": TOKENS | {"image": 23_000},
    "claude-by-chat": TOKENS,
    "gpt-by-messages": TOKENS,
    "gpt-by-gemini": TOKENS,
    "dall-e-3": {"image": 23_000},
    "gpt-image-1": {"input": 3, "output": 11},
    "tts-1": {"character": 31},
    "whisper-1": {"second": 29},
    "gpt-4o-transcribe": {"audio_in": 17, "output": 11},
    "rerank-x": {"search": 3_700},
}
WAV = b"RIFF\x24\x7d\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" + (
    b"\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x7d\x00\x00" + bytes(32_000)
)


@dataclass(frozen=True)
class Case:
    """One request: where it goes, what it says, and what its vendor is told to do."""

    ref: str
    kind: str
    vendor: str
    path: str
    model: str
    body: Mapping[str, Any]
    is_stream: bool = False
    files: Mapping[str, Any] | None = None
    told: str = ""


@dataclass
class Got:
    """What the client received: the status, and whether anything of an answer came."""

    status: int
    request_id: str
    content: bytes = b""
    was_cut: bool = False


@dataclass(frozen=True)
class Kind:
    """A way to ask; `ask` makes path, body and files from a prompt and whether to stream."""

    name: str
    vendor: str
    models: Sequence[str]
    ask: Callable[[str, str, bool], tuple[str, dict[str, Any], dict[str, Any] | None]]
    streams: bool = True
    extras: Sequence[str] = ("",)
    troubles: Sequence[str] = field(default=("status=400", "status=500", "html", "empty"))


def _chat(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    messages = [{"role": "user", "content": text}]
    return "/v1/chat/completions", {"model": model, "messages": messages, "stream": stream}, None


def _completion(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    return "/v1/completions", {"model": model, "prompt": text, "stream": stream}, None


def _embedding(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    return "/v1/embeddings", {"model": model, "input": text}, None


def _response(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    return "/v1/responses", {"model": model, "input": text, "stream": stream}, None


def _message(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    messages = [{"role": "user", "content": text}]
    fields = {"model": model, "max_tokens": 500, "messages": messages, "stream": stream}
    return "/v1/messages", fields, None


def _content(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return f"/v1beta/models/{model}:{verb}", {"contents": contents}, None


def _picture(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    fields: dict[str, Any] = {"model": model, "prompt": text, "n": 1 if stream else 2}
    return "/v1/images/generations", fields | ({"stream": True} if stream else {}), None


def _edit(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], dict[str, Any]]:
    files = {"image": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(200), "image/png")}
    return "/v1/images/edits", {"model": model, "prompt": text}, files


def _speech(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    return "/v1/audio/speech", {"model": model, "voice": "alloy", "input": text}, None


def _transcript(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], dict[str, Any]]:
    fields = {"model": model, "prompt": text, "response_format": "json"}
    return "/v1/audio/transcriptions", fields, {"file": ("a.wav", WAV, "audio/wav")}


def _ranking(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any], None]:
    return "/v1/rerank", {"model": model, "query": text, "documents": ["a", "b"]}, None


_CUTS = ("cut=4", "error_event=4", "junk=4", "cut=0", "error_event=0")
_USUAL = ("status=400", "status=401", "status=429", "status=503", "html", "empty", "truncated")
_TEXTS = ("", "chunk_chars=2", "crlf", "gzip", "split=9", "cached=40")

KINDS: Sequence[Kind] = (
    Kind("chat", "openai", ["gpt-x"], _chat, extras=(*_TEXTS, "reasoning=30", "tool")),
    Kind("completion", "openai", ["gpt-x"], _completion),
    Kind("embedding", "openai", ["gpt-x"], _embedding, streams=False),
    Kind("response", "responses", ["gpt-r"], _response, extras=("", "cached=40", "reasoning=30")),
    Kind(
        "message",
        "anthropic",
        ["claude-x"],
        _message,
        extras=(*_TEXTS, "written=20 written_1h=9", "searched=2", "thinking", "tool", "unsplit"),
    ),
    Kind(
        "content",
        "gemini",
        ["gemini-x"],
        _content,
        extras=("", "cached=4", "reasoning=30", "audio_out=9", "tools_read=5", "crlf", "gzip"),
    ),
    Kind("picture of Gemini", "gemini", ["gemini-picture"], _content, extras=("images=2",)),
    Kind("chat on Anthropic", "anthropic", ["claude-by-chat"], _chat, extras=("", "cached=40")),
    Kind("chat on Gemini", "gemini", ["gpt-by-gemini"], _chat, extras=("", "reasoning=9")),
    Kind("message on OpenAI", "openai", ["gpt-by-messages"], _message, extras=("", "cached=40")),
    Kind("picture", "media", ["dall-e-3", "gpt-image-1"], _picture, streams=False),
    Kind("streamed picture", "media", ["gpt-image-1"], _picture, extras=("partial=2",)),
    Kind("edit", "media", ["gpt-image-1"], _edit, streams=False),
    Kind("speech", "media", ["tts-1"], _speech, streams=False, extras=("", "bytes=90000")),
    Kind("transcript", "media", ["whisper-1", "gpt-4o-transcribe"], _transcript, streams=False),
    Kind("ranking", "media", ["rerank-x"], _ranking, streams=False),
)


def cases(count: int, *, seed: int) -> list[Case]:
    """Return so many requests, each endpoint as often as the next."""
    chance = random.Random(seed)
    return [_case(number, KINDS[number % len(KINDS)], chance) for number in range(count)]


def _case(number: int, kind: Kind, chance: random.Random) -> Case:
    is_stream = kind.streams and chance.random() < 0.6
    told = chance.choice(kind.extras)
    if chance.random() < 0.35:
        told += " " + chance.choice(_CUTS if is_stream else _USUAL)
    told = f"tokens={chance.randint(8, 40)} {told}"
    ref = f"every-{number}"
    model = chance.choice(kind.models)
    text = f"[ref={ref}] [fake {told}] Tell me something about number {number}."
    path, body, files = kind.ask(model, text, is_stream)
    return Case(ref, kind.name, kind.vendor, path, model, body, is_stream, files, told)


def wrong(case: Case, got: Got, attempts: Sequence[Truth], charged_ubt: int) -> str:
    """Return what is wrong with the charge of one request, nothing if all is well."""
    last = attempts[-1] if attempts else None
    story = f"{case.kind} {case.model} stream={case.is_stream} [{case.told}] {got.status}"
    if got.status != 200 or not got.content:
        return f"{story}: charged {charged_ubt} for nothing" if charged_ubt else ""
    if last is not None and last.finished and last.usage is not None and not got.was_cut:
        expected = cost_ubt(case.model, BILLED[case.vendor](last.usage))
        is_right = charged_ubt == expected
        return "" if is_right else f"{story}: charged {charged_ubt}, not {expected}: {last.usage}"
    if not charged_ubt:
        return f"{story}: delivered {len(got.content)} bytes for nothing"
    most = most_ubt(case, last) if last is not None and case.is_stream else charged_ubt
    return "" if charged_ubt <= most else f"{story}: charged {charged_ubt}, at most {most}"


def most_ubt(case: Case, sent: Truth) -> int:
    """Return what a broken answer can cost at most: its prompt, and the text that was sent."""
    told = dict(TOLD_BEFORE_THE_END, image=case.body.get("n", 0))
    told["input"] += tokens.count(sent.prompt, case.model)
    told["output"] += tokens.count(sent.text, case.model) * 11 // 10
    return cost_ubt(case.model, told)


def cost_ubt(model: str, billed: Mapping[str, int]) -> int:
    """Return what counts of buckets cost; a bucket without price costs nothing."""
    price = PRICES[model]
    cost = sum(
        count * Decimal(price[bucket]) * UBT for bucket, count in billed.items() if bucket in price
    )
    return int(cost)


def _by_openai(usage: Mapping[str, Any]) -> dict[str, int]:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    return {
        "input": usage["prompt_tokens"] - cached,
        "cached_input": cached,
        "output": usage.get("completion_tokens", 0) - reasoning,
        "reasoning": reasoning,
    }


def _by_responses(usage: Mapping[str, Any]) -> dict[str, int]:
    cached = usage["input_tokens_details"]["cached_tokens"]
    reasoning = usage["output_tokens_details"]["reasoning_tokens"]
    return {
        "input": usage["input_tokens"] - cached,
        "cached_input": cached,
        "output": usage["output_tokens"] - reasoning,
        "reasoning": reasoning,
    }


def _by_anthropic(usage: Mapping[str, Any]) -> dict[str, int]:
    written = usage["cache_creation_input_tokens"]
    hour = usage.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0)
    return {
        "input": usage["input_tokens"],
        "cached_input": usage["cache_read_input_tokens"],
        "cache_write_5m": written - hour,
        "cache_write_1h": hour,
        "output": usage["output_tokens"],
        "search": usage.get("server_tool_use", {}).get("web_search_requests", 0),
    }


def _by_gemini(usage: Mapping[str, Any]) -> dict[str, int]:
    kinds = {
        entry["modality"]: entry["tokenCount"] for entry in usage.get("candidatesTokensDetails", ())
    }
    cached = usage.get("cachedContentTokenCount", 0)
    drawn, spoken = kinds.get("IMAGE", 0), kinds.get("AUDIO", 0)
    return {
        "input": usage["promptTokenCount"] - cached + usage.get("toolUsePromptTokenCount", 0),
        "cached_input": cached,
        "output": usage["candidatesTokenCount"] - drawn - spoken,
        "reasoning": usage.get("thoughtsTokenCount", 0),
        "audio_out": spoken,
        "image": drawn // 1_290,
    }


# What the directives of the plan have vendors say of an answer that is still under way.
TOLD_BEFORE_THE_END = {
    "input": 40,
    "cached_input": 40,
    "cache_write_5m": 20,
    "cache_write_1h": 9,
    "output": 8,
    "reasoning": 30,
    "audio_out": 9,
    "search": 2,
}

BILLED: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, int]]] = {
    "openai": _by_openai,
    "responses": _by_responses,
    "anthropic": _by_anthropic,
    "gemini": _by_gemini,
    "media": dict,
}
"""What a vendor's own words about usage come to, in buckets."""
