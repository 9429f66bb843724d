"""What the events of realtime conversations say, as far as it costs something."""

import base64
import json
from typing import Any

import pytest

from billing.pricing import Counts
from relay.errors import BadRequest, InsufficientQuota
from relay.protocols.base import Asked, EventFacts, RequestFacts
from relay.protocols.realtime import (
    REALTIME,
    TRANSCRIBED,
    Event,
    Given,
    Used,
    bytes_per_second,
    error_event,
    given_by,
    is_audio_out,
    read_event,
    used_by_response,
    used_by_transcription,
)

SOUND = base64.b64encode(bytes(3_000)).decode()


def event(kind: str, **fields: Any) -> Event:
    found = read_event(json.dumps({"type": kind} | fields))
    assert found is not None
    return found


def asked(query: bytes) -> RequestFacts:
    return REALTIME.dialect.read(REALTIME, Asked(b"", query=query))


def test_the_model_stands_in_the_query() -> None:
    facts = asked(b"model=gpt-realtime&voice=alloy")
    assert (facts.model, facts.stream, facts.wants_audio) == ("gpt-realtime", True, True)


@pytest.mark.parametrize("query", [b"", b"intent=transcription", b"model=a&model=b", b"\xff=1"])
def test_without_one_model_there_is_no_conversation(query: bytes) -> None:
    with pytest.raises(BadRequest) as refusal:
        asked(query)
    assert refusal.value.param == "model"


@pytest.mark.parametrize("text", ["", "[]", "{not json", '{"type":3}', "1"])
def test_what_is_no_event_is_none(text: str) -> None:
    assert read_event(text) is None


def test_deep_nesting_is_no_event_or_says_nothing() -> None:
    found = read_event('{"type":"x","made_up":' + "[" * 100_000 + "]" * 100_000 + "}")
    assert found is None or found.type == "x"


def test_sound_is_measured_by_its_length() -> None:
    given = given_by(event("input_audio_buffer.append", audio=SOUND))
    assert given == Given(live_bytes=3_000)


def test_an_item_is_taken_apart() -> None:
    content = [
        {"type": "input_text", "text": "Hello"},
        {"type": "input_audio", "audio": SOUND},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
    ]
    item = {"type": "message", "role": "user", "content": content}
    given = given_by(event("conversation.item.create", item=item))
    assert given == Given("Hello", audio_bytes=3_000, images=1)


def test_instructions_are_text() -> None:
    update = event("session.update", session={"type": "realtime", "instructions": "Be kind"})
    create = event("response.create", response={"instructions": "Be short"})
    assert [given_by(each).text for each in (update, create)] == ["Be kind", "Be short"]


@pytest.mark.parametrize(
    ("format_", "expected"),
    [("g711_ulaw", 8_000), ("audio/pcmu", 8_000), ("pcm16", 48_000), ("audio/pcm", 48_000)],
)
def test_the_settings_tell_how_long_sound_is(format_: str, expected: int) -> None:
    audio = {"input": {"format": {"type": format_}}}
    assert bytes_per_second(event("session.updated", session={"audio": audio})) == expected


@pytest.mark.parametrize("kind", ["response.output_audio.delta", "response.audio.delta"])
def test_sound_of_the_model_has_two_names(kind: str) -> None:
    assert is_audio_out(event(kind, delta=SOUND))
    assert not is_audio_out(event("response.output_audio_transcript.delta", delta="Hi"))


def test_usage_becomes_disjoint_buckets() -> None:
    usage = {
        "total_tokens": 160,
        "input_tokens": 100,
        "output_tokens": 60,
        "input_token_details": {
            "text_tokens": 40,
            "audio_tokens": 60,
            "cached_tokens": 50,
            "cached_tokens_details": {"text_tokens": 30, "audio_tokens": 20},
        },
        "output_token_details": {"text_tokens": 15, "audio_tokens": 45},
    }
    done = event("response.done", response={"status": "completed", "usage": usage})
    counts = Counts(input=10, cached_input=50, audio_in=40, output=15, audio_out=45)
    assert used_by_response(done) == Used(counts, text_tokens=55, audio_tokens=105)


def test_usage_that_contradicts_itself_never_exceeds_its_totals() -> None:
    details = {"audio_tokens": 99, "cached_tokens": 99, "cached_tokens_details": {}}
    usage = {"input_tokens": 10, "output_tokens": 5, "input_token_details": details}
    used = used_by_response(event("response.done", response={"usage": usage}))
    assert used is not None
    assert used.counts == Counts(cached_input=10, output=5)


def test_a_slip_in_one_place_loses_no_other_number() -> None:
    usage = {"input_tokens": 10.0, "output_tokens": 5, "input_token_details": []}
    used = used_by_response(event("response.done", response={"usage": usage}))
    assert used is not None
    assert used.counts == Counts(input=10, output=5)


@pytest.mark.parametrize("response", [{}, {"usage": None}, {"usage": {"input_tokens": -1}}])
def test_a_response_may_report_nothing(response: dict[str, Any]) -> None:
    assert used_by_response(event("response.done", response=response)) is None


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"type": "duration", "seconds": 2.1}, Counts(second=3)),
        (
            {
                "type": "tokens",
                "input_tokens": 12,
                "output_tokens": 4,
                "input_token_details": {"audio_tokens": 10, "text_tokens": 2},
            },
            Counts(input=2, audio_in=10, output=4),
        ),
        ("many", None),
    ],
)
def test_what_is_written_down_is_billed_in_seconds_or_tokens(
    usage: Any, counts: Counts | None
) -> None:
    assert used_by_transcription(event(TRANSCRIBED, usage=usage)) == counts


def test_an_error_has_the_form_of_an_event() -> None:
    told = json.loads(error_event(InsufficientQuota(), "0123"))
    assert (told["type"], told["error"]["code"]) == ("error", "insufficient_quota")
    assert {"message", "param", "type", "event_id"} <= set(told["error"])


def test_events_are_read_as_those_of_a_stream() -> None:
    reader = REALTIME.dialect.reader(asked(b"model=gpt-realtime"))
    delta = b'{"type":"response.output_text.delta","delta":"Hi"}'
    assert reader.read(delta) == EventFacts(text="Hi", has_content=True)
    done = b'{"type":"response.done","response":{"usage":{"input_tokens":3,"output_tokens":2}}}'
    assert reader.read(done).usage == Counts(input=3, output=2)
    assert reader.read(b"junk").error
