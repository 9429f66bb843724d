"""Every endpoint at once, twenty requests at a time, with faults: each charged what it cost.

What was delivered whole costs what its vendor has billed, to the ubt; what was delivered in part
costs something; what was not delivered costs nothing.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from billing import catalogue
from billing.models import UsageRecord
from billing.scoping import tenant_scope
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.gemini import FakeGemini
from tests.fakes.media import FakeMedia
from tests.fakes.responses import FakeResponses
from tests.fakes.upstream import FakeUpstream
from tests.plugins.proof import size
from tests.relay import every_endpoint
from tests.relay.asking import bearer, until
from tests.relay.conftest import Shop
from tests.relay.every_endpoint import PRICES, Case, Got
from tests.relay.server import running_relay

pytestmark = pytest.mark.proof

REQUESTS = size(600, proof=20_000)
SEED = 20_261_122
AT_A_TIME = 20
KEYS = 8

PRIVATE = (
    *("cookie", "referer", "origin", "forwarded", "x-forwarded-for", "x-real-ip", "via", "dnt"),
    *("x-stainless-lang", "x-openai-client-user-agent", "openai-organization", "x-made-up"),
)
TO_VENDOR = {
    *("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent"),
    *("authorization", "x-api-key", "x-goog-api-key", "anthropic-version"),
}
TO_CLIENT = {
    *("date", "server", "connection", "transfer-encoding", "content-type", "content-length"),
    *("cache-control", "x-accel-buffering", "x-request-id", "request-id"),
    *("openai-processing-ms", "openai-version"),
    *("access-control-allow-origin", "access-control-expose-headers"),
}

Fakes = dict[str, FakeUpstream]


@pytest.fixture
def fakes(shop: Shop) -> Iterator[Fakes]:
    """The vendors, each with a channel for the models that are asked of it."""
    with ExitStack() as stack:
        found: Fakes = {
            "openai": stack.enter_context(FakeUpstream()),
            "responses": stack.enter_context(FakeResponses()),
            "anthropic": stack.enter_context(FakeAnthropic()),
            "gemini": stack.enter_context(FakeGemini()),
            "media": stack.enter_context(FakeMedia()),
        }
        with tenant_scope(shop.tenant.pk):
            catalogue.load_retail(shop.tenant.pk, PRICES)
        for name, fake in found.items():
            sold = {
                model: model
                for kind in every_endpoint.KINDS
                if kind.vendor == name
                for model in kind.models
            }
            is_openai = name in ("openai", "responses", "media")
            for number in (1, 2):
                shop.channel(
                    f"{name} {number}",
                    provider="openai" if is_openai else name,
                    base_url=fake.base_url if is_openai else fake.origin,
                    credential=f"sk-fake-{number}",
                    models=sold,
                    allow_private_network=True,
                )
        yield found


async def send_all(url: str, cases: Sequence[Case], keys: Sequence[str]) -> list[Got]:
    """Send all cases, some at a time; the keys take turns."""
    found: dict[str, Got] = {}
    waiting = deque(enumerate(cases))

    async def work(client: httpx.AsyncClient) -> None:
        while waiting:
            number, case = waiting.popleft()
            found[case.ref] = await send(client, case, keys[number % len(keys)])

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await asyncio.gather(*(work(client) for _ in range(AT_A_TIME)))
    return [found[case.ref] for case in cases]


async def send(client: httpx.AsyncClient, case: Case, key: str) -> Got:
    """Send one request and read its answer as far as it comes."""
    asked: dict[str, Any] = (
        {"json": dict(case.body)}
        if case.files is None
        else {"data": case.body, "files": case.files}
    )
    got = Got(0, "")
    try:
        async with client.stream("POST", case.path, headers=bearer(key), **asked) as answer:
            got.status, got.request_id = answer.status_code, answer.headers["x-request-id"]
            async for piece in answer.aiter_bytes():
                got.content += piece
    except httpx.HTTPError:
        got.was_cut = True
    return got


def outcome(got: Got) -> str:
    """Tell how much of an answer a client got."""
    if got.status != 200 or not got.content:
        return "refused"
    return "cut" if got.was_cut else "whole"


def test_no_header_passes_any_endpoint_that_is_not_on_its_list(shop: Shop, fakes: Fakes) -> None:
    key, private = shop.key(base_tokens=1_000_000_000), dict.fromkeys(PRIVATE, "somebody")
    with running_relay() as relay, httpx.Client(base_url=relay.url, timeout=20) as client:
        for kind in every_endpoint.KINDS:
            for stream in {False, kind.streams}:
                path, body, files = kind.ask(kind.models[0], "[fake headers]", stream)
                sent: dict[str, Any] = {"data": body, "files": files} if files else {"json": body}
                answer = client.post(path, headers=bearer(key) | private, **sent)
                assert answer.status_code == 200, answer.text
                assert answer.headers["openai-processing-ms"] == "42"
                assert not answer.headers.keys() - TO_CLIENT, kind.name
                assert "fake" not in str(answer.headers)
                received = fakes[kind.vendor].truth[-1].headers
                assert not received.keys() - TO_VENDOR, kind.name
                assert "somebody" not in str(received)
                assert key not in str(received)
        until(lambda: not shop.holds())


def test_every_endpoint_costs_what_its_vendor_billed(
    shop: Shop, fakes: Fakes, record_property: Callable[[str, object], None]
) -> None:
    cases = every_endpoint.cases(REQUESTS, seed=SEED)
    keys = [shop.key(base_tokens=1_000_000_000) for _ in range(KEYS)]
    with running_relay() as relay:
        received = asyncio.run(send_all(relay.url, cases, keys))
        until(lambda: not shop.holds(), within_s=20)
    with tenant_scope(shop.tenant.pk):
        charged = {str(row.pk): row.charged_ubt for row in UsageRecord.objects.all()}
    faults = [
        every_endpoint.wrong(
            case, got, fakes[case.vendor].told(case.ref), charged.get(got.request_id, 0)
        )
        for case, got in zip(cases, received, strict=True)
    ]
    assert not any(faults), "\n".join(list(filter(None, faults))[:30])
    shop.check_books()
    outcomes = Counter(outcome(got) for got in received)
    assert {case.kind for case, got in zip(cases, received, strict=True) if got.status == 200} == {
        kind.name for kind in every_endpoint.KINDS
    }
    record_property("every endpoint", f"{len(cases)} requests: {dict(outcomes)}")
