"""Tests a channel with a real, minimal call. Called by the admin, in a thread without a loop.

What an upstream answers is shown as it is, without our credential and account.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from billing.errors import SealBroken
from relay.channels import read_credential
from relay.headers import JSON
from relay.models import Channel
from relay.protocols.base import Endpoint
from relay.providers import REGISTRY
from relay.providers.base import LocalCall, Provider, without_account_details
from relay.upstream import (
    AddressPolicy,
    HttpxUpstream,
    Timeouts,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
    parse_base_url,
)

TIMEOUTS = Timeouts(connect_s=10.0, write_s=10.0, first_byte_s=30.0, idle_s=15.0, total_s=45.0)
MAX_ANSWER_BYTES = 2 * 1024 * 1024
MAX_MODELS = 1_000
_USUAL_MODELS = ("gpt-4o-mini", "gemini-2.5-flash", "claude-haiku-4-5")


@dataclass(frozen=True)
class ProbeResult:
    """What a test found. `error` is for staff; `models` is what the upstream lists, if it does."""

    is_ok: bool
    model: str = ""
    status: int | None = None
    call_ms: int | None = None
    models: Sequence[str] = ()
    error: str = ""


def probe(channel: Channel) -> ProbeResult:
    """Call the channel's upstream once for its models and once for a short answer.

    Raises nothing that an upstream can cause; takes at most the total of TIMEOUTS twice.
    """
    provider = REGISTRY.get(channel.provider)
    if provider is None:
        return ProbeResult(is_ok=False, error=f"There is no provider {channel.provider}.")
    row = channel.credentials.filter(is_enabled=True).order_by("id").first()
    if row is None and provider.needs_credential:
        return ProbeResult(is_ok=False, error="The channel has no enabled credential.")
    try:
        secret = read_credential(row) if row else ""
    except SealBroken as problem:
        return ProbeResult(is_ok=False, error=str(problem))
    wanted = channel.test_model or next(
        iter(channel.models.order_by("id").values_list("served", flat=True)[:1]), ""
    )
    return asyncio.run(_Probe(channel, provider, secret).run(wanted))


class _Probe:
    """The two calls of one test."""

    def __init__(self, channel: Channel, provider: Provider, secret: str) -> None:
        self.channel = channel
        self.provider = provider
        self.secret = secret
        self.policy = AddressPolicy(allow_private=channel.allows_private_network)
        self.upstream = HttpxUpstream(proxy=channel.proxy_url or None)

    async def run(self, wanted: str) -> ProbeResult:
        """Return what both calls found."""
        try:
            models = await self._list_models()
            model = wanted or _chosen(models)
            return replace(await self._call(model), models=models)
        finally:
            await self.upstream.aclose()

    async def _list_models(self) -> list[str]:
        """Return the upstream's list; none from one that answers here or has no list."""
        if self.provider.local:
            return []
        try:
            path = self.provider.models_path(self.channel.base_url)
            answer = await self._send("GET", path, b"")
            if answer.status != 200:
                answer.close()
                return []
            return _names(await answer.read(MAX_ANSWER_BYTES))
        except UpstreamError:
            return []  # the call that follows says what is wrong

    async def _call(self, model: str) -> ProbeResult:
        endpoint, asked = self.provider.probe(model)
        started = time.monotonic()
        try:
            answer = await self._ask(endpoint, model, asked)
            body = await answer.read(MAX_ANSWER_BYTES)
        except UpstreamError as problem:
            words = f"{type(problem).__name__}: {problem}"
            return ProbeResult(is_ok=False, model=model, error=self._shown(words))
        took_ms = round((time.monotonic() - started) * 1000)
        is_ok = answer.status == 200
        error = "" if is_ok else self._shown(body.decode("utf-8", "replace"))
        return ProbeResult(
            is_ok=is_ok, model=model, status=answer.status, call_ms=took_ms, error=error
        )

    async def _ask(self, endpoint: Endpoint, model: str, body: bytes) -> UpstreamResponse:
        if self.provider.local:
            return await self.provider.local.respond(LocalCall(endpoint, model, body, TIMEOUTS))
        path = self.provider.path(self.channel.base_url, endpoint, model, stream=False)
        return await self._send("POST", path, body)

    async def _send(self, method: str, path: str, body: bytes) -> UpstreamResponse:
        origin, _ = parse_base_url(self.channel.base_url)
        extra = [
            (name.encode("latin-1"), str(value).encode("latin-1"))
            for name, value in self.channel.extra_headers.items()
        ]
        headers = [JSON, *self.provider.headers(self.secret, extra)]
        request = UpstreamRequest(method, origin, path.encode("ascii"), headers, body)
        return await self.upstream.send(request, TIMEOUTS, self.policy)

    def _shown(self, words: str) -> str:
        return str(without_account_details(words, credential=self.secret))


def _chosen(models: Sequence[str]) -> str:
    """Return a model to call: a small common one if it is offered, else whatever is."""
    if not models:
        return _USUAL_MODELS[0]
    return next((name for name in _USUAL_MODELS if name in models), models[0])


def _names(body: bytes) -> list[str]:
    """Return the ids of a list of models, OpenAI's or Gemini's; none from what is no such list."""
    try:
        listed: Any = msgspec.json.decode(body)
        if "models" in listed:
            names = [entry["name"].removeprefix("models/") for entry in listed["models"]]
        else:
            names = [entry["id"] for entry in listed["data"]]
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
        KeyError,
        TypeError,
        AttributeError,
    ):
        return []
    return sorted(name[:64] for name in names if isinstance(name, str))[:MAX_MODELS]
