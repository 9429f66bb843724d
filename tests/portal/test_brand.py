"""The accents of a shop: readable ones are served, others are refused and left out."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from portal import brand
from tests.cast import Shop

Browser = Callable[..., Client]


def test_contrast_is_that_of_wcag() -> None:
    assert round(brand.contrast("#000000", "#ffffff"), 1) == 21.0
    assert round(brand.contrast("#777777", "#ffffff"), 2) == 4.48
    assert brand.contrast("#123456", "#123456") == 1.0


@pytest.mark.parametrize("colour", ["#4f46e5", "#0b6b53", "#B3261E", "#000000"])
def test_a_readable_light_accent_is_taken(colour: str) -> None:
    brand.validate_light(colour)


@pytest.mark.parametrize(
    "colour", ["#777777", "#ff0000", "#ffcc00", "#ffffff", "red", "#fff", "#12345g", "", "#4f46e5;"]
)
def test_an_accent_that_can_not_be_read_on_light_is_refused(colour: str) -> None:
    with pytest.raises(ValidationError):
        brand.validate_light(colour)


@pytest.mark.parametrize("colour", ["#8b8cff", "#4fc9a4", "#ffffff"])
def test_a_readable_dark_accent_is_taken(colour: str) -> None:
    brand.validate_dark(colour)


@pytest.mark.parametrize("colour", ["#4f46e5", "#000000", "#333333"])
def test_an_accent_that_can_not_be_read_on_dark_is_refused(colour: str) -> None:
    with pytest.raises(ValidationError):
        brand.validate_dark(colour)


def test_a_shops_accents_are_served(north: Shop, browser: Browser) -> None:
    paint(north, light="#0b6b53", dark="#4fc9a4")
    answer = browser(north.host).get("/brand.css?0b6b534fc9a4")
    assert answer.text == ":root { --brand-light: #0b6b53; --brand-dark: #4fc9a4; }\n"
    assert answer["content-type"].startswith("text/css")
    assert answer["cache-control"] == "public, max-age=31536000"


def test_an_outdated_address_is_not_kept_for_long(north: Shop, browser: Browser) -> None:
    paint(north, light="#0b6b53", dark="")
    assert browser(north.host).get("/brand.css?4f46e5")["cache-control"] == "public, max-age=60"


def test_pages_name_the_accents_of_their_own_shop(
    north: Shop, south: Shop, browser: Browser
) -> None:
    paint(south, light="#0b6b53", dark="#4fc9a4")
    assert "/brand.css?0b6b534fc9a4" in browser(south.host).get("/").text
    assert "/brand.css" not in browser(north.host).get("/").text
    assert browser(north.host).get("/brand.css").text == ""


@pytest.mark.parametrize("colour", ["#ffff00", "#000} *", "x;}"])
def test_what_can_not_be_read_is_not_served(north: Shop, browser: Browser, colour: str) -> None:
    paint(north, light=colour, dark="")
    assert browser(north.host).get("/brand.css").text == ""


def paint(shop: Shop, *, light: str, dark: str) -> None:
    """Store accents, past the form that would check them."""
    shop.tenant.brand_light, shop.tenant.brand_dark = light, dark
    shop.tenant.save(update_fields=["brand_light", "brand_dark"])
