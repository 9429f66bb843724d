"""Signing in when many do so at the same moment, and what a link is made of."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from billing import accounts, sign_in
from billing.errors import NotFound
from billing.models import Mail, Tenant, User, Wallet
from billing.scoping import tenant_scope
from tests.billing.orders.making import open_shop
from tests.databases import Database

RACERS = 8
T = TypeVar("T")


def race(shop: Tenant, work: Callable[[], T]) -> list[T]:
    """Let threads do the same, all starting at the same moment."""
    barrier = threading.Barrier(RACERS)

    def run(_racer: int) -> T:
        barrier.wait()
        with tenant_scope(shop.pk):
            return work()

    with ThreadPoolExecutor(RACERS) as threads:
        return list(threads.map(run, range(RACERS)))


def link_of(shop: Tenant, email: str) -> tuple[int, str]:
    sign_in.ask(tenant_id=shop.pk, email=email, language="en")
    mail = Mail.objects.get(kind="sign_in", recipient=email)
    return mail.pk, sign_in.path_of(mail.pk).split("/")[-2]


def test_of_many_who_use_one_link_one_gets_in(postgres_database: Database) -> None:
    shop = open_shop()
    with tenant_scope(shop.pk):
        for email in ("new@example.com", "known@example.com"):
            if email.startswith("known"):
                User.objects.create_user(email)
            mail_id, token = link_of(shop, email)
            entered = race(shop, lambda: sign_in.enter(mail_id=mail_id, token=token))  # noqa: B023
            assert sum(wallet is not None for wallet in entered) == 1
            assert User.objects.filter(email=email).count() == 1


def test_many_first_visits_make_one_wallet(postgres_database: Database) -> None:
    shop, user = open_shop(), User.objects.create_user("anna@example.com")
    found = race(shop, lambda: accounts.wallet_of(user, tenant_id=shop.pk).pk)
    assert len(set(found)) == 1
    with tenant_scope(shop.pk):
        assert Wallet.objects.count() == 1


def test_no_link_is_made_for_a_mail_that_is_not_there(db: None) -> None:
    shop = open_shop()
    with tenant_scope(shop.pk), pytest.raises(NotFound):
        sign_in.path_of(1)


def test_the_link_of_one_shop_signs_nobody_in_at_another(db: None) -> None:
    shops = [open_shop("north"), open_shop("south")]
    links = []
    for shop in shops:
        with tenant_scope(shop.pk):
            links.append(link_of(shop, "anna@example.com"))
    [(_, token), (mail_id, own_token)] = links
    with tenant_scope(shops[1].pk):
        assert sign_in.enter(mail_id=mail_id, token=token) is None
        assert sign_in.enter(mail_id=mail_id, token=own_token) is not None
