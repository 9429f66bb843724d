"""Agreement and privacy: a shop's own text, else ours; never another shop's."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import LegalText
from billing.scoping import tenant_scope
from portal import legal
from tests.cast import Shop

Browser = Callable[..., Client]
PAGES = [("/agreement/", "agreement"), ("/privacy/", "privacy")]
ENGLISH = {"accept-language": "en"}
CHINESE = {"accept-language": "zh-CN"}


@pytest.mark.parametrize(("path", "purpose"), PAGES)
@pytest.mark.parametrize("headers", [ENGLISH, CHINESE])
def test_a_shop_without_a_text_shows_ours(
    north: Shop, browser: Browser, path: str, purpose: str, headers: dict[str, str]
) -> None:
    page = browser(north.host).get(path, headers=headers).text
    assert "North shop" in page
    assert page.count("<h2>") >= 5
    assert "{" not in page
    assert ("不保存任何对话内容" if headers is CHINESE else "stores no chat content") in page


@pytest.mark.parametrize("purpose", ["agreement", "privacy"])
def test_both_languages_of_ours_have_the_same_versions_and_sections(purpose: str) -> None:
    files = {path.name for path in (legal.TEXTS / purpose).iterdir()}
    names = legal._versions_of_ours(purpose)
    assert files == {f"{name}.{language}.md" for name in names for language in ("zh-hans", "en")}
    for name in names:
        chinese, english = (legal._file(purpose, name, one) for one in ("zh-hans", "en"))
        for mark in ("\n# ", "\n- ", "\n1. ", "\n|"):
            assert chinese.count(mark) == english.count(mark)


def test_a_shops_own_text_goes_before_ours(north: Shop, browser: Browser) -> None:
    publish(north, "Own *rules*", version="7")
    page = browser(north.host).get("/agreement/", headers=CHINESE).text
    assert "Own <em>rules</em>" in page
    assert "7 版" in page


def test_another_shops_text_is_not_shown(north: Shop, south: Shop, browser: Browser) -> None:
    publish(south, "Southern rules")
    assert "Southern rules" not in browser(north.host).get("/agreement/", headers=CHINESE).text


def test_the_newest_text_counts_from_its_day_on(north: Shop) -> None:
    publish(north, "first", version="1", in_days=-9)
    publish(north, "second", version="2", in_days=-1)
    publish(north, "third", version="3", in_days=1)
    assert current(north, "zh-hans").version == "2"


def test_a_shop_that_wrote_in_one_language_says_that_in_every_language(
    north: Shop, browser: Browser
) -> None:
    publish(north, "Eigene Regeln")
    page = browser(north.host).get("/agreement/", headers=ENGLISH).text
    assert "Eigene Regeln" in page
    assert '<article class="prose legal" lang="zh-hans">' in page
    assert "in one language" in page


def test_a_text_in_the_readers_language_goes_before_an_newer_one(north: Shop) -> None:
    publish(north, "English", version="en", language="en", in_days=-9)
    publish(north, "中文", version="zh", in_days=-1)
    assert current(north, "en").version == "en"


def test_a_purpose_has_texts_of_its_own(north: Shop) -> None:
    publish(north, "rules", version="agreement")
    with tenant_scope(north.tenant.pk):
        assert legal.current(north.tenant, LegalText.PRIVACY, "en").version != "agreement"


def test_a_shops_name_can_not_change_the_text(north: Shop, browser: Browser) -> None:
    north.tenant.name = "[x](javascript:alert(1)) <script>"
    north.tenant.save(update_fields=["name"])
    page = browser(north.host).get("/agreement/", headers=ENGLISH).text
    assert "<script>" not in page
    assert 'href="javascript' not in page


def test_the_contact_of_the_shop_is_named(north: Shop, browser: Browser) -> None:
    north.tenant.contact_email = "help@north.example"
    north.tenant.save(update_fields=["contact_email"])
    page = browser(north.host).get("/privacy/", headers=ENGLISH).text
    assert 'href="mailto:help@north.example"' in page


def test_no_browser_shows_an_old_agreement(north: Shop, browser: Browser) -> None:
    assert browser(north.host).get("/agreement/")["cache-control"] == "private, no-cache"


def listed(shop: Shop) -> list[str]:
    """Return the versions of a shop's agreement that have counted."""
    with tenant_scope(shop.tenant.pk):
        return [page.version for page in legal.versions(shop.tenant, "agreement", "en")]


