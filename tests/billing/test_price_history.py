"""How prices came to be: each shop sees what counted for it, and nobody else's."""

from typing import Any

from django.utils import timezone

from billing import catalogue, price_history, tenants
from billing.models import PriceBook, PriceVersion, Tenant
from billing.price_history import Entry
from billing.pricing import BUCKETS, Price
from billing.scoping import tenant_scope

_INPUT = BUCKETS.index("input")


def shop(slug: str) -> Tenant:
    return tenants.create_tenant(slug=slug, name=slug, hosts=[f"{slug}.example"])


def load(tenant: Tenant, **prices: dict[str, Any]) -> None:
    with tenant_scope(tenant.pk):
        catalogue.load_retail(tenant.pk, prices)


def inputs(entries: list[Entry]) -> list[tuple[int | None, int | None]]:
    """Return what a token sent has cost, before and after, in base tokens."""
    return [(_input(entry.before), _input(entry.after)) for entry in entries]


def _input(price: Price | None) -> int | None:
    return price.ubt[_INPUT] // 1_000_000 if price else None


def test_a_model_has_its_prices_newest_first(db: None) -> None:
    north = shop("north")
    load(north, mine={"input": 1})
    load(north, mine={"input": 2})
    assert inputs(price_history.of_model(north.pk, "mine")) == [(1, 2), (None, 1)]


def test_a_price_of_ones_own_follows_the_platforms(db: None) -> None:
    north = shop("north")
    load(north, **{"gpt-4": {"input": 19, "output": 40}})
    assert inputs(price_history.of_model(north.pk, "gpt-4")) == [(20, 19), (None, 20)]


def test_what_the_platform_changes_later_does_not_count_for_ones_own(db: None) -> None:
    north, south = shop("north"), shop("south")
    load(north, **{"gpt-4": {"input": 19}})
    load(tenants.platform(), **{"gpt-4": {"input": 25}})
    assert inputs(price_history.changes(north.pk)) == [(20, 19)]
    assert inputs(price_history.changes(south.pk)) == [(20, 25)]


def test_a_new_model_is_no_change(db: None) -> None:
    north = shop("north")
    load(north, mine={"input": 1})
    assert price_history.changes(north.pk) == []


def test_a_withdrawn_model_has_no_price_afterwards(db: None) -> None:
    north = shop("north")
    load(north, mine={"input": 1})
    with tenant_scope(north.pk):
        PriceVersion.objects.create(
            tenant=north,
            book=PriceBook.objects.get(purpose=PriceBook.RETAIL),
            model="mine",
            valid_from=timezone.now(),
            is_withdrawn=True,
        )
    assert inputs(price_history.of_model(north.pk, "mine")) == [(1, None), (None, 1)]


def test_another_shops_prices_are_not_seen(db: None) -> None:
    north, south = shop("north"), shop("south")
    load(south, theirs={"input": 1})
    load(south, theirs={"input": 2})
    assert price_history.of_model(north.pk, "theirs") == []
    assert price_history.changes(north.pk) == []


def test_the_list_has_an_end(db: None) -> None:
    north = shop("north")
    load(north, **{f"m-{n}": {"input": 1} for n in range(60)})
    load(north, **{f"m-{n}": {"input": 2} for n in range(60)})
    assert len(price_history.changes(north.pk)) == price_history.MAX_ENTRIES


def test_prices_are_in_force_since_the_latest_change(db: None) -> None:
    north = shop("north")
    before = price_history.in_force_since(north.pk)
    load(north, mine={"input": 1})
    after = price_history.in_force_since(north.pk)
    assert before
    assert after
    assert after > before
