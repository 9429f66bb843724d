"""The demo's sound: it hums as long as reading a text takes, and says how long it has listened.

Called by `demo`.
"""

import base64
import io
import wave
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from relay.errors import BadRequest
from relay.protocols.audio import HEARD_TOKENS_PER_SECOND
from relay.protocols.audio_length import seconds_bound, seconds_told
from relay.protocols.decoding import decode
from relay.protocols.multipart import read_form
from relay.providers.base import LocalCall
from relay.providers.demo_base import (
    SSE_HEADERS,
    DemoResponse,
    json_answer,
    paced,
    refused,
    wait,
    whole,
)
from relay.providers.demo_openai import FAILURE, error_of, told_to_fail
from relay.providers.demo_text import Directives, count_prompt, read_directives, tokens_of
from relay.wire.errors import FirstByteTimeout

CHARS_PER_SECOND = 15
MOST_SECONDS = 60
SPOKEN_TOKENS_PER_SECOND = 20
PIECE_BYTES = 4_096

_RATE = 24_000
# A hum of 440 Hz: each half of a swing is 27 samples.
_SWING = b"\x20\x03" * 27 + b"\xe0\xfc" * 27
# A silent frame of MPEG-1 layer III: 32 kbit/s, 44.1 kHz, 1,152 samples.
_FRAME = b"\xff\xfb\x10\xc4" + bytes(100)
_FRAMES_PER_SECOND = 38.28125
_ENGLISH = "This is the demo channel. It has listened for {seconds} seconds."
_CHINESE = "这里是演示通道。它听了{seconds}秒。"


class _Speech(msgspec.Struct):
    input: str
    response_format: str | None = None
    stream_format: str | None = None


