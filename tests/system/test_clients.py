"""The openai library, today's and that of 2023, with nothing changed but address and key.

Each against two channels: the built-in demo, and a server that speaks OpenAI's API.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from portal.dev import install
from tests.clients import old_openai
from tests.fakes.upstream import FakeUpstream
from tests.system.running import RunningSystem
from tests.system.shops import Shop, Way, wait_until_sold

pytestmark = pytest.mark.system

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello!"}]
BREAK = "[demo error_event=3 chunk_delay_ms=5] [fake error_event=3 delay_ms=5]"
BROKEN: list[ChatCompletionMessageParam] = [{"role": "user", "content": BREAK}]


@dataclass(frozen=True)
class Shelf:
    """What a client may buy: names of models, and keys with and without balance."""

    url: str
    key: str
    empty_key: str
    models: dict[str, str]

    @property
    def chat(self) -> str:
        return self.models["chat"]


DEMO_MODELS = {
    "chat": "gpt-3.5-turbo",
    "completion": "gpt-3.5-turbo-instruct",
    "embedding": "text-embedding-ada-002",
}
SERVER_MODELS = {kind: f"server-{kind}" for kind in DEMO_MODELS}


@pytest.fixture(scope="module")
def vendor() -> Iterator[FakeUpstream]:
    with FakeUpstream() as server:
        yield server


@pytest.fixture(scope="module", params=["demo", "server"])
def shelf(
    request: pytest.FixtureRequest, running_system: RunningSystem, vendor: FakeUpstream
) -> Shelf:
    """The demo shop: its own channel, or one to a server, which is asked first for its models."""
    issue = ["issue_key", "--tenant", "demo", "--base-tokens"]
    commands = [[*issue, "90000"], [*issue, "0"]]
    if request.param == "server":
        prices = running_system.folder / "server.json"
        prices.write_text(json.dumps({name: {"input": 1} for name in SERVER_MODELS.values()}))
        commands.append(["load_prices", str(prices), "--tenant", "demo"])
        ways = [Way(name, vendor.base_url, priority=9) for name in SERVER_MODELS.values()]
        commands += [way.command("demo", number) for number, way in enumerate(ways)]
    key, empty_key, *_ = running_system.operate(*commands)
    models = SERVER_MODELS if request.param == "server" else DEMO_MODELS
    wait_until_sold(running_system, Shop("demo", "127.0.0.1", [key]), models.values())
    return Shelf(running_system.url, key, empty_key, models)


@pytest.fixture
def client(shelf: Shelf) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{shelf.url}/v1", api_key=shelf.key, max_retries=0)


@pytest.fixture(scope="module")
def old_client_saw(shelf: Shelf) -> dict[str, Any]:
    """What a program on openai 0.28.1 got from all its calls."""
    python = install.python_of(install.OLD_CLIENT)
    if not python.exists():
        pytest.skip("openai 0.28.1 is not installed; `python3 dev.py test` does it")
    address = f"{shelf.url}/openai/v1"
    argv = [str(python), old_openai.__file__, address, shelf.key, shelf.empty_key]
    argv += [json.dumps(shelf.models), BREAK]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_chat_is_answered(client: openai.OpenAI, shelf: Shelf) -> None:
    answer = client.chat.completions.create(model=shelf.chat, messages=MESSAGES)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and answer.usage.total_tokens > 0


def test_stream_has_the_same_text_and_no_chunk_without_choices(
    client: openai.OpenAI, shelf: Shelf
) -> None:
    whole = client.chat.completions.create(model=shelf.chat, messages=MESSAGES)
    with client.chat.completions.create(model=shelf.chat, messages=MESSAGES, stream=True) as stream:
        chunks = list(stream)
    assert all(chunk.choices for chunk in chunks)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_stream_ends_with_its_usage_when_that_is_asked_for(
    client: openai.OpenAI, shelf: Shelf
) -> None:
    with client.chat.completions.create(
        model=shelf.chat, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ) as stream:
        last = list(stream)[-1]
    assert last.choices == []
    assert last.usage and last.usage.completion_tokens > 0


def test_completion_is_answered(client: openai.OpenAI, shelf: Shelf) -> None:
    answer = client.completions.create(model=shelf.models["completion"], prompt="Once upon a time")
    assert answer.choices[0].text
    assert answer.usage and answer.usage.prompt_tokens > 0


def test_embeddings_are_the_same_packed_and_as_floats(client: openai.OpenAI, shelf: Shelf) -> None:
    packed = (
        client.embeddings.create(model=shelf.models["embedding"], input="hello").data[0].embedding
    )
    plain = client.embeddings.create(
        model=shelf.models["embedding"], input="hello", encoding_format="float"
    )
    assert len(packed) > 0
    assert packed == pytest.approx(plain.data[0].embedding, abs=1e-6)


def test_models_are_listed_and_found(client: openai.OpenAI, shelf: Shelf) -> None:
    assert shelf.chat in {model.id for model in client.models.list()}
    assert client.models.retrieve(shelf.chat).id == shelf.chat


def test_balance_falls_by_what_is_used(client: openai.OpenAI, shelf: Shelf) -> None:
    def lookup(name: str) -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/dashboard/billing/{name}", cast_to=dict[str, Any])
        return found

    granted = lookup("subscription")
    assert granted["object"] == "billing_subscription"
    assert granted["hard_limit_usd"] == 90_000
    before = lookup("usage")["total_usage"]
    client.chat.completions.create(model=shelf.chat, messages=MESSAGES)
    after = lookup("usage")
    assert after["object"] == "list"
    assert after["total_usage"] > before


def test_unknown_key(shelf: Shelf) -> None:
    client = openai.OpenAI(base_url=f"{shelf.url}/v1", api_key="ak-" + "x" * 48, max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model=shelf.chat, messages=MESSAGES)
    assert caught.value.code == "invalid_api_key"


def test_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=MESSAGES)
    assert caught.value.code == "model_not_found"


def test_bad_request(client: openai.OpenAI, shelf: Shelf) -> None:
    nonsense: Any = "not a list"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=shelf.chat, messages=nonsense)
    assert caught.value.param == "messages"


def test_no_balance_is_told_once_and_not_asked_again(shelf: Shelf) -> None:
    asked: list[httpx2.Request] = []
    patient = httpx2.Client(event_hooks={"request": [asked.append]})
    client = openai.OpenAI(
        base_url=f"{shelf.url}/v1", api_key=shelf.empty_key, http_client=patient, max_retries=2
    )
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=shelf.chat, messages=MESSAGES)
    assert caught.value.code == "insufficient_quota"
    assert len(asked) == 1


def test_a_stream_that_breaks_raises(client: openai.OpenAI, shelf: Shelf) -> None:
    stream = client.chat.completions.create(model=shelf.chat, messages=BROKEN, stream=True)
    with pytest.raises(openai.APIError):
        list(stream)


def test_old_client_chats(old_client_saw: dict[str, Any]) -> None:
    assert old_client_saw["chat"]
    assert old_client_saw["chat_usage"] > 0


def test_old_client_streams_the_same_text(client: openai.OpenAI, old_client_saw: Any) -> None:
    assert old_client_saw["stream"] == old_client_saw["chat"]


def test_old_client_completes(old_client_saw: dict[str, Any]) -> None:
    assert old_client_saw["completion"]


def test_old_client_embeds_packed_and_as_floats(old_client_saw: dict[str, Any]) -> None:
    plain = old_client_saw["embedding_as_floats"]
    assert old_client_saw["embedding"] == pytest.approx(plain, abs=1e-6)


def test_old_client_finds_models(shelf: Shelf, old_client_saw: dict[str, Any]) -> None:
    assert shelf.chat in old_client_saw["models"]
    assert old_client_saw["model"] == shelf.chat


def test_old_client_reads_its_balance(old_client_saw: dict[str, Any]) -> None:
    assert old_client_saw["subscription"]["hard_limit_usd"] == 90_000
    assert old_client_saw["usage"]["total_usage"] > 0


@pytest.mark.parametrize(
    ("case", "raised"),
    [
        ("unknown key", {"class": "AuthenticationError", "code": "invalid_api_key"}),
        ("unknown model", {"class": "InvalidRequestError", "code": "model_not_found"}),
        ("no balance", {"class": "RateLimitError", "code": "insufficient_quota"}),
        ("bad request", {"class": "InvalidRequestError", "code": None}),
    ],
)
def test_old_client_raises(
    case: str, raised: dict[str, str], old_client_saw: dict[str, Any]
) -> None:
    assert old_client_saw["errors"][case] == raised


def test_old_client_raises_when_a_stream_breaks(old_client_saw: dict[str, Any]) -> None:
    assert old_client_saw["errors"]["broken stream"]["class"] == "APIError"
