"""Where providers send buyers back to: an address without a secret, which believes nothing."""

from base64 import urlsafe_b64encode

from billing.models import DemoCharge
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.portal.buying.buyer import Answer, Buyer


def back_of(buyer: Buyer) -> str:
    """Order in a browser as far as the payment; return the address that leads back from there."""
    buyer.send(buyer.form())
    return f"/pay/{buyer.payment(buyer.orders()[-1]).public_id}/return/"


def elsewhere(buyer: Buyer, address: str, cookie: str | None = None) -> Answer:
    """Open an address in another browser."""
    buyer.client.cookies.clear()
    if cookie is not None:
        buyer.client.cookies["paying"] = cookie
    return buyer.client.get(address)


def test_the_browser_that_pays_comes_back_to_its_order(buyer: Buyer) -> None:
    back = back_of(buyer)
    for answer in (buyer.client.get(back), buyer.client.post(back)):
        assert (answer.status_code, answer["location"]) == (303, buyer.path(buyer.orders()[0]))


def test_another_browser_learns_nothing(buyer: Buyer) -> None:
    back = back_of(buyer)
    order = buyer.orders()[0]
    page = elsewhere(buyer, back).text
    assert not any(secret in page for secret in (buyer.path(order), order.number, order.email))


def test_a_browser_comes_back_to_no_order_but_its_own(buyer: Buyer, stranger: Buyer) -> None:
    theirs = back_of(stranger)
    back_of(buyer)
    other = f"/pay/{buyer.payment(buyer.order()).public_id}/return/"
    assert buyer.client.get(other).status_code == 200
    assert buyer.client.get(theirs).status_code == 404


def test_a_cookie_of_ones_own_making_opens_nothing(buyer: Buyer) -> None:
    back = back_of(buyer)
    name = f'"{buyer.payment(buyer.orders()[0]).public_id.hex}"'.encode()
    body, signature = buyer.client.cookies["paying"].value.split(":", 1)
    for forged in ("", "x", urlsafe_b64encode(name).decode(), f"IiI:{signature}", f"{body}:x"):
        assert elsewhere(buyer, back, forged).status_code == 200


def test_the_cookie_goes_to_the_addresses_of_its_payment_alone(buyer: Buyer) -> None:
    back = back_of(buyer)
    cookie = buyer.client.cookies["paying"]
    assert (cookie["path"], cookie["httponly"]) == (back.removesuffix("return/"), True)
    assert (cookie["samesite"], cookie["max-age"]) == ("Lax", 86_400)


def test_the_cookie_of_one_payment_leads_to_no_other_order(buyer: Buyer) -> None:
    first = back_of(buyer)
    kept = buyer.client.cookies["paying"].value
    second = back_of(buyer)
    assert elsewhere(buyer, first, kept).status_code == 303
    assert elsewhere(buyer, second, kept).status_code == 200


def test_what_comes_with_the_visit_is_not_believed(buyer: Buyer) -> None:
    back = back_of(buyer)
    buyer.client.get(f"{back}?trade_status=TRADE_SUCCESS&money=5.00&sign=x")
    order = buyer.orders()[0]
    with tenant_scope(order.tenant_id):
        assert (order.status, DemoCharge.objects.get().status) == ("pending", "open")


def test_a_trial_leaves_no_trace_in_the_browser(buyer: Buyer) -> None:
    with tenant_scope(buyer.shop.tenant.pk):
        trial = making.new_trial(buyer.shop.tenant, slug="trial")
    buyer.send(buyer.form(trial.slug, to=None, quantity=None, payment=None), trial.slug)
    assert buyer.orders()
    assert "paying" not in buyer.client.cookies
