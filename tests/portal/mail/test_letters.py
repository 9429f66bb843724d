"""What mails say: the right row, in the right language, alike in both forms, and no secret."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from billing.models import Delivery, Domain, Order, OrderLine
from billing.orders import links
from billing.outbox import KINDS
from billing.scoping import tenant_scope
from portal.mail import letters
from portal.mail.envelope import message_of
from tests.portal.mail.reading import forms
from tests.sales import Sale, mail_of

HAN = re.compile(r"[\u4e00-\u9fff]")
LANGUAGES = [code for code, _name in settings.LANGUAGES]


every_kind = pytest.mark.parametrize("kind", sorted(KINDS))


def test_there_is_a_letter_for_every_kind_of_mail() -> None:
    assert letters.KINDS == KINDS


@every_kind
@pytest.mark.parametrize("language", LANGUAGES)
def test_both_forms_say_the_same(sale: Sale, kind: str, language: str) -> None:
    text, seen = forms(sale, kind, language)
    urls = set(re.findall(r"https?://\S+", text))
    assert set(seen.links) <= urls
    for line in filter(None, map(str.strip, text.splitlines())):
        told = re.sub(r"https?://\S+|^-- ?$", "", line).strip().rstrip(":：")
        for part in re.split(r": |：", told):
            assert part in seen.words


@every_kind
def test_a_mail_speaks_one_language(sale: Sale, kind: str) -> None:
    _text, english = forms(sale, kind)
    assert not HAN.search(english.words.replace("北辰", ""))
    text, _chinese = forms(sale, kind, "zh-hans")
    latin = re.sub(r"https?://\S+|\S+@\S+|ak-\S+|NO-\S+|UTC|API|token|Base URL|IBAN", "", text)
    assert not re.search(r"[A-Za-z]{4,}", latin.replace("north", "").replace("demo", ""))


@every_kind
def test_no_key_is_in_a_mail(sale: Sale, kind: str) -> None:
    text, seen = forms(sale, kind)
    secret = sale.plaintext.partition("-")[2]
    for part in (secret[3:11], secret[11:42]):
        assert part not in text + seen.words + " ".join(seen.links)


@pytest.mark.parametrize("kind", sorted(KINDS - {*letters.NOTICES, "dispute", "sign_in"}))
def test_mails_about_an_order_lead_to_it(sale: Sale, kind: str) -> None:
    text, seen = forms(sale, kind)
    address = f"http://north.example{links.path_of(sale.order)}"
    assert address in text
    assert address in seen.links


@pytest.mark.parametrize("kind", sorted(letters.NOTICES))
def test_notices_hold_no_secret_link(sale: Sale, kind: str) -> None:
    text, _seen = forms(sale, kind)
    assert links.token_of(sale.order) not in text
    assert "http://north.example/usage/" in text


def test_an_order_tells_what_was_bought_and_until_when_the_key_is_shown(sale: Sale) -> None:
    OrderLine.objects.update(valid_days=30)
    text, _seen = forms(sale, "order")
    assert "5M base tokens, valid for 30 days." in text
    assert "Paid: ¥58.00" in text
    end = Delivery.objects.get().sealed_until
    assert end
    assert f"{end + timedelta(hours=8):%H:%M} (UTC+08:00)" in text


def test_an_order_of_several_keys_says_so(sale: Sale) -> None:
    OrderLine.objects.update(quantity=3)
    text, _seen = forms(sale, "order", "zh-hans")
    assert "3 个密钥" in text
    assert "500 万基准 token" in text


def test_every_line_of_the_shop_is_told_but_the_machines_own_names(sale: Sale) -> None:
    tenant = sale.order.tenant
    for host in ("localhost", "hk.north.example"):
        Domain.objects.create(tenant=tenant, hostname=host)
    text, _seen = forms(sale, "order")
    assert "http://hk.north.example" in text
    assert "localhost" not in text


def test_links_take_the_scheme_and_port_that_browsers_use(sale: Sale, settings: Any) -> None:
    settings.HTTPS, settings.PUBLIC_PORT = True, 8443
    text, _seen = forms(sale, "order_link")
    assert "https://north.example:8443/orders/" in text


def test_a_name_is_text_and_not_markup(sale: Sale) -> None:
    tenant = sale.order.tenant
    tenant.name = "<b>&amp;</b>"
    mail = mail_of(tenant, "order", sale.order.pk)
    mail.tenant = tenant
    html = str(message_of(mail).alternatives[0][0])
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;" in html


def test_a_mail_wears_the_colours_of_its_shop(sale: Sale) -> None:
    tenant = sale.order.tenant
    tenant.brand_light = "#0f766e"
    mail = mail_of(tenant, "order", sale.order.pk)
    mail.tenant = tenant
    assert "background:#0f766e" in str(message_of(mail).alternatives[0][0])


@every_kind
def test_a_mail_about_what_is_gone_says_so_instead_of_guessing(sale: Sale, kind: str) -> None:
    with pytest.raises(letters.NothingToTell):
        message_of(mail_of(sale.order.tenant, kind, 999_999))


def test_a_language_that_we_do_not_speak_becomes_the_shops(sale: Sale) -> None:
    mail = mail_of(sale.order.tenant, "order", sale.order.pk, language="tlh")
    assert HAN.search(str(message_of(mail).body).replace("北辰", ""))


def test_another_shops_order_is_not_told_of(sale: Sale, south: Any) -> None:
    order = Order.objects.get()
    with tenant_scope(south.tenant.pk), pytest.raises(letters.NothingToTell):
        message_of(mail_of(south.tenant, "order", order.pk))
