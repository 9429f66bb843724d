"""Names that people give to shops, keys and channels: one line of text. Pure; for services."""

import re

from billing.errors import FieldInvalid

_holds_no_text = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search
"""Control characters and line ends; and surrogates, which is how Python reads a broken argument."""


def checked_name(name: str, *, what: str, at_least: int = 1, at_most: int) -> str:
    """Return a name as it is stored, without space around it. Raises FieldInvalid."""
    name = name.strip()
    if not at_least <= len(name) <= at_most or _holds_no_text(name):
        raise FieldInvalid(f"{what} must be one line of {at_least} to {at_most} characters.")
    return name
