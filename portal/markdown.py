"""Markdown of shops to HTML that can do no harm. Called by what shows legal texts.

Raw HTML is text, images are left out (pages load nothing from elsewhere), headings are one level
lower because a page has its own first one.
"""

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


def escape(text: str) -> str:
    """Return text as Markdown that says it literally, for names put into a text."""
    return "".join(f"\\{letter}" if letter in _PUNCTUATION else letter for letter in text)


def _demote(token: Token) -> None:
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{min(int(token.tag[1]) + 1, _LOWEST)}"


_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
