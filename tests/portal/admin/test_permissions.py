"""Who may do what in the admin: every page x every verb x everyone who could try."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import (
    Announcement,
    ApiKey,
    CodeBatch,
    Coupon,
    Delivery,
    Dispute,
    Domain,
    Hold,
    LegalText,
    Mail,
    Member,
    Order,
    Payment,
    PaymentInstance,
    PriceBook,
    PriceVersion,
    Product,
    Receipt,
    ReconcileFinding,
    ReconcileRun,
    RedemptionCode,
    Refund,
    Tenant,
    Transfer,
    UsageRecord,
    User,
    Wallet,
)
from billing.scoping import tenant_scope
from relay.models import Channel, GenericRoute, UpstreamObject
from tests.cast import Shop, say, sell, stock

Browser = Callable[..., Client]

# model: what a platform operator may do, what the owner of the shop may do
EXPECTED: dict[type[Model], tuple[str, str]] = {
    Tenant: ("list add change", "list change"),
    Domain: ("list add change delete", "list add change delete"),
    Member: ("list add change delete", "list"),
    User: ("list add change", ""),
    ApiKey: ("list add change", "list add change"),
    Product: ("list add change", "list add change"),
    Coupon: ("list add change", "list add change"),
    CodeBatch: ("list add", "list add"),
    RedemptionCode: ("list", "list"),
    Order: ("list", "list"),
    Payment: ("list", "list"),
    Delivery: ("list", "list"),
    Refund: ("list", "list"),
    Dispute: ("list", "list"),
    Receipt: ("list", "list"),
    Mail: ("list", "list"),
    PaymentInstance: ("list add change", "list add change"),
    Announcement: ("list add change delete", "list add change delete"),
    LegalText: ("list add", "list add"),
    Wallet: ("list change", "list change"),
    Transfer: ("list", "list"),
    Hold: ("list", "list"),
    UsageRecord: ("list", "list"),
    Channel: ("list add change delete", "list add change delete"),
    GenericRoute: ("list add change delete", "list add change delete"),
    UpstreamObject: ("list", "list"),
    PriceBook: ("list", "list"),
    PriceVersion: ("list add", "list add"),
    ReconcileRun: ("list", ""),
    ReconcileFinding: ("list", "list"),
}
VERBS = ("list", "add", "change", "delete")


def test_every_page_of_the_admin_has_a_line_in_the_table() -> None:
    assert set(admin.site._registry) == set(EXPECTED)


def test_a_platform_operator_may(north: Shop, operator: User, unrendered: Browser) -> None:
    rows = everything_in(north)
    found = {model: allowed(unrendered(north.host, operator), rows[model]) for model in EXPECTED}
    assert found == {model: verbs for model, (verbs, _owners) in EXPECTED.items()}


def test_the_owner_of_a_shop_may(north: Shop, unrendered: Browser) -> None:
    rows = everything_in(north)
    found = {model: allowed(unrendered(north.host, north.owner), rows[model]) for model in EXPECTED}
    assert found == {model: verbs for model, (_operators, verbs) in EXPECTED.items()}


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("manager", "list add change"),
        ("support", "list"),
        ("viewer", "list"),
        ("janitor", ""),
    ],
)
def test_a_role_may_as_much_as_it_needs(
    north: Shop, unrendered: Browser, role: str, verbs: str
) -> None:
    with tenant_scope(north.tenant.pk):
        Member.objects.update(role=role)
    assert allowed(unrendered(north.host, north.owner), stock(north)[Domain]) == verbs


@pytest.mark.parametrize("role", ["support", "viewer"])
def test_no_button_works_for_who_only_looks(north: Shop, unrendered: Browser, role: str) -> None:
    rows = everything_in(north)
    with tenant_scope(north.tenant.pk):
        Member.objects.update(role=role)
    assert {status for _button, status in pressed(unrendered(north.host, north.owner), rows)} == {
        403
    }


def test_no_button_works_for_strangers(north: Shop, south: Shop, unrendered: Browser) -> None:
    rows = everything_in(north)
    for visitor in strangers(north, south, unrendered):
        assert {status for _button, status in pressed(visitor, rows)} == {302}
    found = pressed(unrendered(south.host, south.owner), rows)
    assert [button for button, status in found if status not in (403, 404)] == []


def test_nobody_else_gets_in(north: Shop, south: Shop, unrendered: Browser) -> None:
    rows = everything_in(north)
    for visitor in strangers(north, south, unrendered):
        for model in EXPECTED:
            assert {attempt(visitor, rows[model], verb) for verb in VERBS} == {302}, model


def pressed(visitor: Client, rows: dict[type[Model], Model]) -> list[tuple[str, int]]:
    """Press every button of the pages of rows; return what that led to."""
    found = []
    for model, page in admin.site._registry.items():
        for button in getattr(page, "actions_detail", ()):
            name = f"{model._meta.app_label}_{model._meta.model_name}_{button}"
            address = reverse(f"admin:{name}", args=[rows[model].pk])
            found.append((name, visitor.post(address).status_code))
    return found


def strangers(north: Shop, south: Shop, unrendered: Browser) -> Iterator[Client]:
    """Return who has no business at north: nobody, and the owner of the other shop."""
    yield unrendered(north.host)
    yield unrendered(north.host, south.owner)


def allowed(visitor: Client, row: Model) -> str:
    """Return the verbs that a visitor may do to a row; the others are forbidden."""
    statuses = {verb: attempt(visitor, row, verb) for verb in VERBS}
    assert set(statuses.values()) <= {200, 403}, row
    return " ".join(verb for verb in VERBS if statuses[verb] == 200)


def attempt(visitor: Client, row: Model, verb: str) -> int:
    """Try a verb on a row; return the status."""
    page = f"admin:{row._meta.app_label}_{row._meta.model_name}"
    if verb == "list":
        return visitor.get(reverse(f"{page}_changelist")).status_code
    if verb == "add":
        return visitor.get(reverse(f"{page}_add")).status_code
    address = reverse(f"{page}_{verb}", args=[row.pk])
    wrong = {"expires_at_0": "never"}  # what a form refuses, whatever else it would take
    return (visitor.post(address, wrong) if verb == "change" else visitor.get(address)).status_code


def everything_in(shop: Shop) -> dict[type[Model], Model]:
    """Return a row of every table that the admin shows."""
    sale = sell(shop)
    return {**stock(shop), **sale, **say(shop, sale[Payment]), ReconcileRun: new_run()}


def new_run() -> ReconcileRun:
    """Return a reconcile run, which belongs to no shop."""
    now = timezone.now()
    return ReconcileRun.objects.create(
        started_at=now, finished_at=now, wallet_count=0, finding_count=0
    )
