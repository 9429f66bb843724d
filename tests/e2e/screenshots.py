"""`python3 dev.py screenshots [FOLDER]`: pictures of every page, for people to look at.

Starts a fresh demo shop with some life in it, opens each page in both languages, both themes and
on two widths, and writes `FOLDER/<page>/<language>-<theme>-<width>.png` and an `index.html` that
shows them side by side. `--readme` takes the few of the README instead.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from portal.dev.run import DEFAULT_PORT
from portal.dev.state import ROOT
from tests.e2e import browser as chromium
from tests.e2e.life import Life
from tests.e2e.places import PLACES, Place, Way
from tests.system import running
from tests.system.running import RunningSystem

LANGUAGES = ("zh-hans", "en")
THEMES = ("light", "dark")
WIDTHS = (390, 1280)
HEIGHT = 900
README = (("storefront", "light"), ("order-shown", "light"), ("usage", "dark"), ("admin", "light"))
_ADMIN = {
    "admin": "",
    "admin-orders": "billing/order/",
    "admin-products": "billing/product/",
    "admin-payments": "billing/payment/",
    "admin-mails": "billing/mail/",
    "admin-keys": "billing/apikey/",
    "admin-wallets": "billing/wallet/",
    "admin-channels": "relay/channel/",
    "admin-tenants": "billing/tenant/",
}


def main(argv: Sequence[str]) -> int:
    """Take the pictures. Returns an exit status."""
    parser = argparse.ArgumentParser(prog="dev.py screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "var" / "screenshots")
    parser.add_argument("--only", nargs="+", default=(), metavar="PAGE", help="these pages alone")
    parser.add_argument("--readme", action="store_true", help="those of the README: docs/images/")
    wanted = parser.parse_args(argv)
    if chromium.executable() is None:
        print(f"screenshots: {chromium.MISSING}", file=sys.stderr)
        return 1
    with _shop() as (system, life), sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        places = [*PLACES, *_admin_places(system)]
        if wanted.readme:
            _take_for_readme(browser, system, life, places)
            return 0
        chosen = [one for one in places if one.name in wanted.only or not wanted.only]
        _take_all(browser, system, life, chosen, folder=wanted.folder.resolve())
    return 0


def _take_all(
    browser: Browser, system: RunningSystem, life: Life, places: Sequence[Place], *, folder: Path
) -> None:
    names = []
    for language, theme, width in itertools.product(LANGUAGES, THEMES, WIDTHS):
        names.append(f"{language}-{theme}-{width}")
        print(f"screenshots: {names[-1]}", flush=True)
        with _visitor(browser, system, language, theme, width) as page:
            for place in places:
                target = folder / place.name / f"{names[-1]}.png"
                _open(place, page, life)
                page.screenshot(path=target, full_page=True, animations="disabled")
    index = folder / "index.html"
    index.write_text(_index([one.name for one in places], names))
    print(f"screenshots: {index}")


def _take_for_readme(
    browser: Browser, system: RunningSystem, life: Life, places: Iterable[Place]
) -> None:
    by_name = {place.name: place for place in places}
    for name, theme in README:
        language = "zh-hans" if name == "storefront" else "en"
        with _visitor(browser, system, language, theme, 1280) as page:
            page.set_viewport_size({"width": 1280, "height": 800})
            _open(by_name[name], page, life)
            page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png", animations="disabled")


def _open(place: Place, page: Page, life: Life) -> None:
    place.go(page, life)
    page.wait_for_load_state("networkidle")
    page.evaluate("scrollTo(0, 0)")


@contextmanager
def _shop() -> Iterator[tuple[RunningSystem, Life]]:
    with tempfile.TemporaryDirectory(prefix="tollgate-screenshots-") as name:
        folder = Path(name) / "installation"
        database = f"sqlite:///{folder / 'var' / 'tollgate.sqlite3'}"
        with running.start(folder, database_url=database, port=DEFAULT_PORT) as system:
            yield system, Life.of(system)


@contextmanager
def _visitor(
    browser: Browser, system: RunningSystem, language: str, theme: str, width: int
) -> Iterator[Page]:
    look = {"color_scheme": theme, "viewport": {"width": width, "height": HEIGHT}}
    with chromium.visit(browser, system.url, language=language, **look) as (page, complaints):
        yield page
    for said in complaints.said:
        if "responded with a status of" not in said:  # some pages are about what went wrong
            print(f"screenshots: {said}", file=sys.stderr)


def _admin_places(system: RunningSystem) -> Iterator[Place]:
    demo = json.loads((system.state_folder / "demo.json").read_text())

    def way(path: str) -> Way:
        def go(page: Page, life: Life) -> None:
            page.goto(f"/admin/{path}")
            if page.locator("#id_username").count():
                page.locator("#id_username").fill(demo["admin_email"])
                page.locator("#id_password").fill(demo["admin_password"])
                with page.expect_navigation():
                    page.locator("form [type=submit]").click()

        return go

    yield from (Place(name, way(path), is_ours=False) for name, path in _ADMIN.items())


def _index(pages: Iterable[str], names: Iterable[str]) -> str:
    rows = "".join(
        f"<h2>{escape(page)}</h2><p>"
        + "".join(
            f'<a href="{page}/{name}.png"><img src="{page}/{name}.png" alt="{name}"></a>'
            for name in names
        )
        for page in pages
    )
    style = "p{display:flex;gap:1rem;align-items:start;overflow-x:auto}img{max-height:30rem}"
    return f"<!doctype html><meta charset=utf-8><title>Pages</title><style>{style}</style>{rows}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
