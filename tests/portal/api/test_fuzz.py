"""Random requests by the API's own description: no fault of ours, and nothing but what it says.

Schemathesis makes the requests, right ones and wrong ones, in bounded numbers and always the same.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from portal.api import reference
from tests.cast import Shop
from tests.plugins.proof import size

pytestmark = pytest.mark.proof

REQUESTS = size(40, proof=2_000)
LIST_WRONG = ("/api/v1/key/usage", "negative")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def api() -> Iterator[Any]:
    """The API as its description tells of it, within the transaction of the test."""
    schema = schemathesis.openapi.from_dict(reference.description())
    schema.app = get_wsgi_application()
    for moment in (request_started, request_finished):
        moment.disconnect(close_old_connections)
    yield schema
    for moment in (request_started, request_finished):
        moment.connect(close_old_connections)


@pytest.fixture
def unthrottled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fuzzer ask more often than a script may."""
    for name in ("CALLS_OF_A_NETWORK", "CALLS_OF_A_KEY"):
        monkeypatch.setattr(f"portal.api.views.{name}", 1_000_000)
    monkeypatch.setattr("portal.key_entry.WRONG_KEYS_PER_MINUTE", 1_000_000)


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("path", ["/api/v1/key", "/api/v1/key/usage"])
def test_no_request_makes_a_fault(
    api: Any, north: Shop, calls: list[str], unthrottled: None, path: str, mode: str
) -> None:
    operation = api[path]["GET"]
    cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))
    keys = st.sampled_from([north.plaintext, north.plaintext, "ak-wrong", ""])
    seen = set()

    @settings(
        max_examples=REQUESTS,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, key=keys)
    def ask(case: Any, key: str) -> None:
        headers = {"host": north.host, "authorization": f"Bearer {key}"}
        answer = case.call_and_validate(
            base_url=f"http://{north.host}", headers=headers, checks=CHECKS
        )
        seen.add(answer.status_code)

    ask()
    assert {400 if (path, mode) == LIST_WRONG else 200, 401} <= seen
