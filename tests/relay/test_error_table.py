"""Every row of the error table, in each of the three dialects, through a running relay."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
import pytest
from django.utils import timezone

from tests.databases import locked_database
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.gemini import FakeGemini
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import bearer, until
from tests.relay.conftest import Shop, open_shop
from tests.relay.server import RelayServer, running_relay

SPOKEN = {"role": "user"}
AGAIN, NEVER = "retry-after", "x-should-retry"


class Dialect(NamedTuple):
    """A client's dialect: the model that only its vendor has, and how a text is asked of it."""

    provider: str
    model: str
    path: str
    asked: Callable[[str], dict[str, Any]]
    errors: Callable[[dict[str, Any]], Any]


def _reason(body: dict[str, Any]) -> tuple[str, str | None]:
    details = [one.get("reason") for one in body["error"].get("details", ())]
    return body["error"]["status"], details[0] if details else None


OPENAI = Dialect(
    "openai",
    "gpt-4",
    "/v1/chat/completions",
    lambda text: {"max_tokens": 300, "messages": [SPOKEN | {"content": text}]},
    lambda body: body["error"]["code"],
)
ANTHROPIC = Dialect(
    "anthropic",
    "claude",
    "/v1/messages",
    lambda text: {"max_tokens": 300, "messages": [SPOKEN | {"content": text}]},
    lambda body: body["error"]["type"],
)
GEMINI = Dialect(
    "gemini",
    "gemini-2",
    "/v1beta/models/{model}:generateContent",
    lambda text: {
        "contents": [{"parts": [{"text": text}]}],
        "generationConfig": {"maxOutputTokens": 300},
    },
    _reason,
)
DIALECTS = (OPENAI, ANTHROPIC, GEMINI)


@dataclass
class Case:
    """A request of one dialect, and what is wrong with it."""

    shop: Shop
    server: RelayServer
    dialect: Dialect
    channel_id: int
    key: str = ""
    text: str = "Hello"
    model: str = ""
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=lambda: {"origin": "https://chat.example"})

    def ask(self) -> httpx.Response:
        """Send it."""
        key = self.key or self.shop.key(900_000)
        self.shop.wait_for_relays()
        model = self.model or self.dialect.model
        path, body = self.dialect.path, self.dialect.asked(self.text)
        if "{model}" in path:
            path = path.replace("{model}", model)
        else:
            body |= {"model": model}
        sent: dict[str, Any] = {"json": body} if self.content is None else {"content": self.content}
        return httpx.post(
            self.server.url + path, headers=bearer(key) | self.headers, timeout=20, **sent
        )


def no_key(case: Case) -> None:
    case.key = "sk-nonsense"


def another_shops_key(case: Case) -> None:
    case.key = open_shop(case.dialect.provider, (f"{case.dialect.provider}.example",)).key()


def a_revoked_key(case: Case) -> None:
    case.key = case.shop.key()
    case.shop.revoke(case.key)


def an_expired_key(case: Case) -> None:
    case.key = case.shop.key(expires_at=timezone.now() - timedelta(seconds=1))


def no_balance(case: Case) -> None:
    case.key = case.shop.key(1)


def a_limit_of_requests(case: Case) -> None:
    case.key = case.shop.key(900_000, rpm=1)
    case.ask()


def an_unknown_model(case: Case) -> None:
    case.model = "unheard-of"


def another_model(case: Case) -> None:
    case.key = case.shop.key(allowed_models=["another"])


def another_endpoint(case: Case) -> None:
    case.key = case.shop.key(allowed_endpoints=["embeddings"])


def another_address(case: Case) -> None:
    case.key = case.shop.key(allowed_addresses=["10.0.0.0/8"])


def an_unknown_host(case: Case) -> None:
    another_shops_key(case)
    case.headers["host"] = "nobody.example"


def no_json(case: Case) -> None:
    case.content = b"not json"


def a_deep_body(case: Case) -> None:
    case.content = b'{"x":' + b"[" * 100 + b"]" * 100 + b"}"


def a_large_body(case: Case) -> None:
    case.content = b"x" * (10 * 1024 * 1024 + 1)


def a_compressed_body(case: Case) -> None:
    case.content, case.headers["content-encoding"] = b"\x1f\x8b", "gzip"


def a_refused_credential(case: Case) -> None:
    case.text = "[fake status=401]"


def a_slow_upstream(case: Case) -> None:
    case.shop.change_channel(case.channel_id, first_byte_timeout_ms=200)
    case.text = "[fake silent_ms=2000]"


def a_broken_upstream(case: Case) -> None:
    case.text = "[fake status=500]"


def a_busy_upstream(case: Case) -> None:
    case.text = "[fake status=429 retry_after=7]"


def no_channel(case: Case) -> None:
    case.shop.change_channel(case.channel_id, is_enabled=False)


Row = tuple[Callable[[Case], None], int, str | None, str, str, str]

