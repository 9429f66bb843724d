"""The page of an order: it shows where the order stands, and a key to the press of a button."""

import logging
import re
from datetime import timedelta

import pytest
import segno
from django.test import Client
from django.utils import timezone

from billing import keys
from billing.models import Delivery
from billing.orders import deliveries
from billing.scoping import all_tenants
from tests.portal.buying.buyer import KEY, Buyer, shown_key
from tests.security.books import rows_written


def test_a_paid_order_offers_its_key_and_does_not_show_it(buyer: Buyer) -> None:
    page = buyer.see(buyer.bought())
    assert "/reveal/" in page
    assert not KEY.search(page)


def test_a_press_of_the_button_shows_the_key_that_works(buyer: Buyer) -> None:
    order = buyer.bought()
    key = keys.find(buyer.reveal(order))
    assert key == buyer.delivery(order).key


def test_a_scanner_that_opens_every_link_three_times_takes_nothing(buyer: Buyer) -> None:
    order = buyer.bought()
    links = {
        buyer.path(order),
        *re.findall(r'(?:href|action|src)="(/orders/[^"]+)"', buyer.see(order)),
    }
    links |= {f"{buyer.path(order)}{end}" for end in ("reveal/", "pay/", "status/", "qr.svg")}
    assert len(links) >= 6
    scanner = Client(headers={"host": buyer.shop.host})
    for link in sorted(links) * 3:
        for answer in (scanner.get(link, follow=True), scanner.head(link, follow=True)):
            assert answer.status_code == 200
            assert not KEY.search(answer.text)
    assert buyer.delivery(order).reveal_count == 0
    assert keys.find(buyer.reveal(order))


def test_looking_at_a_delivered_order_writes_nothing(buyer: Buyer) -> None:
    order = buyer.bought()
    before = rows_written()
    buyer.see(order)
    assert rows_written() == before


def test_the_answer_that_shows_the_key_is_kept_by_nobody(buyer: Buyer) -> None:
    order = buyer.bought()
    answer = buyer.press("reveal", order)
    key = shown_key(answer.text)
    assert answer["cache-control"] == "private, no-store"
    assert answer["x-robots-tag"] == "noindex, nofollow"
    assert answer["referrer-policy"] == "strict-origin"
    assert key not in repr(dict(answer.headers))
    assert key not in repr(answer.cookies)
    assert key not in answer.request["PATH_INFO"]
    assert not buyer.client.session.items()


