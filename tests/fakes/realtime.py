"""A fake vendor of realtime conversations on loopback: real WebSockets, told by what is said.

`with FakeRealtime() as fake:` runs it in threads. Channels get `fake.base_url` and a credential
that begins with `sk-fake-`; `status=503` as the first part of the path refuses every conversation.
Words in the last text decide over its answer: `[fake tokens=5 audio_s=2 cut=3 usage=none]`; they
are the fields of `Script`. What happened stands in `talks`.
"""

import base64
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

Json = dict[str, Any]

SOUND = base64.b64encode(bytes(4_800)).decode()  # a tenth of a second: two tokens
DROP = "drop"
_DIRECTIVE = re.compile(r"\[fake ([^\]]*)\]")
_STATUS = re.compile(r"/status=(\d+)/")


@dataclass
class Script:
    """What one answer is told to be; `close` is a close code, `error` the code of an event."""

    tokens: int = 5
    audio_s: int = 0
    context: int = 0
    cached: int = 0
    cut: int = -1
    usage: str = "full"
    close: int = 0
    error: str = ""
    hang: int = 0
    transcript: str = ""

    def read(self, text: str) -> "Script":
        """Take over the directives of a text."""
        for directive in _DIRECTIVE.findall(text):
            for word in directive.split():
                name, _, value = word.partition("=")
                setattr(self, name, int(value) if value.lstrip("-").isdigit() else value)
        return self


@dataclass
class Talk:
    """One conversation as its vendor saw it."""

    path: str
    headers: dict[str, str]
    events: list[Json] = field(default_factory=list)
    usages: list[Json] = field(default_factory=list)
    deltas: int = 0
    ended: bool = False


class FakeRealtime:
    """The server; `talks` in order of arrival. With `tls` it speaks that."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.talks: list[Talk] = []
        self._scheme = "http" if tls is None else "https"
        self._server = serve(
            self._converse, "127.0.0.1", 0, process_request=self._refusal, compression=None, ssl=tls
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def origin(self) -> str:
        """Return the address without a path."""
        host = "127.0.0.1" if self._scheme == "http" else "localhost"
        return f"{self._scheme}://{host}:{self._server.socket.getsockname()[1]}"

    @property
    def base_url(self) -> str:
        """Return what a channel takes as its base URL."""
        return f"{self.origin}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)

    def _refusal(self, socket: ServerConnection, request: Request) -> Response | None:
        told = _STATUS.search(request.path)
        key = request.headers.get("authorization", request.headers.get("api-key", ""))
        if told or "sk-fake-" not in key:
            status = int(told[1]) if told else 401
            error = {"message": "Fake trouble for org-FakeOrg123456", "type": "server_error"}
            return socket.respond(status, json.dumps({"error": error}))
        return None

    def _converse(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        headers = {name.lower(): value for name, value in socket.request.headers.raw_items()}
        talk = Talk(socket.request.path, headers)
        self.talks.append(talk)
        try:
            _say(socket, "session.created", session={"type": "realtime", "model": "fake"})
            _say(socket, "rate_limits.updated", rate_limits=[{"name": "tokens", "limit": 40_000}])
            for text in socket:
                event: Json = json.loads(text)
                talk.events.append(event)
                if event["type"] == "response.create":
                    self._respond(socket, talk)
        except ConnectionClosed:
            pass
        finally:
            talk.ended = True

    def _respond(self, socket: ServerConnection, talk: Talk) -> None:
        script = Script().read(_last_text(talk))
        if script.error:
            words = f"Trouble in org-FakeOrg123456 with {talk.headers['authorization']}"
            trouble = {"type": "server_error", "code": script.error, "message": words}
            _say(socket, "error", error=trouble)
            return
        if script.close:
            socket.close(script.close)
            return
        _say(socket, "response.created", response={"id": "resp_1", "status": "in_progress"})
        for number in range(script.tokens + 10 * script.audio_s):
            if number == script.cut:
                socket.socket.close()
                return
            is_text = number < script.tokens
            kind = "response.output_text.delta" if is_text else "response.output_audio.delta"
            _say(socket, kind, delta=" word" if is_text else SOUND)
            talk.deltas += 1
        if script.hang:
            socket.recv()
        if script.transcript:
            _say(
                socket,
                "conversation.item.input_audio_transcription.completed",
                transcript="Hello",
                usage={"type": "duration", "seconds": float(script.transcript)},
            )
        usage = _usage(talk, script)
        if script.usage == "none":
            _say(socket, "response.done", response={"status": "completed", "usage": None})
            return
        talk.usages.append(usage)
        _say(socket, "response.done", response={"status": "completed", "usage": usage})


def _usage(talk: Talk, script: Script) -> Json:
    text, audio_out = 9 + script.context, 20 * script.audio_s
    heard = sum(len(event.get("audio", "")) for event in talk.events)
    audio_in = heard // len(SOUND)
    return {
        "total_tokens": text + audio_in + script.tokens + audio_out,
        "input_tokens": text + audio_in,
        "output_tokens": script.tokens + audio_out,
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": audio_in,
            "cached_tokens": script.cached,
            "cached_tokens_details": {"text_tokens": script.cached, "audio_tokens": 0},
        },
        "output_token_details": {"text_tokens": script.tokens, "audio_tokens": audio_out},
    }


def _last_text(talk: Talk) -> str:
    items = [event["item"] for event in talk.events if event["type"] == "conversation.item.create"]
    return json.dumps(items[-1]) if items else ""


def _say(socket: ServerConnection, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, "event_id": "event_1", **fields}))
