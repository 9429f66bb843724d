"""A fake vendor on loopback that keeps things: responses, videos, tasks as Midjourney's relays do.

`with FakeJobs() as fake:` runs it in a thread. What it was asked stands in `asked`; how a job gets
on is what the test writes into `states`, by its id. Ids count from `first_id`: two fakes can give
the same ones. A prompt with `[refuse]` is refused at once, one with `[wait]` when `gate` opens.
"""

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self

CHUNK = b"film" * 16_384
RUNNING = {"videos": "queued", "mj": "IN_PROGRESS", "responses": "completed"}


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        """The body as a document."""
        return json.loads(self.body)


@dataclass
class FakeJobs:
    """The server; change `states` and `film_chunks` as the test wants them."""

    first_id: int = 1
    film_chunks: int = 3
    asked: list[Asked] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    sent_chunks: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.numbers = count(self.first_id)
        fake = self

        class Handler(_Handler):
            keeper = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def origin(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, method: str, path: str) -> list[Asked]:
        """Return the requests of a method at a path."""
        return [one for one in self.asked if (one.method, one.path) == (method, path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keeper: FakeJobs

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer what is kept."""
        asked = self._note()
        match asked.path.strip("/").split("/"):
            case ["v1", "videos", video, "content"]:
                self._film(video)
            case ["v1", "videos", video] if video in self.keeper.states:
                self._say({"id": video, "object": "video", "status": self.keeper.states[video]})
            case ["v1", "responses", kept] if "stream=true" in asked.target:
                self._events(kept)
            case ["v1", "responses", kept, *_] if kept in self.keeper.states:
                self._say({"id": kept, "object": "response", "path": asked.target})
            case ["mj", "task", task, "fetch"] if task in self.keeper.states:
                self._say({"id": task, "status": self.keeper.states[task]})
            case ["mj", "free", *_]:
                self._say({"target": asked.target})
            case _:
                self._say({"error": {"message": "no such thing", "code": "gone"}}, status=404)

    def do_POST(self) -> None:
        """Begin something."""
        asked = self._note()
        if b"[wait]" in asked.body:
            self.keeper.gate.wait(10)
        if b"[refuse]" in asked.body:
            self._say({"code": 24, "description": "no such words"})
            return
        match asked.path.strip("/").split("/"):
            case ["v1", "videos"] | ["v1", "videos", _, "remix"]:
                video = self._new("video_{}", "videos")
                self._say({"id": video, "object": "video", "status": "queued", "seconds": "4"})
            case ["v1", "responses"]:
                kept = self._new("resp_{}", "responses")
                self._say(_response(kept))
            case ["v1", "responses", kept, "cancel"]:
                self._say({"id": kept, "status": "cancelled"})
            case ["deep", "echo", "nothing"]:
                self.send_response(204)
                self.end_headers()
            case ["deep", "echo", "events"]:
                self._slow_events()
            case ["mj", "submit", *_]:
                self._say({"code": 1, "description": "queued", "result": self._new("17{}", "mj")})
            case [*_, "wrong"]:
                self._say({"code": 4, "description": f"{asked.body.decode()} is wrong"}, status=422)
            case _:
                self._say({"echo": asked.body.decode("latin-1")})

    def do_DELETE(self) -> None:
        """Forget something."""
        asked = self._note()
        gone = asked.path.rpartition("/")[2]
        known = self.keeper.states.pop(gone, None) is not None
        self._say({"id": gone, "deleted": known}, status=200 if known else 404)

    def _note(self) -> Asked:
        length = int(self.headers.get("content-length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(length))
        self.keeper.asked.append(asked)
        return asked

    def _new(self, form: str, kind: str) -> str:
        name = form.format(next(self.keeper.numbers))
        self.keeper.states[name] = RUNNING[kind]
        return name

    def _say(self, document: Any, *, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self, kept: str) -> None:
        body = b"".join(b'data: {"id":"%b","n":%d}\n\n' % (kept.encode(), n) for n in range(3))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _slow_events(self) -> None:
        first, last = b"data: 1\n\n", b"data: 2\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(first + last)))
        self.end_headers()
        self.wfile.write(first)
        self.keeper.gate.wait(10)
        self.wfile.write(last)

    def _film(self, video: str) -> None:
        if self.keeper.states.get(video) != "completed":
            self._say({"error": {"message": "not ready"}}, status=404)
            return
        self.send_response(200)
        self.send_header("content-type", "video/mp4")
        self.send_header("content-length", str(len(CHUNK) * self.keeper.film_chunks))
        self.end_headers()
        with suppress(OSError):  # who has seen enough hangs up
            for _ in range(self.keeper.film_chunks):
                self.wfile.write(CHUNK)
                self.keeper.sent_chunks += 1


def _response(kept: str) -> dict[str, Any]:
    said = {"type": "output_text", "text": "kept", "annotations": []}
    return {
        "id": kept,
        "object": "response",
        "status": "completed",
        "model": "gpt-4",
        "output": [{"type": "message", "role": "assistant", "content": [said]}],
        "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
    }
