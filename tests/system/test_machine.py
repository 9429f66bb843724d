"""The machinery around a running system: one per state, the next free port, small, gone when told.

In one order: the neighbour is stopped by the last test.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from portal.dev import state
from tests.system.running import RunningSystem, port_of

pytestmark = pytest.mark.system

# A machine of 1 GB should carry a shop and still have room for its page cache.
RESIDENT_KB = 450 * 1024
PATIENCE_S = 60


class Neighbour:
    """A second system on this machine, told to use the port of the first."""

    def __init__(self, folder: Path, *, port: int) -> None:
        ours = {name: value for name, value in os.environ.items() if "_URL" not in name}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portal.dev.run", "--port", str(port)],
            cwd=state.ROOT,
            env={**ours, "TOLLGATE_VAR": str(folder)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.greeting = ""
        for line in self.process.stdout:
            self.greeting += line
            if line.startswith("  stop"):
                break

    @property
    def url(self) -> str:
        found = re.search(r"^READY (\S+)$", self.greeting, re.MULTILINE)
        assert found, self.greeting
        return found[1]

    @property
    def pids(self) -> list[int]:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


@pytest.fixture(scope="module")
def neighbour(
    running_system: RunningSystem, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Neighbour]:
    neighbour = Neighbour(tmp_path_factory.mktemp("var"), port=port_of(running_system.url))
    yield neighbour
    neighbour.process.kill()
    neighbour.process.communicate()


def resident_kb(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def test_a_second_run_on_the_same_state_says_so_and_ends(running_system: RunningSystem) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "portal.dev.run"],
        cwd=state.ROOT,
        env={**os.environ, "TOLLGATE_VAR": str(running_system.state_folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    assert f"already running at {running_system.url}" in done.stdout


def test_a_taken_port_gives_way_to_the_next_one_aloud(
    running_system: RunningSystem, neighbour: Neighbour
) -> None:
    port = port_of(running_system.url)
    assert neighbour.greeting.startswith(f"port {port} is taken, using {port_of(neighbour.url)}\n")
    assert port_of(neighbour.url) > port


def test_the_printed_curl_line_names_a_key_that_works(neighbour: Neighbour) -> None:
    line = next(line for line in neighbour.greeting.splitlines() if "curl" in line)
    address, key, body = re.findall(r"(http\S+)|Bearer (\S+?)'|-d '(.*)'", line)
    headers = {"authorization": f"Bearer {key[1]}", "content-type": "application/json"}
    answer = httpx.post(address[0], headers=headers, content=body[2], timeout=30)
    assert answer.json()["choices"][0]["message"]["content"]


def test_the_printed_sign_in_opens_the_admin(neighbour: Neighbour) -> None:
    email, password = re.findall(r"/admin/  (\S+)  (\S+)", neighbour.greeting)[0]
    with httpx.Client(base_url=neighbour.url, follow_redirects=True, timeout=30) as browser:
        browser.get("/admin/")
        token = browser.cookies["csrftoken"]
        form = {"username": email, "password": password, "csrfmiddlewaretoken": token}
        page = browser.post("/admin/login/?next=/admin/", data=form)
    assert page.url.path == "/admin/"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_all_its_processes_fit_a_small_machine(neighbour: Neighbour) -> None:
    sizes = {pid: resident_kb(pid) for pid in neighbour.pids}
    assert len(sizes) == 5
    assert sum(sizes.values()) < RESIDENT_KB, sizes


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_stop_signal_leaves_no_process_and_no_listener(neighbour: Neighbour) -> None:
    pids = neighbour.pids
    neighbour.process.send_signal(signal.SIGTERM)
    assert neighbour.process.wait(timeout=PATIENCE_S) == 0
    assert not [pid for pid in pids[1:] if Path(f"/proc/{pid}").exists()]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port_of(neighbour.url))) != 0
