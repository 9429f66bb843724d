"""The error table: status, code and headers of each refusal; nothing is held, nothing charged."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from tests.relay.asking import CHAT, bearer, chat
from tests.relay.conftest import Shop
from tests.relay.server import running_relay


def code_of(answer: httpx.Response) -> tuple[int, str | None]:
    """Return status and code of a refusal in OpenAI's shape."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"] in error["message"]
    return answer.status_code, error["code"]


def test_no_malformed_and_unknown_keys_get_the_same_answer(
    demo_key: str, client: httpx.Client
) -> None:
    wrong = demo_key[:20] + ("A" if demo_key[20] != "A" else "B") + demo_key[21:]
    attempts: list[dict[str, str]] = [
        {},
        {"authorization": "Basic abc"},
        bearer("sk-nonsense"),
        bearer(wrong),
        bearer("x" * 5_000),
    ]
    answers = [client.post(CHAT, headers=headers, json=chat()) for headers in attempts]
    assert {code_of(answer) for answer in answers} == {(401, "invalid_api_key")}
    texts = {a.text.replace(a.headers["x-request-id"], "") for a in answers}
    assert len(texts) == 1


def test_the_prefix_of_a_key_does_not_matter(demo_key: str, client: httpx.Client) -> None:
    other = "sk-" + demo_key.partition("-")[2]
    assert client.post(CHAT, headers=bearer(other), json=chat()).status_code == 200


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key"])
def test_a_key_may_come_in_other_vendors_headers(
    header: str, demo_key: str, client: httpx.Client
) -> None:
    assert client.post(CHAT, headers={header: demo_key}, json=chat()).status_code == 200


def test_an_expired_key_is_told_so(shop: Shop, client: httpx.Client) -> None:
    shop.channel()
    key = shop.key(expires_at=timezone.now() - timedelta(seconds=1))
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(key), json=chat())
    assert code_of(answer) == (401, "key_expired")


def test_an_unknown_model_is_not_found(demo_key: str, client: httpx.Client) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), json=chat(model="gpt-unheard-of"))
    assert code_of(answer) == (404, "model_not_found")


def test_a_model_that_no_channel_serves_is_not_found(shop: Shop, client: httpx.Client) -> None:
    shop.channel(models={"gpt-4": "gpt-4"})
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(shop.key()), json=chat(model="gpt-3.5-turbo"))
    assert code_of(answer) == (404, "model_not_found")


def test_a_model_that_is_not_on_the_keys_list_is_forbidden(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(allowed_models=["gpt-3.5-turbo"])
    assert code_of(client.post(CHAT, headers=bearer(key), json=chat())) == (
        403,
        "model_not_allowed",
    )


def test_an_endpoint_that_is_not_on_the_keys_list_is_forbidden(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(allowed_endpoints=["embeddings"])
    assert code_of(client.post(CHAT, headers=bearer(key), json=chat())) == (
        403,
        "model_not_allowed",
    )


def test_an_address_that_is_not_on_the_keys_list_is_forbidden(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(allowed_addresses=["10.0.0.0/8"])
    answer = client.post(CHAT, headers=bearer(key), json=chat())
    assert code_of(answer) == (403, "address_not_allowed")


def test_a_balance_that_is_used_up_is_not_asked_for_again(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = client.post(CHAT, headers=bearer(shop.key(10)), json=chat())
    assert code_of(answer) == (429, "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"
    assert shop.usage() == []


def test_a_key_without_credit_is_refused(demo_key: str, shop: Shop, client: httpx.Client) -> None:
    answer = client.post(CHAT, headers=bearer(shop.key(0)), json=chat())
    assert code_of(answer) == (429, "insufficient_quota")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"not json", None),
        (b"[1, 2]", None),
        (b"", None),
        (b'{"messages": []}', "model"),
        (b'{"model": "gpt-4"}', "messages"),
        (b'{"model": 7, "messages": []}', "model"),
        (b'{"model": "gpt-4", "messages": [], "max_tokens": "many"}', "max_tokens"),
        (b'{"model": "gpt-4", "messages": "Hello"}', "messages"),
        (b"[" * 1_000_000, None),
    ],
)
def test_a_body_that_is_wrong_is_told_where(
    body: bytes, param: str | None, demo_key: str, client: httpx.Client
) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), content=body)
    assert code_of(answer)[0] == 400
    assert answer.json()["error"]["param"] == param


def test_a_body_that_says_it_is_too_large_is_refused_at_once(
    demo_key: str, client: httpx.Client
) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), content=b"x" * (10 * 1024 * 1024 + 1))
    assert code_of(answer) == (413, "request_too_large")


def test_a_body_that_grows_too_large_is_refused(demo_key: str, client: httpx.Client) -> None:
    answer = client.post(
        CHAT, headers=bearer(demo_key), content=(b"x" * 1_000_000 for _ in range(12))
    )
    assert code_of(answer) == (413, "request_too_large")


def test_a_compressed_body_is_refused(demo_key: str, client: httpx.Client) -> None:
    headers = bearer(demo_key) | {"content-encoding": "gzip"}
    answer = client.post(CHAT, headers=headers, content=b"\x1f\x8b")
    assert code_of(answer) == (415, "unsupported_encoding")


def test_an_unknown_address_and_a_wrong_method_are_refused_in_json(client: httpx.Client) -> None:
    assert code_of(client.post("/v1/unheard/of")) == (404, "not_found")
    answer = client.get(CHAT)
    assert code_of(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_too_many_requests_at_once_are_told_to_come_back(shop: Shop) -> None:
    shop.channel()
    with running_relay(max_in_flight=0) as server:
        answer = httpx.post(server.url + CHAT, headers=bearer(shop.key()), json=chat())
    assert code_of(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"


def test_a_header_that_is_given_twice_is_refused(demo_key: str, client: httpx.Client) -> None:
    twice: Any = [("authorization", f"Bearer {demo_key}"), ("authorization", "Bearer other")]
    assert code_of(client.post(CHAT, headers=twice, json=chat()))[0] == 400


def test_nothing_was_held_or_charged_for_a_refusal(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    client.post(CHAT, headers=bearer(demo_key), json=chat(model="gpt-unheard-of"))
    client.post(CHAT, headers=bearer(demo_key), content=b"{}")
    assert (shop.usage(), shop.holds()) == ([], 0)
