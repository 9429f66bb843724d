"""What a client gave, read with care: whatever is not what its name promises becomes a 400.

Bodies that are translated are rebuilt, so all of a body is read, and what nobody reads is refused:
`Given` is one JSON object of it together with its address, by which a refusal names the field.
Called by the translations of requests.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from relay.errors import BadRequest
from relay.protocols.decoding import decode, wrong_type

_ANY = msgspec.json.Decoder()


class Fate(NamedTuple):
    """What becomes of a field: it is carried over, left out on purpose, or refused.

    `harmless` are the values of a refused field that ask for nothing.
    """

    name: str
    harmless: tuple[Any, ...] = ()


CARRIED = Fate("carried")
LEFT_OUT = Fate("left out")


def refused_unless(*harmless: Any) -> Fate:
    """Return the fate of a field that can't be carried over, except for values without effect."""
    return Fate("refused", harmless)


REFUSED = refused_unless()


class Given:
    """A JSON object of a request and where it stands in it. A null counts as not given."""

    __slots__ = ("at", "members")

    def __init__(self, value: Any, at: str = "") -> None:
        if not isinstance(value, dict):
            raise wrong_type(at or "body", "an object")
        self.members: dict[str, Any] = value
        self.at = at

    def path(self, name: str) -> str:
        """Return the address of a member."""
        return f"{self.at}.{name}" if self.at else name

    def has(self, name: str) -> bool:
        """Say whether a member is given."""
        return self.members.get(name) is not None

    def get(self, name: str) -> Any:
        """Return a member as it is, None without one."""
        return self.members.get(name)

    def text(self, name: str) -> str:
        """Return a text, empty without one."""
        value = self.members.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise wrong_type(self.path(name), "a string")
        return value

    def needed(self, name: str) -> str:
        """Return a text that must be there."""
        text = self.text(name)
        if not text:
            where = self.path(name)
            raise BadRequest(f"Missing required parameter: '{where}'.", param=where)
        return text

    def number(self, name: str) -> float | int | None:
        """Return a number, None without one."""
        value = self.members.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise wrong_type(self.path(name), "a number")
        return value

    def flag(self, name: str) -> bool | None:
        """Return a boolean, None without one."""
        value = self.members.get(name)
        if not isinstance(value, bool | None):
            raise wrong_type(self.path(name), "a boolean")
        return value

    def list(self, name: str) -> list[Any]:
        """Return a list, empty without one."""
        value = self.members.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong_type(self.path(name), "an array")
        return value

    def object(self, name: str) -> "Given":
        """Return an object, empty without one."""
        value = self.members.get(name)
        return Given({} if value is None else value, self.path(name))

    def objects(self, name: str) -> Iterator["Given"]:
        """Yield the objects of a list."""
        where = self.path(name)
        for index, value in enumerate(self.list(name)):
            yield Given(value, f"{where}[{index}]")

    def only(self, known: Collection[str]) -> "Given":
        """Return itself; raises BadRequest if it has a member that is not known."""
        for name, value in self.members.items():
            if name not in known and value is not None:
                raise self.lost(name)
        return self

    def lost(self, name: str, why: str = "") -> BadRequest:
        """Return the refusal of a member that can't be carried over."""
        where = self.path(name)[:200]
        return BadRequest(
            f"'{where}' can't be carried over to this model{why and ': '}{why}.", param=where
        )


def read_body(body: bytes, fates: Mapping[str, Fate]) -> Given:
    """Return a request of which every field is known and none is lost."""
    given = Given(decode(_ANY, body))
    for name, value in given.members.items():
        if value is None:
            continue
        fate = fates.get(name, REFUSED)
        if fate.name == "refused" and not any(_is_same(value, h) for h in fate.harmless):
            raise given.lost(name)
    return given


def _is_same(value: Any, harmless: Any) -> bool:
    """Compare as JSON does: true is not 1, but 1.0 is."""
    return value == harmless and isinstance(value, bool) == isinstance(harmless, bool)


def parsed_object(text: str, param: str) -> dict[str, Any]:
    """Return the object that a text holds as JSON; an empty text is an empty object."""
    if not text.strip():
        return {}
    try:
        value = _ANY.decode(text)
    except (msgspec.DecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadRequest(f"Invalid value for '{param}': expected an object as JSON.", param=param)
    return value
