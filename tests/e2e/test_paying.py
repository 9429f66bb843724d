"""Every way to pay, and to have money back, in a browser: afterwards all books say the same."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import httpx
import pytest
from playwright.sync_api import Browser

from tests.e2e import books, operating
from tests.e2e.buying import Visitor, new_mailbox
from tests.e2e.letters import wait_for_letters
from tests.e2e.operating import Operator
from tests.fakes.epay import FakeEpay
from tests.fakes.stripe import FakeStripe
from tests.system.running import PATIENCE_S, RunningSystem, wait_until

SECRET = "whsec_of_the_demo_shop"
ACCOUNT = "6222 0000 1234, Ferry Ltd"
HALF = Fraction(1, 2)
BOUGHT = books.Account("paid", "confirmed", 1, 1, mails=("order",))


@dataclass(frozen=True)
class Paid:
    """An order that somebody has paid in a browser."""

    email: str
    number: str
    key: str


@pytest.fixture(scope="module")
def operator(
    browser: Browser, installation: RunningSystem, stripe: FakeStripe, gateway: FakeEpay
) -> Iterator[Operator]:
    """Somebody of the shop, who has entered its accounts at three providers."""
    with operating.sign_in(browser, installation) as person:
        address = person.add_way_to_pay(
            "stripe", name="Card", new_secrets=f"api_key=sk_test_north\nwebhook_secret={SECRET}"
        )
        stripe.notify(address, secret=SECRET)
        secrets = f"url={gateway.url}\npid=1001\nkey=k3y\ntype=alipay"
        person.add_way_to_pay("epay", name="Alipay", new_secrets=secrets)
        person.add_way_to_pay("manual", name="Transfer", instructions=ACCOUNT)
        yield person


def begin(visitor: Visitor, way: str, *, coupon: str = "") -> str:
    """Order the first pack, to be paid this way; return the mailbox."""
    email = new_mailbox()
    visitor.choose_pack()
    visitor.fill_in(email)
    visitor.page.locator(f'input[name=payment][data-name="{way}"]').check()
    if coupon:
        visitor.page.locator("input[name=coupon]").fill(coupon)
    visitor.submit.click()
    return email


def fetch(visitor: Visitor, system: RunningSystem, email: str) -> Paid:
    """Have the order's page show the key."""
    visitor.page.wait_for_url("**/orders/*/*/")
    key = visitor.reveal()
    (order,) = books.orders_of(system, email)
    return Paid(email, order.number, key)


def works(system: RunningSystem, key: str) -> bool:
    """Tell whether the relay takes a key."""
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.get(f"{system.url}/v1/models", headers=headers, timeout=10)
    return answer.status_code == 200


@pytest.mark.parametrize("name", ["Card", "Alipay"])
def test_an_account_is_tried_before_anybody_pays(operator: Operator, name: str) -> None:
    assert "It works" in operator.test_way_to_pay(name)


def test_a_card_at_stripe_and_a_dispute_that_is_won(
    visitor: Visitor, installation: RunningSystem, operator: Operator, stripe: FakeStripe
) -> None:
    email = begin(visitor, "Card")
    visitor.page.wait_for_url(f"{stripe.url}/c/pay/*")
    at_stripe = visitor.page.url
    visitor.page.get_by_role("button", name="Pay", exact=True).click()
    bought = fetch(visitor, installation, email)
    assert books.account_of(installation, email) == BOUGHT
    visitor.page.goto(at_stripe)
    visitor.page.get_by_role("button", name="Dispute").click()
    assert books.account_of(installation, email) == replace(BOUGHT, payment="disputed", kept=0)
    wait_until(lambda: not works(installation, bought.key), patience_s=PATIENCE_S)
    visitor.page.get_by_role("button", name="Shop wins").click()
    assert books.account_of(installation, email) == BOUGHT
    wait_until(lambda: works(installation, bought.key), patience_s=PATIENCE_S)


def test_a_dispute_that_is_lost_is_a_refund(
    visitor: Visitor, installation: RunningSystem, operator: Operator, stripe: FakeStripe
) -> None:
    email = begin(visitor, "Card")
    visitor.page.wait_for_url(f"{stripe.url}/c/pay/*")
    at_stripe = visitor.page.url
    visitor.page.get_by_role("button", name="Pay", exact=True).click()
    fetch(visitor, installation, email)
    visitor.page.goto(at_stripe)
    visitor.page.get_by_role("button", name="Dispute").click()
    visitor.page.get_by_role("button", name="Shop loses").click()
    assert books.account_of(installation, email) == books.Account(
        "refunded", "refunded", 0, 0, mails=("order",)
    )


def test_alipay_at_a_gateway_and_half_of_it_back(
    visitor: Visitor, installation: RunningSystem, operator: Operator, gateway: FakeEpay
) -> None:
    email = begin(visitor, "Alipay")
    visitor.page.wait_for_url(f"{gateway.url}**")
    visitor.page.get_by_role("button", name="Pay").click()
    bought = fetch(visitor, installation, email)
    assert books.account_of(installation, email) == BOUGHT
    operator.refund(bought.number, amount="6.00", reason="half unused")
    half = books.Account(
        "partly_refunded", "partly_refunded", HALF, HALF, mails=("order", "refund")
    )
    assert books.account_of(installation, email) == half
    (placed,) = (one for one in gateway.orders.values() if one.asked["name"] == bought.number)
    assert placed.refunded == 6
    assert "6.00" in wait_for_letters(installation, email, count=2)[1].text


def test_a_transfer_that_somebody_has_seen_arrive(
    visitor: Visitor, installation: RunningSystem, operator: Operator
) -> None:
    email = begin(visitor, "Transfer")
    visitor.page.wait_for_url("**/orders/*/*/")
    assert ACCOUNT in visitor.page.locator("main").inner_text()
    assert ACCOUNT in wait_for_letters(installation, email)[0].text
    (order,) = books.orders_of(installation, email)
    operator.note_money(order.number)  # the page that waits goes on by itself
    assert works(installation, fetch(visitor, installation, email).key)
    assert books.account_of(installation, email) == replace(BOUGHT, mails=("transfer", "order"))


def test_codes_are_made_taken_home_and_redeemed(
    visitor: Visitor, installation: RunningSystem, operator: Operator
) -> None:
    first, second = operator.make_codes("5M", count=2)
    email = new_mailbox()
    visitor.page.goto("/redeem/")
    visitor.page.locator("input[name=code]").fill(first)
    visitor.page.locator("input[name=email]").fill(email)
    visitor.page.locator("input[name=agreed]").check()
    visitor.page.locator("main form button").first.click()
    key = fetch(visitor, installation, email).key
    visitor.enter_key(key)
    visitor.page.locator("input[name=code]").fill(second)
    visitor.page.locator('form[action$="/redeem/"] button').click()
    visitor.page.wait_for_load_state()
    assert books.redeemed(installation, key) == [5_000_000, 5_000_000]


def test_a_coupon_makes_an_order_cheaper(
    visitor: Visitor, installation: RunningSystem, operator: Operator
) -> None:
    operator.add_coupon("AUTUMN20", percent=20)
    email = begin(visitor, "Demo Pay", coupon="AUTUMN20")
    visitor.page.wait_for_url("**/pay/demo/*/")
    visitor.pay()
    fetch(visitor, installation, email)
    (order,) = books.orders_of(installation, email)
    assert (order.total_minor, order.discount_minor) == (960, 240)
    assert books.account_of(installation, email) == BOUGHT
