"""What the demo says as responses, read by the dialect that the relay reads them with."""

import json
from typing import Any

import pytest
from openai.types.responses import Response

from relay.protocols.base import EventFacts
from relay.protocols.responses import RESPONSES
from relay.providers import REGISTRY
from relay.providers.base import LocalCall
from relay.sse import EventSplitter
from relay.wire.errors import ConnectionLost
from relay.wire.messages import Timeouts, UpstreamResponse
from tests.relay.protocols.responses import asked, facts_of

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


async def ask(method: str = "POST", tail: str = "", **fields: Any) -> UpstreamResponse:
    local = REGISTRY["demo"].local
    assert local is not None
    body = asked(**fields)
    stream = bool(fields.get("stream"))
    call = LocalCall(RESPONSES, "gpt-5", body, Timeouts(), stream=stream, method=method, tail=tail)
    return await local.respond(call)


async def answered(**fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await (await ask(**fields)).read(1 << 20))
    return answer


async def streamed(**fields: Any) -> tuple[list[dict[str, Any]], list[EventFacts]]:
    answer, splitter = await ask(stream=True, **fields), EventSplitter()
    reader = RESPONSES.dialect.reader(facts_of(stream=True))
    events: list[bytes] = []
    while chunk := await answer.next_chunk():
        events += splitter.feed(chunk)
    datas = [json.loads(event.split(b"data: ")[1]) for event in events]
    return datas, [reader.read(event) for event in events]


async def test_a_whole_response_is_one_of_the_vendors_library() -> None:
    response = Response.model_validate(await answered(input="Hi"))
    assert "You wrote: “Hi”" in response.output_text
    facts = RESPONSES.dialect.answer(response.model_dump_json().encode(), facts_of(), b"")
    assert facts.usage is not None
    assert (facts.finished, facts.object_id) == (True, response.id)


async def test_every_response_has_a_name_of_its_own() -> None:
    assert (await answered())["id"] != (await answered())["id"]


async def test_a_stream_says_the_same_as_the_whole() -> None:
    whole = await answered(input="Hi")
    datas, facts = await streamed(input="Hi")
    text = "".join(each.text for each in facts)
    assert text == whole["output"][0]["content"][0]["text"]
    assert datas[-1]["response"]["usage"] == whole["usage"]
    assert [data["sequence_number"] for data in datas] == list(range(len(datas)))
    assert facts[-1].usage is not None
    assert facts[-1].usage.output == sum(each.has_content for each in facts)


async def test_a_limit_leaves_the_response_incomplete() -> None:
    whole = await answered(max_output_tokens=5)
    assert (whole["status"], whole["usage"]["output_tokens"]) == ("incomplete", 5)
    datas, _ = await streamed(max_output_tokens=5)
    assert datas[-1]["type"] == "response.incomplete"


async def test_a_tool_is_called_and_its_result_is_answered() -> None:
    text = {"role": "user", "content": "Weather? [demo tool]"}
    called = (await answered(input=[text], tools=[TOOL]))["output"][0]
    assert (called["type"], called["name"], called["arguments"]) == ("function_call", "f", "{}")
    result = {"type": "function_call_output", "call_id": called["call_id"], "output": "Sunny"}
    items = [text, called, result]
    assert (await answered(input=items, tools=[TOOL]))["output"][0]["type"] == "message"


async def test_a_called_tool_streams_its_arguments() -> None:
    _, facts = await streamed(input="[demo tool]", tools=[TOOL])
    assert "".join(each.text for each in facts) == "{}"


async def test_a_search_is_made_where_there_is_only_one() -> None:
    datas, facts = await streamed(input="[demo tool]", tools=[{"type": "web_search"}])
    items = [data["item"]["type"] for data in datas if data["type"] == "response.output_item.done"]
    assert items == ["web_search_call", "message"]
    assert facts[-1].usage is not None
    assert facts[-1].usage.search == 1


async def test_a_schema_is_filled_in() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    form = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    text = (await answered(text=form))["output"][0]["content"][0]["text"]
    assert json.loads(text) == {"n": 1}


@pytest.mark.parametrize(("told", "kept"), [("usage=none", None), ("tokens=7", 7)])
async def test_directives_are_obeyed(told: str, kept: int | None) -> None:
    usage = (await answered(input=f"[demo {told}]"))["usage"]
    assert (usage and usage["output_tokens"]) == kept


async def test_it_fails_as_told() -> None:
    assert (await ask(input="[demo status=503]")).status == 503
    with pytest.raises(ConnectionLost):
        await streamed(input="[demo cut=3]")
    _, facts = await streamed(input="[demo error_event=3]")
    assert facts[-1].error


async def test_what_it_keeps_can_be_looked_up_without_its_text() -> None:
    found = json.loads(await (await ask("GET", "/resp_1")).read(1 << 20))
    assert (found["id"], found["output"][0]["content"][0]["text"]) == (
        "resp_1",
        "The demo keeps no text.",
    )
    gone = json.loads(await (await ask("DELETE", "/resp_1")).read(1 << 20))
    assert gone["deleted"] is True
    items = json.loads(await (await ask("GET", "/resp_1/input_items")).read(1 << 20))
    assert items["data"] == []
    assert (await ask("POST", "/resp_1/cancel")).status == 400


async def test_nonsense_is_refused() -> None:
    assert (await ask(input="Hi", max_output_tokens="many")).status == 400
