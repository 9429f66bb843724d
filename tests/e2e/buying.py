"""What a buyer does in a browser, step by step.

Words differ by language, so steps go by the structure of the pages.
"""

import secrets

from playwright.sync_api import Locator, Page

_MOST_STOPS = 150


def new_mailbox() -> str:
    """Return an address that nobody has used."""
    return f"{secrets.token_hex(6)}@buyer.example"


def choose_pack(page: Page) -> None:
    """Go from the front page to the checkout of its first pack."""
    page.goto("/")
    page.locator('#buy .board a[href^="/buy/"]').first.click()
    page.wait_for_url("**/buy/*/")


def fill_in(page: Page, email: str) -> None:
    """Fill the checkout in."""
    page.locator("#email").fill(email)
    page.locator("#agreed").check()


def submit_of(page: Page) -> Locator:
    """Return the button that places the order."""
    return page.locator("form.checkout aside button")


def place(page: Page, email: str) -> None:
    """Order the first pack, as far as the payment."""
    choose_pack(page)
    fill_in(page, email)
    submit_of(page).click()
    page.wait_for_url("**/pay/demo/*/")


def pay(page: Page) -> None:
    """Pay at the demo provider, which leads back to the order."""
    page.locator('button[value="pay"]').click()
    page.wait_for_url("**/orders/*/*/")


def reveal(page: Page) -> str:
    """Have the order's page show the key; return it."""
    page.locator('form[action*="/reveal/"] button').first.click()
    return shown_key(page)


def shown_key(page: Page) -> str:
    """Return the key that the page shows."""
    return page.locator("[data-revealed-key]").first.inner_text()


def buy(page: Page, email: str) -> str:
    """Buy the first pack; return the key."""
    place(page, email)
    pay(page)
    return reveal(page)


def enter_key(page: Page, key: str) -> None:
    """Open the usage page with a key."""
    page.goto("/usage/")
    page.locator('main input[name="key"]').fill(key)
    page.locator("main form button").first.click()
    page.wait_for_url("**/usage/key/**")


def clipboard(page: Page) -> str:
    """Return what was copied last."""
    return str(page.evaluate("navigator.clipboard.readText()"))


class Keyboard:
    """A visitor without a mouse."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def go_to(self, target: Locator) -> None:
        """Press Tab until the focus is there."""
        for _ in range(_MOST_STOPS):
            if target.evaluate("one => one === document.activeElement"):
                return
            self._page.keyboard.press("Tab")
        raise AssertionError(f"no Tab leads to {target}")

    def press(self, target: Locator, key: str = "Enter") -> None:
        """Go there and press a key."""
        self.go_to(target)
        self._page.keyboard.press(key)

    def write(self, target: Locator, text: str) -> None:
        """Go there and type."""
        self.go_to(target)
        self._page.keyboard.insert_text(text)