def test_the_versions_of_a_shop_are_its_own_and_ours_from_before(north: Shop) -> None:
    ours = listed(north)
    publish(north, "second", version="2", in_days=2)
    publish(north, "first", version="1")
    assert listed(north) == ["1", *ours]


def test_ours_that_ended_before_a_shop_began_are_not_among_its_versions(north: Shop) -> None:
    north.tenant.created_at = timezone.now() + timedelta(days=400)
    assert listed(north) == [legal._versions_of_ours("agreement")[0]]


def test_an_old_version_stays_readable_and_says_that_it_is_old(
    north: Shop, browser: Browser
) -> None:
    publish(north, "The *first* rules", version="v 1/a", in_days=-2)
    publish(north, "The second rules", version="2", in_days=-1)
    page = browser(north.host).get("/agreement/versions/v%201/a/", headers=ENGLISH).text
    assert "The <em>first</em> rules" in page
    assert "not the version that counts" in page
    assert "not the version" not in browser(north.host).get("/agreement/versions/2/").text


def test_ours_stays_readable_in_a_shop_that_has_its_own(north: Shop, browser: Browser) -> None:
    publish(north, "Own", in_days=-1)
    path = f"/agreement/versions/{legal._versions_of_ours('agreement')[-1]}/"
    assert "North shop" in browser(north.host).get(path, headers=ENGLISH).text


@pytest.mark.parametrize("version", ["3", "%00", "../texts", "privacy/2026-11-22"])
def test_a_version_that_is_none_is_not_found(north: Shop, browser: Browser, version: str) -> None:
    assert browser(north.host).get(f"/agreement/versions/{version}/").status_code == 404


def test_two_versions_can_be_compared(north: Shop, browser: Browser) -> None:
    publish(north, "Pay in 60 minutes", version="1", in_days=-2)
    publish(north, "Pay in 90 minutes", version="2", in_days=-1)
    page = browser(north.host).get("/agreement/versions/?from=1&to=2", headers=ENGLISH).text
    assert '<del><span class="sr">removed: </span>60</del>' in page
    assert '<ins><span class="sr">added: </span>90</ins>' in page


def test_a_text_that_is_compared_can_not_change_the_page(north: Shop, browser: Browser) -> None:
    publish(north, "a <script>", version="1", in_days=-2)
    publish(north, "a <script>alert()</script>", version="2", in_days=-1)
    page = browser(north.host).get("/agreement/versions/?from=1&to=2").text
    assert "<script>alert" not in page


def test_what_there_is_not_is_not_compared(north: Shop, browser: Browser) -> None:
    page = browser(north.host).get("/agreement/versions/?from=1&to=%00", headers=ENGLISH)
    assert page.status_code == 200
    assert "<ins>" not in page.text


def publish(
    shop: Shop, body: str, *, version: str = "1", language: str = "zh-hans", in_days: int = 0
) -> None:
    """Publish an agreement of a shop."""
    with tenant_scope(shop.tenant.pk):
        LegalText.objects.create(
            tenant=shop.tenant,
            purpose=LegalText.AGREEMENT,
            language=language,
            version=version,
            body=body,
            published_at=timezone.now() + timedelta(days=in_days),
        )


def current(shop: Shop, language: str) -> legal.LegalPage:
    """Return the agreement of a shop that counts now."""
    with tenant_scope(shop.tenant.pk):
        return legal.current(shop.tenant, LegalText.AGREEMENT, language)
