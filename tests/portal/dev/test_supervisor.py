"""The supervisor restarts what dies, stops in order, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from portal.dev.run import listen
from portal.dev.state import ROOT
from portal.dev.supervisor import Service, Supervisor, SupervisorError

PATIENCE_S = 20.0


class System:
    """A supervisor with three services, and what they wrote down."""

    def __init__(self, folder: Path, *, ignoring: tuple[signal.Signals, ...] = ()) -> None:
        def ignore() -> None:
            for number in ignoring:
                signal.signal(number, signal.SIG_IGN)

        self.folder = folder
        argv = [sys.executable, "-u", "-m", "tests.portal.dev.supervised", str(folder)]
        self.process = subprocess.Popen(
            [*argv, "store", "worker", "web"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=ignore,
        )

    def events(self, kind: str) -> list[tuple[str, int]]:
        lines = (self.folder / "events").read_text().splitlines()
        words = [line.split() for line in lines]
        return [(name, int(pid)) for name, event, pid in words if event == kind]

    def pids(self) -> dict[str, int]:
        return dict(self.events("started"))

    def said(self, wanted: str) -> str:
        assert self.process.stdout
        return next(line for line in self.process.stdout if wanted in line)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., System]]:
    started: list[System] = []

    def start(**options: tuple[signal.Signals, ...]) -> System:
        started.append(System(tmp_path, **options))
        started[-1].said("READY")
        return started[-1]

    yield start
    for system in started:
        system.process.kill()
        system.process.communicate()


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        # A zombie waits for its new parent to notice; it runs no more.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def eventually(condition: Callable[[], bool]) -> bool:
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.02)
    return True


def test_a_service_that_dies_is_restarted_after_a_second(start: Callable[..., System]) -> None:
    system = start()
    killed_at = time.monotonic()
    os.kill(system.pids()["worker"], signal.SIGKILL)
    assert "worker died (SIGKILL); restarting in 1 s" in system.said("died")
    system.said("worker restarted")
    assert time.monotonic() - killed_at >= 1
    assert eventually(lambda: len(system.events("started")) == 4)


def test_the_others_go_on_when_one_dies(start: Callable[..., System]) -> None:
    system = start()
    before = system.pids()
    os.kill(before["worker"], signal.SIGKILL)
    system.said("restarted")
    assert alive(before["store"])
    assert alive(before["web"])


def test_services_stop_in_the_reverse_order_of_their_start(start: Callable[..., System]) -> None:
    system = start()
    assert system.stop(signal.SIGTERM) == 0
    assert [name for name, _ in system.events("stopped")] == ["web", "worker", "store"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_leaves_nothing_behind(
    start: Callable[..., System], number: signal.Signals
) -> None:
    system = start()
    pids = system.pids().values()
    assert system.stop(number) == 0
    assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_works_even_if_inherited_as_ignored(
    start: Callable[..., System], number: signal.Signals
) -> None:
    system = start(ignoring=(signal.SIGINT, signal.SIGTERM))
    assert system.stop(number) == 0
    assert len(system.events("stopped")) == 3


def test_a_hangup_that_nohup_ignores_stays_ignored(start: Callable[..., System]) -> None:
    system = start(ignoring=(signal.SIGHUP,))
    system.process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        system.process.wait(timeout=0.5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_killed_supervisor_leaves_nothing_behind(start: Callable[..., System]) -> None:
    system = start()
    pids = system.pids().values()
    system.stop(signal.SIGKILL)
    assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_a_service_that_will_not_stop_is_killed(supervisor: Supervisor, said: list[str]) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(); time.sleep(60)"
    argv = [sys.executable, "-c", stubborn]
    with supervisor:
        supervisor.start(Service("mule", argv, stop_patience_s=0.2))
        time.sleep(0.3)
    assert "mule did not stop in time; killed" in said


def test_restarts_are_limited_to_five_a_minute(handlers: None) -> None:
    said: list[str] = []
    with Supervisor(said.append, restart_after_s=0.01) as supervisor:
        supervisor.start(Service("mayfly", [sys.executable, "-c", "pass"]))
        threading.Timer(1.5, os.kill, [os.getpid(), signal.SIGTERM]).start()
        supervisor.watch()
    assert said.count("mayfly restarted") == 5


def test_a_service_that_dies_during_the_start_ends_it(supervisor: Supervisor) -> None:
    with supervisor, pytest.raises(SupervisorError, match="mayfly ended \\(status 3\\)"):
        supervisor.start(Service("mayfly", [sys.executable, "-c", "raise SystemExit(3)"]))
        supervisor.wait_until(lambda: False, what="mayfly", patience_s=PATIENCE_S)


def test_a_failed_step_ends_the_start(supervisor: Supervisor) -> None:
    with supervisor, pytest.raises(SupervisorError, match="migrate failed \\(status 1\\)"):
        supervisor.run_step(Service("migrate", [sys.executable, "-c", "raise SystemExit(1)"]))


def test_a_probe_that_never_answers_is_given_up(supervisor: Supervisor) -> None:
    with supervisor, pytest.raises(SupervisorError, match="the web did not answer"):
        supervisor.wait_until(lambda: False, what="the web", patience_s=0.2)


def test_a_taken_port_gives_way_to_the_next_free_one() -> None:
    with listen(38000) as first, listen(first.getsockname()[1]) as second:
        assert second.getsockname()[1] > first.getsockname()[1]
        assert second.getsockname()[0] == "127.0.0.1"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str], handlers: None) -> Supervisor:
    return Supervisor(said.append)


@pytest.fixture
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