def test_no_log_has_the_key(buyer: Buyer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    order = buyer.bought()
    key = buyer.reveal(order)
    assert "key_revealed" in caplog.text
    assert key not in caplog.text
    assert key[-31:] not in caplog.text


def test_the_page_of_the_key_may_call_the_lines_of_the_shop_to_test_it(buyer: Buyer) -> None:
    order = buyer.bought()
    answer = buyer.press("reveal", order)
    assert f"connect-src 'self' http://{buyer.shop.host}" in answer["content-security-policy"]
    assert "data-revealed-key" in answer.text


def test_a_language_switch_leads_from_the_key_back_to_the_order(buyer: Buyer) -> None:
    order = buyer.bought()
    answer = buyer.press("reveal", order)
    assert f'name="next" value="{buyer.path(order)}"' in answer.text


def test_a_key_can_be_shown_again_until_it_is_saved(buyer: Buyer) -> None:
    order = buyer.bought()
    assert buyer.reveal(order) == buyer.reveal(order)
    assert buyer.press("saved", order)["location"] == buyer.path(order)
    answer = buyer.press("reveal", order)
    assert (answer.status_code, answer["location"]) == (303, buyer.path(order))
    assert "/reveal/" not in buyer.see(order)


def test_what_nobody_has_seen_can_not_be_saved_away(buyer: Buyer) -> None:
    order = buyer.bought()
    buyer.press("saved", order)
    assert keys.find(buyer.reveal(order))


def test_a_lost_key_is_replaced_and_the_new_one_revealed(buyer: Buyer) -> None:
    order = buyer.bought()
    old = buyer.reveal(order)
    buyer.press("saved", order)
    buyer.press("replace", order)
    new = buyer.reveal(order)
    before, after = keys.find(old), keys.find(new)
    assert before and after and before.pk != after.pk
    assert before.revoked_at and not after.revoked_at
    assert before.wallet_id == after.wallet_id
    assert len(buyer.mails("key_replaced")) == 1


def test_a_replacement_that_is_pressed_twice_is_one(buyer: Buyer) -> None:
    order = buyer.bought()
    buyer.reveal(order)
    for _ in range(2):
        buyer.press("replace", order)
    assert buyer.delivery(order).replace_count == 1


def test_a_key_is_not_replaced_all_day(buyer: Buyer) -> None:
    order = buyer.bought()
    statuses = []
    for _ in range(6):
        buyer.reveal(order)
        answer = buyer.press("replace", order)
        statuses.append(answer.status_code)
    assert statuses == [303] * 5 + [429]
    assert keys.find(buyer.reveal(order))


def test_after_three_days_the_key_is_shown_no_more_but_replaced(buyer: Buyer) -> None:
    order = buyer.bought()
    with all_tenants():
        Delivery.objects.update(sealed_until=timezone.now() - timedelta(seconds=1))
        deliveries.forget_lapsed()
    assert "/reveal/" not in buyer.see(order)
    buyer.press("replace", order)
    assert keys.find(buyer.reveal(order))


def test_several_keys_are_shown_one_by_one_or_all_at_once(buyer: Buyer) -> None:
    order = buyer.bought(quantity=3)
    one = buyer.press("reveal", order).text
    assert len(set(KEY.findall(one))) == 1
    everything = set(KEY.findall(buyer.do("reveal", order).text))
    found = [keys.find(key) for key in everything]
    assert len({key.wallet_id for key in found if key}) == 3


def test_a_delivery_of_another_order_is_not_shown(buyer: Buyer) -> None:
    mine, theirs = buyer.bought(), buyer.bought()
    for deed in ("reveal", "saved", "replace"):
        answer = buyer.do(f"{deed}/{buyer.delivery(theirs).public_id}", mine)
        assert answer.status_code == 404
    assert buyer.delivery(theirs).reveal_count == 0


@pytest.mark.parametrize("deed", ["reveal/{}/", "saved/{}/", "replace/{}/", "pay/", "reveal/"])
def test_a_deed_from_elsewhere_is_refused(buyer: Buyer, deed: str) -> None:
    order = buyer.bought()
    careful = Client(headers={"host": buyer.shop.host}, enforce_csrf_checks=True)
    path = buyer.path(order) + deed.format(buyer.delivery(order).public_id)
    assert careful.post(path).status_code == 403
    assert buyer.delivery(order).reveal_count == 0


@pytest.mark.parametrize("end", ["", "status/", "qr.svg", "pay/", "reveal/"])
def test_a_wrong_link_is_a_missing_page_like_any_other(buyer: Buyer, end: str) -> None:
    order, other = buyer.bought(), buyer.bought()
    right, wrong = buyer.path(order).split("/")[3], buyer.path(other).split("/")[3]
    answers = {
        re.sub(r"<code>[0-9a-f-]{36}</code>", "", buyer.client.get(path).text)
        for path in (
            f"/orders/{order.number}/{wrong}/{end}",
            f"/orders/{order.number}/{right[:-1]}/{end}",
            f"/orders/NO-0000-AAAAAA/{right}/{end}",
            f"/orders/%00/{right}/{end}",
        )
    }
    assert len(answers) == 1
    assert "404" in answers.pop()


def test_links_can_not_be_guessed_for_long(buyer: Buyer) -> None:
    order = buyer.bought()
    for number in range(30):
        assert buyer.client.get(f"/orders/{order.number}/{number}/").status_code == 404
    answer = buyer.client.get(f"/orders/{order.number}/31/")
    assert (answer.status_code, answer["retry-after"]) == (429, "60")


def test_a_guesser_does_not_lock_out_the_buyers_of_the_same_network(buyer: Buyer) -> None:
    order = buyer.bought()
    for number in range(31):
        buyer.client.get(f"/orders/{order.number}/{number}/")
    assert KEY.fullmatch(buyer.reveal(order))


def test_the_right_link_at_another_shops_host_is_a_missing_page(
    buyer: Buyer, stranger: Buyer
) -> None:
    order = buyer.bought()
    assert stranger.client.get(buyer.path(order)).status_code == 404
    answer = stranger.client.post(f"{buyer.path(order)}reveal/{buyer.delivery(order).public_id}/")
    assert answer.status_code == 404
    assert buyer.delivery(order).reveal_count == 0


def test_the_code_of_the_link_is_drawn_and_holds_no_key(buyer: Buyer) -> None:
    order = buyer.bought()
    answer = buyer.client.get(f"{buyer.path(order)}qr.svg")
    drawn = segno.make(f"http://{buyer.shop.host}{buyer.path(order)}", error="m", micro=False)
    assert answer["content-type"] == "image/svg+xml"
    assert re.findall(r'd="([^"]+)"', answer.text) == re.findall(
        r'd="([^"]+)"', drawn.svg_inline(border=0)
    )


@pytest.mark.parametrize(("language", "words"), [("zh-CN", "显示密钥"), ("en", "Show the key")])
def test_both_languages_are_spoken(buyer: Buyer, language: str, words: str) -> None:
    path = buyer.path(buyer.bought())
    assert words in buyer.client.get(path, headers={"accept-language": language}).text


def test_the_mail_tells_of_the_page(buyer: Buyer) -> None:
    order = buyer.bought()
    (mail,) = buyer.mails("order")
    assert (mail.subject_id, mail.recipient) == (order.pk, order.email)


def test_a_topped_up_key_is_named_and_nothing_has_to_be_revealed(buyer: Buyer) -> None:
    order = buyer.bought(key_id=buyer.shop.key.pk)
    page = buyer.see(order)
    assert buyer.shop.key.masked in page
    assert "/reveal/" not in page


def test_an_order_is_told_in_its_own_currency(buyer: Buyer) -> None:
    order = buyer.bought()
    buyer.shop.tenant.currency = "JPY"
    buyer.shop.tenant.save(update_fields=["currency"])
    assert "¥5.00" in buyer.see(order)
    assert "JP¥" not in buyer.see(order)
