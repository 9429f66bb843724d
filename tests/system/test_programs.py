"""Programs with today's client libraries, unmodified, against the demo channel of an installation.

`python3 dev.py clients` installs the libraries and runs this; elsewhere what is missing is skipped.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from portal.dev import clients, install
from tests.clients import telling
from tests.system.running import RunningSystem
from tests.system.shops import Shop, wait_until_sold

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

MODELS = {
    "chat": "gpt-4o-mini",
    "claude": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "gemini embedding": "gemini-embedding-001",
    "embedding": "text-embedding-3-small",
    "image": "dall-e-3",
    "speech": "tts-1",
    "transcription": "whisper-1",
}
PRICES = {
    "gemini-embedding-001": {"input": "0.1"},
    "dall-e-3": {"image": 26_667},
    "tts-1": {"character": 10},
    "whisper-1": {"second": 67},
    "omni-moderation-latest": {"input": 0},
}
GREETING = "Hello! This is the demo channel"
WEATHER = {"city": "demo", "days": 1}

Check = Callable[[dict[str, Any]], bool]


def gives(check: Callable[[Any], object]) -> Check:
    """Return the check that a call has given something right."""
    return lambda outcome: "said" in outcome and bool(check(outcome["said"]))


def raises(name: str, status: int | None = None) -> Check:
    """Return the check that a call has raised what its library's users catch."""
    wanted = {"raised": name} | ({"status": status} if status else {})
    return lambda outcome: wanted.items() <= outcome.items()


GREETS = gives(lambda text: text.startswith(GREETING))
CALLS = gives(lambda call: call == {"name": "weather", "arguments": WEATHER})
FITS = gives(lambda value: value == WEATHER)
SOME = gives(lambda value: value)
LISTS = gives(lambda names: MODELS["chat"] in names)

OPENAI_ERRORS = {
    "unknown key": raises("AuthenticationError", 401),
    "unknown model": raises("NotFoundError", 404),
    "no balance": raises("RateLimitError", 429),
    "bad request": raises("BadRequestError", 400),
    "broken stream": raises("APIError"),
    "broken response": raises("APIError"),
}
ANTHROPIC_ERRORS = {
    "unknown key": raises("AuthenticationError", 401),
    "unknown model": raises("NotFoundError", 404),
    "no balance": raises("RateLimitError", 429),
    "bad request": raises("BadRequestError", 400),
}
CHAT = {"chat": GREETS, "stream": GREETS, "tools": CALLS}
OTHERS = {
    "chat with Claude": GREETS,
    "stream of Claude": GREETS,
    "chat with Gemini": GREETS,
}

PROGRAMS: Mapping[str, Mapping[str, Check]] = {
    "openai_sdk.py": {
        **CHAT,
        "tool answer": GREETS,
        "structured": FITS,
        "image": GREETS,
        "responses": GREETS,
        "responses stream": GREETS,
        "responses tools": CALLS,
        "responses state": SOME,
        "embeddings": SOME,
        "moderation": SOME,
        "picture": SOME,
        "speech": SOME,
        "transcription": SOME,
        "transcription as subtitles": gives(lambda text: "-->" in text),
        "models": LISTS,
        **OPENAI_ERRORS,
    },
    "anthropic_sdk.py": {
        **CHAT,
        "streamed tools": CALLS,
        "tool answer": GREETS,
        "image": GREETS,
        "count": SOME,
        "models": LISTS,
        **ANTHROPIC_ERRORS,
        "broken stream": lambda outcome: "raised" in outcome,
    },
    "google_sdk.py": {
        **CHAT,
        "chat of v1beta": GREETS,
        "tool answer": GREETS,
        "structured": FITS,
        "image": GREETS,
        "embeddings": SOME,
        "count": SOME,
        "models": LISTS,
        "unknown key": raises("ClientError", 401),
        "unknown model": raises("ClientError", 404),
        "no balance": raises("ClientError", 429),
        "broken stream": lambda outcome: "raised" in outcome,
    },
    "langchain_programs.py": {
        **CHAT,
        **OTHERS,
        "tool answer": GREETS,
        "structured": FITS,
        "image": GREETS,
        "embeddings": SOME,
        "responses": GREETS,
        "unknown key": raises("OpenAIAuthenticationError", 401),
        "unknown model": raises("OpenAIModelNotFoundError", 404),
        "no balance": raises("OpenAIRateLimitError", 429),
        "broken stream": raises("APIError"),
    },
    "llama_index_programs.py": {
        **CHAT,
        "completion": GREETS,
        "image": GREETS,
        "embeddings": SOME,
        "unknown key": raises("AuthenticationError", 401),
        "no balance": raises("RateLimitError", 429),
        "broken stream": raises("APIError"),
    },
    "openai_node.mjs": {
        **CHAT,
        "structured": FITS,
        "image": GREETS,
        "embeddings": SOME,
        "responses": GREETS,
        "responses stream": GREETS,
        "speech": SOME,
        "transcription": SOME,
        "models": LISTS,
        **OPENAI_ERRORS,
    },
    "vendors_node.mjs": {
        **CHAT,
        "chat with Gemini": GREETS,
        "stream of Gemini": GREETS,
        "tools of Gemini": CALLS,
        **ANTHROPIC_ERRORS,
        "broken stream": lambda outcome: "raised" in outcome,
        "unknown key to Gemini": raises("ApiError", 401),
        "no balance for Gemini": raises("ApiError", 429),
        "broken stream of Gemini": lambda outcome: "raised" in outcome,
    },
    "ai_sdk.mjs": {
        **CHAT,
        **OTHERS,
        "structured": FITS,
        "image": GREETS,
        "embeddings": SOME,
        "responses": GREETS,
        "responses stream": GREETS,
        "tools of Claude": CALLS,
        "stream of Gemini": GREETS,
        "unknown key": raises("APICallError", 401),
        "unknown model": raises("APICallError", 404),
        "no balance": raises("APICallError", 429),
        "broken stream": lambda outcome: "raised" in outcome,
    },
}


