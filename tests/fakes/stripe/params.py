"""Which parameters Stripe knows, by the types of its own library; any other one is refused."""

import re
import sys
from typing import Any

Form = dict[str, str]


class Refused(Exception):
    """A question that Stripe answers with an error."""

    def __init__(self, status: int, kind: str, code: str = "", said: str = "") -> None:
        super().__init__(said)
        self.status = status
        self.body = {"error": {"type": kind, "code": code or None, "message": said or kind}}


def check_names(form: Form, known: type) -> None:
    """Refuse a form with a parameter that a type of the library does not have."""
    for name in form:
        if not _is_known(re.findall(r"[^\[\]]+", name), known):
            raise Refused(400, "invalid_request_error", "parameter_unknown", name)


def inside(form: Form, name: str) -> Form:
    """Return what a form has below a name: `{"a": "1"}` of `name[a]=1`."""
    found = ((re.fullmatch(rf"{name}\[(\w+)\]", key), value) for key, value in form.items())
    return {match[1]: value for match, value in found if match}


def _is_known(path: list[str], known: type) -> bool:
    types: Any = known
    names = [name for name in path if not name.isdigit()]
    for place, name in enumerate(names, start=1):
        note = str(types.__annotations__.get(name))
        inner = re.search(rf"{known.__name__}\w+", note)
        if inner is None:
            return note != "None" and (place == len(names) or "Dict[" in note)
        types = getattr(sys.modules[known.__module__], inner[0])
    return True
