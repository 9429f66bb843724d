"""JSON schemas as vendors take them for answers and calls that must keep to them.

Each vendor reads a part of the language only, and refuses the rest. Called by the translations of
requests, which then ask in another way or without the vendor's promise.
"""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_BY_NAME = ("properties", "$defs", "definitions")
_ONE = ("items", "additionalProperties", "not", "if", "then", "else")
_SEVERAL = ("anyOf", "allOf", "oneOf", "prefixItems")

_UNKNOWN_TO_CLAUDE = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "maxItems", "uniqueItems", "contains", "prefixItems"),
        *("minProperties", "maxProperties", "patternProperties", "propertyNames"),
        *("oneOf", "not", "if", "then", "else"),
    }
)


def is_strict(schema: Any) -> bool:
    """Say whether OpenAI takes a schema as a strict one: closed objects, every member required."""
    return all(_is_closed(one) and _requires_all(one) for one in _schemas(schema))


def is_plain(schema: Any) -> bool:
    """Say whether Anthropic takes a schema: closed objects, no bounds of numbers, texts, lists."""
    return all(
        _is_closed(one) and not _UNKNOWN_TO_CLAUDE & one.keys() and one.get("minItems", 0) in (0, 1)
        for one in _schemas(schema)
    )


def _schemas(schema: Any) -> Iterator[Json]:
    """Yield a schema and all that stand in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for name in _BY_NAME:
        named = schema.get(name)
        if isinstance(named, dict):
            for value in named.values():
                yield from _schemas(value)
    for name in _ONE:
        yield from _schemas(schema.get(name))
    for name in _SEVERAL:
        several = schema.get(name)
        if isinstance(several, list):
            for value in several:
                yield from _schemas(value)


def _is_closed(schema: Json) -> bool:
    is_object = schema.get("type") == "object" or "properties" in schema
    return not is_object or schema.get("additionalProperties") is False


def _requires_all(schema: Json) -> bool:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return True
    return isinstance(required, list) and all(name in required for name in properties)
