"""Guides: one for each client, with the address of this shop in the form that the client wants."""

from collections.abc import Callable

import pytest
from django.test import Client

from portal.guides import GUIDES, READ, Guide
from tests.cast import Shop

Browser = Callable[..., Client]


def read(browser: Browser, host: str, slug: str, language: str = "en") -> str:
    answer = browser(host).get(f"/guides/{slug}/", headers={"accept-language": language})
    assert answer.status_code == 200
    return answer.text


def test_every_guide_is_listed(north: Shop, browser: Browser) -> None:
    text = browser(north.host).get("/guides/").text
    assert not [guide.slug for guide in GUIDES if f'href="/guides/{guide.slug}/"' not in text]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.slug)
def test_a_guide_is_there_in_both_languages(north: Shop, browser: Browser, guide: Guide) -> None:
    english, chinese = (read(browser, north.host, guide.slug, code) for code in ("en", "zh-CN"))
    assert '<html lang="en">' in english
    assert '<html lang="zh-hans">' in chinese
    assert english.count("<h1") == 1
    assert ("No answer?" in english) == (guide.group != READ)


@pytest.mark.parametrize(
    ("slug", "address"),
    [
        ("chatbox", "http://north.example:8443<"),
        ("cherry-studio", "http://north.example:8443<"),
        ("nextchat", "http://north.example:8443<"),
        ("openai-translator", "http://north.example:8443<"),
        ("lobechat", "http://north.example:8443/v1<"),
        ("openai", "http://north.example:8443/v1<"),
        ("langchain", "http://north.example:8443/v1<"),
        ("claude-code", "http://north.example:8443<"),
        ("codex", "http://north.example:8443/v1<"),
        ("gemini", "http://north.example:8443<"),
        ("curl", "http://north.example:8443/v1<"),
        ("immersive-translate", "http://north.example:8443/v1/chat/completions<"),
        ("vpet", "http://north.example:8443/v1/chat/completions<"),
    ],
)
def test_the_address_is_in_the_form_that_the_client_wants(
    north: Shop, browser: Browser, slug: str, address: str
) -> None:
    text = read(browser, "north.example:8443", slug)
    assert f">{address}/code>" in text


def test_examples_name_a_model_that_works_here(north: Shop, browser: Browser) -> None:
    assert 'model="gpt-4o"' in read(browser, north.host, "openai")


def test_the_server_knows_no_key(north: Shop, browser: Browser) -> None:
    text = read(browser, north.host, "openai")
    assert north.plaintext not in text
    assert "YOUR-KEY" in text


def test_the_picker_leads_to_its_guide(north: Shop, browser: Browser) -> None:
    answer = browser(north.host).get("/guides/?to=curl")
    assert (answer.status_code, answer.headers["location"]) == (302, "/guides/curl/")


@pytest.mark.parametrize("wanted", ["//evil.example", "nothing", "%00", "", "../admin"])
def test_the_picker_leads_nowhere_else(north: Shop, browser: Browser, wanted: str) -> None:
    assert browser(north.host).get(f"/guides/?to={wanted}").status_code == 200


@pytest.mark.parametrize("slug", ["nothing", "_guide", "_need", "index", "code"])
def test_an_unknown_guide_is_a_missing_page(north: Shop, browser: Browser, slug: str) -> None:
    assert browser(north.host).get(f"/guides/{slug}/").status_code == 404


def test_a_shops_name_can_not_leave_its_attribute(north: Shop, browser: Browser) -> None:
    north.tenant.name = '"><script>alert(1)</script>'
    north.tenant.save(update_fields=["name"])
    assert "<script>alert" not in read(browser, north.host, "chatbox")
