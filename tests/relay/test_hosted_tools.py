"""What vendors do beside answering, and bill apart: searches and pictures cost what they cost."""

from decimal import Decimal

import httpx
import pytest

from tests.fakes.responses import FakeResponses
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat
from tests.relay.conftest import Shop

SEARCH = 5_000
DRAWING = {"model": "gpt-5", "input": "Draw", "tools": [{"type": "image_generation"}]}


@pytest.mark.parametrize("directive", ["", "[fake usage=none]"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_search_before_a_chat_is_charged_though_no_usage_tells_it(
    directive: str, stream: bool, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    shop.reprice("gpt-4", input=Decimal(1), output=Decimal(2), search=Decimal(SEARCH))
    shop.fake_channel(fake)
    key = shop.key()
    shop.wait_for_relays()
    body = chat(f"Find it {directive}", stream=stream, web_search_options={})
    assert client.post(CHAT, headers=bearer(key), json=body).status_code == 200
    (record,) = shop.settled()
    assert (record.search_count, record.charged_ubt > SEARCH * 1_000_000) == (1, True)
    shop.check_books()


@pytest.mark.parametrize(("price", "status"), [(0, 400), (20_000, 200)])
def test_a_tool_that_draws_needs_a_price(
    price: int, status: int, shop: Shop, client: httpx.Client
) -> None:
    shop.reprice("gpt-5", input=Decimal(1), output=Decimal(2), image=Decimal(price))
    with FakeResponses() as fake:
        shop.fake_channel(fake)
        key = shop.key()
        shop.wait_for_relays()
        answer = client.post("/v1/responses", headers=bearer(key), json=DRAWING)
    assert answer.status_code == status
    held = [record.held_ubt > price * 1_000_000 for record in shop.settled(int(status == 200))]
    assert held == [True] * len(held)
