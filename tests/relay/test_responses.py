"""Responses through a running relay: what clients get, what is charged, what is kept."""

from collections.abc import Iterator

import httpx
import pytest
from openai import APIError, OpenAI, RateLimitError

from billing.scoping import tenant_scope
from relay.models import UpstreamObject
from tests.relay.asking import bearer, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer

RESPONSES = "/v1/responses"


@pytest.fixture
def openai(demo_key: str, relay_server: RelayServer) -> Iterator[OpenAI]:
    """OpenAI's own library at the relay."""
    with OpenAI(base_url=f"{relay_server.url}/v1", api_key=demo_key, max_retries=0) as library:
        yield library


def test_a_response_is_answered_and_charged(openai: OpenAI, shop: Shop) -> None:
    response = openai.responses.create(model="gpt-4", input="Hello", instructions="Be short")
    assert "You wrote: “Hello”" in response.output_text
    [record] = shop.settled()
    assert response.usage is not None
    assert (record.input_count, record.output_count) == (
        response.usage.input_tokens,
        response.usage.output_tokens,
    )
    assert (record.endpoint, record.usage_source) == ("responses", "upstream")
    shop.check_books()


def test_a_stream_is_passed_on_and_charged(openai: OpenAI, shop: Shop) -> None:
    with openai.responses.stream(model="gpt-4", input="Hello") as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.output_text == text
    [record] = shop.settled()
    assert final.usage is not None
    assert (record.stream, record.output_count) == (True, final.usage.output_tokens)
