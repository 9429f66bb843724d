"""The vendors' list: what stands in it, how it differs from a book, and what is published of it."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.core.management import CommandError, call_command

from billing import catalogue, price_files, tenants, vendor_prices
from billing.errors import ScopeMissing, TenantMismatch
from billing.models import Tenant
from billing.pricing import BUCKETS, Counts, charge
from billing.scoping import tenant_scope
from billing.units import exact_base_tokens
from tests.architecture.sources import ROOT

DATA = ROOT / "billing" / "data"
VENDORS = {
    "openai",
    "anthropic",
    "google",
    "deepseek",
    "mistral",
    "xai",
    "moonshot",
    "qwen",
    "zhipu",
}


@pytest.fixture
def anna(db: None) -> Tenant:
    return tenants.create_tenant(slug="anna", name="Anna", hosts=["anna.example"])


@pytest.fixture
def bert(db: None) -> Tenant:
    return tenants.create_tenant(slug="bert", name="Bert", hosts=["bert.example"])


def apply(tenant: Tenant, *models: str) -> list[catalogue.Change]:
    with tenant_scope(tenant.pk):
        return vendor_prices.apply(tenant.pk, models=models)


def load(tenant: Tenant, prices: dict[str, Any]) -> None:
    with tenant_scope(tenant.pk):
        catalogue.load_retail(tenant.pk, price_files.parse(json.dumps(prices)))


def rate(tenant: Tenant, model: str, bucket: str) -> str:
    price = catalogue.current_prices(tenant.pk)[model]
    return exact_base_tokens(price.ubt[BUCKETS.index(bucket)])


def sync(*words: str) -> str:
    out = StringIO()
    call_command("sync_prices", *words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("name", ["prices", "hand_prices"])
def test_a_list_has_the_form_that_its_schema_says(name: str) -> None:
    schema = json.loads((DATA / "prices.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(
        json.loads((DATA / f"{name}.json").read_text())
    )


def test_the_schema_knows_the_buckets_that_there_are() -> None:
    schema = json.loads((DATA / "prices.schema.json").read_text())
    assert tuple(schema["$defs"]["prices"]["properties"]) == BUCKETS


def test_every_vendor_is_on_the_list_with_source_and_date() -> None:
    rows = vendor_prices.listed().values()
    assert {row.vendor for row in rows} == VENDORS
    assert all(row.source and row.date for row in rows)
    assert len(rows) > 300


def test_rows_by_hand_are_on_the_list_as_they_were_written() -> None:
    by_hand = price_files.parse(vendor_prices.HAND_FILE.read_text())["models"]
    models = price_files.parse(vendor_prices.LIST_FILE.read_text())["models"]
    assert {"dall-e-3", "whisper-1", "gpt-4-32k", "text-davinci-003"} <= by_hand.keys()
    assert {name: models[name] for name in by_hand} == by_hand


def test_a_minute_of_whisper_costs_six_tenths_of_a_cent(anna: Tenant) -> None:
    apply(anna, "whisper-1")
    minute = charge(catalogue.current_prices(anna.pk)["whisper-1"], Counts(second=60))
    assert abs(minute - 4_000 * 1_000_000) <= 60  # a second is rounded to 1 ubt


def test_an_image_is_priced_by_one(anna: Tenant) -> None:
    apply(anna, "imagen-3.0-generate-001")
    assert rate(anna, "imagen-3.0-generate-001", "image") == "26666.666667"


def test_a_new_shop_sells_the_unit_at_its_own_price() -> None:
    rows = price_files.parse(vendor_prices.LIST_FILE.read_text())["models"]
    assert (rows["gpt-3.5-turbo"]["input"], rows["gpt-4"]["input"]) == ("1.50", "30.00")


def test_a_model_that_is_not_sold_is_new(anna: Tenant) -> None:
    changes = vendor_prices.compare(anna.pk).changes
    [change] = [one for one in changes if one.model == "imagen-3.0-generate-001"]
    [difference] = vendor_prices.differences(change)
    assert (difference.name, difference.before, difference.after) == (
        "image",
        None,
        "26666.666667",
    )


def test_a_price_of_ones_own_is_a_change(anna: Tenant) -> None:
    load(anna, {"gpt-4o": {"input": 3, "cached_input": 1, "output": 9}})
    [change] = [one for one in vendor_prices.compare(anna.pk).changes if one.model == "gpt-4o"]
    shown = [(one.name, one.before, one.after) for one in vendor_prices.differences(change)]
    assert shown == [
        ("input", "3", "1.666667"),
        ("cached_input", "1", "0.833333"),
        ("output", "9", "6.666667"),
    ]


def test_a_tier_that_comes_or_goes_is_told(anna: Tenant) -> None:
    load(anna, {"gemini-2.5-pro": {"input": 1, "cached_input": 0.1, "output": 8, "search": 1}})
    changes = {one.model: one for one in vendor_prices.compare(anna.pk).changes}
    shown = [one for one in vendor_prices.differences(changes["gemini-2.5-pro"]) if one.min_input]
    assert ("input", "1", "1.666667", 200_001) in [
        (one.name, one.before, one.after, one.min_input) for one in shown
    ]
    assert "search" not in {one.name for one in shown}


def test_comparing_publishes_nothing(anna: Tenant) -> None:
    before = catalogue.current_prices(anna.pk)
    assert vendor_prices.compare(anna.pk).changes
    assert catalogue.current_prices(anna.pk) == before


def test_only_what_is_named_is_published(anna: Tenant) -> None:
    before = catalogue.current_prices(anna.pk)
    [change] = apply(anna, "imagen-3.0-generate-001", "no-such-model")
    assert change.model == "imagen-3.0-generate-001"
    after = catalogue.current_prices(anna.pk)
    assert after.keys() - before.keys() == {"imagen-3.0-generate-001"}
    assert all(after[model] == before[model] for model in before)


def test_applying_again_changes_nothing(anna: Tenant) -> None:
    every = list(vendor_prices.listed())
    assert len(apply(anna, *every)) > 300
    assert apply(anna, *every) == []
    assert vendor_prices.compare(anna.pk).changes == ()


def test_models_that_are_not_on_the_list_are_left_alone(anna: Tenant) -> None:
    load(anna, {"house-blend": {"input": 5}})
    apply(anna, *vendor_prices.listed())
    assert "house-blend" in vendor_prices.compare(anna.pk).not_listed
    assert rate(anna, "house-blend", "input") == "5"


def test_a_shop_applies_for_itself_alone(anna: Tenant, bert: Tenant) -> None:
    apply(anna, "imagen-3.0-generate-001")
    assert "imagen-3.0-generate-001" not in catalogue.current_prices(bert.pk)
    with tenant_scope(anna.pk), pytest.raises(TenantMismatch):
        vendor_prices.apply(bert.pk, models={"imagen-3.0-generate-001"})
    with pytest.raises(ScopeMissing):
        vendor_prices.apply(bert.pk, models={"imagen-3.0-generate-001"})


def test_what_is_known_of_a_model_beside_the_list_is_kept(anna: Tenant) -> None:
    known = catalogue.current_prices(anna.pk)["gpt-4o"].image_input_tokens
    load(anna, {"gpt-4o": {"input": 3}})
    apply(anna, "gpt-4o")
    assert catalogue.current_prices(anna.pk)["gpt-4o"].image_input_tokens == known > 0


def test_the_command_shows_and_publishes_nothing(anna: Tenant) -> None:
    load(anna, {"gpt-4": {"input": 21, "output": 42}})
    shown = sync("--tenant", "anna")
    assert "changed  gpt-4: input 21 -> 20, output 42 -> 40\n" in shown
    assert "new      imagen-3.0-generate-001: image 26666.666667\n" in shown
    assert shown.endswith("Nothing is published; --apply does.\n")
    assert rate(anna, "gpt-4", "input") == "21"


def test_the_command_publishes_when_it_is_told_to(anna: Tenant) -> None:
    load(anna, {"gpt-4": {"input": 21}})
    assert "1 prices published." in sync("--tenant", "anna", "--model", "gpt-4", "--apply")
    assert rate(anna, "gpt-4", "input") == "20"


def test_the_command_can_be_told_the_vendors(anna: Tenant) -> None:
    answer = json.loads(sync("--platform", "--vendor", "anthropic", "--apply", "--json"))
    assert {one["vendor"] for one in answer["changes"]} == {"anthropic"}
    assert answer["applied"] is True
    assert rate(anna, "claude-opus-4-5", "output") == "16.666667"


@pytest.mark.parametrize("words", [("--model", "house-blend"), ("--vendor", "acme")])
def test_the_command_names_what_is_not_on_the_list(db: None, words: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=f"{words[1]!r} is not on the list"):
        sync("--platform", *words)


def test_the_list_is_what_the_developers_command_makes(tmp_path: Path) -> None:
    source = {
        "gpt-9": {
            "litellm_provider": "openai",
            "mode": "chat",
            "input_cost_per_token": 2e-06,
            "output_cost_per_token": 8e-06,
        },
        "elsewhere/gpt-9": {"litellm_provider": "elsewhere", "mode": "chat"},
    }
    given, made = tmp_path / "given.json", tmp_path / "made.json"
    given.write_text(json.dumps(source))
    call_command(
        "make_price_catalogue",
        str(given),
        "--release=1.0",
        "--date=2026-11-22",
        f"--output={made}",
        stderr=StringIO(),
    )
    rows = price_files.parse(made.read_text())["models"]
    assert rows["gpt-9"]["output"] == "8.00"
    assert rows.keys() == {
        "gpt-9",
        *price_files.parse(vendor_prices.HAND_FILE.read_text())["models"],
    }
