"""Signing in by a mailed link: what it opens, how often, for whom, and what nobody learns."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing import account_keys, accounts, sign_in
from billing.errors import OrderInvalid
from billing.models import Mail, User, Wallet
from billing.scoping import tenant_scope
from tests.cast import Shop, sign_in_path, signed_in
from tests.portal.account.conftest import ANNA, BERT
from tests.portal.buying.buyer import without_tokens

Browser = Callable[..., Client]
ASK, ACCOUNT = "/account/sign-in/", "/account/"


def mails(shop: Shop) -> list[Mail]:
    with tenant_scope(shop.tenant.pk):
        return list(Mail.objects.filter(kind="sign_in").order_by("pk"))


def wallets(shop: Shop, email: str) -> list[Wallet]:
    with tenant_scope(shop.tenant.pk):
        return list(Wallet.objects.filter(owner__email=email))


def test_a_link_signs_in(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    answer = visitor.post(sign_in_path(north, ANNA))
    assert (answer.status_code, answer["location"]) == (303, ACCOUNT)
    assert ANNA in visitor.get(ACCOUNT).text


def test_the_first_sign_in_makes_the_user_and_a_wallet(north: Shop, browser: Browser) -> None:
    path = sign_in_path(north, ANNA)
    assert not User.objects.filter(email=ANNA).exists()
    browser(north.host).post(path)
    user = User.objects.get(email=ANNA)
    assert not (user.has_usable_password() or user.is_staff or user.is_superuser)
    (wallet,) = wallets(north, ANNA)
    assert (wallet.credits_ubt, wallet.notify_email) == (0, ANNA)


def test_signing_in_again_finds_the_same_wallet(north: Shop, anna: Client) -> None:
    with tenant_scope(north.tenant.pk):
        Mail.objects.all().delete()  # of the same minute
    anna.post("/account/sign-out/")
    anna.post(sign_in_path(north, ANNA))
    assert ANNA in anna.get(ACCOUNT).text
    assert len(wallets(north, ANNA)) == 1


def test_a_link_may_be_opened_any_number_of_times(north: Shop, browser: Browser) -> None:
    path, scanner = sign_in_path(north, ANNA), browser(north.host)
    for _ in range(3):
        answer = scanner.get(path)
        assert (answer.status_code, answer["cache-control"]) == (200, "private, no-store")
        assert "a***a@example.com" in answer.text
    assert not User.objects.filter(email=ANNA).exists()
    assert scanner.get(ACCOUNT).status_code == 303
    assert browser(north.host).post(path).status_code == 303


def test_a_link_signs_in_once(north: Shop, browser: Browser) -> None:
    path = sign_in_path(north, ANNA)
    assert [browser(north.host).post(path).status_code for _ in range(2)] == [303, 410]
    assert browser(north.host).get(path).status_code == 410


def test_a_sign_in_ends_all_links_that_wait(north: Shop, browser: Browser) -> None:
    path = sign_in_path(north, ANNA)
    later = path_again(north)
    browser(north.host).post(later)
    assert browser(north.host).post(path).status_code == 410


def path_again(shop: Shop) -> str:
    with tenant_scope(shop.tenant.pk):
        return sign_in.path_of(mails(shop)[-1].pk)


def test_a_link_ends_after_a_while(north: Shop, browser: Browser, settings: Any) -> None:
    assert settings.PASSWORD_RESET_TIMEOUT == 15 * 60
    path = sign_in_path(north, ANNA)
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert browser(north.host).post(path).status_code == 410


def test_a_link_of_one_mail_opens_nothing_with_the_number_of_another(
    north: Shop, browser: Browser
) -> None:
    proof = sign_in_path(north, ANNA).split("/")[-2]
    other = sign_in_path(north, BERT).split("/")[-3]
    for wrong in (f"{other}/{proof}", f"{'9' * 30}/{proof}", f"{other}/x-y", f"{other}/%00"):
        assert browser(north.host).post(f"/account/sign-in/{wrong}/").status_code == 410


def test_a_link_of_one_shop_opens_nothing_at_another(
    north: Shop, south: Shop, browser: Browser
) -> None:
    path = sign_in_path(north, ANNA)
    assert browser(south.host).post(path).status_code == 410
    assert browser(north.host).post(path).status_code == 303


def test_who_was_shut_out_is_not_let_in(north: Shop, anna: Client, browser: Browser) -> None:
    path = path_again(north)
    User.objects.filter(email=ANNA).update(is_active=False)
    assert browser(north.host).post(path).status_code == 410
    assert anna.get(ACCOUNT).status_code == 303


def test_staff_who_sign_in_as_buyers_do_not_get_into_the_admin(
    north: Shop, browser: Browser
) -> None:
    User.objects.filter(pk=north.owner.pk).update(is_staff=True, is_superuser=True)
    visitor = signed_in(browser, north, north.owner.email)
    assert north.owner.email in visitor.get(ACCOUNT).text
    assert visitor.get("/admin/")["location"].startswith("/admin/login/")


def test_a_planted_session_is_left_behind(north: Shop, browser: Browser) -> None:
    visitor, path = browser(north.host), sign_in_path(north, ANNA)
    visitor.post(path)
    planted = visitor.cookies["sessionid"].value
    with tenant_scope(north.tenant.pk):
        Mail.objects.all().delete()
    visitor.post(sign_in_path(north, ANNA))
    assert visitor.cookies["sessionid"].value != planted


def test_signing_out_ends_it(anna: Client) -> None:
    assert anna.get("/account/sign-out/").status_code == 405
    assert anna.post("/account/sign-out/")["location"] == ASK
    assert anna.get(ACCOUNT)["location"] == ASK


def test_signing_out_closes_the_usage_of_a_key_as_well(north: Shop, anna: Client) -> None:
    with tenant_scope(north.tenant.pk):
        wallet = Wallet.objects.get(owner__email=ANNA)
        key, _plaintext = account_keys.create(wallet, name="laptop", expires_at=None)
    anna.post(f"/account/keys/{key.kid}/calls/")
    assert anna.get("/usage/key/").status_code == 200
    anna.post("/account/sign-out/")
    assert anna.get("/usage/key/").status_code == 303


def test_a_session_ends_by_itself(anna: Client) -> None:
    session = anna.session
    session["account"] |= {"until": int(timezone.now().timestamp())}
    session.save()
    assert anna.get(ACCOUNT).status_code == 303


def test_the_same_is_answered_to_known_and_unknown_addresses(
    north: Shop, anna: Client, browser: Browser
) -> None:
    visitor, seen = browser(north.host), set()
    visitor.post(ASK, {"email": "warm@example.com"})
    for email in (ANNA, "nobody@example.com", north.owner.email):
        with CaptureQueriesContext(connection) as asked:
            answer = visitor.post(ASK, {"email": email}, follow=True)
        seen.add((answer.status_code, without_tokens(answer.text), len(asked)))
    assert len(seen) == 1
    assert [mail.recipient for mail in mails(north)] == [ANNA]  # of Anna's own sign-in


def test_without_a_queue_the_link_is_mailed_at_once(
    north: Shop, browser: Browser, broken_queue: None
) -> None:
    answer = browser(north.host).post(ASK, {"email": f" {ANNA.upper()} "})
    assert answer["location"] == "/account/sign-in/sent/"
    (mail,) = mails(north)
    assert (mail.recipient, mail.subject_id) == (ANNA, mail.pk)


def test_one_mail_a_minute_goes_to_an_address(
    north: Shop, browser: Browser, broken_queue: None
) -> None:
    minute = timezone.now().minute
    for spelling in (ANNA, ANNA.upper()):
        browser(north.host).post(ASK, {"email": spelling})
    assert len(mails(north)) == 1 or timezone.now().minute != minute


def test_five_mails_an_hour_go_to_an_address(
    north: Shop, browser: Browser, broken_queue: None
) -> None:
    counts = []
    for _ in range(7):
        assert browser(north.host).post(ASK, {"email": ANNA}).status_code == 303
        counts.append(len(mails(north)))
        with tenant_scope(north.tenant.pk):
            Mail.objects.all().delete()  # of the same minute
    assert counts == [1] * 5 + [0] * 2


def test_one_network_does_not_use_up_the_mails_of_an_address(
    north: Shop, browser: Browser, broken_queue: None
) -> None:
    def mailed_from(network: str) -> int:
        with tenant_scope(north.tenant.pk):
            Mail.objects.all().delete()  # of the same minute
        browser(north.host).post(ASK, {"email": ANNA}, REMOTE_ADDR=f"{network}.0.1")
        return len(mails(north))

    asked = [f"10.{number // 6}" for number in range(30)]
    assert [mailed_from(network) for network in asked] == [*[1, 1, 1, 1, 1, 0] * 4, *[0] * 6]


def test_a_network_can_not_ask_all_day(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    statuses = [visitor.post(ASK, {"email": f"a{n}@example.com"}).status_code for n in range(21)]
    assert statuses == [303] * 20 + [429]


@pytest.mark.parametrize("email", ["", "anna", f"{'a' * 250}@example.com"])
def test_what_is_no_address_is_said_to_be_none(north: Shop, browser: Browser, email: str) -> None:
    answer = browser(north.host).post(ASK, {"email": email})
    assert answer.status_code == 400
    assert 'class="error"' in answer.text


def test_the_job_refuses_what_is_no_address(north: Shop) -> None:
    with tenant_scope(north.tenant.pk), pytest.raises(OrderInvalid):
        sign_in.ask(tenant_id=north.tenant.pk, email="anna@[127.0.0.1]", language="en")


def test_who_wanted_to_buy_is_led_back_to_the_pack(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    assert visitor.get(f"{ACCOUNT}?pack=5m")["location"] == f"{ASK}?pack=5m"
    assert 'name="pack" value="5m"' in visitor.get(f"{ASK}?pack=5m").text
    visitor.post(ASK, {"email": ANNA, "pack": "5m"})
    assert visitor.post(sign_in_path(north, ANNA))["location"] == "/account/?pack=5m#credit"


def test_one_person_has_a_wallet_in_each_shop(north: Shop, south: Shop, browser: Browser) -> None:
    for shop in (north, south):
        signed_in(browser, shop, ANNA)
    (mine,), (theirs,) = wallets(north, ANNA), wallets(south, ANNA)
    assert mine.pk != theirs.pk
    assert mine.owner_id == theirs.owner_id


def test_a_session_of_one_shop_is_nothing_at_another(
    north: Shop, south: Shop, anna: Client, browser: Browser
) -> None:
    signed_in(browser, south, ANNA)
    elsewhere = browser(south.host)
    elsewhere.cookies = anna.cookies
    assert elsewhere.get(ACCOUNT)["location"] == ASK
    assert anna.get(ACCOUNT).status_code == 200


def test_the_wallet_is_made_once(north: Shop) -> None:
    with tenant_scope(north.tenant.pk):
        found = {accounts.wallet_of(north.owner, tenant_id=north.tenant.pk).pk for _ in range(3)}
    assert len(found) == 1
