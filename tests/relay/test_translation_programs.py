"""Programs on channels of vendors that they don't know: Claude Code and Codex, unmodified."""

import json
from pathlib import Path

import pytest

from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.gemini import FakeGemini
from tests.fakes.upstream import FakeUpstream
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer
from tests.system.test_programs import node_program, run

QUESTION = "Say hello [fake tokens=7]"
ANSWER = "the time people water world life hand"


def key_for(shop: Shop, fake: FakeUpstream, provider: str, model: str) -> str:
    """Return a key of a shop that sells a model over a channel to a fake vendor only."""
    shop.channel(
        "vendor",
        provider=provider,
        base_url=fake.base_url if provider == "openai" else fake.origin,
        credential="sk-fake-credential",
        allow_private_network=True,
    )
    shop.reprice(model, input=1, output=2)
    key = shop.key(100_000_000)
    shop.wait_for_relays()
    return key


@pytest.mark.parametrize(
    ("provider", "vendor", "model"),
    [("openai", FakeUpstream, "gpt-5.6"), ("gemini", FakeGemini, "gemini-3-pro")],
)
def test_claude_code_is_answered_by_another_vendor(
    provider: str,
    vendor: type[FakeUpstream],
    model: str,
    shop: Shop,
    relay_server: RelayServer,
    tmp_path: Path,
) -> None:
    argv = [node_program("node_modules/.bin/claude"), "-p", QUESTION]
    with vendor() as fake:
        done = run(
            [*argv, "--model", model, "--output-format", "json"],
            home=tmp_path,
            ANTHROPIC_BASE_URL=relay_server.url,
            ANTHROPIC_API_KEY=key_for(shop, fake, provider, model),
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            CLAUDE_CODE_MAX_RETRIES="0",
            IS_SANDBOX="1",
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["result"] == ANSWER
    assert {record.endpoint for record in shop.settled()} == {"messages"}


def test_codex_is_answered_by_claude(shop: Shop, relay_server: RelayServer, tmp_path: Path) -> None:
    provider = f'{{name="shop",base_url="{relay_server.url}/v1",env_key="SHOP_KEY"'
    provider += ',wire_api="responses",request_max_retries=0,stream_max_retries=0}'
    argv = [node_program("node_modules/.bin/codex"), "exec", "--skip-git-repo-check"]
    argv += ["-m", "claude-sonnet-5", "-c", 'model_provider="shop"']
    with FakeAnthropic() as fake:
        key = key_for(shop, fake, "anthropic", "claude-sonnet-5")
        argv += ["-c", f"model_providers.shop={provider}", QUESTION]
        done = run(argv, home=tmp_path, SHOP_KEY=key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ANSWER in done.stdout
    assert {record.endpoint for record in shop.settled()} == {"responses"}
