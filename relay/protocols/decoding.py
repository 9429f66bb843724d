"""Partial decoding of JSON that a client sent: a parser's complaint becomes a 400 with `param`.

Called by the dialects. Free of Django.
"""

import re
from typing import Any

import msgspec

from relay.errors import BadRequest

_WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`")
_TYPE_NAMES = {"int": "an integer", "str": "a string", "bool": "a boolean", "null": "null"}
_TYPE_NAMES |= {"array": "an array", "object": "an object", "float": "a decimal number"}


def decode(decoder: msgspec.json.Decoder[Any], text: bytes | msgspec.Raw, at: str = "") -> Any:
    """Return what the decoder makes of the text; `at` says which field of the body it is.

    Raises BadRequest in words that quote nothing of what the client sent.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), at) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The request body is not valid JSON.") from None


def _invalid(words: str, at: str) -> BadRequest:
    found = _AT.search(words)
    param = (at + found["path"] if found else at).lstrip(".")
    if missing := _MISSING.search(words):
        name = f"{param}.{missing['name']}".lstrip(".")
        return BadRequest(f"Missing required parameter: '{name}'.", param=name)
    if wrong := _WRONG_TYPE.search(words):
        names = wrong["wanted"].removesuffix(" | null").split(" | ")
        wanted = " or ".join(_TYPE_NAMES.get(name, name) for name in names)
        got = _TYPE_NAMES.get(wrong["got"], wrong["got"])
        where = f"Invalid type for '{param}'" if param else "Invalid type of the request body"
        return BadRequest(f"{where}: expected {wanted}, but got {got}.", param=param or None)
    range_ = _AT.sub("", words).removeprefix("Expected ")
    for name, spoken in _TYPE_NAMES.items():
        range_ = range_.replace(f"`{name}`", spoken)
    return BadRequest(f"Invalid value for '{param}': expected {range_}.", param=param or None)


def wrong_type(param: str, wanted: str) -> BadRequest:
    """Return the refusal of a field that is not what its name promises."""
    return BadRequest(f"Invalid type for '{param}': expected {wanted}.", param=param)
