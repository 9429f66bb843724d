"""Speech and transcripts: characters, seconds and tokens, from whoever knows them best."""

from typing import Any

import pytest

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.audio import SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from relay.protocols.base import AnswerFacts, Asked, RequestFacts
from tests.relay import sounds
from tests.relay.protocols.forms import FORM_TYPE, upload
from tests.relay.protocols.requests import packed

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
MINUTE = sounds.wav(60)
TOKENS = {
    "type": "tokens",
    "input_tokens": 610,
    "output_tokens": 45,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 600},
}
SRT = "1\n00:00:00,000 --> 00:00:04,000\nHello\n\n2\n00:00:04,000 --> 00:01:12,340\nthere\n"
VTT = "WEBVTT\n\n00:00.000 --> 01:12.340\nHello there\n"


def speech(**fields: Any) -> RequestFacts:
    body = packed({"model": "tts-1", "input": "Hello 你好", "voice": "alloy"} | fields)
    return SPEECH.dialect.read(SPEECH, Asked(body))


def heard(*fields: tuple[str, str], sound: bytes = MINUTE) -> RequestFacts:
    body = upload([("model", "whisper-1"), *fields], [("file", sound)])
    return TRANSCRIPTIONS.dialect.read(TRANSCRIPTIONS, Asked(body, content_type=FORM_TYPE))


def answer(body: Any, format_: str = "json", sound: bytes = MINUTE) -> AnswerFacts:
    facts = heard(("response_format", format_), sound=sound)
    if isinstance(body, str):
        return TRANSCRIPTIONS.dialect.answer(body.encode(), facts, TEXT)
    return TRANSCRIPTIONS.dialect.answer(packed(body), facts, JSON)


def test_every_character_to_be_spoken_counts() -> None:
    units = speech().units
    assert units is not None
    assert units.character == 8
    assert units.audio_out > 0


def test_speech_is_bytes_unless_events_are_asked_for() -> None:
    assert not speech(stream_format="audio").stream
    assert speech(stream_format="sse").stream


def test_slow_speech_is_longer() -> None:
    plain, slow = speech().units, speech(speed=0.25).units
    assert plain is not None
    assert slow is not None
    assert slow.audio_out == 4 * plain.audio_out


@pytest.mark.parametrize("missing", ["model", "input"])
def test_speech_needs_a_model_and_a_text(missing: str) -> None:
    with pytest.raises(BadRequest) as refused:
        speech(**{missing: None})
    assert refused.value.param == missing


