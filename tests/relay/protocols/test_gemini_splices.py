"""What is changed in a body of Gemini's dialect, and that nothing else is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import BadRequest
from relay.protocols.gemini import BATCH_EMBED, COUNT_TOKENS, EMBED, GENERATE
from relay.protocols.gemini_splice import with_model, with_output_limit
from tests.relay.protocols.gemini_requests import MODEL, facts_of, generate
from tests.relay.protocols.requests import packed

LIMIT_NAMES = ("maxOutputTokens", "max_output_tokens")
NAMES = (*LIMIT_NAMES, "thinkingConfig", "maxoutputtokens", "topK")
VALUES = st.one_of(
    st.none(),
    st.integers(-1, 2**40),
    st.fixed_dictionaries({"thinkingBudget": st.integers(-1, 99)}),
)
CONTENTS = b'"contents":[{"parts":[{"text":"\\u4f60 maxOutputTokens: 5"}]}]'


def limited(body: bytes, limit: int = 100) -> Any:
    return json.loads(with_output_limit(body, limit))


def test_a_body_that_need_not_change_is_the_same_object() -> None:
    body, facts = generate(), facts_of()
    same = GENERATE.dialect.rewritten(
        body, facts, served=MODEL, output_limit=None, limit_field="maxOutputTokens"
    )
    assert same is body


@pytest.mark.parametrize(
    ("config", "after"),
    [
        (b"", b',"generationConfig":{"maxOutputTokens":100}'),
        (b',"generationConfig":null', b',"generationConfig":{"maxOutputTokens":100}'),
        (b',"generationConfig":{}', b',"generationConfig":{"maxOutputTokens":100}'),
        (b',"generationConfig": { "topK" : 4 } ', None),
        (
            b',"generation_config":{"topK":4}',
            b',"generation_config":{"topK":4,"maxOutputTokens":100}',
        ),
        (
            b',"generationConfig":{"max_output_tokens":1000}',
            b',"generationConfig":{"max_output_tokens":100}',
        ),
        (
            b',"generationConfig":{"maxOutputTokens":50}',
            b',"generationConfig":{"maxOutputTokens":50}',
        ),
        (
            b',"generationConfig":{"maxOutputTokens":"500"}',
            b',"generationConfig":{"maxOutputTokens":100}',
        ),
        (
            b',"generationConfig":{"maxOutputTokens":0}',
            b',"generationConfig":{"maxOutputTokens":100}',
        ),
        (
            b',"generationConfig":{"maxOutputTokens":null}',
            b',"generationConfig":{"maxOutputTokens":100}',
        ),
    ],
)
def test_a_limit_is_lowered_or_added_in_its_place(config: bytes, after: bytes | None) -> None:
    body = with_output_limit(b"{%b%b}" % (CONTENTS, config), 100)
    if after is None:
        after = b',"generationConfig": { "topK" : 4 ,"maxOutputTokens":100} '
    assert body == b"{%b%b}" % (CONTENTS, after)


def test_a_body_of_nothing_gets_its_limit() -> None:
    assert limited(b"{}") == {"generationConfig": {"maxOutputTokens": 100}}


@pytest.mark.parametrize(
    ("thinking", "after"),
    [
        ({"thinkingBudget": 8_000}, {"thinkingBudget": 100}),
        ({"thinking_budget": 8_000, "includeThoughts": True}, None),
        ({"thinkingBudget": -1}, {"thinkingBudget": -1}),
        ({"thinkingBudget": 0}, {"thinkingBudget": 0}),
        ({"thinkingBudget": None}, {"thinkingBudget": None}),
        ({}, {}),
        (None, None),
    ],
)
def test_a_budget_for_thinking_is_lowered_with_the_limit(thinking: Any, after: Any) -> None:
    body = generate(generationConfig={"thinkingConfig": thinking, "maxOutputTokens": 9_000})
    if thinking and after is None:
        after = {"thinking_budget": 100, "includeThoughts": True}
    config = limited(body)["generationConfig"]
    assert config == {"thinkingConfig": after, "maxOutputTokens": 100}


def test_the_model_travels_in_the_address() -> None:
    assert with_model(generate(), "served") == generate()


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"models/%b","content":{"parts":[{"text":"\\"model\\":\\"models/%b\\""}]}}',
        b'{"requests":[{"model":"models/%b","content":{}}, {"content":{},"model":"models/%b"}]}',
        b'{"generateContentRequest":{"model": "models/%b","contents":[{"role":"model"}]},"x":"%b"}',
    ],
)
def test_a_model_that_the_body_repeats_is_renamed_with_it(body: bytes) -> None:
    changed = with_model(body % (b"asked", b"asked"), "served/one")
    assert b'"models/served/one"' in changed
    assert changed.replace(b"served/one", b"asked") == body % (b"asked", b"asked")


@pytest.mark.parametrize("endpoint", [EMBED, BATCH_EMBED, COUNT_TOKENS])
def test_every_request_has_the_name_that_the_upstream_knows(endpoint: Any) -> None:
    one = {"model": f"models/{MODEL}", "content": {"parts": [{"text": "Hi"}]}}
    body = packed({"requests": [one, one]} if endpoint is BATCH_EMBED else one)
    changed = endpoint.dialect.rewritten(
        body, facts_of(endpoint, body), served="other", output_limit=None, limit_field=""
    )
    assert changed == body.replace(MODEL.encode(), b"other")


@pytest.mark.parametrize("odd", [None, 7, "x", [7, None], [[]]])
def test_what_is_no_request_is_passed_over(odd: Any) -> None:
    body = packed({"requests": odd, "generateContentRequest": odd})
    assert with_model(body, "other") == body


@given(config=st.one_of(st.none(), st.dictionaries(st.sampled_from(NAMES), VALUES)))
def test_no_config_that_is_read_escapes_the_limit(config: Any) -> None:
    body = generate(generationConfig=config)
    try:
        facts_of(body=body)
    except BadRequest:
        return
    written = limited(body, 20)["generationConfig"]
    assert [written[name] <= 20 for name in LIMIT_NAMES if name in written] == [True]
    assert (written.get("thinkingConfig") or {}).get("thinkingBudget", 0) <= 20
