"""Every fault of an upstream at every stage of its answer: nothing delivered is uncharged, nothing
undelivered is charged, and no answer looks whole that is not.

A row of the table is a protocol: the stages of its stream as bytes, and what its client makes of
what comes. Faults are the same for all.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import httpx
import pytest

from billing.models import UsageRecord
from relay import tokens
from tests.relay.asking import CHAT, chat
from tests.relay.conftest import Shop
from tests.relay.vendors import (
    DONE,
    JSON,
    OK,
    Got,
    Json,
    add_channel,
    ask,
    by_id,
    event,
    finish,
    said,
    usage,
    used,
    vendor,
    whole,
)
from tests.relay.wire.peers import CHUNKED, Peer, chunk

USED = (11, 22)
FIRST, SECOND = "one two", " three four five"


async def hang_up(peer: Peer) -> None:
    """Close as a process does that ends."""


async def reset(peer: Peer) -> None:
    await asyncio.sleep(0.01)  # or it takes along what was sent before
    peer.reset()


async def fall_silent(peer: Peer) -> None:
    await peer.reader.read()


def sending(*pieces: bytes) -> Callable[[Peer], Awaitable[None]]:
    """Return a fault that is said."""

    async def send(peer: Peer) -> None:
        await peer.send(*pieces, pause_s=0.005)

    return send


FAULTS: dict[str, Callable[[Peer], Awaitable[None]]] = {
    "hangs up": hang_up,
    "resets": reset,
    "falls silent": fall_silent,
    "ends cleanly": sending(b"0\r\n\r\n"),
    "tells an error": sending(chunk(event({"error": {"message": "busy"}})), b"0\r\n\r\n"),
    "tells nonsense": sending(chunk(b"data: {oops\n\n"), b"0\r\n\r\n"),
    "tells no text": sending(chunk(b'data: {"choices":"\xff"}\n\n'), b"0\r\n\r\n"),
    "breaks its framing": sending(b"zz\r\n\r\n"),
    "begins another answer": sending(b"HTTP/1.1 200 OK\r\n\r\n"),
}


@dataclass
class Protocol:
    """What a protocol's stream is made of; `stages` are what has been sent before each fault."""

    path: str
    ask: Callable[[str], Json]
    stages: dict[str, list[bytes]]
    text: Callable[[Got], str]
    is_finished: Callable[[Got], bool]


def in_order(*parts: tuple[str, bytes]) -> dict[str, list[bytes]]:
    """Return the stages of an answer: each name with all that was sent up to there."""
    pieces = [piece for _, piece in parts]
    return {name: pieces[: number + 1] for number, (name, _) in enumerate(parts)}


def completion(text: str, **more: object) -> bytes:
    return event({"choices": [{"index": 0, "text": text, "finish_reason": None, **more}]})


def text_of_completion(got: Got) -> str:
    choices = [choice for part in got.chunks for choice in part.get("choices") or ()]
    return "".join(choice["text"] for choice in choices)


PROTOCOLS = {
    "chat": Protocol(
        CHAT,
        lambda name: chat(name, stream=True),
        in_order(
            ("nothing", b""),
            ("half of its head", CHUNKED[:40]),
            ("its head", CHUNKED[40:]),
            ("its role", chunk(event({"choices": [{"index": 0, "delta": {"role": "a"}}]}))),
            ("half of an event", chunk(said(FIRST)[:30])),
            ("content", chunk(said(FIRST)[30:])),
            ("half of a chunk", chunk(said(SECOND))[:50]),
            ("more content", chunk(said(SECOND))[50:]),
            ("its finish", chunk(finish())),
            ("its usage", chunk(usage(*USED))),
            ("its mark", chunk(DONE)),
        ),
        lambda got: got.text,
        lambda got: got.is_finished,
    ),
    "completions": Protocol(
        "/v1/completions",
        lambda name: {"model": "gpt-4", "prompt": name, "stream": True},
        in_order(
            ("nothing", b""),
            ("its head", CHUNKED),
            ("content", chunk(completion(FIRST))),
            ("its finish", chunk(completion(SECOND, finish_reason="stop"))),
            ("its usage", chunk(usage(*USED))),
        ),
        text_of_completion,
        lambda got: got.is_finished,
    ),
}


