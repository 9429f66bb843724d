"""Buying in a browser, and what buyers do besides: clicking twice, going back, losing keys."""

import httpx
from playwright.sync_api import expect

from tests.e2e import books
from tests.e2e.buying import Visitor, new_mailbox
from tests.e2e.letters import wait_for_letters
from tests.system.running import RunningSystem, wait_until

REVOKED_WITHIN_S = 2.0


def status_of(system: RunningSystem, key: str) -> int:
    """Return how the relay answers to a key."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{system.url}/v1/models", headers=headers, timeout=10).status_code


def test_a_trial_comes_by_mail_alone(visitor: Visitor, installation: RunningSystem) -> None:
    email = new_mailbox()
    visitor.page.goto("/")
    visitor.page.locator('.board-foot a[href^="/buy/"]').click()
    visitor.fill_in(email)
    visitor.submit.click()
    visitor.page.wait_for_url("**/buy/*/sent/")
    assert visitor.page.locator("[data-revealed-key], form[action*='/reveal/']").count() == 0
    visitor.page.goto(wait_for_letters(installation, email)[0].order_link)
    assert status_of(installation, visitor.reveal()) == 200


def test_a_double_click_on_the_order_and_on_pay_makes_one_order_paid_once(
    visitor: Visitor, installation: RunningSystem
) -> None:
    email = new_mailbox()
    visitor.choose_pack()
    visitor.fill_in(email)
    visitor.submit.dblclick()
    visitor.page.wait_for_url("**/pay/demo/*/")
    visitor.page.locator('button[value="pay"]').dblclick()
    visitor.page.wait_for_url("**/orders/*/*/")
    visitor.reveal()
    assert len(books.orders_of(installation, email)) == 1
    assert books.paid_once(installation, email)


def test_going_back_after_paying_pays_nothing_again(
    visitor: Visitor, installation: RunningSystem
) -> None:
    email = new_mailbox()
    visitor.place(email)
    visitor.pay()
    visitor.page.go_back()
    visitor.page.wait_for_url("**/pay/demo/*/")
    again = visitor.page.locator('button[value="pay"]')
    if again.count():
        again.click()
    visitor.page.go_back()
    visitor.page.goto(visitor.page.url)
    assert books.paid_once(installation, email)


def test_a_failed_payment_can_be_tried_again(visitor: Visitor, installation: RunningSystem) -> None:
    email = new_mailbox()
    visitor.place(email)
    visitor.page.locator('button[value="fail"]').click()
    visitor.page.wait_for_url("**/orders/*/*/")
    visitor.page.locator('form[action$="/pay/"] button').click()
    visitor.page.wait_for_url("**/pay/demo/*/")
    visitor.pay()
    assert status_of(installation, visitor.reveal()) == 200
    assert books.paid_once(installation, email)


def test_a_scanner_that_opens_every_mailed_link_does_not_cost_the_buyer_the_key(
    visitor: Visitor, installation: RunningSystem
) -> None:
    email = new_mailbox()
    visitor.place(email)
    visitor.pay()
    (letter,) = wait_for_letters(installation, email)
    assert letter.order_link in letter.links
    with httpx.Client(follow_redirects=True, timeout=10) as scanner:
        for link in letter.links * 3:
            assert link.startswith(installation.url), letter.links
            assert scanner.get(link).status_code == scanner.head(link).status_code == 200
    visitor.page.goto(letter.order_link)
    assert status_of(installation, visitor.reveal()) == 200


def test_a_replaced_key_is_refused_by_the_relay_and_the_new_one_has_the_balance(
    visitor: Visitor, installation: RunningSystem
) -> None:
    lost = visitor.buy(new_mailbox())
    visitor.page.locator('form[action*="/saved/"] button').click()
    visitor.page.locator("details.replace summary").click()
    visitor.page.locator('form[action*="/replace/"] button').click()
    new = visitor.reveal()
    wait_until(
        lambda: status_of(installation, lost) == 401,
        patience_s=REVOKED_WITHIN_S,
        what=lambda: "the relay still takes the old key",
    )
    assert status_of(installation, new) == 200
    assert books.wallet_of(installation, new) == books.wallet_of(installation, lost)


def test_an_order_is_found_again_by_mail(visitor: Visitor, installation: RunningSystem) -> None:
    email = new_mailbox()
    visitor.place(email)
    visitor.pay()
    wait_for_letters(installation, email)
    (order,) = books.orders_of(installation, email)
    visitor.page.goto("/orders/")
    visitor.page.locator("#number").fill(order.number)
    visitor.page.locator("#email").fill(email)
    visitor.page.locator("main form button").click()
    visitor.page.wait_for_url("**/orders/sent/")
    visitor.page.goto(wait_for_letters(installation, email, count=2)[1].order_link)
    expect(visitor.page.locator("main")).to_contain_text(order.number)
