"""Signing in to the admin: who has a role on this host gets in, everyone else hears the same."""

from collections.abc import Callable

import pytest
from django.test import Client

from billing.models import User
from tests.cast import Shop

Browser = Callable[..., Client]
PASSWORD = "correct horse battery staple"


def sign_in(visitor: Client, user: User, password: str = PASSWORD) -> tuple[int, str]:
    """Submit the form; return the status and the page."""
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    answer = visitor.post("/admin/login/", {"username": user.email, "password": password})
    return answer.status_code, answer.text


def test_an_owner_gets_in_at_the_own_shop(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    assert sign_in(visitor, north.owner)[0] == 302
    assert visitor.get("/admin/").status_code == 200


def test_an_operator_gets_in_anywhere(north: Shop, operator: User, browser: Browser) -> None:
    assert sign_in(browser(north.host), operator)[0] == 302


def test_another_shops_owner_hears_what_a_wrong_password_hears(
    north: Shop, south: Shop, browser: Browser
) -> None:
    right = sign_in(browser(north.host), south.owner)
    wrong = sign_in(browser(north.host), south.owner, password="wrong")
    assert right[0] == wrong[0] == 200
    assert without_tokens(right[1]) == without_tokens(wrong[1])


def test_an_inactive_owner_stays_out(north: Shop, browser: Browser) -> None:
    north.owner.is_active = False
    north.owner.save(update_fields=["is_active"])
    assert sign_in(browser(north.host), north.owner)[0] == 200


def test_a_session_of_one_shop_opens_no_other(north: Shop, south: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    sign_in(visitor, north.owner)
    assert visitor.get("/admin/", headers={"host": south.host}).status_code == 302


def test_signing_in_leads_nowhere_else(north: Shop, browser: Browser) -> None:
    north.owner.set_password(PASSWORD)
    north.owner.save(update_fields=["password"])
    form = {"username": north.owner.email, "password": PASSWORD, "next": "https://evil.example/"}
    answer = browser(north.host).post("/admin/login/", form)
    assert answer.headers["location"] == "/admin/"


def without_tokens(page: str) -> list[str]:
    """Return the lines of a page that do not differ from answer to answer."""
    return [line for line in page.splitlines() if "csrfmiddlewaretoken" not in line]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_page_knows_the_methods_of_a_browser_alone(
    north: Shop, browser: Browser, method: str
) -> None:
    answer = browser(north.host, north.owner).generic(method, "/admin/billing/order/")
    assert (answer.status_code, answer["allow"]) == (405, "GET, HEAD, POST")
