"""Prices: read from files exactly, published as dated rows, inherited from the platform's list."""

import json
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from billing import catalogue, price_files, tenants
from billing.errors import PriceInvalid, ScopeMissing, TenantMismatch, UnknownBucket
from billing.models import PriceVersion, Tenant
from billing.pricing import BUCKETS, Counts, Price, charge
from billing.scoping import all_tenants, tenant_scope
from billing.units import UBT_PER_BASE_TOKEN, exact_base_tokens
from tests.databases import Database

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Tenant:
    return tenants.create_tenant(slug="anna", name="Anna", hosts=["anna.example"])


@pytest.fixture
def bert() -> Tenant:
    return tenants.create_tenant(slug="bert", name="Bert", hosts=["bert.example"])


def load(tenant: Tenant, text: str | dict[str, Any]) -> list[catalogue.Change]:
    text = text if isinstance(text, str) else json.dumps(text)
    with tenant_scope(tenant.pk):
        return catalogue.load_retail(tenant.pk, price_files.parse(text))


def sold(tenant: Tenant, model: str) -> Price:
    return catalogue.current_prices(tenant.pk)[model]


def rate(price: Price, bucket: str) -> str:
    return exact_base_tokens(price.ubt[BUCKETS.index(bucket)])


# What the shops of 2023 sold, in base tokens: multiplier for input, multiplier for output.
OLD_TABLE = {
    "gpt-3.5-turbo": ("1", "1.333333"),
    "gpt-3.5-turbo-16k": ("2", "2.666667"),
    "gpt-3.5-turbo-1106": ("0.666667", "1.333333"),
    "gpt-4": ("20", "40"),
    "gpt-4-32k": ("40", "80"),
    "gpt-4-1106-preview": ("6.666667", "20"),
    "text-davinci-003": ("13.333333", "13.333333"),
    "text-embedding-ada-002": ("0.066667", "0"),
}


@pytest.mark.parametrize("model", OLD_TABLE)
def test_a_new_shop_sells_the_old_models_at_their_multipliers(anna: Tenant, model: str) -> None:
    price = sold(anna, model)
    assert (rate(price, "input"), rate(price, "output")) == OLD_TABLE[model]


def test_ninety_thousand_base_tokens_buy_three_thousand_tokens_of_gpt_4(anna: Tenant) -> None:
    counts = Counts(input=1_500, output=1_500)
    assert charge(sold(anna, "gpt-4"), counts) == 90_000 * 1_000_000


def test_the_starter_list_is_complete_and_bounded() -> None:
    prices = catalogue.starter_prices("1.50")
    texts = [price for price in prices if price.context_limit]
    assert len(texts) >= 30
    assert all(price.ubt[0] > 0 for price in texts)
    assert all(p.output_limit > 0 for p in texts if p.ubt[BUCKETS.index("output")])


def test_the_starter_list_has_prices_of_pictures_and_sound() -> None:
    prices = {price.model: price for price in catalogue.starter_prices("1.50")}
    hd = charge(prices["hd/1024x1792/dall-e-3"], Counts(image=1))
    assert hd == 80_000 * UBT_PER_BASE_TOKEN
    assert charge(prices["tts-1"], Counts(character=1_000)) == 10_000 * UBT_PER_BASE_TOKEN
    assert charge(prices["omni-moderation-latest"], Counts(input=1_000)) == 0


def test_the_starter_list_has_prices_of_conversations() -> None:
    prices = {price.model: price for price in catalogue.starter_prices("1.50")}
    minute = charge(prices["gpt-realtime"], Counts(audio_in=600, audio_out=1_200))
    assert abs(minute - 64_000 * UBT_PER_BASE_TOKEN) <= 1_800  # USD 0.096


def test_a_minute_of_whisper_comes_out_right_to_the_ubt() -> None:
    """USD 0.006 a minute, where a second is 66.666667 base tokens: rounded once, when published."""
    prices = {price.model: price for price in catalogue.starter_prices("1.50")}
    assert charge(prices["whisper-1"], Counts(second=60)) == 60 * 66_666_667


