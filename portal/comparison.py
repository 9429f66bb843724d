"""What has changed from one text to another: section by section, paragraph by paragraph, in words.

Called by the pages that compare versions of legal texts. Pure. A paragraph that was only reworded
is shown once, with what was struck and what was added; Chinese is compared by the character. What
stands beyond the first few hundred paragraphs is not compared, and there is an end to the work that
long paragraphs of few words would make.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import Match, SequenceMatcher
from functools import lru_cache
from typing import TypeVar

from portal import markdown
from portal.markdown import HEADING, Block

T = TypeVar("T", bound=Hashable)

SAME, ADDED, STRUCK = "same", "added", "struck"

_WORDS = re.compile(r"[\u3400-\u9fff]|\w+|\s+|[^\w\s]")
_ALIKE = 0.5
_MOST_BLOCKS, _MOST_WORDS, _NEAR = 600, 1_500, 12
_SHORT = 2
_MOST_STEPS = 3_000_000


@dataclass(frozen=True)
class Piece:
    """Some words that are in both texts, or were added or struck."""

    change: str
    text: str


@dataclass(frozen=True)
class Passage:
    """A heading, paragraph, list item or table row with its changes."""

    kind: str
    pieces: list[Piece]

    @property
    def is_changed(self) -> bool:
        """Whether anything in it is new or gone."""
        return any(piece.change != SAME for piece in self.pieces)


@dataclass(frozen=True)
class Section:
    """A heading, unless it is the beginning, and what stands under it."""

    heading: Passage | None
    passages: list[Passage] = field(default_factory=list)

    @property
    def is_changed(self) -> bool:
        """Whether anything in it is new or gone."""
        heading = [self.heading] if self.heading else []
        return any(passage.is_changed for passage in [*heading, *self.passages])


class _TooMuchError(Exception):
    """Comparing goes on for too long."""


class _Effort:
    """How much work is left: pages show these comparisons to anybody."""

    def __init__(self) -> None:
        self._left = _MOST_STEPS

    def spend(self, steps: int) -> None:
        """Note that so many steps will be made. Raises _TooMuchError."""
        self._left -= steps
        if self._left < 0:
            raise _TooMuchError


class _Matcher(SequenceMatcher[T]):
    """Finds what two lists have in common, as far as the effort goes. Raises _TooMuchError."""

    def __init__(self, a: Sequence[T], b: Sequence[T], effort: _Effort) -> None:
        super().__init__(None, a, b, autojunk=False)
        self._first, self._counted, self._effort = a, Counter(b), effort

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        """Find it as the library does, which looks at every pair of what is the same."""
        self._effort.spend(sum(1 + self._counted[one] for one in self._first[alo:ahi]))
        return super().find_longest_match(alo, ahi, blo, bhi)


@lru_cache(maxsize=16)
def compare(old: str, new: str) -> list[Section]:
    """Return the sections of two Markdown texts as one, with what was struck and added."""
    sections = [Section(None)]
    for passage in _passages(markdown.blocks(old), markdown.blocks(new)):
        if passage.kind == HEADING:
            sections.append(Section(passage))
        else:
            sections[-1].passages.append(passage)
    return [section for section in sections if section.heading or section.passages]


def _passages(old: list[Block], new: list[Block]) -> Iterator[Passage]:
    old, new, effort = old[:_MOST_BLOCKS], new[:_MOST_BLOCKS], _Effort()
    for name, i, i_end, j, j_end in _opcodes(old, new, effort):
        if name == "equal":
            yield from (Passage(kind, [Piece(SAME, text)]) for kind, text in new[j:j_end])
        else:
            yield from _reworded(old[i:i_end], new[j:j_end], effort)


def _reworded(old: list[Block], new: list[Block], effort: _Effort) -> Iterator[Passage]:
    """Yield what became of a run of blocks: those that are alike are shown as one."""
    for block in new:
        near = enumerate(old[:_NEAR])
        place = next((at for at, one in near if _are_alike(one, block, effort)), None)
        if place is None:
            yield Passage(block.kind, [Piece(ADDED, block.text)])
            continue
        yield from (Passage(kind, [Piece(STRUCK, text)]) for kind, text in old[:place])
        yield Passage(block.kind, _pieces(old[place].text, block.text, effort))
        old = old[place + 1 :]
    yield from (Passage(kind, [Piece(STRUCK, text)]) for kind, text in old)


def _are_alike(old: Block, new: Block, effort: _Effort) -> bool:
    a, b = _words(old.text), _words(new.text)
    if old.kind != new.kind or max(len(a), len(b)) > _MOST_WORDS:
        return False
    try:
        effort.spend(len(a) + len(b))
        matcher = _Matcher(a, b, effort)
        return matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE
    except _TooMuchError:
        return False


def _opcodes(
    a: Sequence[T], b: Sequence[T], effort: _Effort
) -> list[tuple[str, int, int, int, int]]:
    """Return how one list becomes the other; all of it replaced, where that is too much to say."""
    try:
        return list(_Matcher(a, b, effort).get_opcodes())
    except _TooMuchError:
        return [("replace", 0, len(a), 0, len(b))]


def _pieces(old: str, new: str, effort: _Effort) -> list[Piece]:
    a, b = _words(old), _words(new)
    pieces: list[Piece] = []
    struck = added = ""
    for name, i, i_end, j, j_end in _opcodes(a, b, effort):
        before, after = "".join(a[i:i_end]), "".join(b[j:j_end])
        # A letter or two that happen to be in both would tear what was changed into shreds.
        if name == "equal" and (len(after.strip()) > _SHORT or not struck + added):
            pieces += _changed(struck, added)
            pieces.append(Piece(SAME, after))
            struck = added = ""
        else:
            struck, added = struck + before, added + after
    return [*pieces, *_changed(struck, added)]


def _changed(struck: str, added: str) -> Iterator[Piece]:
    if struck:
        yield Piece(STRUCK, struck)
    if added:
        yield Piece(ADDED, added)


def _words(text: str) -> list[str]:
    return _WORDS.findall(text)
