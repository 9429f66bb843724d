"""LiteLLM's prices become ours exactly, or their model is left out with a reason."""

from decimal import Decimal
from typing import Any

import pytest

from billing import litellm_prices, price_files
from billing.vendor_prices import usd_rows


def entry(provider: str = "openai", mode: str = "chat", **fields: Any) -> dict[str, Any]:
    costs = {
        name: Decimal(value) if isinstance(value, str) and "cost" in name else value
        for name, value in fields.items()
    }
    return {"litellm_provider": provider, "mode": mode, **costs}


def convert(**models: Any) -> tuple[dict[str, Any], dict[str, str]]:
    named = {name.replace("__", "/").replace("_", "-"): model for name, model in models.items()}
    return litellm_prices.convert(named, source="LiteLLM 1", date="2026-01-02")


def row(**fields: Any) -> Any:
    """Return the row of a model of OpenAI with these fields."""
    rows, left_out = convert(gpt_9=entry(**fields))
    assert not left_out
    return rows["gpt-9"]


def reason(**fields: Any) -> str:
    rows, left_out = convert(gpt_9=entry(**fields))
    assert not rows
    return left_out["gpt-9"]


TEXT = {"input_cost_per_token": "2e-06", "output_cost_per_token": "8e-06"}


def test_a_price_of_a_token_becomes_one_of_a_million() -> None:
    found = row(**TEXT, cache_read_input_token_cost="1.25e-07")
    assert (found["input"], found["cached_input"], found["output"]) == ("2.00", "0.125", "8.00")


def test_a_row_says_whose_it_is_and_where_it_is_from() -> None:
    found = row(**TEXT)
    assert (found["vendor"], found["kind"]) == ("openai", "chat")
    assert (found["source"], found["date"]) == ("LiteLLM 1", "2026-01-02")
    assert row(**TEXT, source="https://vendor.example/")["source"] == "https://vendor.example/"


def test_the_prefix_of_a_provider_is_no_part_of_a_name() -> None:
    rows, _ = convert(gemini__gemini_9=entry("gemini", **TEXT))
    assert rows["gemini-9"]["vendor"] == "google"


def test_resold_models_are_not_taken() -> None:
    rows, left_out = convert(
        azure__gpt_9=entry("azure", **TEXT),
        mistral__deepseek_v9=entry("mistral", **TEXT),
        dashscope__glm_9=entry("dashscope", **TEXT),
    )
    assert (rows, left_out) == ({}, {})


def test_what_long_prompts_cost_is_a_tier() -> None:
    found = row(
        **TEXT,
        cache_read_input_token_cost="2e-07",
        input_cost_per_token_above_200k_tokens="4e-06",
        cache_read_input_token_cost_above_200k_tokens="4e-07",
        output_cost_per_token_above_200k_tokens="12e-06",
    )
    assert found["tiers"] == [
        {"min_input": 200_001, "input": "4.00", "cached_input": "0.40", "output": "12.00"}
    ]


def test_a_tier_keeps_what_it_does_not_name() -> None:
    found = row(
        **TEXT, input_cost_per_audio_token="3e-06", input_cost_per_token_above_200k_tokens="4e-06"
    )
    assert found["tiers"] == [
        {"min_input": 200_001, "input": "4.00", "output": "8.00", "audio_in": "3.00"}
    ]


def test_ranges_of_prompts_are_a_price_and_tiers() -> None:
    ranges = [
        {"range": [0, Decimal("32000.0")], **costs("1e-06", "2e-06")},
        {"range": [Decimal("32000.0"), Decimal("128000.0")], **costs("3e-06", "6e-06")},
    ]
    found = row(tiered_pricing=ranges)
    assert (found["input"], found["output"]) == ("1.00", "2.00")
    assert found["tiers"] == [{"min_input": 32_001, "input": "3.00", "output": "6.00"}]


def costs(of_input: str, of_output: str) -> dict[str, Decimal]:
    return {
        "input_cost_per_token": Decimal(of_input),
        "output_cost_per_token": Decimal(of_output),
    }


def test_other_tiers_of_service_are_not_ours() -> None:
    found = row(**TEXT, input_cost_per_token_batches="1e-06", input_cost_per_token_priority="9e-06")
    assert found["input"] == "2.00"


def test_a_cache_that_costs_nothing_to_write_costs_what_its_tokens_cost() -> None:
    assert "cache_write_5m" not in row(**TEXT, cache_creation_input_token_cost="0.0")


def test_the_dearest_search_is_the_price_of_one() -> None:
    sizes = {
        "search_context_size_low": Decimal("0.01"),
        "search_context_size_high": Decimal("0.02"),
    }
    assert row(**TEXT, search_context_cost_per_query=sizes)["search"] == "0.02"


def test_seconds_images_and_characters_have_their_units() -> None:
    rows, _ = convert(
        whisper_2=entry(mode="audio_transcription", input_cost_per_second="0.0001"),
        tts_2=entry(mode="audio_speech", input_cost_per_character="1.5e-05"),
        gpt_picture=entry(mode="image_generation", output_cost_per_image="0.04"),
    )
    shown = rows["whisper-2"]["second"], rows["tts-2"]["character"], rows["gpt-picture"]["image"]
    assert shown == ("0.0001", "15.00", "0.04")


def test_an_estimate_in_seconds_is_not_charged_beside_tokens() -> None:
    assert "second" not in row(mode="audio_transcription", **TEXT, input_cost_per_second="0.0001")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": "realtime", **TEXT}, "realtime is not sold"),
        ({"input_cost_per_token": "0.0"}, "free, or not known"),
        ({}, "free, or not known"),
        ({**TEXT, "input_cost_per_smell": "1"}, "input_cost_per_smell has no bucket"),
        ({**TEXT, "input_cost_per_image_token": "3e-06"}, "image_token has no bucket"),
        ({**TEXT, "input_cost_per_token_batch": "3e-06"}, "batch has no bucket"),
        ({"input_cost_per_token": "-1"}, "is no price"),
        ({"tiered_pricing": []}, "its ranges are no list"),
    ],
)
def test_what_we_could_not_charge_for_is_left_out(fields: dict[str, Any], said: str) -> None:
    assert said in reason(**fields)


def test_a_video_that_costs_more_at_a_higher_resolution_is_left_out() -> None:
    said = reason(
        mode="video_generation", output_cost_per_second="0.4", output_cost_per_second_4k="0.6"
    )
    assert "higher resolution" in said


def test_every_row_can_be_published() -> None:
    rows, _ = convert(gpt_9=entry(**TEXT, max_input_tokens=5, supports_reasoning=True))
    facts = usd_rows(rows)
    [price] = price_files.prices(facts, convert=lambda usd: int(Decimal(usd)), current={})
    assert (price.context_limit, price.is_reasoning) == (5, True)
