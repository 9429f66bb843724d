"""Members of objects in Gemini's dialect, where each has two names: `maxOutputTokens` and
`max_output_tokens`. What is read here is what the vendor reads; both at once are refused.

Used by the `gemini_*` files.
"""

import msgspec

from relay.errors import BadRequest
from relay.protocols.decoding import decode
from relay.protocols.json_text import Span, members

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = b"null"


class Names:
    """The members of one kind of object that we read, by their names with underscores."""

    def __init__(self, *names: str) -> None:
        self._spelled = {spelling: name for name in names for spelling in (name, camel(name))}
        self._folded = {_folded(name): camel(name) for name in names}

    def spans(self, text: bytes, at: str = "") -> dict[str, Span]:
        """Return where the value of each of these members stands in an object.

        Raises BadRequest unless it is an object, for a member that is given twice, in whatever
        spelling, and for one that only a careless parser would take for it. `at` says which member
        of the body the object is.
        """
        found: dict[str, Span] = {}
        for key, span in _members(text, at).items():
            name = self._spelled.get(key)
            if name is not None:
                if name in found:
                    raise BadRequest("A field is given in both spellings.", param=joined(at, key))
                found[name] = span
            elif (meant := self._folded.get(_folded(key))) is not None:
                raise BadRequest(f"Unknown field; did you mean '{meant}'?", param=joined(at, meant))
        return found

    def values(self, text: bytes, at: str = "") -> dict[str, bytes]:
        """Return the text of each of these members that is given and not null."""
        spans = self.spans(text, at).items()
        given = {name: text[start:end] for name, (start, end) in spans}
        return {name: value for name, value in given.items() if value != _NULL}


def _members(text: bytes, at: str) -> dict[str, Span]:
    try:
        return members(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decode(_OBJECT, text, at)  # knows how to say what is wrong
        raise


def camel(name: str) -> str:
    """Return a name with underscores as the vendor documents it."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def joined(*names: str) -> str:
    """Return the path of a member in the body."""
    return ".".join(filter(None, names))


def _folded(name: str) -> str:
    return name.replace("_", "").casefold()
