"""A small system for the supervisor's tests: `python -m tests.portal.dev.supervised FOLDER`.

Three services that write down when they start and stop, in the order of a real one. The file
`FOLDER/order` says which of them the supervisor should be asked for.
"""

import sys
from pathlib import Path

from portal.dev.run import say
from portal.dev.supervisor import Service, StopRequestedError, Supervisor

_SERVICE = """
import os, signal, sys, time
name, folder = sys.argv[1:]
def note(event):
    with open(f"{folder}/events", "a") as events:
        events.write(f"{name} {event} {os.getpid()}\\n")
def stop(number, frame):
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("started")
while True:
    time.sleep(60)
"""


def main() -> None:
    """Run the three services until told to stop."""
    folder = Path(sys.argv[1])
    with Supervisor(say) as supervisor:
        for name in sys.argv[2:]:
            argv = [sys.executable, "-c", _SERVICE, name, str(folder)]
            supervisor.start(Service(name, argv))
        try:
            supervisor.wait_until(
                lambda: _started(folder) == len(sys.argv[2:]), what="all", patience_s=20
            )
        except StopRequestedError:
            return
        say("READY")
        supervisor.watch()
    say("stopped")


def _started(folder: Path) -> int:
    events = folder / "events"
    return events.read_text().count("started") if events.exists() else 0


if __name__ == "__main__":
    main()
