"""Waits until a Celery worker answers: `python -m portal.dev.ping PATIENCE_S`.

Started by `run.py` as a process of its own, so that the supervisor need not import Celery.
"""

import os
import sys
import time

from celery import Celery

_ONE_TRY_S = 0.5


def main() -> int:
    """Return 0 as soon as a worker answers, 1 when patience is over."""
    control = Celery(broker=os.environ["REDIS_URL"]).control
    give_up_at = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < give_up_at:
        if control.ping(timeout=_ONE_TRY_S, limit=1):
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
