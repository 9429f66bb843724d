"""A value that fits a JSON schema, always the same: what the demo fills tool calls and forms with.

It knows the part of JSON Schema that tools and structured answers are written in. Free of Django.
"""

from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 16
_PLAIN: Mapping[str, Any] = {
    "string": "demo",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "null": None,
}


def sample(schema: Any) -> Any:
    """Return a value for a schema; a reference into the schema's own definitions is followed."""
    definitions: dict[str, Any] = {}
    if isinstance(schema, dict):
        for name in ("$defs", "definitions"):
            if isinstance(schema.get(name), dict):
                definitions |= schema[name]
    return _sample(schema, definitions, 0)


def _sample(schema: Any, definitions: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    if isinstance(schema.get("$ref"), str):
        target = definitions.get(schema["$ref"].rpartition("/")[2])
        return _sample(target, definitions, depth + 1)
    if "const" in schema:
        return schema["const"]
    for name in ("enum", "examples"):
        if isinstance(schema.get(name), list) and schema[name]:
            return schema[name][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(name), list) and schema[name]:
            return _sample(schema[name][0], definitions, depth + 1)
    return _of_type(schema, definitions, depth)


def _of_type(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0] if kind else "object"
    kind = str(kind).lower()
    if kind == "object":
        properties = schema.get("properties")
        named = properties.items() if isinstance(properties, dict) else ()
        return {name: _sample(inner, definitions, depth + 1) for name, inner in named}
    if kind == "array":
        return [_sample(schema.get("items", {"type": "string"}), definitions, depth + 1)]
    return _PLAIN.get(kind)
