"""A PostgreSQL connection that runs prepared statements in pipelines: one round trip for many.

On `psycopg.pq`, libpq itself, because the cursor layer costs more than our decisions. While the
server works the thread sleeps in `poll`, outside the interpreter's lock. Used by `engine_postgres`.
"""

import select
import time
from typing import Any, NamedTuple

import psycopg
from psycopg import errors, pq

_PATIENCE_S = 10.0
_CONNECT_TIMEOUT_S = 5

# Plans are made while the tables are nearly empty and kept for the life of the connection; without
# these a plan that scans a table stays in use when the table has grown.
_PLANNER = (
    "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan -c jit=off "
    "-c synchronous_commit=on -c TimeZone=UTC"
)

_FINE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


class Statement(NamedTuple):
    """A statement to prepare: its text with $1, $2, ... and the types of its parameters."""

    text: str
    types: tuple[int, ...] = ()


class Call(NamedTuple):
    """A prepared statement by its name, and its parameters in binary."""

    name: str
    parameters: tuple[bytes | None, ...] = ()


class Pipeline:
    """One connection with its statements prepared."""

    def __init__(self, parameters: dict[str, Any], statements: dict[str, Statement]) -> None:
        options = f"{parameters.get('options', '')} {_PLANNER}".strip()
        self._connection = psycopg.connect(
            **{
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                **parameters,
                "options": options,
            },
            autocommit=True,
        )
        self._pg = self._connection.pgconn
        try:
            for name, statement in statements.items():
                self._prepare(name, statement)
        except BaseException:
            self._connection.close()
            raise
        self._pg.enter_pipeline_mode()
        self._pg.nonblocking = 1
        self._poll = select.poll()
        self._poll.register(self._pg.socket, select.POLLIN)

    def close(self) -> None:
        """Disconnect; the server rolls back what is open."""
        self._pg.finish()

    def run(self, *calls: Call) -> list[pq.abc.PGresult]:
        """Run prepared statements in one round trip and return their results in binary.

        Raises the psycopg.Error of the first that fails; those after it are not run.
        """
        pg = self._pg
        for name, parameters in calls:
            pg.send_query_prepared(name.encode(), parameters, [1] * len(parameters), 1)
        pg.pipeline_sync()
        give_up_at = time.monotonic() + _PATIENCE_S
        self._send(give_up_at)
        results: list[pq.abc.PGresult] = []
        failed: psycopg.Error | None = None
        while True:
            result = self._next_result(give_up_at)
            if result is None:
                continue
            if result.status in _FINE:
                results.append(result)
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            elif result.status == pq.ExecStatus.FATAL_ERROR:
                failed = failed or errors.error_from_result(result)
                self._check_alive(failed)
        if failed is not None:
            raise failed
        return results

    def _send(self, give_up_at: float) -> None:
        while self._pg.flush():
            self._poll.modify(self._pg.socket, select.POLLIN | select.POLLOUT)
            self._wait(give_up_at)
            self._poll.modify(self._pg.socket, select.POLLIN)

    def _next_result(self, give_up_at: float) -> pq.abc.PGresult | None:
        # get_result() would block with the interpreter's lock held.
        while self._pg.is_busy():
            self._wait(give_up_at)
        return self._pg.get_result()

    def _wait(self, give_up_at: float) -> None:
        left_s = give_up_at - time.monotonic()
        if left_s <= 0 or not self._poll.poll(left_s * 1000):
            self.close()
            raise psycopg.OperationalError("the database did not answer in time")
        self._pg.consume_input()

    def _check_alive(self, failed: psycopg.Error) -> None:
        if self._pg.status != pq.ConnStatus.OK:
            raise failed

    def _prepare(self, name: str, statement: Statement) -> None:
        result = self._pg.prepare(name.encode(), statement.text.encode(), statement.types)
        if result.status not in _FINE:
            raise errors.error_from_result(result)
