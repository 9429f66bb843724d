"""Pictures: what a request is held and priced by, and what its answer comes to."""

import json
from typing import Any

import pytest

from billing.pricing import Counts, is_variant
from relay.errors import BadRequest
from relay.protocols.base import Asked, EventFacts, RequestFacts
from relay.protocols.images import EDITS, GENERATIONS, USUAL_MODEL, VARIATIONS
from tests.relay.protocols.forms import FORM_TYPE, upload
from tests.relay.protocols.requests import packed

DIALECT = GENERATIONS.dialect
JSON = b"application/json"
USAGE = {
    "total_tokens": 1_106,
    "input_tokens": 50,
    "output_tokens": 1_056,
    "input_tokens_details": {"text_tokens": 20, "image_tokens": 30},
}


def asked(**fields: Any) -> RequestFacts:
    return DIALECT.read(GENERATIONS, Asked(packed({"prompt": "a cat"} | fields)))


def edited(*fields: tuple[str, str], files: int = 1) -> RequestFacts:
    pictures = [("image[]" if files > 1 else "image", bytes(9_000))] * files
    return DIALECT.read(EDITS, Asked(upload(fields, pictures), content_type=FORM_TYPE))


def usage_of(answer: Any, **fields: Any) -> Counts | None:
    return DIALECT.answer(packed(answer), asked(**fields), JSON).usage


def events(*said: Any, **fields: Any) -> list[EventFacts]:
    reader = DIALECT.reader(asked(stream=True, **fields))
    return [reader.read(b"event: x\ndata: " + packed(one) + b"\n\n") for one in said]


def test_as_many_pictures_are_held_as_are_asked_for() -> None:
    assert asked(n=4).units == Counts(image=4)
    assert asked().units == Counts(image=1)


def test_a_client_that_names_no_model_gets_the_vendors_usual_one() -> None:
    assert asked().model == USUAL_MODEL
    assert asked(model=None).model == USUAL_MODEL


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        ({"model": "dall-e-3"}, ("standard/1024x1024/dall-e-3", "1024x1024/dall-e-3")),
        (
            {"model": "dall-e-3", "quality": "hd", "size": "1024x1792"},
            ("hd/1024x1792/dall-e-3", "1024x1792/dall-e-3"),
        ),
        ({"model": "dall-e-3", "quality": " HD ", "size": "1024X1024"}, ("hd/1024x1024/dall-e-3",)),
        ({"size": "256x256"}, ("standard/256x256/dall-e-2", "256x256/dall-e-2")),
        ({"model": "gpt-image-1"}, ()),
        ({"model": "gpt-image-1", "size": "auto", "quality": "auto"}, ()),
        ({"model": "imagen", "size": "1024x1024"}, ("1024x1024/imagen",)),
        ({"model": "imagen", "size": "../../x"}, ()),
    ],
)
def test_size_and_quality_name_the_price_rows_to_try(
    fields: dict[str, Any], rows: tuple[str, ...]
) -> None:
    found = asked(**fields).variants
    assert found[: len(rows)] == rows
    assert all(is_variant(row) for row in found)
    assert bool(found) == bool(rows)


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 6_240),
        ({"size": "1024x1024"}, 4_160),
        ({"size": "1024x1024", "quality": "low"}, 272),
        ({"size": "1024x1536", "quality": "medium"}, 1_584),
        ({"size": "2048x3072", "quality": "high"}, 24_961),
        ({"quality": "low", "partial_images": 3}, 708),
    ],
)
def test_the_tokens_of_a_picture_are_bounded_by_the_vendors_table(
    fields: dict[str, Any], tokens: int
) -> None:
    assert asked(model="gpt-image-1", **fields).output_limit == tokens + 500


