"""Shops of tests: a tenant with prices, channels to fakes and keys, made by operator commands."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from tests.system.running import RunningSystem, wait_until

_PATIENCE_S = 10.0

Prices = Mapping[str, Mapping[str, str | int]]


@dataclass(frozen=True)
class Way:
    """A channel to an OpenAI-compatible vendor that sells one model."""

    model: str
    base_url: str
    credential: str = "sk-fake-a"
    priority: int = 0

    def command(self, slug: str, number: int) -> list[str]:
        """Return the operator command that adds it."""
        words = ["add_channel", "--tenant", slug, "--name", f"way {number}", "--provider", "openai"]
        words += ["--base-url", self.base_url, "--credential", self.credential]
        words += ["--model", f"{self.model}=gpt-4o", "--priority", str(self.priority)]
        return [*words, "--allow-private-network"]


@dataclass(frozen=True)
class Shop:
    """An open shop: its keys have a wallet each."""

    slug: str
    host: str
    keys: Sequence[str]

    @property
    def key(self) -> str:
        """The first key."""
        return self.keys[0]


def open_shop(
    system: RunningSystem,
    slug: str,
    *,
    prices: Prices,
    ways: Sequence[Way],
    key_count: int = 1,
    base_tokens: int = 100_000_000,
) -> Shop:
    """Make a tenant that sells at these prices by these channels."""
    price_file = system.folder / f"{slug}.json"
    price_file.write_text(json.dumps(prices))
    host = f"{slug}.test"
    printed = system.operate(
        ["create_tenant", slug, "--name", slug.title(), "--host", host],
        ["load_prices", str(price_file), "--tenant", slug],
        *(way.command(slug, number) for number, way in enumerate(ways)),
        *[["issue_key", "--tenant", slug, "--base-tokens", str(base_tokens)]] * key_count,
    )
    shop = Shop(slug, host, printed[-key_count:])
    wait_until_sold(system, shop, prices)
    return shop


def wait_until_sold(system: RunningSystem, shop: Shop, models: Iterable[str]) -> None:
    """Wait until the relay has read what the commands have written."""
    headers = {"authorization": f"Bearer {shop.key}", "host": shop.host}

    def offered() -> set[str]:
        answer = httpx.get(f"{system.url}/v1/models", headers=headers, timeout=10).json()
        return {model["id"] for model in answer.get("data", ())}

    wait_until(lambda: offered() >= set(models), patience_s=_PATIENCE_S, what=offered)
