"""What all pages have in common: language, names without markup, errors that say what happened."""

import re
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

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


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_missing_page_has_the_look_of_the_shop(
    north: Shop, south: Shop, browser: Browser, language: str
) -> None:
    page = browser(north.host).get("/nowhere", headers={"accept-language": language}).text
    assert "North shop" in page
    assert 'href="/usage/"' in page
    assert "South shop" not in page


def test_a_missing_page_asks_the_database_for_the_shop_alone(north: Shop, browser: Browser) -> None:
    with CaptureQueriesContext(connection) as queries:
        browser(north.host).get("/nowhere")
    assert len(queries) == 1


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
    assert "North shop" in answer.text


def test_a_form_from_elsewhere_is_refused(north: Shop) -> None:
    visitor = Client(headers={"host": north.host}, enforce_csrf_checks=True)
    answer = visitor.post("/language/", {"language": "en"})
    assert answer.status_code == 403
    assert "403" in answer.text


@pytest.mark.parametrize("path", ["/admin/", "/orders/", "/pay/", "/usage/key/", "/v1/"])
def test_crawlers_stay_out_of_what_is_not_for_everybody(
    north: Shop, browser: Browser, path: str
) -> None:
    assert f"Disallow: {path}\n" in browser(north.host).get("/robots.txt").text


def test_the_language_switch_leads_back_to_the_page(north: Shop, browser: Browser) -> None:
    page = browser(north.host).get("/agreement/?from=checkout").text
    assert '<input type="hidden" name="next" value="/agreement/?from=checkout">' in page


@pytest.mark.parametrize(
    ("email", "url", "link"),
    [
        ("help@north.example", "", 'href="mailto:help@north.example"'),
        ("help@north.example", "https://t.example/x", 'href="https://t.example/x"'),
        ("", "", ""),
    ],
)
def test_the_contact_of_a_shop_stands_below_its_pages(
    north: Shop, browser: Browser, email: str, url: str, link: str
) -> None:
    north.tenant.contact_email, north.tenant.contact_url = email, url
    north.tenant.save(update_fields=["contact_email", "contact_url"])
    page = browser(north.host).get("/agreement/").text
    assert link in page
    assert ("联系客服" in page) is bool(link)


@pytest.mark.parametrize("path", ["/", "/agreement/", "/privacy/", "/nowhere"])
def test_english_pages_have_no_chinese_but_the_switch(
    north: Shop, browser: Browser, path: str
) -> None:
    page = browser(north.host).get(path, headers={"accept-language": "en"}).text
    text = page.replace('aria-label="切换到中文">中文<', "")
    assert not re.findall(r"[\u4e00-\u9fff]+", text)


@pytest.mark.parametrize("path", ["/", "/agreement/", "/nowhere"])
def test_no_page_has_inline_styles_or_scripts(north: Shop, browser: Browser, path: str) -> None:
    page = browser(north.host).get(path).text
    assert not re.findall(r"<style|\bstyle=|<script>|\bon[a-z]+=|javascript:", page)


def test_migrations_are_complete(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
