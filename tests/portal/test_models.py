"""Models and prices: what there is, what it costs, whether it works; and odd questions for it."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from billing import catalogue
from billing.models import Product
from billing.scoping import tenant_scope
from relay.models import Channel
from tests.cast import Shop

Browser = Callable[..., Client]

ENGLISH = {"accept-language": "en"}


def page(browser: Browser, shop: Shop, path: str = "/models/") -> str:
    answer = browser(shop.host).get(path, headers=ENGLISH)
    assert answer.status_code == 200
    return answer.text


def names(text: str) -> list[str]:
    return re.findall(r'<a class="plain mono" href="[^"]*">([^<]+)</a>', text)


def row(text: str, model: str) -> str:
    found = re.search(rf'<tr data-kind="\w+">(?:(?!</tr>).)*>{model}</a>.*?</tr>', text, re.DOTALL)
    assert found
    return found[0]


def sell(shop: Shop, *, price_minor: int, base_tokens: int) -> None:
    with tenant_scope(shop.tenant.pk):
        Product.objects.create(
            tenant=shop.tenant,
            slug=f"pack-{price_minor}",
            grant_ubt=base_tokens * 1_000_000,
            price_minor=price_minor,
        )


def test_the_best_known_models_come_first(north: Shop, browser: Browser) -> None:
    assert names(page(browser, north))[:3] == ["gpt-4o-mini", "gpt-4o", "gpt-5"]


def test_prices_are_exact_multipliers(north: Shop, browser: Browser) -> None:
    cells = re.findall(r'class="px">([\d.]+)', row(page(browser, north), "gpt-4o"))
    assert cells == ["1.666667", "0.833333", "6.666667"]


def test_money_is_reckoned_at_the_best_offer(north: Shop, browser: Browser) -> None:
    sell(north, price_minor=1_200, base_tokens=1_000_000)
    sell(north, price_minor=102_000, base_tokens=100_000_000)
    text = page(browser, north)
    assert re.findall(r'class="py">([^<]+)', row(text, "gpt-4")) == ["¥204.00", "¥408.00"]
    assert "100M base tokens for ¥1,020" in text


def test_nothing_is_said_in_money_while_nothing_is_sold(north: Shop, browser: Browser) -> None:
    assert "¥" not in page(browser, north)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"is_enabled": False}, "switched its channel off"), ({}, "Usable")],
)
def test_a_model_says_whether_it_works_and_why_not(
    north: Shop, browser: Browser, change: dict[str, bool], words: str
) -> None:
    with tenant_scope(north.tenant.pk):
        Channel.objects.update(**{"weight": 1} | change)
    text = page(browser, north)
    assert words in row(text, "gpt-4o")
    assert "No channel serves it" in row(text, "gpt-4")


def test_a_model_whose_endpoint_nobody_serves_is_not_offered(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        Channel.objects.update(allowed_endpoints=["embeddings"])
    assert "Its endpoint is not served here" in row(page(browser, north), "gpt-4o")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=embedding", "text-embedding-3-large"),
        ("q=EMBEDDING", "text-embedding-3-large"),
        ("q=deepseek", "deepseek-chat"),
        ("kind=vector", "text-embedding-3-large"),
        ("q=%20gpt-4o-mini%20", "gpt-4o-mini"),
    ],
)
def test_the_list_can_be_searched(north: Shop, browser: Browser, query: str, expected: str) -> None:
    assert names(page(browser, north, f"/models/?{query}"))[0] == expected


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=%25",
        "q=_",
        "q=%ED%A0%80",
        "q=" + "a" * 5_000,
        "q=%E2%80%AEabc",
        "q='%20OR%201=1",
        "q=.*",
    ],
)
def test_odd_words_find_nothing_and_break_nothing(
    north: Shop, browser: Browser, query: str
) -> None:
    text = page(browser, north, f"/models/?{query}")
    assert names(text) == []
    assert "No such model" in text


@pytest.mark.parametrize("query", ["kind=nonsense", "unit=z", "kind=%00&unit=", "all", "q="])
def test_an_unknown_filter_is_none(north: Shop, browser: Browser, query: str) -> None:
    assert len(names(page(browser, north, f"/models/?{query}"))) > 40


def test_a_search_can_not_carry_markup(north: Shop, browser: Browser) -> None:
    text = page(browser, north, '/models/?q="><script>alert(1)</script>')
    assert "<script>alert" not in text


def test_the_calculator_works_without_a_script(north: Shop, browser: Browser) -> None:
    sell(north, price_minor=1_200, base_tokens=1_000_000)
    text = page(browser, north, "/models/?model=gpt-4o&sent=1000&received=100")
    assert "<b data-out-tokens>2,334</b>" in text
    assert "<b data-out-money>¥0.028</b>" in text


@pytest.mark.parametrize("number", ["", "-5", "1e9", "٣", "9" * 400, "2.5", "%00"])
def test_the_calculator_takes_whole_numbers_only(
    north: Shop, browser: Browser, number: str
) -> None:
    text = page(browser, north, f"/models/?model=gpt-4o&sent={number}&received=0")
    assert 'name="sent" inputmode="numeric" maxlength="8" value="2000"' in text


def test_a_long_list_is_cut_and_can_be_had_whole(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        catalogue.load_retail(north.tenant.pk, {f"m-{n}": {"input": 1} for n in range(120)})
    assert len(names(page(browser, north))) == 100
    assert len(names(page(browser, north, "/models/?all"))) > 160


def test_a_model_shows_every_price_and_tier(north: Shop, browser: Browser) -> None:
    tier = {"min_input": 200_000, "input": 3, "output": 6}
    prices = {"odd/model name": {"input": 2, "output": 4, "request": 7, "tiers": [tier]}}
    with tenant_scope(north.tenant.pk):
        catalogue.load_retail(north.tenant.pk, prices)
    text = page(browser, north, "/models/odd/model%20name/")
    assert re.findall(r"<dd>([\d.]+) <span", text) == ["2", "4", "7", "3", "6", "7"]
    assert "From 200000 tokens of input on" in text


@pytest.mark.parametrize("name", ["nothing", "%00", "..", "gpt-4o/x", "%F0%9F%98%80", "a" * 900])
def test_an_unknown_model_is_a_missing_page(north: Shop, browser: Browser, name: str) -> None:
    assert browser(north.host).get(f"/models/{name}/").status_code == 404


def test_a_model_of_another_shop_is_a_missing_page(
    north: Shop, south: Shop, browser: Browser
) -> None:
    with tenant_scope(south.tenant.pk):
        catalogue.load_retail(south.tenant.pk, {"model-of-south": {"input": 1}})
    assert browser(north.host).get("/models/model-of-south/").status_code == 404
    assert browser(south.host).get("/models/model-of-south/").status_code == 200


def test_changed_prices_are_listed(north: Shop, browser: Browser) -> None:
    assert "No price has changed so far" in page(browser, north)
    with tenant_scope(north.tenant.pk):
        catalogue.load_retail(north.tenant.pk, {"gpt-4": {"input": 18, "output": 36}})
    text = page(browser, north)
    assert "The latest 1 change" in text
    assert re.search(r"20\s+→ </span>18", text)


def test_the_sizes_of_a_model_stand_behind_it(north: Shop, browser: Browser) -> None:
    shown = names(page(browser, north, "/models/?q=dall-e-3&all"))
    assert shown[:3] == ["dall-e-3", "dall-e-3, 1024x1792", "dall-e-3, 1792x1024"]
    assert shown[-1] == "dall-e-3, HD, 1792x1024"


def test_the_page_of_a_model_has_the_prices_of_its_sizes(north: Shop, browser: Browser) -> None:
    text = page(browser, north, "/models/dall-e-3/")
    assert "<dt>HD, 1024x1792</dt><dd>80,000 " in text
    assert "53,333.333333" in page(browser, north, "/models/1024x1792/dall-e-3/")


def test_what_costs_nothing_is_free(north: Shop, browser: Browser) -> None:
    assert "free" in row(
        page(browser, north, "/models/?q=omni-moderation"), "omni-moderation-latest"
    )
