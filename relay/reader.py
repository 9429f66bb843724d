"""The thread in which the relay reads through Django's ORM; nothing else there may do so.

Short reads only: snapshots, keys not seen before, billing look-ups. Each job opens its own tenant
scope. Errors of the database become LedgerUnavailable.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import structlog
from django.db import DatabaseError, InterfaceError, connections

from relay.errors import LedgerUnavailable

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

PATIENCE_S = 5.0


class Reader:
    """One thread with one database connection, kept: opening one costs more than a read."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="relay-reader")

    async def run(self, job: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `job` returns; raises LedgerUnavailable if the database fails or is late."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await loop.run_in_executor(self._pool, lambda: _run(job, *args, **kwargs))
        except TimeoutError:
            raise LedgerUnavailable from None

    async def close(self) -> None:
        """Close the connection and end the thread; a job that hangs is left behind."""
        closing = asyncio.get_running_loop().run_in_executor(self._pool, connections.close_all)
        await asyncio.wait([closing], timeout=1.0)
        self._pool.shutdown(wait=False, cancel_futures=True)


def _run(job: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Read on the connection there is; one that has died since is replaced once."""
    try:
        return job(*args, **kwargs)
    except (DatabaseError, InterfaceError):
        connections.close_all()
    try:
        return job(*args, **kwargs)
    except (DatabaseError, InterfaceError) as error:
        log.warning("database not readable", error=type(error).__name__)
        connections.close_all()
        raise LedgerUnavailable from None
