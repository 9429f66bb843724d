"""The properties: functions that take any bytes and raise AssertionError if they are broken."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from relay.errors import RelayError
from relay.protocols.base import Asked, Endpoint, EventFacts, RequestFacts
from relay.protocols.endpoints import ENDPOINTS
from relay.protocols.openai_usage import usage_counts
from relay.sse import EventSplitter, event_data
from relay.wire.encoding import MAX_RATIO, RATIO_FREE_BYTES, STEP_BYTES, decoder_for
from relay.wire.errors import BodyTooLarge, ProtocolViolation
from tests.fuzz import translated, uploads
from tests.fuzz.mutations import cut
from tests.fuzz.uploads import check_counts
from tests.fuzz.wire import Outcome, Upstream

SEEDS = Path(__file__).parent / "seeds"
SMALL_EVENT_BYTES = 48

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
# What may be changed in a request: the model, how much is written, whether usage is told.
_OURS = {"model", "stream_options", "max_tokens", "max_output_tokens", "thinking"}
_OURS |= {"generationConfig", "generation_config", "requests"}
_LIMIT_FIELDS = {"responses": "max_output_tokens", "gemini_generate": "maxOutputTokens"}
# They are no text, so they stand in no file.
CODED = (
    gzip.compress(b"hello hello", mtime=0) + gzip.compress(b"!", mtime=0),
    gzip.compress(b"\0" * 1_200_000, mtime=0),
    zlib.compress(b"hello hello"),
    zlib.compress(b"hello hello")[2:-4],
)


class Target(NamedTuple):
    """A property, and bytes to begin with."""

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]


def check_sse(data: bytes) -> None:
    """Events are the bytes that came, wherever they were cut, and say what the standard says."""
    whole, rest = _split([data])
    assert _split(cut(data)) == (whole, rest)
    assert b"".join(whole) + rest == data
    assert _too_long(cut(data)) == _too_long([data])
    assert all(event.endswith((b"\n", b"\r")) for event in whole)
    event_data(rest)
    if _BOM not in data[1:]:
        said = [event_data(event) for event in whole]
        assert [one for one in said if one is not None] == _as_the_standard_says(b"".join(whole))


def _split(pieces: Iterable[bytes]) -> tuple[list[bytes], bytes]:
    splitter = EventSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)], splitter.rest


def _too_long(pieces: Iterable[bytes]) -> bool:
    splitter = EventSplitter(limit_bytes=SMALL_EVENT_BYTES)
    try:
        for piece in pieces:
            splitter.feed(piece)
    except ProtocolViolation:
        return True
    return False


def _as_the_standard_says(stream: bytes) -> list[bytes]:
    """Return the data of the events that a browser would see."""
    found: list[bytes] = []
    data: list[bytes] = []
    for line in _LINE_END.split(stream.removeprefix(_BOM))[:-1]:
        name, _, value = line.partition(b":")
        if not line and data:
            found.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
    return found


def check_coding(data: bytes) -> None:
    """Inflated bytes don't depend on cuts, are bounded, and are what zlib makes of them."""
    for coding in (b"gzip", b"deflate"):
        whole, error = _inflated(coding, [data])
        assert len(whole) <= max(RATIO_FREE_BYTES, MAX_RATIO * len(data)) + STEP_BYTES
        pieces, same_error = _inflated(coding, cut(data))
        assert bool(error) == bool(same_error)  # bytes that are broken may be too many as well
        assert pieces == whole or error
        if not error and data and coding == b"gzip":
            assert whole.startswith(zlib.decompressobj(31).decompress(data))


def _inflated(coding: bytes, pieces: Iterable[bytes]) -> tuple[bytes, str]:
    decoder = decoder_for(coding)
    assert decoder is not None
    plain = b""
    try:
        for piece in pieces:
            decoder.feed(piece)
            while some := decoder.take():
                assert len(some) <= STEP_BYTES
                plain += some
        decoder.finish()
    except (BodyTooLarge, ProtocolViolation) as error:
        return plain, type(error).__name__
    return plain, ""


_upstream: list[Upstream] = []


def check_response(data: bytes) -> None:
    """An answer is the same however it is cut, or an error of ours; nothing is left open."""
    if not _upstream:
        _upstream.append(Upstream())
    whole = _upstream[0].answer([data])
    pieces = _upstream[0].answer(cut(data))
    assert whole.error in {"", "BodyTooLarge", "ConnectionLost", "ProtocolViolation"}
    assert _without_body(whole) == _without_body(pieces)
    longer, shorter = sorted((whole.body, pieces.body), key=len, reverse=True)
    assert longer.startswith(shorter)
    assert whole.error or longer == shorter
    assert whole.status == 0 or 200 <= whole.status <= 999
    assert len(whole.body) <= max(RATIO_FREE_BYTES, MAX_RATIO * len(data)) + STEP_BYTES


