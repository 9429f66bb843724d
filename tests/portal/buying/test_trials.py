"""Trials: the key goes by mail, one to a mailbox, and the browser that asks is told nothing."""

import pytest

from billing.models import Product
from billing.orders import links
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.portal.buying.buyer import KEY, Buyer, without_tokens

PAGE = "/buy/trial/"


@pytest.fixture
def trial(buyer: Buyer) -> Product:
    """A trial on offer."""
    with tenant_scope(buyer.shop.tenant.pk):
        return making.new_trial(buyer.shop.tenant, slug="trial")


def ask(buyer: Buyer, email: str) -> tuple[int, str]:
    """Ask for the trial; return where the browser ends and what it is shown there."""
    answer = buyer.client.post(PAGE, buyer.form("trial", email=email), follow=True)
    return answer.status_code, without_tokens(answer.text)


def test_the_browser_gets_neither_link_nor_key(buyer: Buyer, trial: Product) -> None:
    answer = buyer.send(buyer.form("trial"), "trial")
    assert (answer.status_code, answer["location"]) == (303, "/buy/trial/sent/")
    (order,) = buyer.orders()
    with tenant_scope(order.tenant_id):
        token = links.token_of(order)
    shown = buyer.client.get("/buy/trial/sent/").text
    assert token not in shown
    assert order.number not in shown
    assert not KEY.search(shown)


def test_the_mail_leads_to_the_key(buyer: Buyer, trial: Product) -> None:
    ask(buyer, "lin@example.com")
    (mail,) = buyer.mails("trial")
    (order,) = buyer.orders()
    assert (mail.subject_id, mail.recipient) == (order.pk, "lin@example.com")
    assert KEY.fullmatch(buyer.reveal(order))


def test_sending_the_form_again_shows_nothing_more(buyer: Buyer, trial: Product) -> None:
    form = buyer.form("trial")
    assert buyer.send(form, "trial")["location"] == buyer.send(form, "trial")["location"]
    assert len(buyer.orders()) == len(buyer.mails("trial")) == 1


def test_the_form_of_another_product_does_not_show_the_link_either(
    buyer: Buyer, trial: Product
) -> None:
    form = buyer.form("trial")
    buyer.send(form, "trial")
    answer = buyer.send(buyer.form(checkout_id=form["checkout_id"]))
    assert (answer.status_code, answer.get("location")) == (400, None)
    (order,) = buyer.orders()
    assert order.number not in answer.text


def test_a_mailbox_that_had_its_trial_can_not_be_told_from_a_new_one(
    buyer: Buyer, trial: Product
) -> None:
    first, again = ask(buyer, "lin@example.com"), ask(buyer, "Lin+2@example.com")
    assert first == again == ask(buyer, "somebody.else@example.com")
    assert len(buyer.orders()) == 2
    (mail,) = buyer.mails("order_link")
    assert (mail.subject_id, mail.recipient) == (buyer.orders()[0].pk, "lin@example.com")


def test_a_network_gets_three_trials_a_day(buyer: Buyer, trial: Product) -> None:
    statuses = [ask(buyer, f"box{number}@example.com")[0] for number in range(4)]
    assert statuses == [200, 200, 200, 400]
    assert len(buyer.orders()) == 3


@pytest.mark.parametrize("field", ["quantity", "payment", "to", "key"])
def test_a_trial_takes_no_other_answers(buyer: Buyer, trial: Product, field: str) -> None:
    assert f'name="{field}"' not in buyer.client.get(PAGE).text
    buyer.send(buyer.form("trial", **{field: "7"}), "trial")
    assert [order.total_minor for order in buyer.orders()] == [0]


def test_only_trials_are_sent_by_mail_alone(buyer: Buyer) -> None:
    assert buyer.client.get(f"/buy/{buyer.product.slug}/sent/").status_code == 404