class Shelf:
    """A shop with every kind of model, a key, and one without balance."""

    def __init__(self, system: RunningSystem) -> None:
        prices = system.folder / "programs.json"
        prices.write_text(json.dumps(PRICES))
        issue = ["issue_key", "--tenant", "demo", "--base-tokens"]
        self.key, self.empty_key, *_ = system.operate(
            [*issue, "10000000"], [*issue, "0"], ["load_prices", str(prices), "--tenant", "demo"]
        )
        self.url, self.folder = system.url, system.folder
        wait_until_sold(system, Shop("demo", "127.0.0.1", [self.key]), MODELS.values())
        self.seen = cache(self._run)

    def _run(self, program: str) -> dict[str, Any]:
        """Run a program once; return what each of its calls came to."""
        words = [self.url, self.key, self.empty_key, json.dumps(MODELS)]
        done = run([*command_of(program), *words], home=self.folder)
        assert done.returncode == 0, done.stderr
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen


def command_of(program: str) -> list[str]:
    """Return how a program is run, with its own libraries; skips where these are missing."""
    if program.endswith(".mjs"):
        node_program("node_modules/ai/package.json")
        clients.copy_programs()
        return ["node", str(clients.NODE / program)]
    python = Path(sys.executable)
    if program != "openai_sdk.py":
        python = install.python_of(clients.FOLDER)
    if not python.exists():
        pytest.skip("the client libraries are not installed; `python3 dev.py clients` does it")
    return [str(python), str(clients.SOURCES / program)]


def node_program(path: str) -> str:
    """Return where Node's clients have installed something; skips where they are missing."""
    found = clients.NODE / path
    if not found.exists() or not shutil.which("node"):
        pytest.skip("Node's clients are not installed; `python3 dev.py clients` does it")
    return str(found)


def run(argv: list[str], *, home: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a program with a home of its own, so that nobody's settings matter."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "NO_COLOR": "1", **settings}
    return subprocess.run(
        argv, env=environ, cwd=home, capture_output=True, text=True, timeout=120, input=""
    )


@pytest.fixture(scope="module")
def shelf(running_system: RunningSystem) -> Shelf:
    return Shelf(running_system)


@pytest.mark.parametrize(
    ("program", "call"), [(name, call) for name, calls in PROGRAMS.items() for call in calls]
)
def test_a_call_comes_to_what_its_library_promises(shelf: Shelf, program: str, call: str) -> None:
    outcome = shelf.seen(program)[call]
    assert PROGRAMS[program][call](outcome), outcome


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_call_of_a_program_is_looked_at(shelf: Shelf, program: str) -> None:
    assert shelf.seen(program).keys() == PROGRAMS[program].keys()


def claude_code(shelf: Shelf, key: str) -> "subprocess.CompletedProcess[str]":
    argv = [node_program("node_modules/.bin/claude"), "-p", telling.QUESTION]
    return run(
        [*argv, "--model", MODELS["claude"], "--output-format", "json"],
        home=shelf.folder,
        ANTHROPIC_BASE_URL=shelf.url,
        ANTHROPIC_API_KEY=key,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        CLAUDE_CODE_MAX_RETRIES="0",
        IS_SANDBOX="1",
    )


def test_claude_code_is_answered(shelf: Shelf) -> None:
    done = claude_code(shelf, shelf.key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["result"].startswith(GREETING)


def test_claude_code_is_told_of_a_wrong_key(shelf: Shelf) -> None:
    done = claude_code(shelf, telling.UNKNOWN_KEY)
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr


def codex(shelf: Shelf, key: str) -> "subprocess.CompletedProcess[str]":
    provider = f'{{name="shop",base_url="{shelf.url}/v1",env_key="SHOP_KEY",wire_api="responses"'
    provider += ",request_max_retries=0,stream_max_retries=0}"
    argv = [node_program("node_modules/.bin/codex"), "exec", "--skip-git-repo-check"]
    argv += ["-m", "gpt-5", "-c", 'model_provider="shop"', "-c", f"model_providers.shop={provider}"]
    return run([*argv, telling.QUESTION], home=shelf.folder, SHOP_KEY=key)


def test_codex_is_answered(shelf: Shelf) -> None:
    done = codex(shelf, shelf.key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert GREETING in done.stdout


def test_codex_is_told_of_a_wrong_key(shelf: Shelf) -> None:
    done = codex(shelf, telling.UNKNOWN_KEY)
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr
