"""Somebody signs in without a password, buys credit, and makes keys that spend it."""

from playwright.sync_api import expect

from tests.e2e import books
from tests.e2e.buying import Visitor, new_mailbox
from tests.e2e.letters import wait_for_letters
from tests.system import asking
from tests.system.running import PATIENCE_S, RunningSystem, wait_until

MODEL = "gpt-4o-mini"


def sign_in(visitor: Visitor, system: RunningSystem) -> None:
    """Follow a mailed link into the account of a new mailbox."""
    email = new_mailbox()
    visitor.page.goto("/account/")
    visitor.write(visitor.page.locator("main input[name=email]"), email)
    visitor.open("main form button", "**/account/sign-in/sent/")
    visitor.page.goto(wait_for_letters(system, email)[0].sign_in_link)
    visitor.open("main form button", "**/account/")


def test_credit_is_bought_and_spent_by_a_key_of_the_account(
    visitor: Visitor, installation: RunningSystem
) -> None:
    sign_in(visitor, installation)
    visitor.open('form[action$="/account/top-up/"] button', "**/pay/demo/*/")
    visitor.pay()
    visitor.page.goto("/account/keys/new/")
    visitor.write(visitor.page.locator("main [name=name]"), "Chatbox")
    visitor.write(visitor.page.locator("main [name=cap_ubt]"), "100000")
    visitor.press(visitor.page.locator("main form button.primary"))
    key = visitor.page.locator("[data-revealed-key]").inner_text()
    asked = asking.body(MODEL, "What is a wallet?")
    assert asking.post(installation, key, host="127.0.0.1", asked=asked).status_code == 200
    assert books.wallet_of(installation, key).owner_id
    wait_until(lambda: books.wallet_of(installation, key).debits_ubt > 0, patience_s=PATIENCE_S)
    visitor.page.goto("/account/")
    expect(visitor.page.locator("main")).to_contain_text(key[-4:])