def test_a_stream_of_speech_ends_with_its_usage() -> None:
    reader = SPEECH.dialect.reader(speech(stream_format="sse"))
    delta = reader.read(b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n')
    assert (delta.has_content, delta.usage) == (True, None)
    usage = packed({"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 9}})
    done = reader.read(b"data: " + usage + b"\n\n")
    assert done.finished
    assert done.usage == Counts(input=14, audio_out=9, character=8)


def test_an_answer_to_speech_that_is_an_error_or_a_page_is_no_speech() -> None:
    answered = SPEECH.dialect.answer
    assert answered(b'{"error": {"message": "no"}}', speech(), JSON).error
    assert answered(b"<html>", speech(), b"text/html").error
    assert SPEECH.dialect.prompt(packed({"input": "Hi", "instructions": "slow"})) == ["Hi", "slow"]


def test_an_upload_is_held_by_the_seconds_of_its_header() -> None:
    facts = heard(("prompt", "names"))
    assert facts.units == Counts(second=60, audio_in=600)
    assert facts.content_type == FORM_TYPE
    assert facts.text_bytes == len("whisper-1names")


def test_an_upload_whose_length_nobody_tells_is_held_by_its_size() -> None:
    assert heard(sound=bytes(60_000)).units == Counts(second=31, audio_in=310)


def test_an_upload_needs_a_model_and_one_file() -> None:
    for fields, files, param in [
        ([("model", "whisper-1")], [], "file"),
        ([("model", "whisper-1"), ("file", "no file")], [], "file"),
        ([], [("file", MINUTE)], "model"),
        ([("model", "whisper-1")], [("file", MINUTE), ("file", MINUTE)], "file"),
        ([("model", "whisper-1"), ("response_format", "mp3")], [("file", b"")], "response_format"),
    ]:
        with pytest.raises(BadRequest) as refused:
            body = upload(fields, files)
            TRANSLATIONS.dialect.read(TRANSLATIONS, Asked(body, content_type=FORM_TYPE))
        assert refused.value.param == param


def test_json_is_no_upload() -> None:
    with pytest.raises(BadRequest):
        TRANSCRIPTIONS.dialect.read(TRANSCRIPTIONS, Asked(b"{}", content_type=JSON))


@pytest.mark.parametrize(
    ("format_", "stream"),
    [("json", True), ("diarized_json", True), ("text", False), ("srt", False)],
)
def test_only_formats_of_json_stream(format_: str, stream: bool) -> None:
    assert heard(("response_format", format_), ("stream", "true")).stream is stream


def test_tokens_that_the_upstream_reports_are_told_apart() -> None:
    assert answer({"text": "Hi", "usage": TOKENS}).usage == Counts(
        input=10, audio_in=600, output=45, second=60
    )


@pytest.mark.parametrize("seconds", [71.2, 72])
def test_seconds_that_the_upstream_reports_win_over_the_header(seconds: float) -> None:
    said = {"text": "Hi", "usage": {"type": "duration", "seconds": seconds}}
    assert answer(said).usage == Counts(second=72)


@pytest.mark.parametrize("duration", [71.2, "71.2"])
def test_the_duration_of_a_verbose_answer_wins_over_the_header(duration: float | str) -> None:
    usage = answer({"text": "Hi", "duration": duration}, "verbose_json").usage
    assert usage is not None
    assert usage.second == 72


def test_an_answer_that_tells_nothing_is_as_long_as_the_header_says() -> None:
    for said in (answer({"text": "Hi"}), answer("Hi\n", "text"), answer("\n", "text")):
        assert (said.usage, said.units, said.has_content) == (None, heard().units, True)
    assert answer({"text": "Hi"}).text == "Hi"


@pytest.mark.parametrize(("format_", "body"), [("srt", SRT), ("vtt", VTT)])
def test_a_sound_is_at_least_as_long_as_its_subtitles(format_: str, body: str) -> None:
    for sound in (MINUTE, bytes(900_000)):
        assert answer(body, format_, sound).units == Counts(second=73, audio_in=730)


def test_a_header_can_not_hide_what_was_said() -> None:
    said = answer("word " * 1_000, "text").units
    assert said == Counts(second=200, audio_in=2_000)


def test_without_any_hint_the_size_decides() -> None:
    assert answer("Hi", "text", bytes(60_000)).units == Counts(second=31, audio_in=310)


def test_segments_tell_the_length_where_nothing_else_does() -> None:
    said = {"text": "Hi", "segments": [{"end": 3.5, "text": "Hi"}, {"end": 71.9}]}
    units = answer(said, "diarized_json").units
    assert units is not None
    assert units.second == 72


@pytest.mark.parametrize("odd", [{"segments": [{"end": None}]}, {"segments": {}}, {"duration": -1}])
def test_an_odd_length_spoils_no_transcript(odd: dict[str, Any]) -> None:
    said = answer({"text": "Hi", **odd}, "verbose_json")
    assert (said.error, said.text) == (None, "Hi")


@pytest.mark.parametrize(
    ("body", "kind", "format_"),
    [
        (b"", TEXT, "text"),
        (b"<html>", b"text/html", "text"),
        (b"\xff", TEXT, "srt"),
        (b'{"error": {}} ', JSON, "json"),
        (b'{"error": {"message": "no"}}', TEXT, "text"),
        (b'{"error": {"message": "no"}}', JSON, "text"),
        (b"{}", JSON, "json"),
        (b'{"text": 5}', JSON, "json"),
    ],
)
def test_what_is_no_transcript_is_a_failure(body: bytes, kind: bytes, format_: str) -> None:
    facts = heard(("response_format", format_))
    assert TRANSCRIPTIONS.dialect.answer(body, facts, kind).error


def test_a_stream_of_a_transcript_ends_with_its_usage() -> None:
    reader = TRANSCRIPTIONS.dialect.reader(heard(("stream", "true")))
    delta = reader.read(b'data: {"type":"transcript.text.delta","delta":"Hi"}\n\n')
    assert (delta.text, delta.has_content, delta.finished) == ("Hi", True, False)
    said = packed({"type": "transcript.text.done", "text": "Hi", "usage": TOKENS})
    done = reader.read(b"data: " + said + b"\n\n")
    assert (done.text, done.finished) == ("", True)
    assert done.usage == Counts(input=10, audio_in=600, output=45, second=60)


def test_only_the_hint_of_an_upload_is_text() -> None:
    assert TRANSCRIPTIONS.dialect.prompt(upload([("prompt", "names")])) == ["names"]
