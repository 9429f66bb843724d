"""What all pages have in common: language, names without markup, errors that say what happened."""

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.test import Client

from tests.cast import Shop

Browser = Callable[..., Client]


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
    monkeypatch.setattr("portal.price_list.catalogue.current_prices", lambda _: 1 / 0)
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
