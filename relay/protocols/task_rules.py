"""What a generic route knows of its upstream's jobs: how they are named, asked for, and end.

Free of Django. Fields are written as paths, `data.task_id` or `data.0.id`; values are compared as
text, whatever their case, so `3`, `"FAILURE"` and `true` can all be named.
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from relay.protocols.videos import DONE, FAILED, RUNNING, decoded, is_plain

TASK = "{task}"
_MOST_STEPS = 8


class TaskRule(msgspec.Struct, frozen=True):
    """The rule of one route. `poll_path` stands below the route's prefix and contains `{task}`."""

    task_field: str
    poll_path: str
    state_field: str = ""
    done_values: Sequence[str] = ()
    failed_values: Sequence[str] = ()

    def task_of(self, body: bytes) -> str:
        """Return the job that an answer has begun, "" if it names none."""
        value = field_of(decoded(body), self.task_field)
        text = value if isinstance(value, str) else str(value) if type(value) is int else ""
        return text if is_plain(text) else ""

    def state_of(self, body: bytes) -> str | None:
        """Return the state that an answer gives a job; None if it gives none."""
        value = field_of(decoded(body), self.state_field)
        if value is None or isinstance(value, dict | list):
            return None
        word = word_of(value)
        if word in {text.casefold() for text in self.failed_values}:
            return FAILED
        return DONE if word in {text.casefold() for text in self.done_values} else RUNNING

    def address_of(self, task: str) -> str:
        """Return where a job's state is asked for, below the route's prefix."""
        return self.poll_path.replace(TASK, quote(task, safe=""))

    def task_near(self, path: str) -> str | None:
        """Return the job at or below whose address another one stands; None if there is none."""
        before = re.escape(self.poll_path.partition(TASK)[0])
        found = re.match(f"{before}([^/]+)", path)
        return unquote(found[1]) if found else None

    def task_at(self, path: str) -> str | None:
        """Return the job that an address below the prefix asks for; None if it asks for none."""
        before, _, after = (re.escape(part) for part in self.poll_path.partition(TASK))
        found = re.fullmatch(f"{before}([^/]+){after}/?", path)
        return unquote(found[1]) if found else None


def field_of(document: Any, path: str) -> Any:
    """Return what stands at a path of a document, None if nothing does."""
    if not path:
        return None
    for step in path.split(".")[:_MOST_STEPS]:
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def word_of(value: Any) -> str:
    """Return a plain value as it is compared: lower case, `true` and `false` as JSON has them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).casefold()
