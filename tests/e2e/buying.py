"""What a buyer does in a browser, step by step, with a mouse or by keyboard alone.

Words differ by language, so steps go by the structure of the pages.
"""

import secrets

from playwright.sync_api import Download, Locator, Page

_MOST_STOPS = 150


def new_mailbox() -> str:
    """Return an address that nobody has used."""
    return f"{secrets.token_hex(6)}@buyer.example"


class Visitor:
    """Somebody at a page, with a mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, target: Locator) -> None:
        """Follow a link or press a button."""
        target.click()

    def tick(self, target: Locator) -> None:
        """Tick a box."""
        target.check()

    def write(self, target: Locator, text: str) -> None:
        """Fill a field."""
        target.fill(text)

    def open(self, target: str | Locator, lands_at: str) -> None:
        """Press what the selector finds, and wait for the page that it leads to."""
        self.press(self.page.locator(target).first if isinstance(target, str) else target)
        self.page.wait_for_url(lands_at)

    def choose_pack(self) -> None:
        """Go from the front page to the checkout of its first pack."""
        self.page.goto("/")
        self.open('#buy .board a[href^="/buy/"]', "**/buy/*/")

    def fill_in(self, email: str) -> None:
        """Fill the checkout in."""
        self.write(self.page.locator("#email"), email)
        self.tick(self.page.locator("#agreed"))

    @property
    def submit(self) -> Locator:
        """The button that places the order."""
        return self.page.locator("form.checkout aside button.primary")

    def place(self, email: str) -> None:
        """Order the first pack, as far as the payment."""
        self.choose_pack()
        self.fill_in(email)
        self.open(self.submit, "**/pay/demo/*/")

    def pay(self) -> None:
        """Pay at the demo provider, which leads back to the order."""
        self.open('button[value="pay"]', "**/orders/*/*/")

    def reveal(self) -> str:
        """Have the order's page show the key; return it."""
        self.press(self.page.locator('form[action*="/reveal/"] button').first)
        return self.page.locator("[data-revealed-key]").first.inner_text()

    def buy(self, email: str) -> str:
        """Buy the first pack; return the key."""
        self.place(email)
        self.pay()
        return self.reveal()

    def copied(self) -> str:
        """Press the button that copies the key; return what is in the clipboard then."""
        button = self.page.locator('[data-copy="#key"]')
        self.press(button)
        self.page.locator('[data-copy="#key"][data-done]').wait_for()
        return str(self.page.evaluate("navigator.clipboard.readText()"))

    def try_key(self) -> None:
        """Have the browser ask the relay whether the key works, and wait for a yes."""
        self.press(self.page.locator("[data-test]"))
        self.page.locator("[data-result].ok").wait_for()

    def enter_key(self, key: str) -> None:
        """Go on to the usage page, with a key."""
        self.open('.site-head a[href="/usage/"]', "**/usage/")
        self.give_key(key)

    def give_key(self, key: str) -> None:
        """Fill the form that asks for a key."""
        self.write(self.page.locator('main input[name="key"]'), key)
        self.open("main form button", "**/usage/key/**")

    def top_up(self) -> None:
        """Buy the first pack of the usage page for its key, and come back to it."""
        self.open('form[action$="/top-up/"] button', "**/pay/demo/*/")
        self.pay()
        self.page.goto("/usage/key/")

    def export(self) -> Download:
        """Take the calls as CSV."""
        with self.page.expect_download() as download:
            self.press(self.page.locator('a[href*="calls.csv"]'))
        return download.value


class KeyboardVisitor(Visitor):
    """Somebody without a mouse: Tab, Enter, Space, and what is typed."""

    def press(self, target: Locator) -> None:
        """Follow a link or press a button."""
        self._go_to(target)
        self.page.keyboard.press("Enter")

    def tick(self, target: Locator) -> None:
        """Tick a box."""
        self._go_to(target)
        self.page.keyboard.press("Space")

    def write(self, target: Locator, text: str) -> None:
        """Fill a field."""
        self._go_to(target)
        self.page.keyboard.insert_text(text)

    def _go_to(self, target: Locator) -> None:
        for _ in range(_MOST_STOPS):
            if target.evaluate("one => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no Tab leads to {target}")
