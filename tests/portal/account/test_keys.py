"""Keys of an account: made with limits, shown once, switched, replaced, revoked, and one's own."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from billing import account_keys, catalogue, keys
from billing.errors import LimitReached
from billing.models import ApiKey, User, Wallet
from billing.scoping import tenant_scope
from portal import throttle
from portal.views.account_keys import KEYS_PER_HOUR
from tests.billing.reports.making import used
from tests.cast import Shop, signed_in
from tests.portal.account.conftest import ANNA
from tests.portal.buying.buyer import hidden, shown_key

Browser = Callable[..., Client]
NEW = "/account/keys/new/"
UBT = 1_000_000


@pytest.fixture
def wallet(north: Shop, anna: Client) -> Wallet:
    """Anna's wallet at north, with 1,000 base tokens; the shop sells two models."""
    with tenant_scope(north.tenant.pk):
        catalogue.load_retail(north.tenant.pk, {"gpt-4": {"input": 2}, "gpt-4o": {"input": 1}})
        Wallet.objects.filter(owner__email=ANNA).update(credits_ubt=1_000 * UBT)
        return Wallet.objects.get(owner__email=ANNA)


@pytest.fixture
def key(north: Shop, wallet: Wallet) -> ApiKey:
    """A key of Anna's with a cap."""
    return made(north, wallet, name="laptop", limit_ubt=50 * UBT)


def made(shop: Shop, wallet: Wallet, **options: Any) -> ApiKey:
    with tenant_scope(shop.tenant.pk):
        return account_keys.create(wallet, **{"name": "laptop", "expires_at": None, **options})[0]


def all_of(shop: Shop, wallet: Wallet) -> list[ApiKey]:
    with tenant_scope(shop.tenant.pk):
        return list(account_keys.of_wallet(wallet))


def again(shop: Shop, key: ApiKey) -> ApiKey:
    with tenant_scope(shop.tenant.pk):
        return ApiKey.objects.get(pk=key.pk)


def form(anna: Client, **changes: str) -> dict[str, str]:
    """Return the form of a new key as the page has it, filled in."""
    once = hidden(anna.get(NEW).text, "once")
    return {"once": once, "name": "laptop", "ends": "never", **changes}


def test_a_key_is_shown_once_and_works_on_the_wallet(
    north: Shop, anna: Client, wallet: Wallet
) -> None:
    answer = anna.post(NEW, form(anna))
    assert answer.status_code == 200
    assert (answer["cache-control"], answer["referrer-policy"]) == (
        "private, no-store",
        "no-referrer",
    )
    plaintext = shown_key(answer.text)
    found = keys.find(plaintext)
    assert found is not None
    assert (found.wallet_id, found.tenant_id) == (wallet.pk, north.tenant.pk)
    for page in ("/account/", f"/account/keys/{found.kid}/"):
        assert plaintext[12:] not in anna.get(page).text


def test_the_limits_are_those_that_were_asked_for(
    north: Shop, anna: Client, wallet: Wallet
) -> None:
    sent = {
        "ends": "30",
        "cap_ubt": "2,000,000",
        "budget_ubt": "100000",
        "models": "gpt-4, gpt-4o，gpt-4",
        "addresses": "203.0.113.7/24 198.51.100.1 2001:db8::/32 2001:db8::1/128",
        "rpm": "60",
    }
    page = anna.post(NEW, form(anna, **sent)).text
    (key,) = all_of(north, wallet)
    assert (key.limit_ubt, key.budget_period, key.budget_ubt, key.rpm) == (
        2_000_000 * UBT,
        "month",
        100_000 * UBT,
        60,
    )
    assert key.allowed_models == ["gpt-4", "gpt-4o"]
    networks = ["203.0.113.0/24", "198.51.100.1", "2001:db8::/32", "2001:db8::1"]
    assert key.allowed_addresses == networks
    assert key.expires_at is not None
    end = key.expires_at.astimezone(ZoneInfo(north.tenant.time_zone))
    assert (end.hour, end.minute) == (23, 59)
    assert timedelta(days=29) < key.expires_at - timezone.now() < timedelta(days=31)
    for words in (
        "<b>2,000,000</b>",
        "<b>100,000</b>",
        f">{', '.join(networks)}</b>",
        "<b>60</b>",
    ):
        assert words in page


def test_what_it_may_do_is_said_before_it_is_made(
    north: Shop, anna: Client, wallet: Wallet
) -> None:
    answer = anna.post(NEW, form(anna, models="gpt-4", preview="1"))
    assert answer.status_code == 200
    assert 'It can use only <b class="several">gpt-4</b>' in answer.text
    assert not all_of(north, wallet)


WRONG: tuple[dict[str, str], ...] = (
    {"name": ""},
    {"name": "a\x00b"},
    {"ends": "day"},
    {"ends": "day", "ends_on": "9999-12-31"},
    {"ends": "5"},
    {"cap_ubt": "1.5"},
    {"budget_ubt": "9" * 39},
    {"models": "gpt-nobody"},
    {"addresses": "203.0.113.0/33"},
    {"rpm": "0"},
    {"once": "x"},
)


def test_a_wrong_form_makes_no_key(north: Shop, anna: Client, wallet: Wallet) -> None:
    sent = form(anna)
    found = [anna.post(NEW, {**sent, **changes}).status_code for changes in WRONG]
    assert found == [400] * len(WRONG)
    assert not all_of(north, wallet)


