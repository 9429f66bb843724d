"""Streams that are made up at random: what they are charged follows from what came through.

The rules are written down here a second time, from what the client has received and what the
upstream has said before it stopped; `made(number)` is a stream that broke one of them.
"""

import json
import random
from dataclasses import dataclass, field

import httpx
import pytest

from billing.models import UsageRecord
from relay import tokens
from tests.plugins.proof import size
from tests.relay.asking import chat
from tests.relay.conftest import Shop
from tests.relay.dialects import prompt_of
from tests.relay.vendors import DONE, Got, Json, ask, by_id, event, finish, said, selling, used
from tests.relay.wire.peers import CHUNKED, Peer, chunk

pytestmark = [pytest.mark.proof, pytest.mark.timeout(size(120, proof=1_800))]

STREAMS = size(150, proof=4_000)
PROMPT = 11
WORDS = ["one", " two", " 字", " 🙂", " three four five", "\n\n", ' "six"', " seven-eight"]


@dataclass
class Stream:
    """Events in their order, and how they reach the relay."""

    events: list[bytes] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    ends_well: bool = True


def made(number: int) -> Stream:
    """Return the stream of a seed."""
    rng, stream = random.Random(number), Stream()
    for _ in range(rng.randrange(9)):
        stream.events.append(_event(rng))
    ends = [finish(), event({"choices": [], "usage": used(PROMPT, rng.randrange(90))}), DONE]
    stream.events += [end for end in ends if rng.random() < 0.75]
    trouble = rng.randrange(6)
    if trouble == 0:
        at = rng.randrange(len(stream.events) + 1)
        stream.events.insert(at, event({"error": {"message": "busy"}}))
    data = b"".join(stream.events)
    if rng.random() < 0.3:
        data = data.replace(b"\n", b"\r\n")
    if trouble in (1, 2):
        stream.ends_well = False
        data = data[: rng.randrange(len(data) + 1)]
    stream.pieces = _pieces(rng, data)
    return stream


def _event(rng: random.Random) -> bytes:
    kind, text = rng.randrange(8), rng.choice(WORDS)
    if kind == 0:
        return b": ping\n\n"
    if kind == 1:
        return event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    if kind == 2:
        return said(text, usage=used(PROMPT, rng.randrange(30)))
    if kind == 3:
        return said(text, usage=None)
    if kind == 4:
        call = {"index": 0, "function": {"name": "f", "arguments": text}}
        return event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    return said(text)


def _pieces(rng: random.Random, data: bytes) -> list[bytes]:
    pieces = []
    while data:
        step = rng.choice((3, 40, 400))
        pieces.append(data[:step])
        data = data[step:]
    return pieces


async def script(peer: Peer) -> None:
    """Send the stream that the prompt names."""
    while request := await peer.request():
        stream = made(int(prompt_of(json.loads(request.body))))
        await peer.send(CHUNKED, *map(chunk, stream.pieces))
        if not stream.ends_well:
            return
        await peer.send(b"0\r\n\r\n")


def written(part: Json) -> str:
    """Return what a model has written in a chunk: words, or a call."""
    text = ""
    for choice in part.get("choices") or ():
        delta = choice.get("delta") or {}
        calls = [call["function"] for call in delta.get("tool_calls") or ()]
        text += delta.get("content") or ""
        text += "".join(call["name"] + call["arguments"] for call in calls)
    return text


def check(got: Got, record: UsageRecord, stream: Stream) -> None:
    """Fail unless a request was told and charged as the rules want it."""
    if got.status != 200:
        assert record.charged_ubt == 0
        return
    texts = [written(part) for part in got.chunks]
    counted = tokens.count("".join(texts), "gpt-4")
    assert got.is_whole == (not got.tells_error)
    if got.is_whole:
        last = max((at for at, text in enumerate(texts) if text), default=-1)
        ends = [part for part in got.chunks[last + 1 :] if part.get("choices")]
        is_finished = any(part["choices"][0].get("finish_reason") for part in ends)
        assert is_finished or b"[DONE]" in got.data or b'"choices": []' in b"".join(stream.events)
    if record.usage_source == "upstream":
        told = [json.loads(one[6:]) for one in stream.events if b'"completion_tokens"' in one]
        outputs = {part["usage"]["completion_tokens"] for part in told}
        assert record.output_count in outputs
        assert got.is_whole or record.output_count >= counted
    elif record.usage_source == "counted":
        assert record.output_count >= counted
        assert record.output_count == counted or b'"completion_tokens"' in b"".join(stream.events)
    else:
        assert (counted, record.charged_ubt) == (0, 0)


def test_random_streams_are_charged_by_the_rules(shop: Shop, client: httpx.Client) -> None:
    """R5, R6, R7."""
    with selling(shop, script, base_tokens=900_000_000) as key:
        seen = [ask(client, key, chat(str(number), stream=True)) for number in range(STREAMS)]
    records = by_id(shop.settled(STREAMS))
    assert {record.usage_source for record in records.values()} == {"upstream", "counted", "none"}
    for number, got in enumerate(seen):
        try:
            check(got, records[got.request_id], made(number))
        except AssertionError as error:
            raise AssertionError(f"stream {number}: {made(number).events}") from error
    shop.check_books()
