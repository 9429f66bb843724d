"""Keeps a list of processes alive until it is told to stop, then stops them in order.

Used by `run.py`. It knows nothing of Tollgate: a service is a command line, the order of
starting is the caller's, the order of stopping is its reverse. One thread, no event loop: it
sleeps until a child ends, a signal comes, or a restart is due.
"""

import contextlib
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from portal.dev.process import kill, spawn

RESTART_AFTER_S = 1.0
RESTARTS_PER_MINUTE = 5
_MINUTE_S = 60.0
_PROBE_EVERY_S = 0.1
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SupervisorError(Exception):
    """The system cannot be brought up; the message says what failed."""


class StopRequestedError(Exception):
    """Somebody asked us to stop while the system was still coming up."""


@dataclass(frozen=True)
class Service:
    """One process to keep alive. `output` appends both its streams to a file."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    output: Path | None = None
    pass_fds: Sequence[int] = ()
    stop_patience_s: float = 10.0


@dataclass
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    restarted_at: deque[float] = field(default_factory=lambda: deque(maxlen=RESTARTS_PER_MINUTE))
    restart_due_at: float | None = None


class Supervisor:
    """Starts services, restarts those that die, stops all of them.

    A context manager: on entry it takes over the stop signals, even those that its own parent
    left ignored; on exit nothing that it started is left. `say` gets one line per event.
    """

    def __init__(
        self, say: Callable[[str], None], *, restart_after_s: float = RESTART_AFTER_S
    ) -> None:
        self._say = say
        self._restart_after_s = restart_after_s
        self._children: list[_Child] = []
        self._stops = 0
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            # nohup ignores SIGHUP and means it; a shell that ignores the others does not.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note_stop)
        signal.signal(signal.SIGCHLD, _only_wake)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_all()
        signal.set_wakeup_fd(-1)
        self._waker.close()
        self._wakened.close()

    @property
    def stopping(self) -> bool:
        """Tell whether somebody asked us to stop."""
        return self._stops > 0

    def start(self, service: Service) -> None:
        """Start a service and keep it alive from now on."""
        self.adopt(service, _spawn(service))

    def adopt(self, service: Service, process: subprocess.Popen[bytes]) -> None:
        """Keep alive what the caller has started already."""
        self._children.append(_Child(service, process))

    def run_step(self, service: Service) -> None:
        """Run something that ends, to its end.

        Raises SupervisorError if it fails, StopRequestedError if we are told to stop.
        """
        process = _spawn(service)
        try:
            while process.poll() is None:
                self._check_start()
                self._sleep(_PROBE_EVERY_S)
        finally:
            kill(process)
        self._check_start()
        if process.returncode != 0:
            raise SupervisorError(f"{service.name} failed ({_ending(process)})")

    def wait_until(self, probe: Callable[[], bool], *, what: str, patience_s: float) -> None:
        """Wait until `probe` says yes; the death of a service meanwhile is final.

        Raises SupervisorError or StopRequestedError.
        """
        give_up_at = time.monotonic() + patience_s
        while not probe():
            self._check_start()
            if time.monotonic() > give_up_at:
                raise SupervisorError(f"{what} did not answer within {patience_s:.0f} s")
            self._sleep(_PROBE_EVERY_S)
        self._check_start()

    def watch(self) -> None:
        """Keep the services alive until somebody asks us to stop."""
        while not self.stopping:
            now = time.monotonic()
            for child in self._children:
                self._look_after(child, now)
            due = [child.restart_due_at for child in self._children if child.restart_due_at]
            self._sleep(min(due) - now if due else None)

    def alive(self, name: str) -> bool:
        """Tell whether the named service runs."""
        return any(
            child.service.name == name and child.process.poll() is None for child in self._children
        )

    def _look_after(self, child: _Child, now: float) -> None:
        name = child.service.name
        if child.restart_due_at is not None:
            if now >= child.restart_due_at:
                child.restart_due_at = None
                child.restarted_at.append(now)
                child.process = _spawn(child.service)
                self._say(f"{name} restarted")
        elif child.process.poll() is not None:
            kill(child.process)  # what it may have left in its session
            wait_s = self._restart_after_s
            if len(child.restarted_at) == RESTARTS_PER_MINUTE:
                wait_s = max(wait_s, child.restarted_at[0] + _MINUTE_S - now)
            child.restart_due_at = now + wait_s
            self._say(f"{name} died ({_ending(child.process)}); restarting in {wait_s:.0f} s")

    def _check_start(self) -> None:
        if self.stopping:
            raise StopRequestedError
        for child in self._children:
            if child.process.poll() is not None:
                raise SupervisorError(f"{child.service.name} ended ({_ending(child.process)})")

    def _stop_all(self) -> None:
        while self._children:
            child = self._children.pop()
            self._stop(child)

    def _stop(self, child: _Child) -> None:
        asked_before = self._stops
        give_up_at = time.monotonic() + child.service.stop_patience_s
        if child.process.poll() is None:
            child.process.terminate()
        while child.process.poll() is None:
            # A second Ctrl-C means now.
            if time.monotonic() > give_up_at or self._stops > max(asked_before, 1):
                self._say(f"{child.service.name} did not stop in time; killed")
                break
            self._sleep(_PROBE_EVERY_S)
        kill(child.process)

    def _sleep(self, seconds: float | None) -> None:
        select.select([self._wakened], [], [], None if seconds is None else max(seconds, 0))
        with contextlib.suppress(BlockingIOError):
            while self._wakened.recv(64):
                pass

    def _note_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1


def _spawn(service: Service) -> subprocess.Popen[bytes]:
    with contextlib.ExitStack() as files:
        log = files.enter_context(service.output.open("ab")) if service.output else None
        return spawn(
            service.argv,
            env=service.env,
            cwd=service.cwd,
            # Our standard output is for what we say ourselves.
            output=log or sys.stderr.fileno(),
            pass_fds=service.pass_fds,
        )


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    """Stand as the handler of SIGCHLD: without one the signal would not wake us."""


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"status {code}" if code >= 0 else signal.Signals(-code).name