class _Heard(NamedTuple):
    """What a sound comes to."""

    model: str
    text: str
    seconds: int
    is_translation: bool
    told: Directives

    @property
    def is_newer(self) -> bool:
        """Whether the model streams, and counts tokens in place of seconds."""
        return "whisper" not in self.model

    def usage(self) -> dict[str, Any]:
        """Return what the vendor would bill."""
        if not self.is_newer:
            return {"type": "duration", "seconds": self.seconds}
        heard, written = self.seconds * HEARD_TOKENS_PER_SECOND, len(tokens_of(self.text))
        return {
            "type": "tokens",
            "input_tokens": heard,
            "output_tokens": written,
            "total_tokens": heard + written,
            "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        }


_SPEECH = msgspec.json.Decoder(_Speech)


async def speak(call: LocalCall) -> DemoResponse:
    """Return the sound of a text."""
    try:
        asked: _Speech = decode(_SPEECH, call.body)
    except BadRequest as error:
        return refused(400, error_of(error.message, 400))
    told = read_directives(asked.input)
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    if told.status:
        return told_to_fail(told)
    kind, sound = spoken(asked.input, asked.response_format or "mp3")
    pieces = [sound[at : at + PIECE_BYTES] for at in range(0, len(sound), PIECE_BYTES)]
    if asked.stream_format == "sse":
        failure = b"data: %b\n\n" % error_of(FAILURE, 500)
        events = _sound_events(asked.input, pieces, told)
        return DemoResponse(200, SSE_HEADERS, paced(events, told, call.timeouts, error=failure))
    if told.error_event >= 0:
        told.cut = told.error_event
    headers = ((b"content-type", kind),)
    return DemoResponse(200, headers, paced(pieces, told, call.timeouts, error=b""))


def spoken(text: str, format_: str) -> tuple[bytes, bytes]:
    """Return the type and the bytes of a hum: WAV or raw samples when asked for, else MP3."""
    seconds = min(MOST_SECONDS, max(0.5, len(text) / CHARS_PER_SECOND))
    if format_ not in {"wav", "pcm"}:
        return b"audio/mpeg", _FRAME * int(seconds * _FRAMES_PER_SECOND)
    samples = (_SWING * (int(seconds * _RATE) // 54 + 1))[: 2 * int(seconds * _RATE)]
    if format_ == "pcm":
        return b"audio/pcm", samples
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, _RATE, 0, "NONE", ""))
        file.writeframes(samples)
    return b"audio/wav", made.getvalue()


def _sound_events(text: str, pieces: list[bytes], told: Directives) -> Iterator[bytes]:
    for piece in pieces:
        sound = base64.b64encode(piece).decode()
        yield _event({"type": "speech.audio.delta", "audio": sound})
    read = count_prompt([text], messages=0)
    seconds = min(MOST_SECONDS, len(text) // CHARS_PER_SECOND + 1)
    written = SPOKEN_TOKENS_PER_SECOND * seconds
    usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    done: dict[str, Any] = {"type": "speech.audio.done"}
    yield _event(done if told.usage == "none" else done | {"usage": usage})


def _event(said: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(said)


async def listen(call: LocalCall) -> DemoResponse:
    """Return what a sound says: how long it is."""
    try:
        form = read_form(call.body, call.content_type)
    except BadRequest as error:
        return refused(400, error_of(error.message, 400))
    told = read_directives(form.text("prompt") or "")
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    if told.status:
        return told_to_fail(told)
    [sound] = form.files("file")
    seconds = seconds_told(form.content(sound)) or seconds_bound(sound.size_bytes)
    is_translation = call.endpoint.name == "audio_translations"
    words = _CHINESE if form.text("language") == "zh" and not is_translation else _ENGLISH
    text = words.format(seconds=seconds)
    heard = _Heard(form.text("model") or "", text, seconds, is_translation, told)
    if call.stream and heard.is_newer:
        failure = b"data: %b\n\n" % error_of(FAILURE, 500)
        events = paced(_text_events(heard), told, call.timeouts, error=failure)
        return DemoResponse(200, SSE_HEADERS, events)
    format_ = form.text("response_format") or "json"
    if format_ in _TEXTS:
        body = _TEXTS[format_](heard).encode()
        headers = ((b"content-type", b"text/plain; charset=utf-8"),)
        return DemoResponse(200, headers, whole(body, told, call.timeouts))
    return json_answer(_document(heard, format_), told, call.timeouts)


def _text_events(heard: _Heard) -> Iterator[bytes]:
    for token in tokens_of(heard.text):
        yield _event({"type": "transcript.text.delta", "delta": token})
    done: dict[str, Any] = {"type": "transcript.text.done", "text": heard.text}
    yield _event(done if heard.told.usage == "none" else done | {"usage": heard.usage()})


def _document(heard: _Heard, format_: str) -> dict[str, Any]:
    said: dict[str, Any] = {"text": heard.text}
    if heard.told.usage != "none":
        said["usage"] = heard.usage()
    if format_ == "json":
        return said
    segment: dict[str, Any] = {"id": 0, "start": 0.0, "end": float(heard.seconds)}
    segment["text"] = heard.text
    if format_ == "diarized_json":
        segment |= {"type": "transcript.text.segment", "id": "seg_0", "speaker": "A"}
    task = "translate" if heard.is_translation else "transcribe"
    told: dict[str, Any] = {"task": task, "duration": float(heard.seconds), "segments": [segment]}
    if format_ == "verbose_json":
        told["language"] = "english"
    return told | said


def _srt(heard: _Heard) -> str:
    return f"1\n{_time(0, ',')} --> {_time(heard.seconds, ',')}\n{heard.text}\n\n"


def _vtt(heard: _Heard) -> str:
    return f"WEBVTT\n\n{_time(0, '.')} --> {_time(heard.seconds, '.')}\n{heard.text}\n\n"


def _time(seconds: int, mark: str) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}000"


_TEXTS = {"text": lambda heard: heard.text + "\n", "srt": _srt, "vtt": _vtt}
