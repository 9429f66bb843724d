"""Who may do what in the admin: every page x every verb x everyone who could try."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import (
    ApiKey,
    Domain,
    Hold,
    Member,
    PriceBook,
    PriceVersion,
    ReconcileFinding,
    ReconcileRun,
    Tenant,
    Transfer,
    UsageRecord,
    User,
    Wallet,
)
from billing.scoping import tenant_scope
from relay.models import Channel
from tests.cast import Shop, stock

Browser = Callable[..., Client]

# model: what a platform operator may do, what the owner of the shop may do
EXPECTED: dict[type[Model], tuple[str, str]] = {
    Tenant: ("list add change", "list change"),
    Domain: ("list add change delete", "list add change delete"),
    Member: ("list add change delete", "list"),
    User: ("list add change", ""),
    ApiKey: ("list add change", "list add change"),
    Wallet: ("list change", "list change"),
    Transfer: ("list", "list"),
    Hold: ("list", "list"),
    UsageRecord: ("list", "list"),
    Channel: ("list add change delete", "list add change delete"),
    PriceBook: ("list", "list"),
    PriceVersion: ("list add", "list add"),
    ReconcileRun: ("list", ""),
    ReconcileFinding: ("list", "list"),
}
VERBS = ("list", "add", "change", "delete")
CASES = [(model, verb) for model in EXPECTED for verb in VERBS]


def named(case: object) -> str:
    return case.__name__ if isinstance(case, type) else str(case)


def test_every_page_of_the_admin_has_a_line_in_the_table() -> None:
    assert set(admin.site._registry) == set(EXPECTED)


@pytest.mark.parametrize(("model", "verb"), CASES, ids=named)
def test_a_platform_operator_may(
    north: Shop, operator: User, browser: Browser, model: type[Model], verb: str
) -> None:
    answer = attempt(browser(north.host, operator), north, model, verb)
    assert answer == (200 if verb in EXPECTED[model][0].split() else 403)


@pytest.mark.parametrize(("model", "verb"), CASES, ids=named)
def test_the_owner_of_a_shop_may(
    north: Shop, browser: Browser, model: type[Model], verb: str
) -> None:
    answer = attempt(browser(north.host, north.owner), north, model, verb)
    assert answer == (200 if verb in EXPECTED[model][1].split() else 403)


@pytest.mark.parametrize("role", ["support", "viewer"])
@pytest.mark.parametrize("verb", VERBS)
def test_support_and_viewers_only_look(north: Shop, browser: Browser, role: str, verb: str) -> None:
    give_role(north, role)
    answer = attempt(browser(north.host, north.owner), north, Domain, verb)
    assert answer == (200 if verb == "list" else 403)


def test_a_manager_deletes_nothing(north: Shop, browser: Browser) -> None:
    give_role(north, "manager")
    visitor = browser(north.host, north.owner)
    assert attempt(visitor, north, Domain, "change") == 200
    assert attempt(visitor, north, Domain, "delete") == 403


def test_an_unknown_role_may_nothing(north: Shop, browser: Browser) -> None:
    give_role(north, "janitor")
    assert attempt(browser(north.host, north.owner), north, Domain, "list") == 403


@pytest.mark.parametrize(("model", "verb"), CASES, ids=named)
def test_nobody_else_gets_in(
    north: Shop, south: Shop, browser: Browser, model: type[Model], verb: str
) -> None:
    for visitor in strangers(north, south, browser):
        assert attempt(visitor, north, model, verb) == 302


def strangers(north: Shop, south: Shop, browser: Browser) -> Iterator[Client]:
    """Return who has no business at north: nobody, and the owner of the other shop."""
    yield browser(north.host)
    yield browser(north.host, south.owner)


def give_role(shop: Shop, role: str) -> None:
    """Give the shop's owner another role."""
    with tenant_scope(shop.tenant.pk):
        Member.objects.update(role=role)


def attempt(visitor: Client, shop: Shop, model: type[Model], verb: str) -> int:
    """Try a verb on a row of the shop; return the status."""
    rows = stock(shop)
    rows[ReconcileRun] = new_run()
    page = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    if verb == "list":
        return visitor.get(reverse(f"{page}_changelist")).status_code
    if verb == "add":
        return visitor.get(reverse(f"{page}_add")).status_code
    address = reverse(f"{page}_{verb}", args=[rows[model].pk])
    return (visitor.post(address) if verb == "change" else visitor.get(address)).status_code


def new_run() -> ReconcileRun:
    """Return a reconcile run, which belongs to no shop."""
    now = timezone.now()
    return ReconcileRun.objects.create(
        started_at=now, finished_at=now, wallet_count=0, finding_count=0
    )