@pytest.mark.parametrize(
    "fields", [{"n": 0}, {"n": 500}, {"n": "2"}, {"size": 7}, {"model": "x" * 65}]
)
def test_what_decides_the_price_must_be_of_its_type(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(**fields)
    assert refused.value.param == next(iter(fields))


def test_an_edit_is_a_form_with_pictures() -> None:
    facts = edited(("model", "gpt-image-1"), ("n", "2"), ("stream", "true"), files=3)
    assert (facts.model, facts.choices, facts.stream) == ("gpt-image-1", 2, True)
    assert (facts.images, facts.image_bytes) == (3, 27_000)
    assert facts.text_bytes < 100
    assert facts.content_type == FORM_TYPE


def test_faithful_pictures_take_more_input() -> None:
    plain, faithful = (("model", "gpt-image-1"),), (("input_fidelity", "high"),)
    assert edited(*plain, *faithful).text_bytes > 6_240 + edited(*plain).text_bytes


def test_an_edit_may_also_name_its_pictures() -> None:
    body = packed({"model": "gpt-image-1", "images": [{"image_url": "data:x" * 900}, {}]})
    facts = DIALECT.read(EDITS, Asked(body, content_type=JSON))
    assert (facts.images, facts.content_type) == (2, b"")
    assert facts.text_bytes < 200


@pytest.mark.parametrize(
    "fields",
    [{"image": ["data:x", "data:y"]}, {"image": "data:x", "mask": "data:y"}, {"images": ["x", {}]}],
)
def test_pictures_are_counted_in_whichever_field_they_are(fields: dict[str, Any]) -> None:
    body = packed({"prompt": "a hat"} | fields)
    assert DIALECT.read(EDITS, Asked(body, content_type=JSON)).images == 2


def test_a_form_may_repeat_its_pictures_but_not_what_decides() -> None:
    twice = upload([("prompt", "x")], [("image", b"a"), ("image", b"b")])
    assert DIALECT.read(EDITS, Asked(twice, content_type=FORM_TYPE)).images == 2
    with pytest.raises(BadRequest) as refused:
        edited(("size", "256x256"), ("size", "1024x1024"))
    assert refused.value.param == "size"


@pytest.mark.parametrize("count", ["0", "x", "-1", "1e3", "129"])
def test_numbers_of_a_form_are_numbers(count: str) -> None:
    with pytest.raises(BadRequest) as refused:
        edited(("n", count))
    assert refused.value.param == "n"


def test_a_variation_is_a_form() -> None:
    with pytest.raises(BadRequest):
        DIALECT.read(VARIATIONS, Asked(packed({"model": "dall-e-2"}), content_type=JSON))
    body = upload([("size", "512x512")], [("image", b"png")])
    facts = DIALECT.read(VARIATIONS, Asked(body, content_type=FORM_TYPE))
    assert facts.variants[-1] == "512x512/dall-e-2"


def rewritten(body: bytes, facts: RequestFacts, served: str) -> bytes:
    return DIALECT.rewritten(body, facts, served=served, output_limit=None, limit_field="")


def test_a_body_stays_as_it_is_but_for_its_model() -> None:
    body = packed({"model": "dall-e-3", "prompt": "dall-e-3"})
    facts = DIALECT.read(GENERATIONS, Asked(body))
    assert rewritten(body, facts, "dall-e-3") is body
    assert rewritten(body, facts, "mine") == body.replace(b"dall-e-3", b"mine", 1)


@pytest.mark.parametrize("body", [b'{"prompt":"x"}', b"{}", b'{"model":null,"prompt":"x"}'])
def test_a_model_that_is_charged_is_also_asked_for(body: bytes) -> None:
    sent = rewritten(body, DIALECT.read(GENERATIONS, Asked(body)), USUAL_MODEL)
    assert json.loads(sent)["model"] == USUAL_MODEL


def test_a_form_without_a_model_gets_one() -> None:
    body = upload([("prompt", "x")], [("image", b"png")])
    facts = DIALECT.read(EDITS, Asked(body, content_type=FORM_TYPE))
    assert b'name="model"\r\n\r\ndall-e-2\r\n' in rewritten(body, facts, USUAL_MODEL)


def test_the_pictures_of_an_answer_are_counted_with_its_tokens() -> None:
    assert usage_of({"data": [{}, {}], "usage": USAGE}) == Counts(input=50, output=1_056, image=2)


def test_an_answer_without_usage_comes_to_what_it_shows() -> None:
    facts = DIALECT.answer(packed({"data": [{"url": "x"}]}), asked(n=4), JSON)
    assert (facts.usage, facts.units, facts.has_content) == (None, Counts(image=1), True)
    facts = DIALECT.answer(packed({"data": [{}]}), asked(model="gpt-image-1"), JSON)
    assert facts.units == Counts(image=1, output=6_240)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", JSON),
        (b"<html>", b"text/html"),
        (b'{"data": [{}]}', b"text/html; charset=utf-8"),
        (b"{}", JSON),
        (b"[]", JSON),
        (b'{"data": 3}', JSON),
        (b'{"error": {"message": "no"}, "data": [{}]}', JSON),
    ],
)
def test_what_is_no_picture_is_a_failure(body: bytes, kind: bytes) -> None:
    assert DIALECT.answer(body, asked(), kind).error


def test_an_answer_without_pictures_is_none() -> None:
    assert not DIALECT.answer(b'{"data": []}', asked(), JSON).has_content


def test_a_stream_ends_with_its_picture_and_usage() -> None:
    partial, whole = events(
        {"type": "image_generation.partial_image", "b64_json": "eA=="},
        {"type": "image_generation.completed", "b64_json": "eA==", "usage": USAGE},
    )
    assert partial.has_content
    assert not partial.finished
    assert whole.finished
    assert whole.usage == Counts(input=50, output=1_056, image=1)


def test_a_picture_counts_from_its_first_sight() -> None:
    partial = {"type": "image_edit.partial_image", "b64_json": "eA=="}
    usage = events(partial, partial)[-1].usage
    assert usage is not None
    assert (usage.image, usage.output, usage.input > 0) == (1, 200, True)


def test_the_pictures_of_one_stream_add_up() -> None:
    partial = {"type": "image_generation.partial_image"}
    whole = {"type": "image_generation.completed", "usage": USAGE}
    assert events(partial, whole, partial, whole)[-1].usage == Counts(
        input=100, output=2_112, image=2
    )


def test_an_error_event_is_one() -> None:
    assert events({"type": "error", "error": {"message": "no"}})[0].error


def test_the_prompt_is_what_is_counted() -> None:
    assert DIALECT.prompt(packed({"prompt": "a cat", "n": 2})) == ["a cat"]
    assert DIALECT.prompt(upload([("prompt", "a dog")], [("image", b"x")])) == ["a dog"]
