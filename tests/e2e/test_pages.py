"""Every page at every width, in both themes and languages: nothing overflows, nothing is barred."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e import browser as chromium
from tests.e2e import inspecting
from tests.e2e.browser import Complaints
from tests.e2e.life import Life
from tests.e2e.places import PLACES, Place
from tests.system.running import RunningSystem

WIDTHS = {"zh-hans": (320, 1280), "en": (320, 390, 768, 1280)}
"""Chinese can break a line nearly everywhere, so English has to be looked at more closely."""
LOOKS = {"zh-hans": ("light", 1280), "en": ("dark", 390)}
"""In which theme and width each language is shown to axe, which takes its time: so it sees what
varies little in one of them."""


@pytest.fixture(scope="module")
def life(installation: RunningSystem) -> Life:
    """What the pages show."""
    return Life.of(installation)


@pytest.fixture(scope="module", params=list(LOOKS))
def visit(
    request: pytest.FixtureRequest, browser: Browser, installation: RunningSystem
) -> Iterator[tuple[Page, Complaints, str]]:
    """One visitor for all pages of a language."""
    theme, width = LOOKS[request.param]
    options = {"color_scheme": theme, "viewport": {"width": width, "height": 900}}
    with chromium.visit(browser, installation.url, language=request.param, **options) as opened:
        yield (*opened, request.param)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_page_fits_every_width_and_bars_nobody(
    visit: tuple[Page, Complaints, str], life: Life, place: Place
) -> None:
    page, complaints, language = visit
    complaints.forget(but=place.status)
    place.go(page, life)
    wrong: list[object] = [*inspecting.answered_otherwise(page, place.status)]
    if place.is_ours:
        wrong += inspecting.misbuilt(page)
    if place.is_ours and not (place.varies and language == "en"):
        wrong += inspecting.barriers(page)
    for width in sorted(WIDTHS[language], key=lambda width: width == LOOKS[language][1]):
        wrong += inspecting.too_wide(page, width)  # the width for the next page comes last
    assert not wrong + complaints.said