ROWS: list[Row] = [
    (no_key, 401, "invalid_api_key", "authentication_error", "UNAUTHENTICATED", ""),
    (another_shops_key, 401, "invalid_api_key", "authentication_error", "UNAUTHENTICATED", ""),
    (a_revoked_key, 401, "key_disabled", "authentication_error", "UNAUTHENTICATED", ""),
    (an_expired_key, 401, "key_expired", "authentication_error", "UNAUTHENTICATED", ""),
    (no_balance, 429, "insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED", NEVER),
    (
        a_limit_of_requests,
        429,
        "rate_limit_exceeded",
        "rate_limit_error",
        "RESOURCE_EXHAUSTED",
        AGAIN,
    ),
    (an_unknown_model, 404, "model_not_found", "not_found_error", "NOT_FOUND", ""),
    (another_model, 403, "model_not_allowed", "permission_error", "PERMISSION_DENIED", ""),
    (another_endpoint, 403, "model_not_allowed", "permission_error", "PERMISSION_DENIED", ""),
    (another_address, 403, "address_not_allowed", "permission_error", "PERMISSION_DENIED", ""),
    (an_unknown_host, 421, "unknown_host", "invalid_request_error", "INVALID_ARGUMENT", ""),
    (no_json, 400, None, "invalid_request_error", "INVALID_ARGUMENT", ""),
    (a_deep_body, 400, None, "invalid_request_error", "INVALID_ARGUMENT", ""),
    (a_large_body, 413, "request_too_large", "request_too_large", "INVALID_ARGUMENT", ""),
    (
        a_compressed_body,
        415,
        "unsupported_encoding",
        "invalid_request_error",
        "INVALID_ARGUMENT",
        "",
    ),
    (a_refused_credential, 502, "upstream_credentials", "api_error", "UNAVAILABLE", ""),
    (a_slow_upstream, 504, "upstream_timeout", "timeout_error", "DEADLINE_EXCEEDED", ""),
    (a_broken_upstream, 503, "no_available_channel", "overloaded_error", "UNAVAILABLE", AGAIN),
    (a_busy_upstream, 503, "no_available_channel", "overloaded_error", "UNAVAILABLE", AGAIN),
    (no_channel, 503, "no_available_channel", "overloaded_error", "UNAVAILABLE", AGAIN),
]


@pytest.fixture
def cases(shop: Shop) -> Iterator[list[Case]]:
    """A plain request for each dialect, at a vendor that speaks it."""
    with ExitStack() as stack:
        fakes = [stack.enter_context(kind()) for kind in (FakeUpstream, FakeAnthropic, FakeGemini)]
        channels = []
        for dialect, fake in zip(DIALECTS, fakes, strict=True):
            shop.reprice(dialect.model, input=20, output=40)
            base_url = fake.base_url if dialect is OPENAI else fake.origin
            channel_id = shop.channel(
                dialect.provider,
                provider=dialect.provider,
                base_url=base_url,
                models={dialect.model: dialect.model},
                credential="sk-fake-credential",
                allow_private_network=True,
            )
            channels.append(channel_id)
        server = stack.enter_context(running_relay())
        pairs = zip(DIALECTS, channels, strict=True)
        yield [Case(shop, server, dialect, channel_id) for dialect, channel_id in pairs]


def check(answer: httpx.Response, dialect: Dialect, row: Row) -> None:
    """Fail unless an answer tells its client what the row says, and no more."""
    _, status, code, type_, state, header = row
    expected = {OPENAI: code, ANTHROPIC: type_, GEMINI: (state, code)}[dialect]
    assert (answer.status_code, dialect.errors(answer.json())) == (status, expected)
    request_id = answer.headers["x-request-id"]
    assert request_id in answer.text
    assert answer.headers.get("request-id") == (request_id if dialect is ANTHROPIC else None)
    assert [name for name in (AGAIN, NEVER) if name in answer.headers] == [header] * bool(header)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "fake" not in answer.text.lower()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].__name__)
def test_each_failure_is_told_in_each_dialect(row: Row, cases: list[Case]) -> None:
    arrange = row[0]
    for case in cases:
        arrange(case)
        check(case.ask(), case.dialect, row)


def test_a_database_that_is_away_is_told_in_each_dialect(cases: list[Case]) -> None:
    for case in cases:
        case.key = case.shop.key(900_000)
        assert case.ask().status_code == 200
    row: Row = (no_key, 503, "ledger_unavailable", "overloaded_error", "UNAVAILABLE", AGAIN)
    with locked_database():
        for case in cases:
            check(case.ask(), case.dialect, row)


def test_too_much_at_once_is_told_in_each_dialect(cases: list[Case]) -> None:
    row: Row = (no_key, 503, "overloaded", "overloaded_error", "UNAVAILABLE", AGAIN)
    with running_relay(max_in_flight=0) as server:
        for case in cases:
            case.server = server
            check(case.ask(), case.dialect, row)


def test_a_balance_that_a_running_request_holds_is_told_in_each_dialect(cases: list[Case]) -> None:
    row: Row = (no_key, 429, "quota_held", "rate_limit_error", "RESOURCE_EXHAUSTED", AGAIN)
    for case in cases:
        case.key, case.text = case.shop.key(9_000), "[fake silent_ms=8000]"
    with ThreadPoolExecutor(2 * len(cases)) as pool:
        for case in cases:
            pool.submit(case.ask)
        until(lambda: cases[0].shop.holds() == len(cases))
        for answer, case in zip(pool.map(Case.ask, cases), cases, strict=True):
            check(answer, case.dialect, row)
