"""Keys are handed over to clients in the browser alone, in the form that each client documents."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

KEY = "ak-" + "Qx7" * 16
BASE = "https://api.north.example"
SETTINGS = {"key": KEY, "base": BASE, "name": "北辰 API"}
CARRIED = {"id": "api.north.example", "name": "北辰 API", "type": "openai"}


@pytest.fixture
def asked(page: Page) -> Iterator[list[Request]]:
    """Every request of the visit, none of which may carry the key."""
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    yield requests
    for request in requests:
        sent = f"{request.url} {request.headers} {request.post_data or ''}"
        assert KEY not in unquote(sent)


def link(page: Page, client: str, **more: str) -> str:
    settings = SETTINGS | more
    return str(
        page.evaluate("([client, settings]) => importLink(client, settings)", [client, settings])
    )


def carried(parameter: str) -> Any:
    return json.loads(base64.b64decode(parameter, validate=True))


def parameters(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def know_key(page: Page) -> None:
    """Let this tab remember a key, as an order page does that shows one."""
    page.evaluate("key => sessionStorage.setItem('key', key)", KEY)
    page.reload()


@pytest.fixture
def guide(page: Page, asked: list[Request]) -> Page:
    """A guide that is read in a tab that knows no key yet."""
    page.goto("/guides/chatbox/")
    return page


def test_nextchat_reads_the_fragment(guide: Page) -> None:
    before, _, settings = link(guide, "nextchat").partition("/#/?settings=")
    assert before == "https://app.nextchat.dev"
    assert unquote(settings) == f'{{"key":"{KEY}","url":"{BASE}"}}'


def test_lobechat_reads_the_query(guide: Page) -> None:
    before, _, settings = link(guide, "lobechat").partition("/?settings=")
    assert before == "https://lobechat.com"
    vault = f'{{"apiKey":"{KEY}","baseURL":"{BASE}/v1"}}'
    assert unquote(settings) == f'{{"keyVaults":{{"openai":{vault}}}}}'


def test_cherry_studio_reads_plain_base64(guide: Page) -> None:
    before, _, data = link(guide, "cherry-studio").partition("&data=")
    assert before == "cherrystudio://providers/api-keys?v=1"
    assert carried(data) == {**CARRIED, "baseUrl": BASE, "apiKey": KEY}


def test_chatbox_reads_a_provider(guide: Page) -> None:
    address = link(guide, "chatbox")
    assert address.startswith("chatbox://provider/import?config=")
    provider = {**CARRIED, "isCustom": True, "settings": {"apiHost": BASE, "apiKey": KEY}}
    assert carried(parameters(address)["config"]) == provider


def test_the_other_apps_read_parameters(guide: Page) -> None:
    ama, opencat = link(guide, "ama"), link(guide, "opencat")
    switch = link(guide, "ccswitch", app="codex", model="gpt-5")
    assert ama.startswith("ama://set-api-key?")
    assert parameters(ama) == {"server": BASE, "key": KEY}
    assert opencat.startswith("opencat://team/join?")
    assert parameters(opencat) == {"domain": BASE, "token": KEY}
    assert switch.startswith("ccswitch://v1/import?resource=provider&app=codex&name=%E5%8C%97")
    assert parameters(switch)["apiKey"] == KEY


def test_a_guide_without_a_key_offers_no_import(guide: Page) -> None:
    expect(guide.locator("[data-client]")).to_be_hidden()
    expect(guide.locator("[data-without-key]")).to_be_visible()


def test_a_guide_fills_in_the_key_that_the_tab_knows(guide: Page) -> None:
    know_key(guide)
    expect(guide.locator("[data-key-mask]")).to_have_text(f"{KEY[:7]}***{KEY[-4:]}")
    imported = guide.locator("[data-client=chatbox]")
    expect(imported).to_be_visible()
    provider = carried(parameters(str(imported.get_attribute("href")))["config"])
    assert provider["settings"]["apiKey"] == KEY
    guide.goto("/guides/openai/")
    expect(guide.locator("#python")).to_contain_text(f'api_key="{KEY}"')


def test_the_tab_forgets_the_key_when_told(guide: Page) -> None:
    know_key(guide)
    with guide.expect_navigation():
        guide.locator("[data-forget-key]").click()
    assert guide.evaluate("sessionStorage.getItem('key')") is None
    expect(guide.locator("[data-client]")).to_be_hidden()


def test_another_line_changes_every_address(guide: Page) -> None:
    know_key(guide)
    chosen = guide.locator("[data-line-choice] option").nth(1).get_attribute("value")
    guide.locator("[data-line-choice]").select_option(index=1)
    expect(guide.locator("#address")).to_have_text(str(chosen))
    expect(guide.locator(".shot [data-fill]")).to_have_text(str(chosen))
    href = str(guide.locator("[data-client=chatbox]").get_attribute("href"))
    assert carried(parameters(href)["config"])["settings"]["apiHost"] == chosen


def test_the_lines_race_and_the_guides_remember_the_fastest(page: Page) -> None:
    page.goto("/lines/")
    expect(page.locator("[data-race-title]")).to_contain_text("is the fastest for you")
    fastest = str(page.locator(".race li").first.get_attribute("data-line"))
    expect(page.locator(".race .best [data-ms]")).not_to_have_text("–")
    page.goto("/guides/curl/")
    expect(page.locator("#address")).to_have_text(f"{fastest}/v1")


def test_the_list_of_models_is_searched_as_one_types(page: Page) -> None:
    page.goto("/models/")
    page.locator("#q").fill("EMBEDDING-3")
    expect(page.locator("tbody tr:visible")).to_have_count(2)
    expect(page.locator("[data-count]")).to_have_text("2")
    page.locator("#q").fill("no such thing")
    expect(page.locator("[data-nothing]")).to_be_visible()


def test_the_calculator_reckons_as_the_server_does(page: Page) -> None:
    said = []
    for way in ("script", "server"):
        page.goto("/models/" if way == "script" else "/models/?model=gpt-4&sent=1234&received=56")
        if way == "script":
            page.locator("#c-m").select_option("gpt-4")
            page.locator("#c-i").fill("1234")
            page.locator("#c-o").fill("56")
        said.append(page.locator(".calc-out").inner_text())
    assert said[0] == said[1]
    assert "26,920" in said[0]
