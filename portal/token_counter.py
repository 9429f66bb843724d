"""Takes a text that somebody pasted apart into tokens. Called by the counter's view alone.

The one module of the portal that uses the relay's tokenizers. Nothing of a text outlives the call:
it is not stored, not remembered and not logged.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from relay import tokens

ENCODINGS = (tokens.O200K, tokens.CL100K)
MAX_CHARS = 20_000
MAX_SHOWN = 2_000

_BREAKS = {" ": "·", "\n": "↵\n", "\t": "→\t", "\r": "␍"}
_CONTROL_PICTURES = 0x2400
_TURNS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Piece:
    """A part of the text that can be shown by itself, and the tokens that it takes.

    It is one token, unless a character was taken apart.
    """

    shown: str
    tokens: int


def clean(text: str) -> str:
    """Return a text as a model would get it: line ends of one kind, nothing but characters."""
    text = text.replace("\r\n", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def count(text: str) -> dict[str, int]:
    """Return how many tokens a text is, by encoding."""
    return {encoding: len(_split(text, encoding)) for encoding in ENCODINGS}


def pieces(text: str, encoding: str) -> list[Piece]:
    """Return the first MAX_SHOWN pieces of a text, spaces and line ends made visible."""
    found: list[Piece] = []
    waiting, count = b"", 0
    for token in _split(text, encoding):
        waiting, count = waiting + token, count + 1
        try:
            whole = waiting.decode()
        except UnicodeDecodeError:
            continue  # the rest of the character is in the next token
        found.append(Piece(visible(whole), count))
        waiting, count = b"", 0
        if len(found) == MAX_SHOWN:
            break
    return found


def visible(characters: Iterable[str]) -> str:
    """Return characters with a sign for each that would not be seen, or would turn others round."""
    return "".join(_sign(character) for character in characters)


def encoding_of(model: str) -> str:
    """Return the encoding that a model's text is counted by."""
    return tokens.encoding_name(model)


def is_exact(model: str) -> bool:
    """Tell whether the count is the model's own; of other makers' models it is an estimate."""
    return tokens.has_public_tokenizer(model)


def _split(text: str, encoding: str) -> list[bytes]:
    tokens.install_ranks(settings.STATE_DIR)
    return tokens.split(text, encoding)


def _sign(character: str) -> str:
    if character in _BREAKS:
        return _BREAKS[character]
    if ord(character) < 0x20:
        return chr(_CONTROL_PICTURES + ord(character))
    if character in _TURNS or unicodedata.category(character) == "Cc":
        return f"‹{ord(character):04X}›"
    return character
