"""An answer that was cut is an error in every dialect, wherever it was cut."""

import pytest

from relay.protocols.base import Endpoint
from relay.protocols.endpoints import ENDPOINTS
from tests.fuzz.targets import facts_of, folder_of

SEEDED = [one for one in ENDPOINTS.values() if (folder_of(one) / "answer.json").exists()]


@pytest.mark.parametrize("endpoint", SEEDED, ids=lambda endpoint: folder_of(endpoint).name)
def test_no_beginning_of_an_answer_is_an_answer(endpoint: Endpoint) -> None:
    facts, body = facts_of(endpoint), (folder_of(endpoint) / "answer.json").read_bytes()
    for size in range(len(body)):
        said = endpoint.dialect.answer(body[:size], facts, b"application/json")
        assert said.error is not None, size
