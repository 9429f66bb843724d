"""The demo answers Gemini's clients as Google does, whole and streamed."""

import base64
import json
from typing import Any

import pytest

from billing.pricing import Counts
from relay.protocols.base import Asked, Endpoint
from relay.protocols.gemini import (
    BATCH_EMBED,
    COUNT_TOKENS,
    EMBED,
    GENERATE,
    STREAM_GENERATE,
)
from relay.protocols.gemini_answer import StreamReader, answer_facts
from relay.providers.base import LocalCall
from relay.providers.demo_gemini import answer as answer_of
from relay.sse import EventSplitter
from relay.wire.messages import Timeouts, UpstreamResponse
from tests.relay.protocols.gemini_requests import said

MODEL = "gemini-2.5-flash"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": WEATHER}]}]


async def respond(endpoint: Endpoint, **fields: Any) -> UpstreamResponse:
    body = json.dumps(fields).encode()
    facts = endpoint.dialect.read(endpoint, Asked(body, MODEL))
    return await answer_of(LocalCall(endpoint, MODEL, body, Timeouts(), stream=facts.stream))


async def answer(
    text: str = "Hi", *, endpoint: Endpoint = GENERATE, status: int = 200, **fields: Any
) -> dict[str, Any]:
    if endpoint is GENERATE:
        fields.setdefault("contents", said({"text": text}))
    response = await respond(endpoint, **fields)
    assert response.status == status
    found: dict[str, Any] = json.loads(await response.read(1_000_000))
    return found


async def events(text: str = "Hi", **fields: Any) -> list[bytes]:
    response = await respond(STREAM_GENERATE, contents=said({"text": text}), **fields)
    splitter, found = EventSplitter(), list[bytes]()
    while chunk := await response.next_chunk():
        found += splitter.feed(chunk)
    assert splitter.rest == b""
    return found


def text_of(found: dict[str, Any]) -> str:
    return "".join(part["text"] for part in found["candidates"][0]["content"]["parts"])


def configured(**config: Any) -> dict[str, Any]:
    return {"generationConfig": config}


async def test_it_says_that_it_is_the_demo_and_quotes_the_prompt() -> None:
    text = text_of(await answer("How are you?"))
    assert "demo channel" in text
    assert "How are you?" in text


async def test_what_it_reports_is_what_it_has_said() -> None:
    facts = answer_facts(json.dumps(await answer("[demo tokens=40]")).encode())
    assert facts.finished
    assert facts.usage == Counts(input=12, output=40)


async def test_the_stream_says_the_same_as_the_whole_answer() -> None:
    reader = StreamReader()
    found = [reader.read(event) for event in await events("Hello 世界")]
    assert "".join(facts.text for facts in found) == text_of(await answer("Hello 世界"))
    assert [facts.finished for facts in found[-2:]] == [False, True]
    assert all(facts.usage for facts in found)


async def test_the_last_usage_of_a_stream_is_that_of_the_whole_answer() -> None:
    reader = StreamReader()
    for event in await events("Hello"):
        reader.read(event)
    assert reader.usage == answer_facts(json.dumps(await answer("Hello")).encode()).usage


async def test_it_keeps_to_limits_stops_and_candidates() -> None:
    cut = await answer(**configured(maxOutputTokens=3, candidateCount=2))
    assert [one["finishReason"] for one in cut["candidates"]] == ["MAX_TOKENS"] * 2
    assert cut["usageMetadata"]["candidatesTokenCount"] == 6
    assert text_of(await answer(**configured(stop_sequences=[" is"]))) == "Hello! This"


@pytest.mark.parametrize("streams", [False, True])
async def test_told_so_it_calls_the_first_tool(streams: bool) -> None:
    if streams:
        [event] = await events("Weather? [demo tool]", tools=TOOLS)
        found = json.loads(event.removeprefix(b"data: "))
    else:
        found = await answer("Weather? [demo tool]", tools=TOOLS)
    [part] = found["candidates"][0]["content"]["parts"]
    assert part == {"functionCall": {"name": "weather", "args": {"city": "demo"}}}


@pytest.mark.parametrize("number", [2, 2.0, "2"])
async def test_numbers_may_be_written_in_every_form(number: object) -> None:
    found = await answer(**configured(maxOutputTokens=number, candidateCount=2.0))
    assert found["usageMetadata"]["candidatesTokenCount"] == 2 * 2


async def test_a_tool_that_has_answered_is_not_called_again() -> None:
    result = {"functionResponse": {"name": "weather", "response": {"result": "sunny"}}}
    asked = said({"text": "Weather? [demo tool]"}) + said(result)
    assert "demo channel" in text_of(await answer(contents=asked, tools=TOOLS))


async def test_it_fills_in_a_form() -> None:
    form = {"responseMimeType": "application/json", "responseSchema": WEATHER}
    assert json.loads(text_of(await answer(**configured(**form)))) == {"city": "demo"}


@pytest.mark.parametrize(("kind", "mime"), [("IMAGE", "image/png"), ("AUDIO", "audio/L16")])
async def test_it_draws_and_speaks(kind: str, mime: str) -> None:
    found = await answer(**configured(responseModalities=[kind]))
    media = found["candidates"][0]["content"]["parts"][-1]["inlineData"]
    assert media["mimeType"].startswith(mime)
    assert base64.b64decode(media["data"])
    usage = answer_facts(json.dumps(found).encode()).usage
    assert usage is not None
    assert (usage.image, usage.audio_out > 0) == (int(kind == "IMAGE"), kind == "AUDIO")


async def test_it_counts_as_it_reports() -> None:
    counted = await answer(endpoint=COUNT_TOKENS, contents=said({"text": "Hello there"}))
    inside: dict[str, Any] = {"generateContentRequest": {"contents": said({"text": "Hello there"})}}
    assert counted == await answer(endpoint=COUNT_TOKENS, **inside) == {"totalTokens": 8}
    whole = await answer("Hello there")
    assert whole["usageMetadata"]["promptTokenCount"] == counted["totalTokens"]


async def test_it_embeds_one_text_or_several() -> None:
    request: dict[str, Any] = {"content": {"parts": [{"text": "Hello"}]}, "outputDimensionality": 8}
    one = await answer(endpoint=EMBED, **request)
    both = await answer(endpoint=BATCH_EMBED, requests=[request, request])
    assert len(one["embedding"]["values"]) == 8
    assert both["embeddings"] == [one["embedding"]] * 2


async def test_told_to_fail_it_fails_as_google_does() -> None:
    told = (await answer("[demo status=429]", status=429))["error"]
    assert (told["code"], told["status"]) == (429, "RESOURCE_EXHAUSTED")


async def test_told_so_it_reports_no_usage() -> None:
    assert "usageMetadata" not in await answer("[demo usage=none]")


async def test_told_so_it_sends_an_error_event() -> None:
    found = await events("[demo error_event=2]")
    assert len(found) == 3
    assert StreamReader().read(found[-1]).error


@pytest.mark.parametrize(
    "body",
    [
        {"contents": 7},
        {"generateContentRequest": "x"},
        {"contents": [7, {"parts": 8}], "systemInstruction": []},
    ],
)
async def test_what_nobody_has_checked_does_no_harm(body: dict[str, Any]) -> None:
    assert "totalTokens" in await answer(endpoint=COUNT_TOKENS, **body)
