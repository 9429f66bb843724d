"""What an operator does in the administration, in a browser, as the shop's buyers go on buying."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page

from tests.e2e import browser as chromium
from tests.system.running import RunningSystem


class Operator:
    """Somebody who may do everything, signed in."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def add_way_to_pay(self, provider: str, *, name: str, **given: str) -> str:
        """Enter an account at a provider; return the address that it calls back."""
        page = self.page
        page.goto("/admin/billing/paymentinstance/add/")
        self._choose_shop()
        page.locator("#id_provider").select_option(provider)
        page.locator("#id_name").fill(name)
        page.locator("#id_position").fill("9")
        for field, text in given.items():
            page.locator(f"#id_{field}").fill(text)
        self._save("_continue")
        found = re.search(r"http://\S+/pay/[0-9a-f-]{36}/notify/", self.said)
        return found[0] if found else ""

    def test_way_to_pay(self, name: str) -> str:
        """Send a test to the account of this name; return what the page says then."""
        self.page.goto("/admin/billing/paymentinstance/")
        self.page.get_by_role("link", name=name, exact=True).click()
        return self._deed("paymentinstance/*/test/")

    def refund(self, number: str, *, amount: str, reason: str) -> str:
        """Give a part of an order's money back; return what the page says then."""
        self._open_order(number)
        return self._deed("order/*/refund/", amount_minor=amount, reason=reason)

    def note_money(self, number: str) -> str:
        """Say that the money of an order has arrived, as much as is due."""
        self._open_order(number)
        self.page.locator('a[href*="/billing/payment/"][href$="/change/"]').first.click()
        return self._deed("payment/*/arrived/")

    def make_codes(self, product: str, *, count: int) -> list[str]:
        """Make redemption codes of a product and take them home."""
        page = self.page
        page.goto("/admin/billing/codebatch/add/")
        option = page.locator("#id_product option", has_text=product).get_attribute("value")
        page.locator("#id_product").select_option(option)
        page.locator("#id_count").fill(str(count))
        with page.expect_navigation():
            self._press()
        page.locator('a[href$="/export/"]').first.click()
        with page.expect_download() as download:
            self._press()
        lines = download.value.path().read_text("utf-8-sig").split()
        return [line for line in lines if re.fullmatch(r"(?:[0-9A-Z]{5}-){3}[0-9A-Z]{5}", line)]

    def add_coupon(self, code: str, *, percent: int) -> None:
        """Make a coupon that is good for everything."""
        self.page.goto("/admin/billing/coupon/add/")
        self._choose_shop()
        self.page.locator("#id_code").fill(code)
        self.page.locator("#id_percent").fill(str(percent))
        self._save("_save")

    @property
    def said(self) -> str:
        """What the page says."""
        return self.page.locator("body").inner_text()

    def _choose_shop(self) -> None:
        self.page.locator("#id_tenant").select_option(index=2)

    def _open_order(self, number: str) -> None:
        self.page.goto(f"/admin/billing/order/?q={number}")
        self.page.get_by_role("link", name=number).first.click()

    def _deed(self, path: str, **given: str) -> str:
        """Press the button that leads to a step, fill its form in, do the deed."""
        before, after = path.split("*")
        self.page.locator(f'a[href*="{before}"][href$="{after}"]').first.click()
        for field, text in given.items():
            self.page.locator(f"#id_{field}").fill(text)
        with self.page.expect_navigation():
            self._press()
        return self.said

    def _press(self) -> None:
        self.page.locator("form.max-w-2xl [type=submit]").first.click()

    def _save(self, button: str) -> None:
        with self.page.expect_navigation():
            self.page.locator(f"[name={button}]").click()


@contextmanager
def sign_in(browser: Browser, system: RunningSystem) -> Iterator[Operator]:
    """Sign in at the administration of an installation, in English."""
    demo = json.loads((system.state_folder / "demo.json").read_text())
    with chromium.visit(browser, system.url, language="en") as (page, complaints):
        page.goto("/admin/")
        page.locator("#id_username").fill(demo["admin_email"])
        page.locator("#id_password").fill(demo["admin_password"])
        with page.expect_navigation():
            page.locator("form [type=submit]").click()
        yield Operator(page)
    assert not complaints.said
