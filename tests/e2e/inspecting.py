"""What is wrong with the page that a browser shows: too wide, unlabelled, hard to use for some.

Used by `test_pages.py`.
"""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_AXE = Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js"
_GRAVE = {"serious", "critical"}

_TOO_WIDE = """() => new Promise((tell) => requestAnimationFrame(() => setTimeout(() => {
  const root = document.documentElement;
  if (root.scrollWidth <= innerWidth) return tell([]);
  const wide = [...document.body.querySelectorAll("*")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => one.outerHTML.slice(0, 90));
  tell([`${root.scrollWidth} px wide`, ...wide.slice(0, 4)]);
})))"""

_MISBUILT = """() => {
  const named = (one) => (one.labels && [...one.labels].some((label) => label.textContent.trim()))
    || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")
    || (one.matches("button") && one.textContent.trim());
  const controls = document.querySelectorAll("input:not([type=hidden]), select, textarea, button");
  const unlabelled = [...controls].filter((one) => !named(one));
  return [
    document.querySelectorAll("h1").length,
    unlabelled.map((one) => one.outerHTML.slice(0, 120)),
  ];
}"""

_RUN_AXE = """async () => {
  const found = await axe.run(document, {
    preload: false,
    resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
  });
  return found.violations.map(({ id, impact, nodes }) => ({
    id, impact,
    nodes: nodes.slice(0, 3).map((one) => [one.target.join(" "), one.failureSummary]),
  }));
}"""


def too_wide(page: Page, width: int) -> list[str]:
    """Return what makes the page scroll sideways at this width."""
    page.set_viewport_size({"width": width, "height": 900})
    return [f"{width}: {one}" for one in page.evaluate(_TOO_WIDE)]


def answered_otherwise(page: Page, status: int) -> list[str]:
    """Return which status the page answered with, unless it was this one."""
    answered = page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus")
    return [] if answered == status else [f"status {answered}"]


def misbuilt(page: Page) -> list[str]:
    """Return what breaks the rules for every page: one first heading, a name for each control."""
    headings, unlabelled = page.evaluate(_MISBUILT)
    wrong = [] if headings == 1 else [f"{headings} h1"]
    return [*wrong, *(f"unlabelled: {one}" for one in unlabelled)]


def barriers(page: Page) -> list[dict[str, Any]]:
    """Return the serious findings of axe. By the debugger, so the page's policy stays in force."""
    page.evaluate(_axe())
    found: list[dict[str, Any]] = page.evaluate(_RUN_AXE)
    return [one for one in found if one["impact"] in _GRAVE]


@cache
def _axe() -> str:
    return _AXE.read_text()
