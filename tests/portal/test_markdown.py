"""Markdown of shops does no harm, whatever is in it."""

from html.parser import HTMLParser

import pytest

from portal import markdown

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/pixel.png)",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "<javascript:alert(1)>",
    '[x](https://a.example "onmouseover=alert(1)" onclick=alert(1))',
    '[x](<https://a.example/"onclick="alert(1)>)',
    "<a href='javascript:alert(1)'>x</a>",
    "<svg/onload=alert(1)>",
    "<iframe src=https://evil.example></iframe>",
    "<style>*{display:none}</style>",
    "<form action=https://evil.example><input name=key></form>",
    "<div style='position:fixed'>x</div>",
    "[x]: javascript:alert(1)\n\n[x]",
    '```"><script>alert(1)</script>\nx\n```',
    "| a |\n|---|\n| <script>alert(1)</script> |",
]
TAGS = {"p", "a", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"}


class Reader(HTMLParser):
    """Notes the tags of a page and the links in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_harmful_markup_becomes_text_or_nothing(payload: str) -> None:
    page = Reader()
    page.feed(markdown.to_html(payload))
    assert page.tags <= TAGS
    assert page.attributes <= {"href", "title", "rel"}
    assert all(link.startswith("https://a.example") for link in page.links)


def test_headings_stand_below_the_pages_own() -> None:
    html = markdown.to_html("# One\n\n###### Six")
    assert html == "<h2>One</h2>\n<h6>Six</h6>\n"


def test_links_lead_out_without_a_trace() -> None:
    html = markdown.to_html("[a](https://a.example/) [p](/privacy/) <mail@a.example>")
    assert html.count('rel="nofollow noopener"') == 3
    assert 'href="/privacy/"' in html
    assert 'href="mailto:mail@a.example"' in html


def test_tables_and_lists_are_kept() -> None:
    html = markdown.to_html("| a |\n|---|\n| b |\n\n3. c")
    assert "<td>b</td>" in html
    assert '<ol start="3">' in html


@pytest.mark.parametrize("name", ["*North*", "[x](https://a.example)", "a_b_c", "<b>N</b>", "`x`"])
def test_a_name_is_said_literally(name: str) -> None:
    html = markdown.to_html(f"Of {markdown.escape(name)} only")
    assert html.startswith("<p>Of ")
    assert html.count("<") == 2
