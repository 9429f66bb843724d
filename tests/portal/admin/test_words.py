"""The admin speaks the language of its reader: tables, columns and values have names in it."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import translation

from billing import outbox
from billing.ledger.transfers import DIRECTIONS
from billing.models import Mail, Order, Payment, Transfer, User
from billing.orders import states
from portal.admin import payments, values, words
from tests.cast import Shop, say, sell

Browser = Callable[..., Client]
HAN = re.compile(r"[\u4e00-\u9fff]")
# Names that are the same in every language, and codes that the reference explains.
SAME = re.compile(r"token|API|Markdown|HTTP|p50|p90|Tollgate|https?://\S+|\S+@\S+|[\w-]*\d[\w-]*")

every_page = pytest.mark.parametrize(
    "model", list(admin.site._registry), ids=lambda model: model.__name__
)


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    with translation.override("zh-hans"):
        yield


@every_page
def test_every_table_has_a_name(model: type[Model]) -> None:
    assert HAN.search(str(model._meta.verbose_name))
    assert HAN.search(str(model._meta.verbose_name_plural))


def test_every_heading_of_a_list_is_chinese(north: Shop, operator: User, browser: Browser) -> None:
    visitor = browser(north.host, operator)
    visitor.cookies["django_language"] = "zh-hans"
    sale = sell(north)
    say(north, sale[Payment])
    for model in admin.site._registry:
        headings = headings_of(visitor, model)
        assert not [text for text in headings if re.search("[A-Za-z]{3}", SAME.sub("", text))]


def headings_of(visitor: Client, model: type[Model]) -> list[str]:
    """Return what stands over the columns of a list, without the icons beside it."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    head = visitor.get(reverse(name)).text.partition("<thead")[2].partition("</thead>")[0]
    head = re.sub(r"<[^>]*material-symbols[^>]*>[^<]*", "", head)
    return re.sub(r"<[^>]*>", "\n", head.partition(">")[2]).split("\n")


@every_page
def test_every_field_of_a_page_is_chinese(model: type[Model]) -> None:
    page = admin.site._registry[model]
    shown = {field.name: str(field.verbose_name) for field in model._meta.concrete_fields}
    named = {
        name: label
        for name, label in shown.items()
        if name in (*page.list_display, *(page.fields or ()), *page.readonly_fields)
    }
    assert not [name for name, label in named.items() if not HAN.search(SAME.sub("", label))]


def test_every_value_that_there_can_be_has_a_word() -> None:
    known = values.VALUES
    assert set(known["Order.status"]) == set(states.ORDER)
    assert set(known["Order.delivery_status"]) == set(states.DELIVERY_STATUS)
    assert set(known["Payment.status"]) == set(states.PAYMENT)
    assert set(known["Mail.kind"]) == outbox.KINDS
    assert set(known["Transfer.kind"]) == set(DIRECTIONS)


def test_a_value_without_a_word_is_shown_as_it_is() -> None:
    assert values.word(Transfer, "source", "somewhere") == "somewhere"
    assert values.word(Mail, "status", "") == "-"


def test_a_badge_is_a_word_on_a_page_of_its_own() -> None:
    cell = values.worded(Order, "status")
    badge = cell(Order(status=Order.PAID))
    assert (badge[0], str(badge)) == ("paid", "已付款")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("Paid in USD, not CNY.", "付的是 USD，应付 CNY。"),
        ("Paid 100, not 500 minor units.", "付了 ¥1.00，应付 ¥5.00。"),
        ("The order was paid by another payment.", "订单已由另一笔付款付清。"),
        ("Something new.", "Something new."),
        ("", "-"),
    ],
)
def test_reasons_of_billing_are_told_in_the_readers_language(reason: str, told: str) -> None:
    assert payments.told(reason, currency="CNY") == told


def test_names_for_people_are_none_of_the_migrations_business(db: None) -> None:
    assert words.TABLES
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
