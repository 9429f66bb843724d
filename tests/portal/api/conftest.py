"""Fixtures of the API's tests: scripts that ask with a key."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from billing.scoping import tenant_scope
from tests.billing.reports.making import used
from tests.cast import Shop

Script = Callable[..., Any]


@pytest.fixture
def script(fresh_throttles: None) -> Script:
    """Return a way to ask the API of a shop with a key, or none."""

    def ask(
        shop: Shop, path: str, key: str | None = None, *, method: str = "GET", **headers: str
    ) -> Any:
        with_key = {"authorization": f"Bearer {key}"} if key else {}
        client = Client(headers={"host": shop.host, **with_key, **headers})
        client.raise_request_exception = False
        return client.generic(method, path)

    return ask


@pytest.fixture
def calls(north: Shop) -> list[str]:
    """Three calls of the north's key; their request ids, newest first."""
    with tenant_scope(north.tenant.pk):
        made = [
            used(north.key, 1_250_000, input_count=7, output_count=3, first_token_ms=12),
            used(north.key, 1_000_000, model_asked="gpt-4o", stream=True, total_ms=40),
            used(north.key, 0, error_type="upstream_timeout", status=504),
        ]
    return [str(request_id) for request_id in made[::-1]]
