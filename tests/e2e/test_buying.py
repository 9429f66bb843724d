"""Buying in a browser, and what buyers do besides: clicking twice, going back, losing keys."""

import httpx
from playwright.sync_api import Page, expect

from tests.e2e import books, buying
from tests.e2e.letters import wait_for_letters
from tests.system.running import RunningSystem, wait_until

REVOKED_WITHIN_S = 2.0


def status_of(system: RunningSystem, key: str) -> int:
    """Return how the relay answers to a key."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{system.url}/v1/models", headers=headers, timeout=10).status_code


def test_a_trial_comes_by_mail_alone(page: Page, installation: RunningSystem) -> None:
    email = buying.new_mailbox()
    page.goto("/")
    page.locator('.board-foot a[href^="/buy/"]').click()
    buying.fill_in(page, email)
    buying.submit_of(page).click()
    page.wait_for_url("**/buy/*/sent/")
    assert page.locator("[data-revealed-key], form[action*='/reveal/']").count() == 0
    page.goto(wait_for_letters(installation, email)[0].order_link)
    assert status_of(installation, buying.reveal(page)) == 200


def test_a_double_click_on_the_order_and_on_pay_makes_one_order_paid_once(
    page: Page, installation: RunningSystem
) -> None:
    email = buying.new_mailbox()
    buying.choose_pack(page)
    buying.fill_in(page, email)
    buying.submit_of(page).dblclick()
    page.wait_for_url("**/pay/demo/*/")
    page.locator('button[value="pay"]').dblclick()
    page.wait_for_url("**/orders/*/*/")
    buying.reveal(page)
    assert len(books.orders_of(installation, email)) == 1
    assert books.paid_once(installation, email)


def test_going_back_after_paying_pays_nothing_again(
    page: Page, installation: RunningSystem
) -> None:
    email = buying.new_mailbox()
    buying.place(page, email)
    buying.pay(page)
    page.go_back()
    page.wait_for_url("**/pay/demo/*/")
    again = page.locator('button[value="pay"]')
    if again.count():
        again.click()
    page.go_back()
    page.goto(page.url)
    assert books.paid_once(installation, email)


def test_a_failed_payment_can_be_tried_again(page: Page, installation: RunningSystem) -> None:
    email = buying.new_mailbox()
    buying.place(page, email)
    page.locator('button[value="fail"]').click()
    page.wait_for_url("**/orders/*/*/")
    page.locator('form[action$="/pay/"] button').click()
    page.wait_for_url("**/pay/demo/*/")
    buying.pay(page)
    assert status_of(installation, buying.reveal(page)) == 200
    assert books.paid_once(installation, email)


def test_a_scanner_that_opens_every_mailed_link_does_not_cost_the_buyer_the_key(
    page: Page, installation: RunningSystem
) -> None:
    email = buying.new_mailbox()
    buying.place(page, email)
    buying.pay(page)
    (letter,) = wait_for_letters(installation, email)
    assert letter.order_link in letter.links
    with httpx.Client(follow_redirects=True, timeout=10) as scanner:
        for link in letter.links * 3:
            assert link.startswith(installation.url), letter.links
            assert scanner.get(link).status_code == scanner.head(link).status_code == 200
    page.goto(letter.order_link)
    assert status_of(installation, buying.reveal(page)) == 200


def test_a_replaced_key_is_refused_by_the_relay_and_the_new_one_has_the_balance(
    page: Page, installation: RunningSystem
) -> None:
    lost = buying.buy(page, buying.new_mailbox())
    page.locator('form[action*="/saved/"] button').click()
    page.locator("details.replace summary").click()
    page.locator('form[action*="/replace/"] button').click()
    new = buying.reveal(page)
    wait_until(
        lambda: status_of(installation, lost) == 401,
        patience_s=REVOKED_WITHIN_S,
        what=lambda: "the relay still takes the old key",
    )
    assert status_of(installation, new) == 200
    assert books.wallet_of(installation, new) == books.wallet_of(installation, lost)


def test_an_order_is_found_again_by_mail(page: Page, installation: RunningSystem) -> None:
    email = buying.new_mailbox()
    buying.place(page, email)
    buying.pay(page)
    wait_for_letters(installation, email)
    (order,) = books.orders_of(installation, email)
    page.goto("/orders/")
    page.locator("#number").fill(order.number)
    page.locator("#email").fill(email)
    page.locator("main form button").click()
    page.wait_for_url("**/orders/sent/")
    page.goto(wait_for_letters(installation, email, count=2)[1].order_link)
    expect(page.locator("main")).to_contain_text(order.number)
