"""Streams of events in every shape that vendors and networks give them, through a running relay.

What is passed on is what came, and what is charged is what was passed on, wherever the bytes were
cut and wherever they ended.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator

import httpx
import pytest

from relay import tokens
from tests.plugins.proof import size
from tests.relay.asking import chat
from tests.relay.conftest import Shop
from tests.relay.dialects import prompt_of
from tests.relay.vendors import (
    DONE,
    EVENTS,
    OK,
    ask,
    by_id,
    by_prompt,
    event,
    finish,
    said,
    selling,
    streamed,
    usage,
    used,
)
from tests.relay.wire.peers import CHUNKED, Peer, Script, chunk

# A recorded stream with all that cuts can hurt: characters of three and four bytes, all line ends.
RECORDED = (
    b"\xef\xbb\xbf: ping\n\n"
    + event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
    + said("字节 🙂").replace(b"\n", b"\r\n")
    + b"event: chunk\rid: 7\r"
    + said(" two three").replace(b"\n", b"\r")
    + b": ping\r\n\r\n"
    + finish(usage=None)
    + usage(11, 22)
    + DONE
)
ONLY_USAGE = re.compile(rb'data: \{"choices": \[\], "usage"[^\r\n]*(\r\n|\n){2}')
PASSED = ONLY_USAGE.sub(b"", RECORDED)
SAID = "字节 🙂 two three"
ENDS = ["reset", "close", "last chunk", "end of file"]


def cutting(stream: bytes, places: Iterator[int], *, end: str) -> Script:
    """Return a script whose every answer ends at the next of these places."""

    async def script(peer: Peer) -> None:
        await peer.request()
        part = stream[: next(places)]
        if end == "end of file":
            await peer.send(OK + EVENTS + b"\r\n" + part)
            return
        await peer.send(CHUNKED + (chunk(part) if part else b""))
        if end == "last chunk":
            await peer.send(b"0\r\n\r\n")
        elif end == "reset":
            peer.reset()

    return script


def test_events_may_be_cut_at_any_byte(shop: Shop, client: httpx.Client) -> None:
    places = range(1, len(RECORDED))
    parts = iter([(RECORDED[:at], RECORDED[at:]) for at in places])

    async def script(peer: Peer) -> None:
        while await peer.request():
            first, second = next(parts)
            await peer.send(CHUNKED + chunk(first), pause_s=0.001)
            await peer.send(chunk(second) + b"0\r\n\r\n")

    with selling(shop, script) as key:
        for at in places:
            got = ask(client, key)
            assert (got.body, got.is_whole) == (PASSED, True), at
    records = shop.settled(len(places))
    assert {(r.input_count, r.output_count, r.error_type) for r in records} == {(11, 22, "")}


def test_events_may_come_byte_by_byte(shop: Shop, client: httpx.Client) -> None:
    pieces = [RECORDED[at : at + 1] for at in range(len(RECORDED))]
    with selling(shop, by_prompt({"Hello": streamed(*pieces)})) as key:
        assert ask(client, key).body == PASSED


@pytest.mark.parametrize("end", ENDS)
def test_a_stream_that_ends_at_any_byte_is_charged_for_what_came_through(
    end: str, shop: Shop, client: httpx.Client
) -> None:
    """R5, R6, R7: and is never whole for its client unless the model had finished."""
    places = range(0, len(RECORDED) + 1, size(5, proof=1))
    with selling(shop, cutting(RECORDED, iter(places), end=end)) as key:
        seen = {at: ask(client, key) for at in places}
    records = by_id(shop.settled(len(places)))
    for at, got in seen.items():
        record = records[got.request_id]
        if got.status != 200:
            assert (got.error, record.charged_ubt) == ("no_available_channel", 0), at
            continue
        assert got.is_whole == got.is_finished == (got.error == ""), at
        if record.usage_source == "upstream":
            assert (record.input_count, record.output_count) == (11, 22), at
            assert usage(11, 22).strip() in RECORDED[:at]
        else:
            assert record.output_count == tokens.count(got.text, "gpt-4") > 0, at
            assert record.input_count > 0
        assert SAID.startswith(got.text)
    shop.check_books()


SHAPES = {
    "lines end with CR and LF": RECORDED.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "lines end with CR": said("one").replace(b"\n", b"\r") + finish().replace(b"\n", b"\r"),
    "a mark of the byte order": b"\xef\xbb\xbf" + said("one") + finish() + DONE,
    "comments between events": b": ping\n\n" + said("one") + b":\n\n: ping\n\n" + finish() + DONE,
    "comments inside events": b": ping\n" + said("one") + b": ping\n" + finish() + DONE,
    "no space after the colon": (said("one") + finish() + DONE).replace(b"data: ", b"data:"),
    "other fields": b"id: 1\nretry: 5\nevent: message\n" + said("one") + finish() + DONE,
    "no mark at the end": said("one") + finish(),
    "no blank line at the end": (said("one") + finish() + DONE).rstrip(b"\n"),
    "no finish, but a mark": said("one") + DONE,
    "blank lines in plenty": said("one").replace(b"\n\n", b"\n\n\n\n\n") + finish() + DONE,
    "no usage": said("one") + finish() + DONE,
    "usage null in each event": said("one", usage=None) + finish(usage=None) + usage(11, 22) + DONE,
    "usage in each event": said("one", usage=used(11, 1)) + finish(usage=used(11, 22)) + DONE,
    "usage beside the finish": said("one") + finish(usage=used(11, 22)) + DONE,
    "a line of three megabytes": said("one", pad="x" * 3_000_000) + finish() + DONE,
    "events after the mark": said("one") + finish() + DONE + b": bye\n\n",
}


def test_a_stream_of_any_shape_passes_as_it_came(shop: Shop, client: httpx.Client) -> None:
    with selling(shop, by_prompt({name: streamed(made) for name, made in SHAPES.items()})) as key:
        seen = {name: ask(client, key, chat(name, stream=True)) for name in SHAPES}
    records = by_id(shop.settled(len(SHAPES)))
    for shape, got in seen.items():
        assert got.is_whole, shape
        assert got.body.rstrip() == ONLY_USAGE.sub(b"", SHAPES[shape]).rstrip(), shape
        record = records[got.request_id]
        tells_usage = b'"completion_tokens": 22' in SHAPES[shape]
        expected = 22 if tells_usage else tokens.count(got.text, "gpt-4")
        assert (record.output_count, record.error_type) == (expected, ""), shape
        assert record.usage_source == ("upstream" if tells_usage else "counted"), shape


TROUBLE = {
    "an error event": event({"error": {"message": "busy", "code": "busy"}}),
    "a named error event": b'event: error\ndata: {"message": "busy"}\n\n',
    "no JSON": b"data: {oops\n\n",
    "no UTF-8": b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n',
    "a call that is no UTF-8": b'data: {"choices":[{"delta":{"tool_calls":["\xbb"]}}]}\n\n',
    "an array": b"data: [1]\n\n",
    "an event of five megabytes": b"data: " + b"x" * 5_000_000 + b"\n\n",
    "HTML": b"data: <html>busy</html>\n\n",
    "the clean end of its connection": b"",
}


def test_trouble_in_mid_stream_is_told_and_never_looks_like_an_end(
    shop: Shop, client: httpx.Client
) -> None:
    """R7."""
    delivered = {name: threading.Event() for name in TROUBLE}

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            name = prompt_of(json.loads(request.body))
            await peer.send(CHUNKED + chunk(said("one two")))
            await asyncio.to_thread(delivered[name].wait, 10)
            await peer.send(chunk(TROUBLE[name]) if TROUBLE[name] else b"", b"0\r\n\r\n")

    with selling(shop, script) as key:
        seen = {
            name: ask(client, key, chat(name, stream=True), told=delivered[name].set)
            for name in TROUBLE
        }
    for trouble, got in seen.items():
        assert (got.text, got.error) == ("one two", "no_available_channel"), trouble
        assert not got.is_whole, trouble
        assert b"busy" not in got.body
    records = shop.settled(len(TROUBLE))
    assert {(record.output_count, record.usage_source) for record in records} == {(2, "counted")}
    shop.check_books()


def test_trouble_before_any_content_is_an_answer_of_its_own(
    shop: Shop, client: httpx.Client
) -> None:
    """R5."""
    role = event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
    answers = {name: streamed(role, made) for name, made in TROUBLE.items()}
    with selling(shop, by_prompt(answers, pause_s=0.01)) as key:
        seen = {name: ask(client, key, chat(name, stream=True)) for name in TROUBLE}
    for trouble, got in seen.items():
        assert (got.status, got.error) == (503, "no_available_channel"), trouble
    records = shop.settled(len(TROUBLE))
    assert {(record.charged_ubt, record.resolution) for record in records} == {(0, "voided")}


def test_a_stream_of_two_choices_is_not_whole_when_one_has_ended(
    shop: Shop, client: httpx.Client
) -> None:
    second = event({"choices": [{"index": 1, "delta": {"content": " three"}}]})
    answers = {"Hello": [*streamed(said("one two"), second, finish())[:-1], b""]}
    with selling(shop, by_prompt(answers)) as key:
        got = ask(client, key, chat(stream=True, n=2))
    assert (got.text, got.is_whole) == ("one two three", False)
    (record,) = shop.settled()
    assert (record.output_count, record.error_type) == (3, "upstream_cut")


def test_trouble_behind_a_finished_answer_is_nobodys(shop: Shop, client: httpx.Client) -> None:
    """Whether it comes in one piece with the answer or not."""
    answer = said("one two") + finish()
    broken = {name: made for name, made in TROUBLE.items() if "megabytes" not in name}
    at_once = {f"{name}, at once": streamed(answer + made) for name, made in broken.items()}
    later = {f"{name}, later": streamed(answer, made) for name, made in broken.items()}
    with selling(shop, by_prompt(at_once | later, pause_s=0.005)) as key:
        seen = {name: ask(client, key, chat(name, stream=True)) for name in at_once | later}
    for case, got in seen.items():
        assert (got.text, got.is_whole, got.error) == ("one two", True, ""), case
    records = shop.settled(len(seen))
    assert {(record.output_count, record.error_type) for record in records} == {(2, "")}
