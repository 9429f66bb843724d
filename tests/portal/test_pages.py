"""The small pages: the front page says how to call and what it costs; errors say what happened."""

import re
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.test import Client

from billing.scoping import tenant_scope
from relay.models import Channel
from tests.cast import Shop

Browser = Callable[..., Client]


def test_the_front_page_names_the_address_that_was_called(north: Shop, browser: Browser) -> None:
    page = browser("north.example:8443").get("/").text
    assert "http://north.example:8443/v1" in page


def test_a_model_is_usable_when_a_channel_serves_it(north: Shop, browser: Browser) -> None:
    page = browser(north.host).get("/").text
    assert state_of("gpt-4o", page) == "ok"
    assert state_of("gpt-4o-mini", page) == "off"


def test_a_channel_that_is_switched_off_serves_nothing(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        Channel.objects.update(is_enabled=False)
    assert state_of("gpt-4o", browser(north.host).get("/").text) == "off"


def test_prices_are_exact_multipliers(north: Shop, browser: Browser) -> None:
    page = browser(north.host).get("/").text
    row = re.search(r'<th scope="row">gpt-4</th>(.*?)</tr>', page, re.DOTALL)
    assert row
    assert re.findall(r">(\d+)<i", row[1]) == ["20", "40"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("en-GB,en;q=0.8", "en"),
        ("zh-CN,zh;q=0.9", "zh-hans"),
        ("de,fr;q=0.5", "zh-hans"),
        ("", "zh-hans"),
    ],
)
def test_the_browser_chooses_the_language_else_the_shop(
    north: Shop, browser: Browser, accepted: str, language: str
) -> None:
    page = browser(north.host).get("/", headers={"accept-language": accepted}).text
    assert f'<html lang="{language}">' in page


def test_an_english_shop_speaks_english_to_a_stranger(north: Shop, browser: Browser) -> None:
    north.tenant.language = "en"
    north.tenant.save(update_fields=["language"])
    assert '<html lang="en">' in browser(north.host).get("/").text


def test_the_language_switch_is_remembered(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    answer = visitor.post("/language/", {"language": "en", "next": "/"})
    assert answer.headers["location"] == "/"
    assert '<html lang="en">' in visitor.get("/", headers={"accept-language": "zh-CN"}).text


def test_the_language_switch_leads_nowhere_else(north: Shop, browser: Browser) -> None:
    form = {"language": "en", "next": "https://evil.example/"}
    assert browser(north.host).post("/language/", form).headers["location"] == "/"


def test_a_shops_name_can_not_carry_markup(north: Shop, browser: Browser) -> None:
    north.tenant.name = "<script>alert(1)</script>"
    north.tenant.save(update_fields=["name"])
    assert "<script>alert" not in browser(north.host).get("/").text


@pytest.mark.parametrize("path", ["/nowhere", "/admin/nowhere/", "/v2/", "/%00", "/admin/%2e%2e/"])
def test_a_missing_page_is_a_page(north: Shop, browser: Browser, path: str) -> None:
    answer = browser(north.host, north.owner).get(path)
    assert answer.status_code == 404
    assert "404" in answer.text


def test_a_broken_page_names_its_request(
    north: Shop, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.views.home.catalogue.current_prices", lambda _: 1 / 0)
    visitor = browser(north.host)
    visitor.raise_request_exception = False
    answer = visitor.get("/")
    assert answer.status_code == 500
    assert answer["x-request-id"] in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_a_form_from_elsewhere_is_refused(north: Shop) -> None:
    visitor = Client(headers={"host": north.host}, enforce_csrf_checks=True)
    answer = visitor.post("/language/", {"language": "en"})
    assert answer.status_code == 403
    assert "403" in answer.text


def test_crawlers_stay_out_of_the_admin(north: Shop, browser: Browser) -> None:
    assert "Disallow: /admin/" in browser(north.host).get("/robots.txt").text


def test_migrations_are_complete(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def state_of(model: str, page: str) -> str:
    """Return the state that the front page shows for a model."""
    found = re.search(rf'<th scope="row">{model}</th>.*?class="state (\w+)"', page, re.DOTALL)
    assert found
    return found[1]
