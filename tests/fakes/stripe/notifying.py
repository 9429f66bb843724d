"""Delivers events to a shop's notify address in the order in which they happen, one at a time."""

import json
import queue
import threading
from dataclasses import dataclass, field

import httpx

from tests.fakes.stripe.books import Json
from tests.fakes.stripe.signing import signed

_PATIENCE_S = 15.0
_TRIES = 3


@dataclass
class Notifier:
    """Tells one address, by a thread of its own; `answers` are the kinds of events and statuses.

    What is not answered by 2xx is told again, at once and not for hours.
    """

    url: str
    secret: str = field(repr=False)
    answers: list[tuple[str, int]] = field(default_factory=list)
    _waiting: "queue.Queue[Json | None]" = field(default_factory=queue.Queue)

    def start(self) -> None:
        """Begin to deliver."""
        threading.Thread(target=self._run, daemon=True).start()

    def tell(self, event: Json) -> None:
        """Deliver an event, soon."""
        self._waiting.put(event)

    def wait(self) -> None:
        """Wait until all that was to be told is told."""
        self._waiting.join()

    def stop(self) -> None:
        """Deliver what is left, and end."""
        self._waiting.put(None)
        self.wait()

    def _run(self) -> None:
        with httpx.Client(trust_env=False, timeout=_PATIENCE_S) as client:
            while (event := self._waiting.get()) is not None:
                self._deliver(event, client)
                self._waiting.task_done()
        self._waiting.task_done()

    def _deliver(self, event: Json, client: httpx.Client) -> None:
        for _ in range(_TRIES):
            sent = signed(json.dumps(event).encode(), secret=self.secret)
            try:
                status = client.post(self.url, content=sent.body, headers=sent.headers).status_code
            except httpx.HTTPError:
                status = 0
            self.answers.append((event["type"], status))
            if 200 <= status < 300:
                return
