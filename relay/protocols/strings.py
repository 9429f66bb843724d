"""The strings in a JSON value that a model reads or has written. Called by the dialects."""

from collections.abc import Collection, Iterator
from typing import Any


def strings_in(value: Any, *, but: Collection[str] = ()) -> Iterator[str]:
    """Yield every string of a value in order, except in the members that `but` names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item, but=but)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in but:
                yield from strings_in(item, but=but)
