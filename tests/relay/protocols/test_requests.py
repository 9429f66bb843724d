"""What is read from a request, and what each driver of its cost does to the bound."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Counts
from relay.protocols.base import UNSEEN_TOKENS
from relay.protocols.openai import CHAT, COMPLETIONS, EMBEDDINGS, prompt_text, read_request
from relay.tokens import count_prompt, install_ranks
from tests.relay.protocols.requests import chat, facts_of, packed

PICTURE = "data:image/png;base64," + base64.b64encode(bytes(9_000)).decode()


@pytest.fixture(scope="module", autouse=True)
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TIKTOKEN_CACHE_DIR", "")
        install_ranks(tmp_path_factory.mktemp("state"))
        yield


def parts(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


def test_a_plain_chat_has_a_model_and_its_bytes_as_bound() -> None:
    body = chat()
    facts = read_request(CHAT, body)
    assert (facts.model, facts.text_bytes, facts.choices) == ("gpt-4o", len(body), 1)
    assert (facts.stream, facts.wants_usage, facts.output_limit) == (False, False, None)


def test_a_stream_is_seen_and_whether_it_wants_usage() -> None:
    assert facts_of(stream=True).stream
    assert not facts_of(stream=True, stream_options={"include_usage": False}).wants_usage
    assert facts_of(stream=True, stream_options={"include_usage": True}).wants_usage


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_limit_is_read_with_its_field(field: str) -> None:
    facts = read_request(CHAT, chat(**{field: 50}))
    assert (facts.output_limit, facts.limit_field) == (50, field)


def test_of_two_limits_the_larger_one_binds_us() -> None:
    facts = facts_of(max_tokens=500, max_completion_tokens=20)
    assert (facts.output_limit, facts.limit_field) == (500, "max_tokens")


def test_nulls_are_as_good_as_nothing() -> None:
    facts = facts_of(max_tokens=None, n=None, stream=None, stream_options=None, tools=None)
    assert (facts.output_limit, facts.choices, facts.stream) == (None, 1, False)


def test_unknown_fields_are_passed_over() -> None:
    assert facts_of(seed=1, metadata={"model": "x"}, made_up=[{"n": 5}]).choices == 1


def test_every_choice_counts() -> None:
    assert facts_of(n=5).choices == 5


def test_completions_count_the_best_of_for_each_prompt() -> None:
    facts = facts_of(COMPLETIONS, prompt=["a", "b", "c"], n=2, best_of=4)
    assert facts.choices == 12


def test_an_echo_may_repeat_the_prompt() -> None:
    assert facts_of(COMPLETIONS, prompt="x" * 100, echo=True).echoed_bytes >= 100
    assert facts_of(COMPLETIONS, prompt="x" * 100).echoed_bytes == 0


def test_a_prediction_may_be_billed_as_output() -> None:
    prediction = {"type": "content", "content": "y" * 300}
    assert facts_of(prediction=prediction).echoed_bytes >= 300


@pytest.mark.parametrize(
    ("prompt", "choices", "token_ids"),
    [
        ("one", 1, 0),
        (["one", "two"], 2, 0),
        ([1, 2, 3], 1, 3),
        ([[1, 2, 3], [4]], 2, 4),
        (None, 1, 0),
    ],
)
def test_a_prompt_comes_in_four_forms(prompt: Any, choices: int, token_ids: int) -> None:
    facts = facts_of(COMPLETIONS, prompt=prompt)
    assert (facts.choices, facts.token_ids, facts.is_token_ids) == (
        choices,
        token_ids,
        token_ids > 0,
    )


@pytest.mark.parametrize(
    ("given", "token_ids"), [("x", 0), (["x", "y"], 0), ([5, 6], 2), ([[5], [6, 7]], 3)]
)
def test_embeddings_take_texts_and_token_ids_and_put_nothing_out(
    given: Any, token_ids: int
) -> None:
    facts = facts_of(EMBEDDINGS, input=given)
    assert (facts.choices, facts.token_ids, facts.stream) == (0, token_ids, False)


def test_tools_and_schemas_count_as_text() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "d" * 5_000}}]
    assert facts_of(tools=tools).text_bytes > 5_000
    assert facts_of(response_format={"schema": "s" * 5_000}).text_bytes > 5_000


def test_a_picture_is_an_item_and_its_bytes_are_no_text() -> None:
    image = {"type": "image_url", "image_url": {"url": PICTURE}}
    facts = facts_of(messages=parts({"type": "text", "text": "what?"}, image, image))
    assert facts.images == 2
    assert facts.image_bytes > 2 * len(PICTURE)
    assert facts.text_bytes < 300


def test_a_linked_picture_is_an_item_too() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    assert facts_of(messages=parts(image)).images == 1


def test_audio_and_files_are_items() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "A" * 400, "format": "mp3"}}
    file = {"type": "file", "file": {"file_data": "B" * 500, "filename": "x.pdf"}}
    facts = facts_of(messages=parts(audio, file))
    assert (facts.audio, facts.files, facts.images) == (1, 1, 0)
    assert facts.audio_bytes > 400
    assert facts.file_bytes > 500
    assert facts.text_bytes < 300


@pytest.mark.parametrize("kind", ["video_url", "something_new", "IMAGE_URL", ""])
def test_a_part_of_an_unknown_kind_is_never_free(kind: str) -> None:
    facts = facts_of(messages=parts({"type": kind}))
    assert facts.images + facts.files == 1


def test_text_outside_of_items_is_never_subtracted() -> None:
    smuggler = {"type": "image_url", "image_url": {"url": "x"}, "text": "t" * 4_000}
    assert facts_of(messages=parts(smuggler)).text_bytes > 4_000


def test_an_escaped_picture_is_seen_as_well() -> None:
    body = chat(messages=parts({"type": "image_url", "image_url": {"url": PICTURE}}))
    escaped = body.replace(b'"image_url":', rb'"im\u0061ge_url":')
    assert read_request(CHAT, escaped).images == 1


def test_audio_answers_and_searches_are_seen() -> None:
    facts = facts_of(modalities=["text", "audio"], web_search_options={})
    assert facts.wants_audio
    assert facts.units == Counts(search=1)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/x.mp4"}},
    ],
)
def test_a_file_that_lies_elsewhere_is_held_by_a_figure(part: dict[str, Any]) -> None:
    facts = facts_of(messages=parts(part))
    assert (facts.files, facts.file_bytes > UNSEEN_TOKENS) == (1, True)
    assert 0 < facts.text_bytes < 300


@pytest.mark.parametrize(
    ("fields", "searches"),
    [
        ({"web_search_options": None}, 0),
        ({"model": "gpt-4o-search-preview"}, 1),
        ({"model": "gpt-5-search-api-2025-10-14"}, 1),
        ({"model": "gpt-4o-research"}, 0),
    ],
)
def test_models_that_always_search_are_known(fields: dict[str, Any], searches: int) -> None:
    facts = facts_of(**fields)
    assert (facts.units.search if facts.units else 0) == searches


@pytest.mark.parametrize("tier", ["auto", "default", "standard", "on_demand", "flex"])
def test_tiers_at_the_list_price_or_below_are_taken(tier: str) -> None:
    assert facts_of(service_tier=tier).model == "gpt-4o"


def test_messages_are_counted() -> None:
    assert facts_of(messages=[{"role": "system", "content": None}] * 3).messages == 3


def test_the_text_of_a_prompt_leaves_media_out() -> None:
    body = chat(
        messages=[
            {"role": "system", "content": "Be kind"},
            *parts(
                {"type": "text", "text": "what?"},
                {"type": "image_url", "image_url": {"url": PICTURE}},
            ),
        ]
    )
    assert prompt_text(body) == ["system", "Be kind", "user", "what?"]


def test_the_text_of_a_prompt_holds_calls_tools_and_schemas() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    texts = prompt_text(
        chat(
            messages=[{"role": "assistant", "content": None, "tool_calls": [call]}],
            tools=[{"type": "function"}],
        )
    )
    assert texts == ["assistant", "add", '{"a":1}', '[{"type":"function"}]']


def test_the_text_of_token_ids_is_nothing() -> None:
    assert prompt_text(packed({"model": "m", "input": [[1, 2], [3]]})) == []
    assert prompt_text(packed({"model": "m", "prompt": ["a", "b"], "suffix": "c"})) == [
        "a",
        "b",
        "c",
    ]


def test_a_prompt_with_unthinkable_numbers_counts_as_it_stands() -> None:
    body = chat()[:-1] + b',"messages_of_old":1e999}'
    assert prompt_text(body) == ["user", "Say hello"]
    body = chat().replace(b'"role"', b'"weight":1e999,"role"')
    assert prompt_text(body) == [body.decode()]


names = st.text(st.characters(codec="utf-8"), max_size=40)
schemas = st.dictionaries(
    names,
    st.one_of(names, st.floats(allow_nan=False, allow_infinity=False), st.integers()),
    max_size=4,
)


@given(st.lists(st.fixed_dictionaries({"content": names})), schemas, st.booleans())
def test_bytes_bound_the_tokens_of_any_chat(
    messages: list[dict[str, str]], schema: dict[str, Any], escaped: bool
) -> None:
    fields = {"model": "m", "messages": [*messages, {"role": "user"}], "tools": [schema]}
    text = json.dumps(fields, ensure_ascii=escaped)
    facts = read_request(CHAT, text.encode())
    counted = count_prompt(prompt_text(text.encode()), "gpt-4o", messages=facts.messages)
    assert counted <= facts.text_bytes
