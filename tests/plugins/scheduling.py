"""Which tests of a parallel run go to the same worker: a file's, and those that share a system.

Loaded by `python3 dev.py test`. A running system is a fixture of one worker, and starting one
takes longer than most of what is tested in it.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

_SYSTEM = "tests/system/"


class SharedSystemScheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """One file after another, and those that share a system as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return _SYSTEM if file.startswith(_SYSTEM) else file


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> SharedSystemScheduling | None:
    """Take the place of xdist's own scheduling by files."""
    by_file = config.getvalue("dist") == "loadfile"
    return SharedSystemScheduling(config, log) if by_file else None
