"""A Chromium of this machine, and visits with it that note whatever goes wrong on a page.

Used by the tests beside it and by `screenshots.py`. Nothing is ever downloaded.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request

VARIABLE = "TOLLGATE_CHROMIUM"
# The first is the engine alone: what nobody sees is drawn in two thirds of the time.
ON_PATH = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
MISSING = f"no Chromium on this machine: neither {VARIABLE} nor {', '.join(ON_PATH)} on PATH"
STRANGER = "stranger.test"
"""A hostname that leads to this machine and to no shop."""
PATIENCE_MS = 15_000
# A browser of a test asks nobody for updates, and reaches nothing but this machine.
_NOT_BY_TLS = "Cross-Origin-Opener-Policy header has been ignored"
_HERE = frozenset({"127.0.0.1", "localhost", STRANGER})
_ARGUMENTS = (
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--font-render-hinting=none", "--hide-scrollbars"),
    f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1, MAP * ~NOTFOUND,"
    " EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def executable() -> str | None:
    """Return the browser to use: the one that is named, else the first on PATH."""
    named = os.environ.get(VARIABLE)
    return named or next(filter(None, map(shutil.which, ON_PATH)), None)


def launch(playwright: Playwright) -> Browser:
    """Start the browser; Chromium's own sandbox refuses root."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    return playwright.chromium.launch(
        executable_path=executable(), args=[*_ARGUMENTS, *sandbox], timeout=60_000
    )


@dataclass
class Complaints:
    """What a browser said against the pages of one visit."""

    ports: set[int | None]
    said: list[str] = field(default_factory=list)
    _status: int = 200

    def forget(self, *, but: int = 200) -> None:
        """Begin anew, with a page that answers with this status, which Chromium calls an error."""
        self.said.clear()
        self._status = but

    def listen(self, context: BrowserContext) -> None:
        """Note console errors, exceptions, and requests that leave the installation."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.said.append(f"exception: {error.error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        expected = (f"responded with a status of {self._status}", _NOT_BY_TLS)
        known = any(words in message.text for words in expected)
        if message.type in ("error", "warning") and not known:
            where = message.location.get("url", "")
            self.said.append(f"console {message.type}: {message.text} ({where})")

    def _request(self, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme in ("data", "blob", "about"):
            return
        if to.hostname not in _HERE or to.port not in self.ports:
            self.said.append(f"a request left the installation: {request.method} {request.url}")


@contextmanager
def visit(
    browser: Browser,
    url: str,
    *,
    language: str = "zh-hans",
    leads_to: Iterable[str] = (),
    **options: Any,
) -> Iterator[tuple[Page, Complaints]]:
    """Open a page as a visitor without a past; `options` are those of a browser context.

    `leads_to` are addresses of others that the visit may go on to.
    """
    complaints = Complaints({urlsplit(address).port for address in (url, *leads_to)})
    with browser.new_context(base_url=url, **options) as context:
        context.set_default_timeout(PATIENCE_MS)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        context.add_cookies([{"name": "django_language", "value": language, "url": url}])
        complaints.listen(context)
        yield context.new_page(), complaints
