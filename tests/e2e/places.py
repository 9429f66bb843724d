"""Every page that there is, and how a visitor gets to it.

Used by `test_pages.py`, which inspects them, and by `screenshots.py`, which takes their pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e.browser import STRANGER
from tests.e2e.buying import Visitor, new_mailbox
from tests.e2e.letters import letters_in
from tests.e2e.life import EMAIL, Life
from tests.system.running import PATIENCE_S, wait_until

Way = Callable[[Page, Life], object]


@dataclass(frozen=True)
class Place:
    """A page: its name in file names, the way to it, and the status that it answers with.

    `is_ours` is False for pages whose markup is that of a library; `varies` is True for one that
    has little which another place does not have too.
    """

    name: str
    go: Way = field(repr=False)
    status: int = 200
    is_ours: bool = True
    varies: bool = False


def _at(path: str) -> Way:
    return lambda page, life: page.goto(path)


def _order(state: str) -> Way:
    return lambda page, life: page.goto(life.orders[state])


def _sent(path: str) -> Way:
    """Lead to what a form says that was sent empty."""

    def go(page: Page, life: Life) -> None:
        page.goto(path)
        _submit(page)

    return go


def _submit(page: Page) -> None:
    with page.expect_navigation():
        page.locator("main form button.primary").first.click()


def _demo_payment(page: Page, life: Life) -> None:
    page.goto(life.orders["waiting"])
    page.goto(str(page.locator('a[href*="/pay/demo/"]').get_attribute("href")))


def _shown(state: str) -> Way:
    def go(page: Page, life: Life) -> None:
        page.goto(life.orders[state])
        with page.expect_navigation():
            page.locator('form[action*="/reveal/"] button').last.click()

    return go


def _usage(query: str = "") -> Way:
    def go(page: Page, life: Life) -> None:
        page.goto(f"/usage/key/{query}")
        if page.locator("#bal-h").count() == 0:
            Visitor(page).give_key(life.key)
            page.goto(f"/usage/key/{query}")
        for bill in page.locator(".bill-row summary").all()[:1]:
            bill.click()

    return go


def _wrong_key(page: Page, life: Life) -> None:
    page.goto("/usage/")
    page.locator('main input[name="key"]').fill("ak-nobody")
    _submit(page)


def _link_sent(page: Page, life: Life) -> None:
    page.goto("/orders/")
    page.locator("#number").fill("DE-2611-ABCDEF")
    page.locator("#email").fill(EMAIL)
    _submit(page)


def _counted(page: Page, life: Life) -> None:
    page.goto("/tokens/")
    page.locator("main textarea").first.fill("你好，世界！ How many tokens is this? 🙂")
    _submit(page)


def _receipt(page: Page, life: Life) -> None:
    page.goto(life.receipt)


def _account(path: str = "") -> Way:
    """Lead to a page of an account, by signing in if need be; it has one key."""

    def go(page: Page, life: Life) -> None:
        page.goto("/account/")
        if "/sign-in/" in page.url:
            _sign_in(page, life)
            page.goto("/account/keys/new/")
            page.locator("main [name=name]").fill("Chatbox")
            page.locator("main [name=cap_ubt]").fill("2000000")
            _submit(page)
        page.goto("/account/")
        if path == "key":
            page.goto(str(page.locator('a[href^="/account/keys/"]').last.get_attribute("href")))
        elif path:
            page.goto(path)

    return go


def _sign_in(page: Page, life: Life) -> None:
    mailbox = new_mailbox()
    page.locator("main input[name=email]").fill(mailbox)
    _submit(page)
    folder = Path(life.state_folder)
    wait_until(lambda: letters_in(folder, mailbox), patience_s=PATIENCE_S)
    page.goto(letters_in(folder, mailbox)[0].sign_in_link)
    _submit(page)


def _asked_to_sign_in(page: Page, life: Life) -> None:
    page.goto("/account/sign-in/")
    page.locator("main input[name=email]").fill(new_mailbox())
    _submit(page)


def _stranger(page: Page, life: Life) -> None:
    page.goto("/")
    page.goto(page.url.replace("127.0.0.1", STRANGER))


def _forged(page: Page, life: Life) -> None:
    page.goto("/orders/")
    page.context.clear_cookies(name="csrftoken")
    _submit(page)


_GUIDES = ("openai", "curl", "chatbox", "nextchat", "cherry-studio", "lobechat")

PLACES = (
    Place("storefront", _at("/")),
    Place("checkout", _at("/buy/5m/")),
    Place("checkout-wrong", _sent("/buy/5m/"), 400),
    Place("checkout-trial", _at("/buy/trial/"), varies=True),
    Place("trial-sent", _at("/buy/trial/sent/")),
    Place("demo-payment", _demo_payment),
    Place("order-waiting", _order("waiting"), varies=True),
    Place("order-failed", _order("failed")),
    Place("order-expired", _order("expired"), varies=True),
    Place("order-cancelled", _order("cancelled"), varies=True),
    Place("order-fresh", _order("fresh"), varies=True),
    Place("order-revealed", _order("revealed")),
    Place("order-shown", _shown("revealed")),
    Place("order-several", _shown("several"), varies=True),
    Place("order-saved", _order("saved"), varies=True),
    Place("order-lapsed", _order("lapsed"), varies=True),
    Place("order-replaced", _order("replaced"), varies=True),
    Place("order-topped-up", _order("topped_up")),
    Place("order-transfer", _order("transfer")),
    Place("order-partly-refunded", _order("partly_refunded"), varies=True),
    Place("order-refunded", _order("refunded"), varies=True),
    Place("order-disputed", _order("disputed"), varies=True),
    Place("receipt", _receipt),
    Place("redeem", _at("/redeem/")),
    Place("redeem-wrong", _sent("/redeem/"), 400, varies=True),
    Place("sign-in", _at("/account/sign-in/")),
    Place("sign-in-sent", _asked_to_sign_in, varies=True),
    Place("account", _account()),
    Place("account-new-key", _account("/account/keys/new/")),
    Place("account-key", _account("key"), varies=True),
    Place("find-order", _at("/orders/")),
    Place("find-order-wrong", _sent("/orders/"), 400, varies=True),
    Place("find-order-sent", _link_sent),
    Place("usage-enter", _at("/usage/")),
    Place("usage-wrong-key", _wrong_key, 400, varies=True),
    Place("usage", _usage()),
    Place("usage-month", _usage("?period=30d"), varies=True),
    Place("usage-filtered", _usage("?period=30d&state=interrupted")),
    Place("usage-nothing-found", _usage("?model=nobody&state=failed"), varies=True),
    Place("models", _at("/models/")),
    Place("model", _at("/models/gpt-4o-mini/")),
    Place("lines", _at("/lines/")),
    Place("guides", _at("/guides/")),
    *(Place(f"guide-{name}", _at(f"/guides/{name}/"), varies=name != "openai") for name in _GUIDES),
    Place("tokens", _at("/tokens/"), varies=True),
    Place("tokens-counted", _counted),
    Place("agreement", _at("/agreement/")),
    Place("agreement-versions", _at("/agreement/versions/")),
    Place("privacy", _at("/privacy/"), varies=True),
    Place("not-found", _at("/nowhere/"), 404),
    Place("forged", _forged, 403),
    Place("no-shop", _stranger, 421),
    Place("api-docs", _at("/api/docs/"), is_ours=False),
)
