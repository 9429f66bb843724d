"""Moderations and ranking: what is asked for, and what it comes to."""

from typing import Any

import pytest

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import AnswerFacts, Asked, RequestFacts
from relay.protocols.moderations import MODERATIONS, USUAL_MODEL
from relay.protocols.rerank import RERANK
from tests.relay.protocols.requests import packed

JSON = b"application/json"
RESULTS = [{"index": 0, "relevance_score": 0.9}]


def moderated(**fields: Any) -> RequestFacts:
    return MODERATIONS.dialect.read(MODERATIONS, Asked(packed({"input": "Hi"} | fields)))


def ranked(count: int = 3, **fields: Any) -> RequestFacts:
    body = {"model": "reranker", "query": "q", "documents": ["d"] * count} | fields
    return RERANK.dialect.read(RERANK, Asked(packed(body)))


def answered(**said: Any) -> AnswerFacts:
    return RERANK.dialect.answer(packed(said), ranked(250), JSON)


def test_moderation_has_a_usual_model() -> None:
    assert moderated().model == USUAL_MODEL
    assert moderated(model="text-moderation-stable").model == "text-moderation-stable"


def test_pictures_to_be_moderated_are_no_text() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:" + "x" * 9_000}}
    facts = moderated(input=[{"type": "text", "text": "Hi"}, picture])
    assert facts.images == 1
    assert facts.text_bytes < 200


@pytest.mark.parametrize("given", [None, [], 5, [5], {}])
def test_moderation_needs_something_to_read(given: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        moderated(input=given)
    assert refused.value.param is not None
    assert refused.value.param.startswith("input")


def test_a_verdict_is_counted_by_us_unless_the_vendor_does() -> None:
    said = MODERATIONS.dialect.answer(packed({"results": [{}]}), moderated(), JSON)
    assert (said.usage, said.has_content) == (None, True)
    used = {"results": [{}], "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    said = MODERATIONS.dialect.answer(packed(used), moderated(), JSON)
    assert said.usage == Counts(input=7)


def test_texts_to_be_moderated_are_counted_whatever_their_shape() -> None:
    prompt = MODERATIONS.dialect.prompt
    assert prompt(packed({"input": "Hi"})) == ["Hi"]
    assert prompt(packed({"input": ["a", {"type": "text", "text": "b"}]})) == ["a", "b"]


def test_a_search_is_a_hundred_documents() -> None:
    assert [ranked(count).units for count in (1, 100, 101)] == [
        Counts(search=1),
        Counts(search=1),
        Counts(search=2),
    ]


def test_the_question_is_read_with_every_document() -> None:
    assert ranked(10, query="x" * 500).text_bytes > 5_000


@pytest.mark.parametrize("documents", [None, [], "d", ["d"] * 10_001])
def test_ranking_needs_documents(documents: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        ranked(documents=documents)
    assert refused.value.param == "documents"


def test_tokens_are_taken_from_wherever_a_vendor_puts_them() -> None:
    assert answered(results=RESULTS, usage={"total_tokens": 40}).usage == Counts(input=40, search=3)
    assert answered(data=RESULTS, usage={"total_tokens": 41}).usage == Counts(input=41, search=3)
    tokens = {"billed_units": {"input_tokens": 42, "search_units": 0}}
    assert answered(results=RESULTS, meta=tokens).usage == Counts(input=42)


def test_searches_that_the_vendor_bills_are_those() -> None:
    billed = {"billed_units": {"search_units": 5}}
    assert answered(results=RESULTS, meta=billed).usage == Counts(search=5)


@pytest.mark.parametrize(
    ("slip", "expected"),
    [
        ({"meta": {"billed_units": {"search_units": 2.0}}}, Counts(search=2)),
        ({"meta": {"tokens": {"input_tokens": "12"}}}, Counts(input=12, search=3)),
        ({"usage": [], "meta": "none"}, None),
    ],
)
def test_figures_that_are_written_oddly_spoil_no_answer(
    slip: dict[str, Any], expected: Counts | None
) -> None:
    said = answered(results=RESULTS, **slip)
    assert (said.error, said.usage) == (None, expected)


def test_ranking_without_figures_is_counted_by_us() -> None:
    said = answered(results=RESULTS)
    assert (said.usage, said.has_content) == (None, True)
    body = packed({"query": "q", "documents": ["a", {"text": "b"}]})
    assert RERANK.dialect.prompt(body) == ["q", "a", "b"]


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"error": "no", "results": []}'])
def test_what_is_no_answer_is_a_failure(body: bytes) -> None:
    assert RERANK.dialect.answer(body, ranked(), JSON).error
    assert MODERATIONS.dialect.answer(body, moderated(), JSON).error
