"""Every fault of an upstream at every stage of its answer, in every dialect.

Nothing delivered is uncharged, nothing undelivered is charged, and no answer looks whole that is
not.
`dialects` has the stages of each, and what a client makes of what comes. Faults are the same for
all, and come to every client by a vendor of its own dialect and by those that are translated.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import httpx
import pytest

from billing.models import UsageRecord
from relay import tokens
from tests.plugins.proof import is_asked_for
from tests.relay.asking import bearer, chat, until
from tests.relay.conftest import Shop
from tests.relay.dialects import (
    CLIENTS,
    FIRST,
    MORE_PAIRS,
    PAIRS,
    SECOND,
    USED,
    VENDORS,
    Client,
    Vendor,
    in_order,
    prompt_of,
)
from tests.relay.vendors import (
    JSON,
    OK,
    Got,
    add_channel,
    ask,
    by_id,
    event,
    selling,
    used,
    vendor,
    whole,
)
from tests.relay.wire.peers import Peer, chunk, plain

pytestmark = pytest.mark.proof

TRIED = (*PAIRS, *(MORE_PAIRS if is_asked_for() else ()))


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
    "tells no text": sending(chunk(b"data: \xff\xfe\n\n"), b"0\r\n\r\n"),
    "breaks its framing": sending(b"zz\r\n\r\n"),
    "begins another answer": sending(b"HTTP/1.1 200 OK\r\n\r\n"),
}


def ask_for_every_fault(
    shop: Shop,
    cases: dict[str, list[bytes]],
    ask_for: Callable[[str], Got],
    *,
    provider: str = "openai",
    is_proxied: bool = False,
) -> dict[str, Got]:
    """Return what a client gets when an upstream fails in each way at each of these stages.

    The proxy is the upstream itself: it is asked for an address and does not look at it.
    """

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request is None:
            return
        stage, _, fault = prompt_of(json.loads(request.body)).partition(", then ")
        await peer.send(*[piece for piece in cases[stage] if piece], pause_s=0.005)
        await FAULTS[fault](peer)

    names = [f"{stage}, then {fault}" for stage, fault in product(cases, FAULTS)]
    with vendor(script) as server, ThreadPoolExecutor(12) as pool:
        channel = add_channel(shop, server, provider=provider)
        proxy_url = str(server.origin) if is_proxied else ""
        soon = {"idle_timeout_ms": 600, "first_byte_timeout_ms": 600}
        shop.change_channel(channel, proxy_url=proxy_url, **soon)
        shop.wait_for_relays()
        return dict(zip(names, pool.map(ask_for, names), strict=True))


@pytest.mark.parametrize(("dialect", "other"), TRIED)
def test_a_stream_is_charged_for_what_came_through_whatever_the_upstream_does(
    dialect: str, other: str, shop: Shop, client: httpx.Client
) -> None:
    """R5, R6, R7."""
    check_faults(shop, client, CLIENTS[dialect], VENDORS[other])


def test_the_same_is_charged_behind_an_outbound_proxy(shop: Shop, client: httpx.Client) -> None:
    """R5, R6, R7: through httpx instead of our own client."""
    check_faults(shop, client, CLIENTS["chat"], VENDORS["chat"], is_proxied=True)


def check_faults(
    shop: Shop, client: httpx.Client, asker: Client, upstream: Vendor, *, is_proxied: bool = False
) -> None:
    """Fail unless every fault at every stage is told, and charged for what came through."""
    key = shop.key(90_000_000)
    seen = ask_for_every_fault(
        shop,
        upstream.stages,
        lambda case: ask(client, key, asker.ask(case), asker.path),
        provider=upstream.provider,
        is_proxied=is_proxied,
    )
    records = by_id(shop.settled(len(seen)))
    for case, got in seen.items():
        record = records[got.request_id]
        if got.status != 200:
            assert got.status in {503, 504}, case
            assert (record.charged_ubt, record.resolution) == (0, "voided"), case
            continue
        is_finished = asker.is_finished(got)
        assert got.is_whole == is_finished == (not got.tells_error), case
        assert b"busy" not in got.body, case
        check_charge(record, asker.text(got), is_finished=is_finished, case=case)
    delivered = {asker.text(got) for got in seen.values() if got.status == 200}
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
        shop, stages, lambda case: ask(client, key, chat(case, stream=False))
    )
    assert {got.status for got in seen.values()} == {503, 504}
    records = shop.settled(len(seen))
    assert {(record.charged_ubt, record.resolution) for record in records} == {(0, "voided")}
    shop.check_books()


def test_no_client_gets_a_piece_of_anothers_answer(shop: Shop, client: httpx.Client) -> None:
    """Connections are used again and again, between answers that break and that bring too much."""
    stolen = plain(whole("stolen", usage=used(*USED)), extra=JSON)

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            prompt = prompt_of(json.loads(request.body))
            answer = plain(whole(f"{prompt} " * 500, usage=used(*USED)), extra=JSON)
            kind = int(prompt) % 5
            await peer.send(answer[: len(answer) // 2], pause_s=0.001 * kind)
            if kind == 4:
                return
            await peer.send(answer[len(answer) // 2 :] + (stolen if kind == 3 else b""))

    with selling(shop, script) as key, ThreadPoolExecutor(24) as pool:
        prompts = [str(number) for number in range(240)]
        asked = [chat(prompt, max_tokens=1_000) for prompt in prompts]
        seen = list(pool.map(lambda body: ask(client, key, body), asked))
    for prompt, got in zip(prompts, seen, strict=True):
        expected = 503 if int(prompt) % 5 == 4 else 200
        assert got.status == expected
        assert got.status == 503 or got.text == f"{prompt} " * 500
    charged = [record.charged_ubt > 0 for record in shop.settled(len(seen))]
    assert charged.count(True) == sum(got.status == 200 for got in seen)


@pytest.mark.parametrize(("dialect", "other"), TRIED)
def test_a_client_that_leaves_in_any_dialect_pays_for_what_it_got(
    dialect: str, other: str, shop: Shop, client: httpx.Client
) -> None:
    """R7: and its upstream is left at once."""
    asker, upstream = CLIENTS[dialect], VENDORS[other]
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.request()
        await peer.send(*[piece for piece in upstream.stages["content"] if piece])
        await peer.reader.read()

    with selling(shop, script, provider=upstream.provider) as key:
        body = asker.ask("Hello")
        with client.stream("POST", asker.path, headers=bearer(key), json=body) as answer:
            got = b""
            pieces = answer.iter_bytes()
            while FIRST.encode() not in got:
                got += next(pieces)
        (record,) = shop.settled()
        until(lambda: peers[0].reader.at_eof())
    assert (record.resolution, record.usage_source) == ("client_gone", "counted")
    assert record.output_count == tokens.count(FIRST, "gpt-4")
    shop.check_books()
