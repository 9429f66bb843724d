"""A thousand requests of every kind that a relay meets, made from a seed: the plan of a mixed run.

Each case says what the fake upstream is told to do (`tests/fakes/upstream.py`), how the client
behaves, and how its charge is to be judged.
"""

import random
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.fakes.vendor import WORDS

MODEL, RETRIED, DROPPED, REFUSED = "mixed", "mixed-retried", "mixed-dropped", "mixed-refused"
PRICES: dict[str, dict[str, str | int]] = {
    name: {"input": 20, "cached_input": "2.000003", "output": "40.5", "reasoning": 60}
    for name in (MODEL, RETRIED, DROPPED, REFUSED)
}
CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
PROMPT_WORDS = 500
FIRST_ANSWER_MS = 400


class Judged(Enum):
    """By what a charge is judged."""

    USAGE = "the upstream's usage"
    COUNT = "what was delivered"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Case:
    """One request. `leaves_after` pieces of text the client hangs up; 0 is before any answer.

    With `may_fail` the relay may see the trouble before it has delivered anything, and fail.
    """

    ref: str
    judged: Judged
    directive: str
    model: str = MODEL
    path: str = CHAT
    stream: bool = False
    leaves_after: int | None = None
    may_fail: bool = False
    fields: dict[str, Any] = field(default_factory=dict)
    prompt: str = ""

    @property
    def text(self) -> str:
        """The whole text of the prompt."""
        return f"[ref={self.ref}] [fake {self.directive}] {self.prompt}"

    @property
    def body(self) -> dict[str, Any]:
        """The request as it is sent."""
        asked: dict[str, Any] = {"model": self.model, **self.fields}
        if self.path == CHAT:
            asked["messages"] = [{"role": "user", "content": self.text}]
        elif self.path == COMPLETIONS:
            asked["prompt"] = self.text
        else:
            asked["input"] = self.text
        return asked | {"stream": True} if self.stream else asked


def cases(count: int, *, seed: int) -> list[Case]:
    """Return `count` cases of all kinds, in random order."""
    chance = random.Random(seed)
    total = sum(share for share, _ in _KINDS)
    kinds = [kind for share, kind in _KINDS for _ in range(round(share * count / total))]
    kinds += [_KINDS[0][1]] * (count - len(kinds))
    chance.shuffle(kinds)
    return [_case(number, kind, chance) for number, kind in enumerate(kinds[:count])]


def _case(number: int, kind: "_Kind", chance: random.Random) -> Case:
    made = {"ref": f"case-{number}", "prompt": " ".join(chance.choices(WORDS, k=PROMPT_WORDS))}
    return Case(**made | kind(chance))


def _whole(chance: random.Random) -> dict[str, Any]:
    extra = chance.choice(["", "cached=50", "reasoning=40", "tool", "refusal", "lang=zh", "gzip"])
    told = f"tokens={chance.randint(3, 80)} {extra}"
    return {"judged": Judged.USAGE, "directive": told}


def _stream(chance: random.Random) -> dict[str, Any]:
    shape = chance.choice(["", "crlf", "ping", "split=9", "chunk_chars=2", "chunk_chars=90"])
    usage = chance.choice(["", "usage=each", "usage=last", "cached=50", "reasoning=40", "tool"])
    told = f"tokens={chance.randint(3, 80)} {shape} {usage}"
    asks = {"stream_options": {"include_usage": True}} if chance.random() < 0.5 else {}
    return {"judged": Judged.USAGE, "directive": told, "stream": True, "fields": asks}


def _second_try(chance: random.Random) -> dict[str, Any]:
    model = chance.choice([RETRIED, DROPPED])
    kind = chance.choice([_whole, _stream])
    return kind(chance) | {"model": model}


def _completion(chance: random.Random) -> dict[str, Any]:
    kind = chance.choice([_whole, _stream])(chance)
    return kind | {"path": COMPLETIONS, "directive": f"tokens={chance.randint(3, 80)}"}


def _embedding(chance: random.Random) -> dict[str, Any]:
    return {"judged": Judged.USAGE, "directive": "", "path": EMBEDDINGS}


def _without_usage(chance: random.Random) -> dict[str, Any]:
    shape = chance.choice(["", "chunk_chars=2", "chunk_chars=90", "lang=zh", "tool"])
    told = f"tokens={chance.randint(20, 150)} usage={chance.choice(['none', 'null'])} {shape}"
    return {"judged": Judged.COUNT, "directive": told, "stream": chance.random() < 0.7}


def _client_leaves(chance: random.Random) -> dict[str, Any]:
    told = f"tokens=200 delay_ms=100 {chance.choice(['', 'chunk_chars=2', 'lang=zh'])}"
    after = chance.randint(1, 15)
    return {"judged": Judged.COUNT, "directive": told, "stream": True, "leaves_after": after}


def _client_leaves_early(chance: random.Random) -> dict[str, Any]:
    told = f"silent_ms={8 * FIRST_ANSWER_MS}"
    streams = chance.random() < 0.5
    return {"judged": Judged.NOTHING, "directive": told, "stream": streams, "leaves_after": 0}


def _broken_off(chance: random.Random) -> dict[str, Any]:
    trouble = f"{chance.choice(['cut', 'error_event', 'junk'])}={chance.randint(1, 120)}"
    told = f"tokens=150 pause_ms=50 {trouble} {chance.choice(['', 'lang=zh'])}"
    return {"judged": Judged.COUNT, "directive": told, "stream": True, "may_fail": True}


def _client_mistake(chance: random.Random) -> dict[str, Any]:
    told = f"status={chance.choice([400, 404, 413, 422])}"
    return {"judged": Judged.NOTHING, "directive": told, "stream": chance.random() < 0.5}


def _upstream_trouble(chance: random.Random) -> dict[str, Any]:
    status = chance.choice([401, 403, 408, 429, 500, 502, 503, 529])
    shape = chance.choice(["", "html", "empty", "retry_after=1"])
    streams = chance.random() < 0.5
    return {"judged": Judged.NOTHING, "directive": f"status={status} {shape}", "stream": streams}


def _useless_answer(chance: random.Random) -> dict[str, Any]:
    told = chance.choice(["truncated", "cut=0", "html", "empty", "drop_before_headers"])
    return {"judged": Judged.NOTHING, "directive": told}


def _useless_stream(chance: random.Random) -> dict[str, Any]:
    told = chance.choice(["role_then_error", "cut=0", "error_event=0", "drop_before_headers"])
    return {"judged": Judged.NOTHING, "directive": told, "stream": True}


def _refused_credential(chance: random.Random) -> dict[str, Any]:
    streams = chance.random() < 0.5
    return {"judged": Judged.NOTHING, "directive": "", "model": REFUSED, "stream": streams}


_Kind = Any  # a function from a source of chance to the fields of a case
_KINDS: list[tuple[int, _Kind]] = [
    (20, _whole),
    (26, _stream),
    (8, _second_try),
    (3, _completion),
    (3, _embedding),
    (10, _without_usage),
    (9, _client_leaves),
    (3, _client_leaves_early),
    (7, _broken_off),
    (3, _client_mistake),
    (4, _upstream_trouble),
    (2, _useless_answer),
    (1, _useless_stream),
    (1, _refused_credential),
]
