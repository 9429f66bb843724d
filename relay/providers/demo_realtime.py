"""The demo's side of a realtime conversation: it answers in text, and counts. Called by `demo`.

It hears sound, but writes. Whoever asks for a response gets one to the last words of the user.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec

from relay.providers.base import ConversationOver, LocalCall
from relay.providers.demo_text import (
    Directives,
    answer_tokens,
    count_prompt,
    read_directives,
)

_ANY = msgspec.json.Decoder(dict[str, Any])
_AUDIO_BYTES_PER_TOKEN = 6_400  # base64 of a tenth of a second
_SILENCE = 10_000
_CUT = 1006


class DemoConversation:
    """See Conversation."""

    def __init__(self, call: LocalCall) -> None:
        self._model = call.served
        self._outbox: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(_SILENCE)
        self._number = 0
        self._instructions = ""
        self._texts: list[str] = []
        self._heard = 0
        self._buffered = 0
        self._put("session.created", session=self._session())

    async def send(self, text: str) -> None:
        """Take an event of the client's."""
        try:
            event = _ANY.decode(text)
        except msgspec.DecodeError:
            event = {}
        kind = event.get("type")
        if kind == "session.update":
            self._instructions = str(_member(event, "session", "instructions") or "")
            self._put("session.updated", session=self._session())
        elif kind == "conversation.item.create":
            item = {"id": f"item_{self._number}", "status": "completed", **_part(event, "item")}
            self._texts.append(_text(item))
            self._put("conversation.item.added", item=item)
        elif kind == "input_audio_buffer.append":
            self._buffered += len(str(event.get("audio", "")))
        elif kind == "input_audio_buffer.commit":
            self._heard += self._buffered
            self._buffered = 0
            self._put("input_audio_buffer.committed", item_id=f"item_{self._number}")
        elif kind == "input_audio_buffer.clear":
            self._buffered = 0
            self._put("input_audio_buffer.cleared")
        elif kind == "response.create":
            self._respond()
        elif kind != "response.cancel":
            self._put(
                "error",
                error={"type": "invalid_request_error", "code": "invalid_value"}
                | {"message": "The demo does not know this event.", "param": "type"},
            )

    async def receive(self) -> str:
        """Return the next event of the demo's."""
        wait_ms, event = await self._outbox.get()
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if not event:
            raise ConversationOver(_CUT)
        return event.decode()

    async def close(self) -> None:
        """Forget what was said."""
        self._texts.clear()

    def _respond(self) -> None:
        prompt = self._texts[-1] if self._texts else ""
        told = read_directives(prompt)
        tokens = answer_tokens(prompt, told.tokens)
        response_id, item_id = f"resp_{self._number}", f"item_{self._number}"
        head = {"object": "realtime.response", "id": response_id}
        begun: dict[str, Any] = {**head, "status": "in_progress", "output": [], "usage": None}
        self._put("response.created", wait_ms=told.delay_ms, response=begun)
        at: dict[str, Any] = {"response_id": response_id, "item_id": item_id, "output_index": 0}
        for sent, token in enumerate(tokens):
            if sent == told.cut:
                self._outbox.put_nowait((0, b""))
                return
            self._put(
                "response.output_text.delta",
                wait_ms=told.chunk_delay_ms,
                **at,
                content_index=0,
                delta=token,
            )
        text = "".join(tokens)
        part = {"type": "output_text", "text": text}
        item = {"id": item_id, "type": "message", "role": "assistant", "content": [part]}
        self._put("response.output_text.done", **at, content_index=0, text=text)
        done = {**head, "status": "completed", "output": [item], "usage": self._usage(tokens, told)}
        self._put("response.done", response=done)
        self._texts.append(text)

    def _usage(self, written: list[str], told: Directives) -> dict[str, Any] | None:
        if told.usage == "none":
            return None
        text = count_prompt([self._instructions, *self._texts], messages=len(self._texts))
        audio = self._heard // _AUDIO_BYTES_PER_TOKEN
        return {
            "input_tokens": text + audio,
            "input_token_details": {"text_tokens": text, "audio_tokens": audio, "cached_tokens": 0},
            "output_tokens": len(written),
            "output_token_details": {"text_tokens": len(written), "audio_tokens": 0},
            "total_tokens": text + audio + len(written),
        }

    def _session(self) -> dict[str, Any]:
        known = {"type": "realtime", "object": "realtime.session", "model": self._model}
        return {**known, "output_modalities": ["text"], "instructions": self._instructions}

    def _put(self, kind: str, *, wait_ms: int = 0, **fields: Any) -> None:
        """Have the client told; with too much unread the demo hangs up."""
        self._number += 1
        event = {"type": kind, "event_id": f"event_{self._number}", **fields}
        if self._outbox.full():
            raise ConversationOver(_CUT)
        self._outbox.put_nowait((wait_ms, msgspec.json.encode(event)))


def _part(event: dict[str, Any], name: str) -> dict[str, Any]:
    found = event.get(name)
    return found if isinstance(found, dict) else {}


def _member(event: dict[str, Any], name: str, member: str) -> Any:
    return _part(event, name).get(member)


def _text(item: dict[str, Any]) -> str:
    return " ".join(_texts(item.get("content")))


def _texts(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]
