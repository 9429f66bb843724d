"""What an order of a video says, whoever wrote it, and what becomes of it."""

import json
from typing import Any

import pytest

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import Asked
from relay.protocols.videos import VIDEOS, VideoFacts, state_of

DIALECT = VIDEOS.dialect
FORM = b"multipart/form-data; boundary=b"


def read(**fields: Any) -> VideoFacts:
    facts = DIALECT.read(VIDEOS, Asked(json.dumps(fields).encode()))
    assert isinstance(facts, VideoFacts)
    return facts


def form(*fields: tuple[str, str]) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    ]
    return "".join([*parts, "--b--\r\n"]).encode()


def rewritten(facts: VideoFacts, body: bytes, served: str) -> bytes:
    return DIALECT.rewritten(body, facts, served=served, output_limit=None, limit_field="")


@pytest.mark.parametrize("seconds", ["8", 8])
def test_seconds_are_text_or_a_number(seconds: Any) -> None:
    facts = read(model="sora-2", prompt="x", seconds=seconds, size="1280x720")
    assert facts.units == Counts(second=8)
    assert facts.variants == ("1280x720/sora-2", "720x1280/sora-2")


def test_a_form_says_the_same() -> None:
    fields = (("model", "sora-2-pro"), ("prompt", "x"), ("seconds", "12"), ("size", "1024x1792"))
    facts = DIALECT.read(VIDEOS, Asked(form(*fields), "", FORM))
    assert isinstance(facts, VideoFacts)
    assert (facts.model, facts.seconds, facts.size) == ("sora-2-pro", 12, "1024x1792")
    assert facts.content_type == FORM


def test_openais_defaults_hold() -> None:
    facts = read(prompt="x")
    assert (facts.model, facts.seconds, facts.size) == ("sora-2", 4, "720x1280")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seconds": "x"}, "seconds"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": "٤"}, "seconds"),
        ({"seconds": 3_601}, "seconds"),
        ({"size": "a" * 17}, "size"),
        ({"size": "1x1 "}, "size"),
        ({"model": "m" * 65}, "model"),
        ({"model": 1}, "model"),
        ({"Seconds": "8"}, "Seconds"),
    ],
)
def test_what_can_not_be_priced_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**{"prompt": "x", **fields})
    assert refused.value.param == param


@pytest.mark.parametrize("body", [b'{"seconds":"4","seconds":"12"}', b"[]", b"{", b"\xff"])
def test_a_body_that_can_be_read_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        DIALECT.read(VIDEOS, Asked(body))


def test_a_field_that_is_given_twice_is_refused() -> None:
    with pytest.raises(BadRequest):
        DIALECT.read(VIDEOS, Asked(form(("seconds", "4"), ("seconds", "12")), "", FORM))


def test_only_the_model_is_changed() -> None:
    body = b'{ "prompt" : "x", "model":"sora-2" ,"extra":[1]}'
    facts = DIALECT.read(VIDEOS, Asked(body))
    assert isinstance(facts, VideoFacts)
    assert rewritten(facts, body, "sora-2") == body
    assert rewritten(facts, body, "other") == body.replace(b'"sora-2"', b'"other"')


@pytest.mark.parametrize("body", [b"{}", b'{"prompt":"x"}'])
def test_a_model_that_was_not_named_is_added(body: bytes) -> None:
    facts = DIALECT.read(VIDEOS, Asked(body))
    assert isinstance(facts, VideoFacts)
    assert json.loads(rewritten(facts, body, "sora-2"))["model"] == "sora-2"


def test_the_answers_own_length_is_charged() -> None:
    body = b'{"id":"v1","status":"queued","seconds":"12"}'
    said = DIALECT.answer(body, read(seconds=4), b"")
    assert (said.usage, said.object_id) == (Counts(second=12), "v1")


def test_an_order_that_fails_at_once_is_free() -> None:
    said = DIALECT.answer(b'{"id":"v1","status":"failed"}', read(), b"")
    assert (said.usage, said.has_content, said.object_id) == (None, False, "")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"status":"queued"}', b'{"id":5}', b'{"id":"a\\n"}', b"<html>"]
)
def test_an_answer_that_is_no_video_is_an_error(body: bytes) -> None:
    assert DIALECT.answer(body, read(), b"").error


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *(("queued", "running"), ("in_progress", "running"), ("anything", "running")),
        *(("completed", "done"), ("failed", "failed"), ("cancelled", "failed")),
        (None, None),
    ],
)
def test_states_are_understood(status: Any, state: str | None) -> None:
    assert state_of(json.dumps({"id": "v", "status": status}).encode()) == state
