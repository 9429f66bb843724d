"""Counting tokens: what we do only when no usage is reported or a balance can't afford the bound.

The tokenizers' rank files come with us (`relay/data/NOTICE`) and are unpacked below the state
folder when they are first needed; nothing here ever touches the network. Loading takes a quarter of
a second and counting a millisecond for 20 KB: callers stay off the event loop (`count_pending` does
so itself). Free of Django.
"""

import asyncio
import hashlib
import lzma
import os
import re
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

import tiktoken

CL100K = "cl100k_base"
O200K = "o200k_base"
# Where tiktoken looks a rank file up in its cache, and the digest it insists on.
_RANKS = {
    CL100K: (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    O200K: (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
_DATA_DIR = Path(__file__).parent / "data"
_CACHE_DIR_VARIABLE = "TIKTOKEN_CACHE_DIR"

_NEWER = re.compile(r"(?:^|[/:])(?:gpt-4o|gpt-4\.[15]|gpt-[5-9]|gpt-oss|chatgpt-4o|o\d)")
_OLDER = re.compile(r"(?:^|[/:])(?:gpt-4|gpt-3\.5|gpt-35|text-|davinci|babbage|ada|curie)")

BLOCK_BYTES = 1_024
_MESSAGE_TOKENS = 3
_ANSWER_START_TOKENS = 3
_SLICE_CHARS = 50_000
# Between two words of one line no tokenizer merges across: a text may be cut there.
_WORD_START = re.compile(r"(?<=\S)(?= \S)")

_loading = threading.Lock()


class RanksMissing(RuntimeError):
    """`install_ranks` was not called, or a rank file that came with us is damaged."""


def install_ranks(state_dir: Path) -> None:
    """Say where rank files are unpacked to; call once at start-up, before any counting."""
    folder = state_dir / "tiktoken"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[_CACHE_DIR_VARIABLE] = str(folder)


def encoding_name(model: str) -> str:
    """Return the tokenizer of a model; o200k_base stands in for other vendors' models."""
    if _NEWER.search(model):
        return O200K
    return CL100K if _OLDER.search(model) else O200K


def has_public_tokenizer(model: str) -> bool:
    """Return whether our count is the model's own, not an estimate by another tokenizer."""
    return bool(_NEWER.search(model) or _OLDER.search(model))


def count(text: str, model: str) -> int:
    """Return the tokens of a text; exact up to 50,000 characters, nearly so beyond."""
    encoding = _encoding(encoding_name(model))
    return sum(len(encoding.encode_ordinary(part)) for part in _slices(text))


def split(text: str, encoding: str) -> list[bytes]:
    """Return the tokens of a text as the bytes they stand for; of special tokens it knows none."""
    found = _encoding(encoding)
    return found.decode_tokens_bytes(found.encode_ordinary(text))


def count_prompt(
    texts: Iterable[str],
    model: str,
    *,
    messages: int = 0,
    token_ids: int = 0,
    is_bound: bool = False,
) -> int:
    """Return the tokens of a prompt: its texts, its token ids, what each message adds.

    As a bound, to hold by, the count of a model without a public tokenizer grows by 30 %.
    """
    tokens = sum(count(text, model) for text in texts) + token_ids
    if messages:
        tokens += _MESSAGE_TOKENS * messages + _ANSWER_START_TOKENS
    if is_bound and not has_public_tokenizer(model):
        tokens = -(-tokens * 13 // 10)
    return tokens


class TokenMeter:
    """Counts a text that arrives in pieces of any size.

    `counted` is the count of all that `count_pending` has seen, `bound` adds a token for each byte
    since. The end of what was counted is kept and counted again with what follows, so that neither
    the size of the pieces nor the moments of counting matter.
    """

    __slots__ = ("_counting", "_model", "_pending", "_settled", "_tail", "counted", "pending_bytes")

    def __init__(self, model: str) -> None:
        self.counted = 0
        self.pending_bytes = 0
        self._model = model
        self._pending: list[str] = []
        self._settled = 0
        self._tail = ""
        self._counting: asyncio.Lock | None = None

    @property
    def bound(self) -> int:
        """Return how many tokens it can be at most."""
        return self.counted + self.pending_bytes

    @property
    def has_block(self) -> bool:
        """Return whether enough has arrived to be worth counting."""
        return self.pending_bytes >= BLOCK_BYTES

    def add(self, text: str) -> None:
        """Note a piece of text; cheap."""
        if text:
            self._pending.append(text)
            self.pending_bytes += len(text) if text.isascii() else len(text.encode())

    async def count_pending(self) -> int:
        """Count what has arrived, in a worker thread; return `counted`."""
        if self._counting is None:
            self._counting = asyncio.Lock()
        async with self._counting:
            if not self._pending:
                return self.counted
            arrived, arrived_bytes = len(self._pending), self.pending_bytes
            text = "".join((self._tail, *self._pending))
            settled, self._tail, in_tail = await asyncio.to_thread(self._count, text)
            del self._pending[:arrived]
            self.pending_bytes -= arrived_bytes
            self._settled += settled
            self.counted = self._settled + in_tail
            return self.counted

    def _count(self, text: str) -> tuple[int, str, int]:
        """Return the count of what no later text can change, the rest, and its count for now."""
        cut = _last_word_start(text) if len(text) >= BLOCK_BYTES else 0
        settled = count(text[:cut], self._model) if cut else 0
        return settled, text[cut:], count(text[cut:], self._model)


def _last_word_start(text: str) -> int:
    """Return where the last word begins; without words, the end."""
    start = 0
    for found in _WORD_START.finditer(text, max(0, len(text) - BLOCK_BYTES // 2)):
        start = found.start()
    return start or len(text)


def _slices(text: str) -> Iterable[str]:
    """Yield a text in parts that are short enough, cut between words where there are any."""
    while len(text) > _SLICE_CHARS:
        cut = _last_word_start(text[:_SLICE_CHARS])
        yield text[:cut]
        text = text[cut:]
    yield text


def _encoding(name: str) -> tiktoken.Encoding:
    with _loading:
        known = tiktoken.registry.ENCODINGS.get(name)
        if known is None:
            _unpack(name)
            known = tiktoken.get_encoding(name)
        return known


def _unpack(name: str) -> None:
    """Put a rank file where tiktoken finds it: whole or not at all, and never a wrong one.

    With a wrong or missing file tiktoken would try to fetch it.
    """
    folder = os.environ.get(_CACHE_DIR_VARIABLE)
    if not folder:
        raise RanksMissing("call install_ranks() first")
    file_name, digest = _RANKS[name]
    target = Path(folder) / file_name
    if target.exists() and hashlib.sha256(target.read_bytes()).hexdigest() == digest:
        return
    ranks = lzma.decompress((_DATA_DIR / f"{name}.tiktoken.xz").read_bytes())
    if hashlib.sha256(ranks).hexdigest() != digest:
        raise RanksMissing(f"the rank file of {name} is damaged")
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as new:
        new.write(ranks)
    os.replace(new.name, target)
