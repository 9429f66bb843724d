"""The demo draws, speaks, listens, judges and ranks: the same every time, failing when told."""

import base64
import io
import json
import wave
import zlib
from typing import Any

import pytest

from billing.pricing import Counts
from relay.protocols.audio import SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from relay.protocols.audio_length import seconds_told
from relay.protocols.base import AnswerFacts, Asked, Endpoint
from relay.protocols.images import EDITS, GENERATIONS, VARIATIONS
from relay.protocols.moderations import MODERATIONS
from relay.protocols.rerank import RERANK
from relay.providers import REGISTRY
from relay.providers.base import LocalCall
from relay.wire.errors import ConnectionLost
from relay.wire.messages import Timeouts, UpstreamResponse
from tests.relay import sounds
from tests.relay.protocols.forms import FORM_TYPE, upload
from tests.relay.protocols.requests import packed

MINUTE = sounds.wav(60)
FAIL = "[demo status=429 retry_after=3]"


async def ask(endpoint: Endpoint, body: bytes, content_type: bytes = b"") -> UpstreamResponse:
    local = REGISTRY["demo"].local
    assert local is not None
    facts = endpoint.dialect.read(endpoint, Asked(body, content_type=content_type))
    call = LocalCall(endpoint, facts.model, body, Timeouts(), facts.stream, content_type)
    return await local.respond(call)


async def body_of(response: UpstreamResponse) -> bytes:
    body = await response.read(5_000_000)
    assert response.complete
    return body


async def draw(**fields: Any) -> dict[str, Any]:
    body = packed({"prompt": "a cat"} | fields)
    found: dict[str, Any] = json.loads(await body_of(await ask(GENERATIONS, body)))
    return found


async def listen(
    *fields: tuple[str, str], endpoint: Endpoint = TRANSCRIPTIONS, model: str = "whisper-1"
) -> tuple[str, AnswerFacts]:
    form = upload([("model", model), *fields], [("file", MINUTE)])
    response = await ask(endpoint, form, FORM_TYPE)
    body, kind = await body_of(response), response.header(b"content-type") or b""
    facts = endpoint.dialect.read(endpoint, Asked(form, content_type=FORM_TYPE))
    return body.decode(), endpoint.dialect.answer(body, facts, kind)


def is_png(data: str) -> bool:
    png = base64.b64decode(data)
    assert zlib.crc32(png[-8:-4]).to_bytes(4, "big") == png[-4:]
    return png.startswith(b"\x89PNG\r\n\x1a\n") and png[12:16] == b"IHDR"


async def test_it_draws_as_many_pictures_as_are_asked_for() -> None:
    found = await draw(n=3, response_format="b64_json")
    pictures = [one["b64_json"] for one in found["data"]]
    assert all(is_png(one) for one in pictures)
    assert len(set(pictures)) == 3
    assert pictures == [
        one["b64_json"] for one in (await draw(n=3, response_format="b64_json"))["data"]
    ]


async def test_its_addresses_need_no_server() -> None:
    [one] = (await draw(model="dall-e-3"))["data"]
    assert one["url"].startswith("data:image/png;base64,")
    assert one["revised_prompt"] == "a cat"


async def test_newer_models_report_usage() -> None:
    found = await draw(model="gpt-image-1", quality="low", size="1024x1024", n=2)
    assert found["usage"]["output_tokens"] == 544
    assert "usage" not in await draw(model="gpt-image-1 ", prompt="a [demo usage=none]")


async def test_a_stream_of_pictures_shows_them_on_the_way() -> None:
    asked = {"model": "gpt-image-1", "prompt": "x", "stream": True, "partial_images": 2}
    response = await ask(GENERATIONS, packed(asked))
    text = (await body_of(response)).decode()
    assert text.count("image_generation.partial_image") == 2 * 2
    assert text.count('"type":"image_generation.completed"') == 1
    assert '"output_tokens":472' in text


@pytest.mark.parametrize("endpoint", [EDITS, VARIATIONS])
async def test_it_changes_pictures(endpoint: Endpoint) -> None:
    form = upload([("prompt", "x"), ("n", "2")], [("image", b"png")])
    found = json.loads(await body_of(await ask(endpoint, form, FORM_TYPE)))
    assert len(found["data"]) == 2


@pytest.mark.parametrize(("format_", "kind"), [("wav", "wav"), ("mp3", "mpeg"), ("opus", "mpeg")])
async def test_it_speaks_as_long_as_the_text_takes(format_: str, kind: str) -> None:
    asked = {"model": "tts-1", "input": "x" * 150, "response_format": format_}
    response = await ask(SPEECH, packed(asked))
    assert response.header(b"content-type") == f"audio/{kind}".encode()
    assert seconds_told(await body_of(response)) == 10


