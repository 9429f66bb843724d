"""Markdown of shops to HTML that can do no harm, and to bare text. For legal texts.

Raw HTML is text, images are left out (pages load nothing from elsewhere), headings are one level
lower because a page has its own first one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

_INLINE = {"a", "br", "strong", "em", "s", "code"}
_LISTS = {"ul", "ol", "li"}
_TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
_BLOCKS = {"p", "hr", "pre", "blockquote", "h2", "h3", "h4", "h5", "h6"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
_LOWEST = 6

HEADING, PARAGRAPH, ITEM, ROW = "heading", "paragraph", "item", "row"

_KINDS = {"heading": HEADING, "list_item": ITEM}

_parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def to_html(text: str) -> SafeString:
    """Return Markdown as HTML of a few harmless tags; links are nofollow and noopener."""
    tokens = _parser.parse(text)
    for token in tokens:
        _demote(token)
    html = _parser.renderer.render(tokens, _parser.options, {})
    clean = nh3.clean(
        html,
        tags=_INLINE | _LISTS | _TABLES | _BLOCKS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="nofollow noopener",
    )
    return mark_safe(clean)  # noqa: S308 - this is what nh3 has just cleaned


class Block(NamedTuple):
    """A heading, paragraph, list item or table row as bare text; `kind` says which."""

    kind: str
    text: str


def blocks(text: str) -> list[Block]:
    """Return what Markdown says, without how it looks."""
    return [block for block in _blocks(_parser.parse(text)) if block.text]


def _blocks(tokens: list[Token]) -> Iterator[Block]:
    within: list[str] = []
    cells: list[str] = []
    for token in tokens:
        if token.nesting > 0:
            within.append(token.type.removesuffix("_open"))
        elif token.nesting < 0 and within.pop() == "tr":
            yield Block(ROW, " | ".join(cells))
            cells = []
        elif token.type in ("fence", "code_block"):
            yield Block(PARAGRAPH, token.content.strip())
        elif token.type == "inline" and "tr" in within:
            cells.append(_bare(token))
        elif token.type == "inline":
            yield Block(_kind(within), _bare(token))


def _kind(within: list[str]) -> str:
    return next((_KINDS[name] for name in reversed(within) if name in _KINDS), PARAGRAPH)


def _bare(token: Token) -> str:
    """Return the text of a line of Markdown: its words, code and line ends."""
    parts = (" " if "break" in one.type else one.content for one in token.children or [])
    return "".join(parts).strip()


def escape(text: str) -> str:
    """Return text as Markdown that says it literally, for names put into a text."""
    return "".join(f"\\{letter}" if letter in _PUNCTUATION else letter for letter in text)


def _demote(token: Token) -> None:
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{min(int(token.tag[1]) + 1, _LOWEST)}"


_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