def test_a_form_that_is_sent_twice_is_one_key(north: Shop, anna: Client, wallet: Wallet) -> None:
    sent = form(anna)
    assert [anna.post(NEW, sent).status_code for _ in range(2)] == [200, 303]
    assert len(all_of(north, wallet)) == 1


def test_a_wallet_has_so_many_keys_and_no_more(north: Shop, wallet: Wallet) -> None:
    key = made(north, wallet)
    with tenant_scope(north.tenant.pk):
        facts = {"tenant": north.tenant, "wallet": wallet, "mac": key.mac, "pepper_version": 1}
        ApiKey.objects.bulk_create(
            ApiKey(kid=f"{number:08}", **facts) for number in range(1, account_keys.MOST_KEYS)
        )
        with pytest.raises(LimitReached):
            made(north, wallet)


def test_keys_are_not_made_and_replaced_without_end(
    north: Shop, anna: Client, wallet: Wallet, key: ApiKey
) -> None:
    for _ in range(KEYS_PER_HOUR):
        throttle.allow("new keys", str(wallet.pk), limit=KEYS_PER_HOUR, per_s=3_600)
    assert anna.post(NEW, form(anna)).status_code == 429
    answer = anna.post(f"/account/keys/{key.kid}/replace/", {"overlap_s": "0"}, follow=True)
    assert "Too many new keys" in answer.text
    assert all_of(north, wallet) == [key]


def test_a_key_is_switched_off_and_on(north: Shop, anna: Client, key: ApiKey) -> None:
    address = f"/account/keys/{key.kid}/switch/"
    anna.post(address, {"is_on": "0"})
    assert again(north, key).status == ApiKey.DISABLED
    assert "Paused" in anna.get(f"/account/keys/{key.kid}/").text
    anna.post(address, {"is_on": "1"})
    assert again(north, key).status == ApiKey.ACTIVE


def test_a_revoked_key_stays_revoked(north: Shop, anna: Client, key: ApiKey) -> None:
    assert anna.post(f"/account/keys/{key.kid}/revoke/")["location"] == "/account/"
    anna.post(f"/account/keys/{key.kid}/switch/", {"is_on": "1"})
    found = again(north, key)
    assert found.revoked_at is not None
    assert found.status == ApiKey.DISABLED
    assert "Revoked" in anna.get(f"/account/keys/{key.kid}/").text


def test_a_key_is_replaced_with_its_limits(
    north: Shop, anna: Client, wallet: Wallet, key: ApiKey
) -> None:
    address = f"/account/keys/{key.kid}/replace/"
    assert anna.post(address, {"overlap_s": "5"}).status_code == 303
    answer = anna.post(address, {"overlap_s": "3600"})
    fresh = keys.find(shown_key(answer.text))
    assert fresh is not None
    assert (fresh.wallet_id, fresh.limit_ubt, fresh.name) == (wallet.pk, 50 * UBT, "laptop")
    assert again(north, key).replaced_at is not None
    assert anna.post(address, {"overlap_s": "0"}).status_code == 303


def test_the_calls_of_a_key_open_without_pasting_it(anna: Client, key: ApiKey) -> None:
    assert anna.post(f"/account/keys/{key.kid}/calls/")["location"] == "/usage/key/"
    assert key.masked in anna.get("/usage/key/").text


def test_the_list_says_what_each_key_has_used_this_month(
    north: Shop, anna: Client, wallet: Wallet, key: ApiKey
) -> None:
    with tenant_scope(north.tenant.pk):
        used(key, 7 * UBT, at=timezone.now())
    page = anna.get("/account/").text
    assert re.search(r"This month.*?<b>7</b>", page)
    assert "<b>1,000</b>" in page


def test_the_account_takes_no_more_questions_with_more_keys(
    north: Shop, anna: Client, wallet: Wallet, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        made(north, wallet)
    with django_assert_max_num_queries(20):
        assert anna.get("/account/").text.count('class="sub mono"') == 5


@pytest.mark.parametrize("deed", ["", "switch/", "replace/", "revoke/", "calls/"])
def test_nobody_else_gets_to_a_key(
    north: Shop, south: Shop, key: ApiKey, bert: Client, browser: Browser, deed: str
) -> None:
    address = f"/account/keys/{key.kid}/{deed}"
    with tenant_scope(south.tenant.pk):
        theirs = signed_in(browser, south, ANNA)
    for visitor in (bert, theirs):
        ask = visitor.post if deed else visitor.get
        assert ask(address, {"is_on": "0", "overlap_s": "0"}).status_code == 404
    outsider = browser(north.host)
    answer = outsider.post(address) if deed else outsider.get(address)
    assert answer["location"] == "/account/sign-in/"
    found = again(north, key)
    assert (found.status, found.replaced_at) == (ApiKey.ACTIVE, None)


def test_nobody_sees_the_account_of_another(
    north: Shop, key: ApiKey, bert: Client, anna: Client
) -> None:
    assert key.kid in anna.get("/account/").text
    page = bert.get("/account/").text
    assert key.kid not in page
    assert ANNA not in page
    assert "<b>1,000</b>" not in page


def test_a_key_of_a_guest_is_none_of_an_account(north: Shop, anna: Client, wallet: Wallet) -> None:
    assert anna.get(f"/account/keys/{north.key.kid}/").status_code == 404
    assert User.objects.filter(email=ANNA).count() == 1