def test_a_long_prompt_of_gemini_costs_its_tier(anna: Tenant) -> None:
    price = sold(anna, "gemini-2.5-pro")
    short, long = charge(price, Counts(input=200_000)), charge(price, Counts(input=200_001))
    assert (short, long) == (200_000 * 833_333, 200_001 * 1_666_667)


@pytest.mark.parametrize(
    ("usd", "base", "ubt"),
    [
        ("30", "1.50", 20_000_000),
        ("2.00", "1.50", 1_333_333),
        ("0.0000005", "1", 0),
        ("0.0000015", "1", 2),
        ("0.0000025", "1", 2),
        ("0.0000035", "1", 4),
    ],
)
def test_dollars_are_rounded_once_half_to_even(usd: str, base: str, ubt: int) -> None:
    assert catalogue.usd_per_million_to_ubt(Decimal(usd), Decimal(base)) == ubt


def test_decimals_of_a_file_are_exact(anna: Tenant) -> None:
    load(anna, '{"m": {"input": 0.1, "output": 0.000001, "request": "2.5"}}')
    price = sold(anna, "m")
    assert [rate(price, name) for name in ("input", "output", "request")] == [
        "0.1",
        "0.000001",
        "2.5",
    ]


def test_buckets_of_text_cost_what_they_are_part_of(anna: Tenant) -> None:
    load(anna, {"m": {"input": 2, "output": 3, "cached_input": 1}})
    price = sold(anna, "m")
    by_name = {bucket: rate(price, bucket) for bucket in BUCKETS}
    inputs = dict.fromkeys(("input", "cache_write_5m", "cache_write_1h", "audio_in"), "2")
    outputs = dict.fromkeys(("output", "reasoning", "audio_out"), "3")
    others = dict.fromkeys(("image", "second", "character", "request", "search"), "0")
    assert by_name == inputs | outputs | others | {"cached_input": "1"}