def _without_body(outcome: Outcome) -> Outcome:
    return outcome._replace(body=b"")


def check_usage(data: bytes) -> None:
    """OpenAI's usage is nothing, or numbers that add up to what it says."""
    counts = usage_counts(data)
    if counts is not None:
        check_counts(counts)


def check_events(endpoint: Endpoint, facts: RequestFacts, data: bytes) -> None:
    """What a stream says does not depend on cuts, and can be counted and charged."""
    seen = _read(endpoint, facts, [data])
    assert _read(endpoint, facts, cut(data)) == seen
    for event in seen:
        event.text.encode()
        assert event.has_content or not event.text
        if event.usage is not None:
            check_counts(event.usage)


def _read(endpoint: Endpoint, facts: RequestFacts, pieces: Iterable[bytes]) -> list[EventFacts]:
    splitter, reader = EventSplitter(), endpoint.dialect.reader(facts)
    seen = [reader.read(event) for piece in pieces for event in splitter.feed(piece)]
    seen.append(reader.read(splitter.rest + b"\n\n"))
    if reader.usage is not None:
        check_counts(reader.usage)
    return seen


def check_answer(endpoint: Endpoint, facts: RequestFacts, data: bytes) -> None:
    """A whole answer is understood or called an error, and what it says can be charged."""
    said = endpoint.dialect.answer(data, facts, b"application/json")
    said.text.encode()
    if said.usage is not None:
        check_counts(said.usage)


def check_request(endpoint: Endpoint, model: str, data: bytes) -> None:
    """A request is refused by its own error or bounded; what we change in it stays the rest."""
    try:
        facts = endpoint.dialect.read(endpoint, Asked(data, model=model))
        texts = endpoint.dialect.prompt(data)
        changed = endpoint.dialect.rewritten(
            data,
            facts,
            served="another-model",
            output_limit=5_000 if endpoint.takes_limit else None,
            limit_field=facts.limit_field or _LIMIT_FIELDS.get(endpoint.name, "max_tokens"),
        )
    except RelayError as error:
        assert 400 <= error.status < 500
        return
    assert sum(len(text.encode()) for text in texts) <= facts.text_bytes
    before, after = json.loads(data), json.loads(changed)
    assert model or after["model"] == "another-model"
    ours = {*_OURS, *facts.limit_members}
    assert {k: v for k, v in after.items() if k not in ours} == {
        k: v for k, v in before.items() if k not in ours
    }


def folder_of(endpoint: Endpoint) -> Path:
    """Return the folder of an endpoint's seeds, which not every one has."""
    return SEEDS / (endpoint.path.partition(":")[2] or endpoint.name)


def facts_of(endpoint: Endpoint) -> RequestFacts:
    """Return what the seed of its requests asks for."""
    request = (folder_of(endpoint) / "request.json").read_bytes()
    model = "model" if "{model}" in endpoint.path else ""
    return endpoint.dialect.read(endpoint, Asked(request, model=model))


def _of_endpoint(endpoint: Endpoint) -> list[Target]:
    """Return the targets of an endpoint that has seeds."""
    folder = folder_of(endpoint)
    name = folder.name
    if not (folder / "request.json").exists():
        return []
    facts = facts_of(endpoint)
    model = facts.model if "{model}" in endpoint.path else ""
    checks: dict[str, Callable[[bytes], None]] = {
        "request": partial(check_request, endpoint, model),
        "answer": partial(check_answer, endpoint, facts),
        "events": partial(check_events, endpoint, facts),
    }
    found = {kind: _seeds(folder, kind) for kind in checks}
    return [Target(f"{name} {kind}", checks[kind], found[kind]) for kind in checks if found[kind]]


def _of_translations() -> list[Target]:
    """Return the targets of everything that is made of one dialect for another."""
    folders = {"gemini_generate": "streamGenerateContent"}
    return [
        Target(name, check, _seeds(SEEDS / folders.get(source, source), name.rpartition(" ")[2]))
        for name, (source, check) in translated.checks().items()
    ]


def _seeds(folder: Path, kind: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob(f"{kind}*"))]


TARGETS = {
    target.name: target
    for target in (
        Target("sse", check_sse, _seeds(SEEDS / "sse", "")),
        Target("response", check_response, _seeds(SEEDS / "response", "")),
        Target("coding", check_coding, CODED),
        Target("usage", check_usage, _seeds(SEEDS / "usage", "")),
        *(target for endpoint in ENDPOINTS.values() for target in _of_endpoint(endpoint)),
        *_of_translations(),
        Target("sound", uploads.check_sound, uploads.SOUNDS),
        *(
            Target(name, check, _seeds(SEEDS / ("form" if name == "upload" else name), ""))
            for name, check in uploads.CHECKS.items()
        ),
    )
}
