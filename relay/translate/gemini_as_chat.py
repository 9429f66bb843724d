"""OpenAI's chat clients on channels that speak Gemini's own protocol: what is answered.

Every event there is a small answer of its own. A call has an id for its client, made of the
answer's id and its place; the signature that Gemini wants back travels as `extra_content`, as in
Google's own imitation of OpenAI's interface. Called through `relay.translate`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from billing.pricing import Counts
from relay.protocols.base import EventFacts, RequestFacts
from relay.translate import chat_answers
from relay.translate.chat_answers import Head
from relay.translate.chat_to_gemini import MADE_ID
from relay.translate.shapes import as_index, as_object, as_text, objects_of, read_answer, read_event

Json = dict[str, Any]

_FINISH_REASONS = {
    "STOP": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "MAX_TOKENS": "length",
}


def _finish_reason_of(reason: object, *, has_calls: bool) -> str:
    """Return why a candidate has ended; whatever is no usual end was a filter of some kind."""
    ended = _FINISH_REASONS.get(str(reason), "content_filter")
    return "tool_calls" if ended == "stop" and has_calls else ended


class _Candidate:
    """One of the answers on its way: what has come with each part, as deltas of a chat."""

    __slots__ = ("calls", "has_begun", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.calls = 0
        self.has_begun = False

    def deltas(self, given: Json, answer_id: str) -> Iterator[Json]:
        """Yield a delta for each part."""
        for part in objects_of(as_object(given.get("content")).get("parts")):
            if "functionCall" in part:
                yield self._call(part, answer_id)
            elif text := as_text(part.get("text")):
                yield {"reasoning_content" if part.get("thought") else "content": text}
            elif "inlineData" in part and not part.get("thought"):
                yield {"images": [_image(as_object(part["inlineData"]))]}

    def _call(self, part: Json, answer_id: str) -> Json:
        call = as_object(part["functionCall"])
        arguments = msgspec.json.encode(call.get("args") or {}).decode()
        place = f"{self.index}_{self.calls}" if self.index else str(self.calls)
        id_ = str(call.get("id") or f"{MADE_ID}{answer_id}_{place}")
        signature = part.get("thoughtSignature")
        extra = {"google": {"thought_signature": signature}} if signature else None
        self.calls += 1
        return chat_answers.called(self.calls - 1, id_, str(call.get("name")), arguments, extra)

    def finish_reason(self, given: Json) -> str | None:
        """Return why it has ended, None while it has not."""
        reason = given.get("finishReason")
        return _finish_reason_of(reason, has_calls=self.calls > 0) if reason else None


def _image(data: Json) -> Json:
    url = f"data:{data.get('mimeType')};base64,{data.get('data')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _candidates(answer: Json) -> list[Json]:
    """Return the candidates; a prompt that was blocked is one that was filtered."""
    candidates = list(objects_of(answer.get("candidates")))
    if not candidates and as_object(answer.get("promptFeedback")).get("blockReason"):
        return [{"finishReason": "SAFETY"}]
    return candidates


def _head(answer: Json) -> Head:
    return chat_answers.head(answer.get("responseId"), answer.get("modelVersion"))


def chat_answer(body: bytes, counts: Counts | None, facts: RequestFacts) -> bytes:
    """Return a whole answer of Gemini as a chat has it."""
    answer = read_answer(body)
    answer_id = str(answer.get("responseId") or "0")
    choices = [_choice(given, answer_id) for given in _candidates(answer)]
    return chat_answers.whole(_head(answer), choices, counts)


def _choice(given: Json, answer_id: str) -> Json:
    candidate = _Candidate(as_index(given.get("index")))
    text, thought = "", ""
    calls: list[Json] = []
    images: list[Json] = []
    for delta in candidate.deltas(given, answer_id):
        text += delta.get("content", "")
        thought += delta.get("reasoning_content", "")
        images += delta.get("images", [])
        if "tool_calls" in delta:
            calls.append(delta)
    reason = candidate.finish_reason(given) or "stop"
    choice = chat_answers.choice(text, thought, calls, finish_reason=reason, index=candidate.index)
    if images:
        choice["message"]["images"] = images
    return choice


class ChatEvents:
    """Turns the events of one stream of Gemini into chunks of a chat."""

    __slots__ = ("_answer_id", "_candidates", "_counts", "_head", "_wants_usage")

    def __init__(self, facts: RequestFacts) -> None:
        self._wants_usage = facts.wants_usage
        self._counts: Counts | None = None
        self._head = chat_answers.head(None, facts.model)
        self._answer_id = ""
        self._candidates: dict[int, _Candidate] = {}

    def feed(self, event: bytes, facts: EventFacts) -> bytes:
        """Return the chunks for an event; see EventTranslator."""
        self._counts = facts.usage or self._counts
        answer = read_event(event)
        if answer and not self._answer_id:
            self._answer_id = str(answer.get("responseId") or "0")
            self._head = _head({"modelVersion": self._head.model} | answer)
        return b"".join(chunk for given in _candidates(answer) for chunk in self._chunks(given))

    def end(self) -> bytes:
        """Return the usage, if it was asked for, and the mark of the end."""
        if self._wants_usage and self._counts is not None:
            return chat_answers.usage_chunk(self._head, self._counts) + chat_answers.DONE
        return chat_answers.DONE

    def _chunks(self, given: Json) -> Iterator[bytes]:
        index = as_index(given.get("index"))
        candidate = self._candidates.setdefault(index, _Candidate(index))
        if not candidate.has_begun:
            candidate.has_begun = True
            first = {"role": "assistant", "content": ""}
            yield chat_answers.chunk(self._head, first, index=index)
        for delta in candidate.deltas(given, self._answer_id):
            yield chat_answers.chunk(self._head, delta, index=index)
        reason = candidate.finish_reason(given)
        if reason:
            yield chat_answers.chunk(self._head, {}, index=index, finish_reason=reason)
