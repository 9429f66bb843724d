"""What the demo provider says, and how long that is: pure and deterministic.

A token of the demo is a word of at most eight letters (longer ones are cut), one Chinese, Japanese
or Korean character, or one other sign; white space belongs to the token after it. Its usage and its
stream follow this rule, so the two always agree.
"""

import base64
import hashlib
import re
import struct
from itertools import chain, cycle, islice
from typing import Any

import msgspec

MAX_TOKENS = 100_000
MAX_DELAY_MS = 600_000

_TOKEN = re.compile(r"\s*(?:[A-Za-z0-9_]{1,8}|\S)|\s+$")
_DIRECTIVE = re.compile(r"\[demo ([^\]]{1,200})\]")
_SETTING = re.compile(r"([a-z_]+)=([A-Za-z0-9_]+)")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_QUOTED_CHARS = 80

_ENGLISH = (
    "Hello! This is the demo channel: it answers every request by itself, so that keys, prices and"
    " clients can be tried before a real channel is set up."
)
_CHINESE_WORDS = (
    "你好！这里是演示通道：它自己回答每个请求，方便你在接入真实通道之前试用密钥、价格和客户端。"
)
_FILLER = " The demo goes on, one word after another, until it has said enough."


class Directives(msgspec.Struct):
    """What a prompt tells the demo to do; see docs/reference/demo-provider.md."""

    status: int = 0
    delay_ms: int = 0
    chunk_delay_ms: int = 0
    silent_ms: int = 0
    cut: int = -1
    error_event: int = -1
    tokens: int = 0
    usage: str = ""
    retry_after: int = 0
    tool: bool = False
    fail: bool = False
    lasts_ms: int = 1_000


_FLAGS = ("tool", "fail")
_NUMBERS = frozenset(Directives.__struct_fields__) - {"usage", *_FLAGS}


def read_directives(text: str) -> Directives:
    """Return the directives in a prompt; what is unknown or no number is passed over."""
    found = Directives()
    for directive in _DIRECTIVE.findall(text):
        for flag in _FLAGS:
            if flag in directive.split():
                setattr(found, flag, True)
        for name, value in _SETTING.findall(directive):
            if name == "usage":
                found.usage = value
            elif name in _NUMBERS and value.isdigit() and len(value) <= 9:
                setattr(found, name, int(value))
    found.tokens = min(found.tokens, MAX_TOKENS)
    for name in ("delay_ms", "chunk_delay_ms", "silent_ms", "lasts_ms"):
        setattr(found, name, min(getattr(found, name), MAX_DELAY_MS))
    return found


def tokens_of(text: str) -> list[str]:
    """Return the demo's tokens of a text; joined they are the text."""
    return _TOKEN.findall(text)


def count_prompt(texts: list[str], *, messages: int) -> int:
    """Return the tokens of a prompt: its texts, three a message, three for the answer's start."""
    overhead = 3 * messages + 3 if messages else 0
    return sum(len(tokens_of(text)) for text in texts) + overhead


def answer_tokens(prompt: str, wanted: int) -> list[str]:
    """Return the answer to a prompt; with `wanted` it is exactly that many tokens long."""
    plain = _DIRECTIVE.sub("", prompt).strip()
    quoted = plain if len(plain) <= _QUOTED_CHARS else plain[:_QUOTED_CHARS] + "…"
    if _CHINESE.search(plain):
        text = f"{_CHINESE_WORDS}你说的是：“{quoted}”"
    else:
        text = f"{_ENGLISH} You wrote: “{quoted}”" if quoted else _ENGLISH
    tokens = tokens_of(text)
    if wanted:
        return list(islice(chain(tokens, cycle(tokens_of(_FILLER))), wanted))
    return tokens


def cut_at_stop(tokens: list[str], stops: list[str]) -> list[str]:
    """Return the tokens before the first stop sequence."""
    text = "".join(tokens)
    ends = [text.find(stop) for stop in stops if stop and stop in text]
    if not ends:
        return tokens
    return tokens_of(text[: min(ends)])


def vector(text: Any, dimensions: int) -> tuple[float, ...]:
    """Return a vector of length one that is always the same for the same text or token ids."""
    seed = msgspec.json.encode(text)
    raw = hashlib.shake_256(seed).digest(2 * dimensions)
    numbers = struct.unpack(f"<{dimensions}h", raw)
    length = sum(number * number for number in numbers) ** 0.5 or 1.0
    return tuple(number / length for number in numbers)


def packed_vector(numbers: tuple[float, ...]) -> str:
    """Return a vector as clients ask for by `base64`: little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
