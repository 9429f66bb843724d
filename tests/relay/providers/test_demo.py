"""The demo answers like an upstream: the same every time, within limits, and failing when told."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from relay.protocols.openai import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    Endpoint,
    StreamReader,
    answer_facts,
)
from relay.providers import REGISTRY
from relay.providers.base import LocalCall
from relay.providers.demo_base import DemoResponse
from relay.providers.demo_text import Directives
from relay.sse import EventSplitter
from relay.wire.errors import (
    BodyTooLarge,
    ConnectionLost,
    FirstByteTimeout,
    IdleTimeout,
    UpstreamError,
)
from relay.wire.messages import Timeouts, UpstreamResponse

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "demo-provider.md"
QUICK = Timeouts(first_byte_s=0.05, idle_s=0.05)


async def respond(
    endpoint: Endpoint = CHAT, text: str = "Hi", timeouts: Timeouts | None = None, **fields: Any
) -> UpstreamResponse:
    local = REGISTRY["demo"].local
    assert local is not None
    fields = {"model": "gpt-4o"} | fields
    if endpoint is CHAT:
        fields.setdefault("messages", [{"role": "user", "content": text}])
    body = json.dumps(fields).encode()
    return await local.respond(LocalCall(endpoint, fields["model"], body, timeouts or Timeouts()))


async def answer(endpoint: Endpoint = CHAT, text: str = "Hi", **fields: Any) -> dict[str, Any]:
    response = await respond(endpoint, text, **fields)
    found: dict[str, Any] = json.loads(await response.read(1_000_000))
    assert response.complete
    return found


async def events(text: str = "Hi", **fields: Any) -> list[bytes]:
    response = await respond(text=text, stream=True, **fields)
    splitter = EventSplitter()
    found: list[bytes] = []
    while chunk := await response.next_chunk():
        found += splitter.feed(chunk)
    assert splitter.rest == b""
    return found


def streamed_text(found: list[bytes]) -> str:
    reader = StreamReader()
    return "".join(reader.read(event).text for event in found)


async def test_it_says_that_it_is_the_demo_and_quotes_the_prompt() -> None:
    text = (await answer(text="How are you?"))["choices"][0]["message"]["content"]
    assert "demo channel" in text
    assert "How are you?" in text


async def test_it_answers_chinese_in_chinese() -> None:
    text = (await answer(text="你好吗？"))["choices"][0]["message"]["content"]
    assert "演示通道" in text


async def test_it_quotes_only_the_beginning_of_a_long_prompt() -> None:
    assert len((await answer(text="x" * 5_000))["choices"][0]["message"]["content"]) < 400


async def test_the_stream_says_the_same_as_the_whole_answer() -> None:
    whole = (await answer(text="Hello 世界"))["choices"][0]["message"]["content"]
    assert streamed_text(await events("Hello 世界")) == whole


async def test_the_stream_ends_with_a_finish_and_done() -> None:
    found = [StreamReader().read(event) for event in await events()]
    assert found[-2].finished
    assert found[-1].done
    assert not any(facts.usage for facts in found)


async def test_usage_is_streamed_only_when_asked_for() -> None:
    found = await events(stream_options={"include_usage": True})
    facts = StreamReader().read(found[-2])
    assert facts.is_usage_only


async def test_streamed_usage_is_that_of_the_whole_answer() -> None:
    whole = answer_facts(json.dumps(await answer(text="[demo tokens=70]")).encode()).usage
    reader = StreamReader()
    for event in await events("[demo tokens=70]", stream_options={"include_usage": True}):
        reader.read(event)
    assert reader.usage == whole
    assert whole is not None
    assert whole.output == 70


@pytest.mark.parametrize("limit", [{"max_tokens": 4}, {"max_completion_tokens": 4}])
async def test_it_keeps_to_the_limit(limit: dict[str, Any]) -> None:
    found = await answer(**limit)
    assert found["usage"]["completion_tokens"] == 4
    assert found["choices"][0]["finish_reason"] == "length"


async def test_it_stops_at_a_stop_sequence() -> None:
    found = await answer(stop=["never", "demo"])
    assert found["choices"][0]["message"]["content"] == "Hello! This is the "
    assert found["choices"][0]["finish_reason"] == "stop"


async def test_every_choice_is_given_and_billed() -> None:
    one, three = await answer(), await answer(n=3)
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert three["usage"]["completion_tokens"] == 3 * one["usage"]["completion_tokens"]


async def test_completions_answer_every_prompt() -> None:
    found = await answer(COMPLETIONS, prompt=["One", "Two"], n=2, max_tokens=5)
    assert [choice["index"] for choice in found["choices"]] == [0, 1, 2, 3]
    assert found["usage"] == {"prompt_tokens": 2, "completion_tokens": 20, "total_tokens": 22}


async def test_completions_can_echo() -> None:
    assert (await answer(COMPLETIONS, prompt="Dear diary", echo=True))["choices"][0][
        "text"
    ].startswith("Dear diary")


async def test_completions_stream_text() -> None:
    response = await respond(COMPLETIONS, prompt="x", max_tokens=1, stream=True)
    assert StreamReader().read(await response.next_chunk()).text == "Hello"


async def test_a_prompt_of_token_ids_counts_them() -> None:
    found = await answer(COMPLETIONS, prompt=[1, 2, 3])
    assert found["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    ("fields", "dimensions"),
    [({}, 1536), ({"dimensions": 8}, 8), ({"model": "text-embedding-3-large"}, 3072)],
)
async def test_vectors_have_the_dimension_asked_for_and_length_one(
    fields: dict[str, Any], dimensions: int
) -> None:
    vector = (await answer(EMBEDDINGS, input="x", **fields))["data"][0]["embedding"]
    assert len(vector) == dimensions
    assert sum(number * number for number in vector) == pytest.approx(1)


async def test_packed_vectors_are_the_same_vectors() -> None:
    plain = await answer(EMBEDDINGS, input=["x", "y"], dimensions=4)
    packed = await answer(EMBEDDINGS, input=["x", "y"], dimensions=4, encoding_format="base64")
    for one, other in zip(plain["data"], packed["data"], strict=True):
        numbers = struct.unpack("<4f", base64.b64decode(other["embedding"]))
        assert numbers == pytest.approx(one["embedding"], rel=1e-6)
    assert plain["data"][0]["embedding"] != plain["data"][1]["embedding"]
    assert plain["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


async def test_token_ids_have_vectors_too() -> None:
    assert len((await answer(EMBEDDINGS, input=[1, 2], dimensions=4))["data"]) == 1
    found = await answer(EMBEDDINGS, input=[[1], [2, 3]], dimensions=4)
    assert (len(found["data"]), found["usage"]["total_tokens"]) == (2, 3)


async def test_what_it_can_not_understand_is_a_bad_request() -> None:
    response = await respond(EMBEDDINGS, input="x", dimensions="many")
    assert response.status == 400
    assert REGISTRY["demo"].classify(400, [], await response.read(10_000)).kind == "client"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "client"), (401, "credential"), (429, "rate_limited"), (500, "unavailable")],
)
async def test_told_to_fail_it_fails_like_a_vendor(status: int, kind: str) -> None:
    demo = REGISTRY["demo"]
    response = await respond(text=f"[demo status={status} retry_after=3]")
    body = await response.read(10_000)
    failure = demo.classify(response.status, response.headers, body)
    assert (response.status, failure.kind) == (status, kind)
    assert response.header(b"retry-after") == b"3"


async def drained(response: UpstreamResponse) -> bytes:
    found = b""
    while chunk := await response.next_chunk():
        found += chunk
    return found


async def test_told_to_cut_it_loses_the_connection_after_so_many_events() -> None:
    response = await respond(text="[demo cut=3]", stream=True)
    for _ in range(3):
        assert (await response.next_chunk()).endswith(b"\n\n")
    with pytest.raises(ConnectionLost) as caught:
        await response.next_chunk()
    assert caught.value.response_started
    assert not response.complete


async def test_told_to_cut_a_whole_answer_it_breaks_off() -> None:
    response = await respond(text="[demo cut=0]")
    with pytest.raises(ConnectionLost):
        await response.read(100_000)


async def test_told_so_it_sends_an_error_event() -> None:
    found = await events("[demo error_event=2]")
    assert StreamReader().read(found[-1]).error
    assert len(found) == 3


async def test_told_so_it_reports_no_usage() -> None:
    assert "usage" not in await answer(text="[demo usage=none]")
    found = await events("[demo usage=none]", stream_options={"include_usage": True})
    assert not any(StreamReader().read(event).usage for event in found)


@pytest.mark.parametrize(
    ("told", "late"),
    [
        ("delay_ms=90", FirstByteTimeout),
        ("silent_ms=90", IdleTimeout),
        ("chunk_delay_ms=90", IdleTimeout),
    ],
)
async def test_its_patience_is_that_of_the_channel(told: str, late: type[UpstreamError]) -> None:
    with pytest.raises(late):
        await drained(await respond(text=f"[demo {told}]", timeouts=QUICK, stream=True))


async def test_a_short_delay_is_no_trouble() -> None:
    response = await respond(text="[demo delay_ms=5 silent_ms=5]", timeouts=QUICK)
    assert json.loads(await response.read(10_000))["choices"]


@pytest.mark.parametrize(
    "told", ["status=abc", "tokens=-5", "unknown=7", "delay_ms=99999999999", ""]
)
async def test_directives_that_make_no_sense_are_passed_over(told: str) -> None:
    assert (await answer(text=f"Hi [demo {told}]"))["choices"]


async def test_an_answer_that_is_too_long_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        await (await respond()).read(10)


async def test_a_closed_answer_gives_nothing_more() -> None:
    response = await respond(stream=True)
    await response.next_chunk()
    response.close()
    with pytest.raises(ConnectionLost):
        await response.next_chunk()


async def test_its_answer_has_the_upstreams_face() -> None:
    response = await respond(stream=True)
    assert isinstance(response, DemoResponse)
    assert response.header(b"content-type") == b"text/event-stream; charset=utf-8"
    assert response.header(b"none") is None


@pytest.mark.parametrize("name", Directives.__struct_fields__)
def test_every_directive_is_in_the_reference(name: str) -> None:
    assert f"| `{name}" in REFERENCE.read_text()
