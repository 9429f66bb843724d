"""One call of each endpoint of pictures and sound, for tests that hold of all of them."""

from typing import Any

import httpx

from tests.fakes.media import FakeMedia
from tests.relay import sounds
from tests.relay.asking import bearer
from tests.relay.conftest import Shop

# Base tokens for each unit; a price of each bucket, so that none is forgotten.
EVERY_BUCKET = {
    "input": 2,
    "cached_input": 1,
    "output": 7,
    "audio_in": 3,
    "audio_out": 5,
    "image": 1_000,
    "second": 67,
    "character": 10,
    "search": 200,
}
MODELS = ("dall-e-3", "gpt-image-1", "tts-1", "whisper-1", "gpt-4o-transcribe", "ranker", "judge")
SPEECH, RERANK = "/v1/audio/speech", "/v1/rerank"
GENERATIONS, TRANSCRIPTIONS = "/v1/images/generations", "/v1/audio/transcriptions"
SOUND = sounds.wav(7)

# What is told to the fake stands where {told} is.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "picture": (GENERATIONS, {"model": "dall-e-3", "prompt": "{told}"}),
    "pictures in events": (
        GENERATIONS,
        {"model": "gpt-image-1", "prompt": "{told}", "stream": True},
    ),
    "edit": ("/v1/images/edits", {"form": {"model": "gpt-image-1", "prompt": "{told}"}}),
    "speech": (SPEECH, {"model": "tts-1", "input": "{told}"}),
    "speech in events": (
        SPEECH,
        {"model": "tts-1", "input": "{told}", "stream_format": "sse"},
    ),
    "transcript": (TRANSCRIPTIONS, {"form": {"model": "whisper-1", "prompt": "{told}"}}),
    "subtitles": (
        TRANSCRIPTIONS,
        {"form": {"model": "whisper-1", "prompt": "{told}", "response_format": "srt"}},
    ),
    "transcript in events": (
        TRANSCRIPTIONS,
        {"form": {"model": "gpt-4o-transcribe", "prompt": "{told}", "stream": "true"}},
    ),
    "verdict": ("/v1/moderations", {"model": "judge", "input": "{told}"}),
    "ranking": (RERANK, {"model": "ranker", "query": "{told}", "documents": ["a", "b"]}),
}
IN_EVENTS = tuple(name for name in CALLS if name.endswith("in events"))
IN_ONE_PIECE = tuple(name for name in CALLS if not name.endswith("in events") and name != "speech")


def price_all(shop: Shop) -> None:
    """Have a shop sell every model at the same prices."""
    for model in MODELS:
        shop.reprice(model, **EVERY_BUCKET)


def request(client: httpx.Client, key: str, name: str, told: str = "") -> httpx.Request:
    """Return the request of a call, told something."""
    path, body = CALLS[name]
    fields: dict[str, Any] = body.get("form", body)
    said = {key: told if value == "{told}" else value for key, value in fields.items()}
    if "form" not in body:
        return client.build_request("POST", path, headers=bearer(key), json=said)
    files = {"image" if "images" in path else "file": ("a.wav", SOUND, "audio/wav")}
    return client.build_request("POST", path, headers=bearer(key), data=said, files=files)


def owed_ubt(vendor: FakeMedia) -> int:
    """Return what the latest request costs by the vendor's own count."""
    billed = vendor.truth[-1].usage
    assert billed is not None, "the vendor has billed nothing"
    owed: int = sum(count * EVERY_BUCKET[bucket] for bucket, count in billed.items())
    return owed * 1_000_000
