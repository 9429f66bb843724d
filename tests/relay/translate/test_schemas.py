"""Which schemas the vendors promise to keep to."""

from typing import Any

import pytest

from relay.translate.schemas import is_plain, is_strict

CLOSED = {"additionalProperties": False}
PAIR = {"type": "object", "properties": {"a": {}, "minimum": {}}, **CLOSED}
ALL = {"required": ["a", "minimum"]}


@pytest.mark.parametrize(
    ("schema", "strict", "plain"),
    [
        (PAIR | ALL, True, True),
        (PAIR, False, True),
        (PAIR | {"required": ["a"]}, False, True),
        (PAIR | {"required": 5}, False, True),
        ({"type": "object", "properties": {}}, False, False),
        ({"type": "object", "properties": {"a": PAIR}, "required": ["a"], **CLOSED}, False, True),
        ({"type": "array", "items": {"type": "object"}}, False, False),
        ({"anyOf": [PAIR | ALL, {"type": "null"}]}, True, True),
        ({"anyOf": [PAIR, 5]}, False, True),
        ({"$defs": {"one": {"type": "object"}}, "$ref": "#/$defs/one"}, False, False),
        ({"type": "integer", "minimum": 1}, True, False),
        ({"type": "array", "minItems": 1}, True, True),
        ({"type": "array", "minItems": 2}, True, False),
        ({"type": "string"}, True, True),
        ("nonsense", True, True),
    ],
)
def test_a_schema_is_what_each_vendor_takes(schema: Any, strict: bool, plain: bool) -> None:
    assert (is_strict(schema), is_plain(schema)) == (strict, plain)