def prompt_of(request: Json) -> str:
    """Return which fault at which stage a request asks for."""
    messages = request.get("messages")
    return str(messages[-1]["content"] if messages else request["prompt"])


def ask_for_every_fault(
    shop: Shop, client: httpx.Client, cases: dict[str, list[bytes]], ask_for: Callable[[str], Got]
) -> dict[str, Got]:
    """Return what a client gets when an upstream fails in each way at each of these stages."""

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request is None:
            return
        stage, _, fault = prompt_of(json.loads(request.body)).partition(", then ")
        await peer.send(*[piece for piece in cases[stage] if piece], pause_s=0.005)
        await FAULTS[fault](peer)

    names = [f"{stage}, then {fault}" for stage, fault in product(cases, FAULTS)]
    with vendor(script) as server, ThreadPoolExecutor(12) as pool:
        channel = add_channel(shop, server)
        shop.change_channel(channel, idle_timeout_ms=300, first_byte_timeout_ms=300)
        shop.wait_for_relays()
        return dict(zip(names, pool.map(ask_for, names), strict=True))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_stream_is_charged_for_what_came_through_whatever_the_upstream_does(
    name: str, shop: Shop, client: httpx.Client
) -> None:
    """R5, R6, R7."""
    protocol, key = PROTOCOLS[name], shop.key(90_000_000)
    seen = ask_for_every_fault(
        shop,
        client,
        protocol.stages,
        lambda case: ask(client, key, protocol.ask(case), protocol.path),
    )
    records = by_id(shop.settled(len(seen)))
    for case, got in seen.items():
        record = records[got.request_id]
        if got.status != 200:
            assert got.status in {503, 504}, case
            assert got.error in {"no_available_channel", "upstream_timeout"}, case
            assert (record.charged_ubt, record.resolution) == (0, "voided"), case
            continue
        is_finished = protocol.is_finished(got)
        assert got.is_whole == is_finished == (got.error == ""), case
        assert b"busy" not in got.body, case
        check_charge(record, protocol.text(got), is_finished=is_finished, case=case)
    delivered = {protocol.text(got) for got in seen.values() if got.status == 200}
    assert delivered == {FIRST, FIRST + SECOND}
    shop.check_books()


def check_charge(record: UsageRecord, text: str, *, is_finished: bool, case: str) -> None:
    """Fail unless the record charges prompt and text, or what the upstream has said in the end."""
    assert record.input_count > 0, case
    if record.usage_source == "upstream":
        assert is_finished, case
        assert (record.input_count, record.output_count) == USED, case
    else:
        assert record.output_count == tokens.count(text, "gpt-4") > 0, case
        assert not case.startswith(("its usage", "its mark")), case


def test_a_whole_answer_that_breaks_costs_nothing_whatever_the_upstream_does(
    shop: Shop, client: httpx.Client
) -> None:
    """R5: nothing was delivered, however much had come."""
    body, key = whole(FIRST, usage=used(*USED)), shop.key()
    stages = in_order(
        ("nothing", b""),
        ("half of its head", OK + JSON),
        ("its head", b"transfer-encoding: chunked\r\n\r\n"),
        ("half of its body", chunk(body[:60])),
    )
    seen = ask_for_every_fault(
        shop, client, stages, lambda case: ask(client, key, chat(case, stream=False))
    )
    assert {got.status for got in seen.values()} == {503, 504}
    records = shop.settled(len(seen))
    assert {(record.charged_ubt, record.resolution) for record in records} == {(0, "voided")}
    shop.check_books()
