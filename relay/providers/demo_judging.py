"""The demo's verdicts: what is flagged was asked to be, and what shares words ranks first.

Called by `demo`.
"""

import re
from typing import Any

import msgspec

from relay.errors import BadRequest
from relay.protocols.decoding import decode
from relay.protocols.rerank import DOCUMENTS_OF_A_SEARCH
from relay.providers.base import LocalCall
from relay.providers.demo_base import DemoResponse, json_answer, refused, wait
from relay.providers.demo_openai import error_of, told_to_fail
from relay.providers.demo_text import count_prompt, read_directives
from relay.wire.errors import FirstByteTimeout

FLAG = "[demo flagged]"
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

_WORD = re.compile(r"\w+")


class _Moderation(msgspec.Struct):
    input: str | list[Any]
    model: str = ""


class _Ranking(msgspec.Struct):
    query: Any
    documents: list[Any]
    model: str = ""
    top_n: int | None = None
    return_documents: bool | None = None


_MODERATION = msgspec.json.Decoder(_Moderation)
_RANKING = msgspec.json.Decoder(_Ranking)


async def moderate(call: LocalCall) -> DemoResponse:
    """Return a verdict on each text, or one on the parts of a message."""
    try:
        asked: _Moderation = decode(_MODERATION, call.body)
    except BadRequest as error:
        return refused(400, error_of(error.message, 400))
    texts = [asked.input] if isinstance(asked.input, str) else [_text(one) for one in asked.input]
    if any(isinstance(one, dict) for one in asked.input):
        texts = ["\n".join(texts)]
    results = [_verdict(FLAG in text) for text in texts]
    found = {"id": "modr-demo", "model": asked.model, "results": results}
    return await _told(call, texts[-1], found)


def _verdict(is_flagged: bool) -> dict[str, Any]:
    flags = {name: is_flagged and name == "violence" for name in CATEGORIES}
    return {
        "flagged": is_flagged,
        "categories": flags,
        "category_scores": {name: 0.9 if flag else 0.0001 for name, flag in flags.items()},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


async def rank(call: LocalCall) -> DemoResponse:
    """Return the documents in the order of the words that they share with the question."""
    try:
        asked: _Ranking = decode(_RANKING, call.body)
    except BadRequest as error:
        return refused(400, error_of(error.message, 400))
    query, texts = _text(asked.query), [_text(document) for document in asked.documents]
    results = []
    for index, text in enumerate(texts):
        result: dict[str, Any] = {"index": index, "relevance_score": _likeness(query, text)}
        results.append(result | {"document": {"text": text}} if asked.return_documents else result)
    results.sort(key=lambda result: -result["relevance_score"])
    found: dict[str, Any] = {"id": "rank-demo", "model": asked.model}
    found["results"] = results[: asked.top_n or len(results)]
    if read_directives(query).usage != "none":
        searches = -(-len(texts) // DOCUMENTS_OF_A_SEARCH)
        found["usage"] = {"total_tokens": count_prompt([query, *texts], messages=0)}
        found["meta"] = {"billed_units": {"search_units": searches}}
    return await _told(call, query, found)


def _likeness(query: str, text: str) -> float:
    wanted, there = set(_WORD.findall(query.lower())), set(_WORD.findall(text.lower()))
    return round(len(wanted & there) / len(wanted | there), 6) if wanted | there else 0.0


def _text(given: Any) -> str:
    if isinstance(given, dict):
        given = given.get("text")
    return given if isinstance(given, str) else ""


async def _told(call: LocalCall, prompt: str, found: dict[str, Any]) -> DemoResponse:
    """Return what was found, or what the prompt wants to see in its place."""
    told = read_directives(prompt)
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    return told_to_fail(told) if told.status else json_answer(found, told, call.timeouts)
