"""Forms, sounds, transcripts and conversations: what has a length, and is bounded by what came."""

from collections.abc import Callable

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols import realtime
from relay.protocols.audio_length import seconds_bound, seconds_told
from relay.protocols.base import Asked
from relay.protocols.endpoints import ENDPOINTS
from relay.protocols.multipart import Form, read_form, with_field
from tests.relay import sounds

FORM = b"multipart/form-data; boundary=b"
MOST_UNITS = 2**44
SOUNDS = (
    sounds.wav(0.05),
    sounds.mp3(4),
    sounds.flac(0),
    sounds.ogg(0),
    sounds.m4a(0),
    sounds.webm(0),
)


def check_counts(counts: Counts) -> None:
    """Counts are whole numbers, none below zero, none beyond every bound."""
    for name in counts.__struct_fields__:
        value = getattr(counts, name)
        assert type(value) is int, name
        assert 0 <= value <= MOST_UNITS, name


def check_form(data: bytes) -> None:
    """A form is refused, or its parts lie apart in the body; changing one leaves the others."""
    try:
        form = read_form(data, FORM)
    except BadRequest:
        return
    ends = [0]
    for part in form.parts:
        start, end = part.span
        assert ends[-1] < start <= end <= len(data)
        assert b"\r\n--b" not in data[start:end]
        ends.append(end)
    if not form.parts:
        return
    changed = read_form(with_field(form, "model", "another-model"), FORM)
    assert changed.text("model") == "another-model"
    assert _others(changed) == _others(form)


def _others(form: Form) -> list[tuple[str, str | None, bytes]]:
    parts = [part for part in form.parts if part.name != "model" or part.filename is not None]
    return [(part.name, part.filename, form.content(part)) for part in parts]


def check_upload(data: bytes) -> None:
    """An upload is refused or held for a length that its size allows."""
    endpoint = ENDPOINTS["/v1/audio/transcriptions"]
    try:
        facts = endpoint.dialect.read(endpoint, Asked(data, content_type=FORM))
    except BadRequest:
        return
    assert facts.units is not None
    check_counts(facts.units)
    changed = endpoint.dialect.rewritten(
        data, facts, served="another-model", output_limit=None, limit_field=""
    )
    assert read_form(changed, FORM).text("model") == "another-model"


def check_sound(data: bytes) -> None:
    """A length is told, or it is not; it never takes long to say so."""
    told = seconds_told(data)
    assert told is None or 0 <= told <= MOST_UNITS
    assert 0 < seconds_bound(len(data)) <= MOST_UNITS


def check_transcript(data: bytes) -> None:
    """A transcript in any form of text is counted, or called an error."""
    endpoint = ENDPOINTS["/v1/audio/transcriptions"]
    for form in ("srt", "vtt", "text", "json", "verbose_json"):
        body = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        asked = body % (b"model", b"whisper-1") + body % (b"response_format", form.encode())
        asked += body % (b'file"; filename="x', b"x") + b"--b--\r\n"
        facts = endpoint.dialect.read(endpoint, Asked(asked, content_type=FORM))
        for kind in (b"text/plain", b"application/json"):
            said = endpoint.dialect.answer(data, facts, kind)
            said.text.encode()
            if said.usage is not None:
                check_counts(said.usage)


def check_conversation(data: bytes) -> None:
    """What either side of a conversation says can be counted, and read as what it delivers."""
    event = realtime.read_event(data)
    facts = realtime.RealtimeReader().read(data)
    if event is None:
        assert facts.error is not None
        return
    given = realtime.given_by(event)
    given.text.encode()
    facts.text.encode()
    assert given.audio_bytes >= 0
    assert given.images >= 0
    assert 0 <= realtime.sound_bytes(event) <= len(data)
    assert realtime.bytes_per_second(event) > 0
    used = realtime.used_by_response(event)
    for counts in (used.counts if used else None, realtime.used_by_transcription(event)):
        if counts is not None:
            check_counts(counts)


CHECKS: dict[str, Callable[[bytes], None]] = {
    "form": check_form,
    "upload": check_upload,
    "transcript": check_transcript,
    "conversation": check_conversation,
}
