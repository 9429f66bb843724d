"""Tollgate on one machine, from a fresh clone.

    python3 dev.py run [--port N]       start everything, on http://127.0.0.1:8000 or the next port
    python3 dev.py test [ARGUMENTS]     run the tests; arguments go to pytest
    python3 dev.py prove [ARGUMENTS]    run the tests that grow at their full size, in minutes
    python3 dev.py fuzz [SECONDS]       look for bytes that break what reads them
    python3 dev.py clients [ARGUMENTS]  install real client programs and try the relay with them
    python3 dev.py screenshots [FOLDER] take pictures of every page
    python3 dev.py bench [ARGUMENTS]    measure the relay
    python3 dev.py COMMAND [ARGUMENTS]  any `manage.py` command, on the state that `run` uses

It needs Python 3.11 or newer and pip (or uv), and installs what else it needs into `.venv`.
The work is done in `portal/dev/`; this file only has to be readable by an older Python.
"""

import sys

OLDEST = (3, 11)


def main() -> int:
    """Refuse an old Python with a sentence instead of a traceback, else go on."""
    if sys.version_info < OLDEST:
        sys.exit(
            "Tollgate needs Python %d.%d or newer, and this is %d.%d. "  # noqa: UP031
            "Run it with a newer one, for example: python3.12 dev.py run"
            % (OLDEST + tuple(sys.version_info[:2]))
        )
    from portal.dev.cli import main as cli

    return cli(sys.argv[1:], usage=__doc__)


if __name__ == "__main__":
    sys.exit(main())
