"""Processes that are killed on their way: each between two of its statements to the database.

`act_and_die` forks; the parent must have closed its own connections before, and no other threads
that matter. `wait` waits for one of the children.
"""

import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

from django.db import connection

from billing.scoping import tenant_scope


class Axe:
    """Kills its process before one of its statements to the database."""

    def __init__(self, place: int) -> None:
        self.place, self.seen = place, count(1)

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        """Do as Django's wrappers do."""
        if next(self.seen) == self.place:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(*arguments)


def act_and_die(work: Callable[[], object], *, tenant_id: int, place: int) -> None:
    """Do something for a tenant in a child that is killed at a place, unless it ends before."""
    if os.fork():
        return
    try:
        with tenant_scope(tenant_id), connection.execute_wrapper(Axe(place)):
            work()
    finally:
        os._exit(0)


def wait() -> bool:
    """Wait for a child; tell whether it was killed."""
    _, status = os.wait()
    return os.WIFSIGNALED(status)