async def test_its_samples_are_those_of_its_wav() -> None:
    asked = {"model": "tts-1", "input": "Hello"}
    samples = await body_of(await ask(SPEECH, packed(asked | {"response_format": "pcm"})))
    sound = await body_of(await ask(SPEECH, packed(asked | {"response_format": "wav"})))
    with wave.open(io.BytesIO(sound)) as file:
        assert file.readframes(file.getnframes()) == samples
        assert file.getframerate() == 24_000


async def test_speech_in_events_ends_with_its_usage() -> None:
    asked = {"model": "gpt-4o-mini-tts", "input": "x" * 150, "stream_format": "sse"}
    text = (await body_of(await ask(SPEECH, packed(asked)))).decode()
    assert text.count("speech.audio.delta") > 5
    assert '"output_tokens":220' in text.split("speech.audio.done")[1]


async def test_it_hears_how_long_a_sound_is() -> None:
    body, facts = await listen()
    assert json.loads(body)["text"].endswith("for 60 seconds.")
    assert facts.usage == Counts(second=60)
    body, _ = await listen(("language", "zh"))
    assert "60秒" in json.loads(body)["text"]


@pytest.mark.parametrize("format_", ["text", "srt", "vtt", "verbose_json", "diarized_json"])
async def test_it_writes_in_every_format(format_: str) -> None:
    body, facts = await listen(("response_format", format_))
    assert "for 60 seconds." in body
    counts = facts.usage or facts.units
    assert counts is not None
    assert counts.second == 60


async def test_newer_models_count_tokens() -> None:
    _, facts = await listen(model="gpt-4o-transcribe")
    assert facts.usage is not None
    assert facts.usage.audio_in == 600
    assert facts.usage.output > 5


async def test_it_translates_into_english() -> None:
    body, _ = await listen(("language", "zh"), endpoint=TRANSLATIONS)
    assert "demo channel" in json.loads(body)["text"]


async def test_a_transcript_streams_token_by_token() -> None:
    form = upload([("model", "gpt-4o-transcribe"), ("stream", "true")], [("file", MINUTE)])
    text = (await body_of(await ask(TRANSCRIPTIONS, form, FORM_TYPE))).decode()
    assert text.count("transcript.text.delta") > 5
    assert "audio_tokens" in text.split("transcript.text.done")[1]


async def test_it_flags_what_asks_for_it() -> None:
    body = packed({"input": ["Hello", "No [demo flagged]"]})
    found = json.loads(await body_of(await ask(MODERATIONS, body)))
    assert [one["flagged"] for one in found["results"]] == [False, True]
    assert found["results"][1]["categories"]["violence"]


async def test_the_parts_of_a_message_get_one_verdict() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    found = json.loads(await body_of(await ask(MODERATIONS, packed({"input": parts}))))
    assert len(found["results"]) == 1


async def test_it_ranks_by_shared_words() -> None:
    asked: dict[str, Any] = {"model": "r", "query": "red cats", "top_n": 2}
    asked["documents"] = ["blue dogs", {"text": "Red cats"}, "cats"]
    found = json.loads(await body_of(await ask(RERANK, packed(asked))))
    assert [one["index"] for one in found["results"]] == [1, 2]
    assert found["usage"]["total_tokens"] == 7
    assert found["meta"]["billed_units"]["search_units"] == 1


@pytest.mark.parametrize(
    ("endpoint", "body", "kind"),
    [
        (GENERATIONS, packed({"prompt": FAIL}), b""),
        (SPEECH, packed({"model": "t", "input": FAIL}), b""),
        (MODERATIONS, packed({"input": FAIL}), b""),
        (
            RERANK,
            packed({"model": "r", "documents": ["a"], "query": "[demo status=429 retry_after=3]"}),
            b"",
        ),
        (
            TRANSLATIONS,
            upload(
                [("model", "w"), ("prompt", "[demo status=429 retry_after=3]")], [("file", b"")]
            ),
            FORM_TYPE,
        ),
    ],
)
async def test_it_fails_when_told(endpoint: Endpoint, body: bytes, kind: bytes) -> None:
    response = await ask(endpoint, body, kind)
    assert (response.status, response.header(b"retry-after")) == (429, b"3")


async def test_speech_breaks_off_when_told() -> None:
    response = await ask(SPEECH, packed({"model": "t", "input": "Hello " * 9 + "[demo cut=1]"}))
    assert await response.next_chunk()
    with pytest.raises(ConnectionLost):
        await response.next_chunk()
