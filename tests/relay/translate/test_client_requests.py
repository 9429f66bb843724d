"""What programs send, as seen on the wire, is carried to channels of every protocol."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.protocols.base import Asked
from relay.protocols.endpoints import ENDPOINTS
from relay.translate import TRANSLATIONS
from relay.translate.base import Translation

SHAPES = json.loads((Path(__file__).parents[2] / "clients/shapes.json").read_text())
CLIENTS = {"/v1/chat/completions": "chat", "/v1/messages": "messages", "/v1/responses": "responses"}


def cases() -> list[Any]:
    """Return every recorded request that can be translated, with each of its ways."""
    found = []
    for number, shape in enumerate(SHAPES):
        path = shape["path"].partition("?")[0].removeprefix("/openai")
        if path in CLIENTS and isinstance(shape.get("body"), dict):
            for way in TRANSLATIONS[ENDPOINTS[path].name]:
                name = f"{number}-{shape['client']}-{way.endpoint.name}"
                found.append(pytest.param(path, shape["body"], way, id=name))
    return found


@pytest.mark.parametrize(("path", "body", "way"), cases())
def test_no_field_that_a_program_sends_unasked_is_in_the_way(
    path: str, body: dict[str, Any], way: Translation
) -> None:
    endpoint, data = ENDPOINTS[path], json.dumps(body).encode()
    made = way.request(data, endpoint.dialect.read(endpoint, Asked(data)), most_output=4096)
    way.endpoint.dialect.read(way.endpoint, Asked(made, model="model"))