WRONG = {
    "not JSON": ("{", "not JSON"),
    "a list": ("[]", "object"),
    "too deep": ("[" * 100_000, "not JSON"),
    "a model twice": ('{"m": {"input": 1}, "m": {"input": 2}}', "m is given twice"),
    "a bucket twice": ('{"m": {"input": 1, "input": 2}}', "input is given twice"),
    "no object": ('{"m": 3}', "m: the prices must be an object"),
    "no price": ('{"m": {}}', "m: no bucket has a price"),
    "only limits": ('{"m": {"context_limit": 5}}', "m: no bucket has a price"),
    "negative": ('{"m": {"input": -1}}', "m: input must not be negative"),
    "too fine": ('{"m": {"input": 0.0000001}}', "m: input"),
    "not a number": ('{"m": {"input": NaN}}', "NaN"),
    "a word": ('{"m": {"input": "cheap"}}', "m: input"),
    "true": ('{"m": {"input": true}}', "m: input must be a number"),
    "null": ('{"m": {"output": null}}', "m: output must be a number"),
    "beyond all numbers": ('{"m": {"input": 1e99999999999999999999}}', "out of all bounds"),
    "finer than all numbers": ('{"m": {"input": 1e-99999999999999999999}}', "out of all bounds"),
    "more digits than are read": ('{"m": {"input": ' + "1" * 5_000 + "}}", "not JSON"),
    "a word for a number": ('{"m": {"input": "sNaN"}}', "m: input"),
    "an infinite word": ('{"m": {"input": "Infinity"}}', "m: input"),
    "a bucket in two lines": ('{"m": {"in\\nput": 1}}', r"no bucket 'in\\nput'"),
    "absurd": ('{"m": {"input": 1e12}}', "m: input"),
    "no name": ('{"": {"input": 1}}', "not the name of a model"),
    "a long name": (json.dumps({"x" * 65: {"input": 1}}), "not the name of a model"),
    "a name with a line end": ('{"a\\n": {"input": 1}}', "not the name of a model"),
    "a limit below zero": ('{"m": {"input": 1, "context_limit": -1}}', "context_limit"),
    "a limit with a fraction": ('{"m": {"input": 1, "output_limit": 1.5}}', "output_limit"),
    "no usual output": ('{"m": {"input": 1, "usual_output": 0}}', "usual_output"),
    "reasoning by word": ('{"m": {"input": 1, "is_reasoning": "yes"}}', "is_reasoning"),
    "tiers no list": ('{"m": {"input": 1, "tiers": {}}}', "tiers"),
    "a tier without start": ('{"m": {"input": 1, "tiers": [{"input": 2}]}}', "min_input"),
    "a tier without price": ('{"m": {"input": 1, "tiers": [{"min_input": 2}]}}', "tier"),
    "two tiers at once": (
        '{"m": {"input": 1, "tiers": [{"min_input": 2, "input": 2}, {"min_input": 2, "input": 3}'
        "]}}",
        "same min_input",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_by_name_and_publishes_nothing(anna: Tenant, name: str) -> None:
    text, complaint = WRONG[name]
    with pytest.raises(PriceInvalid, match=complaint):
        load(anna, text)
    assert "m" not in catalogue.current_prices(anna.pk)


@pytest.mark.parametrize("where", ['"inptu": 1', '"tiers": [{"min_input": 1, "inptu": 1}]'])
def test_an_unknown_bucket_is_named(anna: Tenant, where: str) -> None:
    with pytest.raises(UnknownBucket, match="inptu"):
        load(anna, f'{{"gpt-4": {{"input": 20, {where}}}}}')


def test_a_large_file_with_a_name_twice_is_refused_at_once(anna: Tenant) -> None:
    members = ",".join(f'"m{number}": 1' for number in [*range(200_000), 7])
    with pytest.raises(PriceInvalid, match="m7 is given twice"):
        price_files.parse("{" + members + "}")


def test_minus_zero_is_free(anna: Tenant) -> None:
    load(anna, '{"m": {"input": -0.0, "output": -0, "request": "-0"}}')
    assert set(sold(anna, "m").ubt) == {0}


def test_a_file_is_loaded_in_whole_or_not_at_all(anna: Tenant) -> None:
    with pytest.raises(PriceInvalid, match="second"):
        load(anna, {"first": {"input": 1}, "second": {"input": -1}})
    assert "first" not in catalogue.current_prices(anna.pk)


def test_the_same_prices_again_publish_nothing(anna: Tenant) -> None:
    data = {"m": {"input": 1, "tiers": [{"min_input": 9, "input": 2}]}, "n": {"input": 3}}
    assert [change.model for change in load(anna, data)] == ["m", "n"]
    assert load(anna, data) == []


def test_only_what_changes_is_published(anna: Tenant) -> None:
    load(anna, {"m": {"input": 1}, "n": {"input": 3}})
    before = sold(anna, "n")
    [change] = load(anna, {"m": {"input": 2}, "n": {"input": 3}})
    assert (change.model, change.before and change.before.ubt[0]) == ("m", 1_000_000)
    assert sold(anna, "n") == before


def test_models_that_are_not_in_the_file_keep_their_price(anna: Tenant) -> None:
    before = catalogue.current_prices(anna.pk)
    load(anna, {"gpt-4": {"input": 21, "output": 42}})
    after = catalogue.current_prices(anna.pk)
    assert after.keys() == before.keys()
    assert [model for model in after if after[model] != before[model]] == ["gpt-4"]


def test_limits_of_a_model_are_kept_where_the_file_is_silent(anna: Tenant) -> None:
    listed = sold(anna, "gpt-5")
    load(anna, {"gpt-5": {"input": 1, "output": 2, "output_limit": 1000}})
    own = sold(anna, "gpt-5")
    assert (own.output_limit, own.context_limit) == (1000, listed.context_limit)
    assert own.is_reasoning is True
    assert own.usual_output == 16_384


def test_a_load_that_waited_keeps_the_limits_of_the_one_before(
    migrated_database: Database,
) -> None:
    anna = tenants.create_tenant(slug="anna", name="Anna", hosts=["anna.example"])
    load(anna, {"m": {"input": 1}})

    def later() -> None:
        try:
            load(anna, {"m": {"input": 2}})
        finally:
            connection.close()

    waiting = Thread(target=later)
    with transaction.atomic():
        load(anna, {"m": {"input": 1, "output_limit": 5}})
        waiting.start()
        waiting.join(timeout=0.5)
    waiting.join(timeout=20)
    price = sold(anna, "m")
    assert (rate(price, "input"), price.output_limit) == ("2", 5)


def test_a_new_model_has_a_usual_output(anna: Tenant) -> None:
    load(anna, {"a": {"input": 1}, "b": {"input": 1, "is_reasoning": True}})
    assert (sold(anna, "a").usual_output, sold(anna, "b").usual_output) == (4_096, 16_384)


def test_a_shops_price_is_its_own(anna: Tenant, bert: Tenant) -> None:
    load(anna, {"gpt-4": {"input": 21}})
    assert rate(sold(anna, "gpt-4"), "input") == "21"
    assert rate(sold(bert, "gpt-4"), "input") == "20"


def test_a_price_of_the_platform_reaches_every_shop_without_one_of_its_own(
    anna: Tenant, bert: Tenant
) -> None:
    load(anna, {"gpt-4": {"input": 21}})
    load(tenants.platform(), {"gpt-4": {"input": 30}})
    assert rate(sold(anna, "gpt-4"), "input") == "21"
    assert rate(sold(bert, "gpt-4"), "input") == "30"


def test_the_lists_of_many_shops_cost_a_few_queries(
    anna: Tenant, bert: Tenant, django_assert_num_queries: Any
) -> None:
    load(anna, {"gpt-4": {"input": 21}, "m": {"input": 1, "tiers": [{"min_input": 2, "input": 3}]}})
    with django_assert_num_queries(3):
        lists = catalogue.price_lists([anna.pk, bert.pk])
    assert lists == {shop.pk: catalogue.current_prices(shop.pk) for shop in (anna, bert)}
    assert lists[bert.pk].keys() == lists[anna.pk].keys() - {"m"}


def test_prices_are_published_for_the_open_tenant_alone(anna: Tenant, bert: Tenant) -> None:
    data = price_files.parse('{"m": {"input": 1}}')
    with tenant_scope(anna.pk), pytest.raises(TenantMismatch):
        catalogue.load_retail(bert.pk, data)
    with pytest.raises(ScopeMissing):
        catalogue.load_retail(bert.pk, data)


def test_a_pinned_price_stays_what_it_was(anna: Tenant) -> None:
    load(anna, {"m": {"input": 1, "tiers": [{"min_input": 5, "output": 7}]}})
    pinned = sold(anna, "m")
    load(anna, {"m": {"input": 2}})
    assert catalogue.price(pinned.id) == pinned
    assert sold(anna, "m") != pinned


def test_a_price_in_the_future_does_not_count_yet(anna: Tenant) -> None:
    load(anna, {"m": {"input": 1}})
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        load(anna, {"m": {"input": 2}})
    assert rate(sold(anna, "m"), "input") == "1"
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert rate(sold(anna, "m"), "input") == "2"


def test_a_withdrawn_model_is_not_sold_and_can_come_back(anna: Tenant) -> None:
    [change] = load(anna, {"gpt-4": {"input": 20, "output": 40}})
    with tenant_scope(anna.pk):
        row = PriceVersion.objects.get(model="gpt-4")
        row.pk, row.valid_from, row.is_withdrawn = None, timezone.now(), True
        row.save(force_insert=True)
    assert "gpt-4" not in catalogue.current_prices(anna.pk)
    assert load(anna, {"gpt-4": {"input": 20, "output": 40}})[0].before is None
    assert sold(anna, "gpt-4").ubt == change.after.ubt


def test_a_price_begins_once(anna: Tenant) -> None:
    load(anna, {"m": {"input": 1}})
    with all_tenants():
        row = PriceVersion.objects.get(model="m")
        row.pk = None
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)
