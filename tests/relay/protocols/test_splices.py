"""Splices change one member and no other byte, whatever else a request holds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.protocols.openai import (
    CHAT,
    COMPLETIONS,
    read_request,
    with_model,
    with_output_limit,
    with_usage_asked,
)
from tests.relay.protocols.requests import MESSAGES, chat, packed

KNOWN = ["model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "messages"]
TRAPS = [
    *KNOWN,
    '"stream_options"',
    '"model":"x"',
    "}",
    "]",
    "\\",
    '\\"model',
    "名字",
    "\u2028",
    "é",
]

texts = st.one_of(st.sampled_from(TRAPS), st.text(st.characters(codec="utf-8"), max_size=20))
values = st.recursive(
    st.one_of(texts, st.integers(-5, 5), st.booleans(), st.none(), st.floats(0, 1)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
others = st.dictionaries(
    texts.filter(lambda name: name.casefold() not in {*KNOWN, "n", "tools", "modalities"}),
    values,
    max_size=4,
)
limits = st.one_of(st.none(), st.integers(1, 5_000))


@st.composite
def requests(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A valid chat request and one way to write it down."""
    fields: dict[str, Any] = {
        "model": draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)),
        "messages": draw(st.lists(st.fixed_dictionaries({"content": texts}), min_size=1)),
        **draw(others),
    }
    for name in ("max_tokens", "max_completion_tokens"):
        if draw(st.booleans()):
            fields[name] = draw(limits)
    fields["stream"] = True
    if draw(st.booleans()):
        usage = draw(st.sampled_from([{}, {"include_usage": False}, {"include_usage": True}]))
        fields["stream_options"] = draw(
            st.sampled_from([None, usage, {"include_obfuscation": True} | usage])
        )
    names = draw(st.permutations(list(fields)))
    body = json.dumps(
        {name: fields[name] for name in names},
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])),
        ensure_ascii=draw(st.booleans()),
    )
    blanks = st.sampled_from(["", " ", "\r\n\t"])
    return fields, (draw(blanks) + body + draw(blanks)).encode()


@given(requests(), st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_the_model_is_replaced_and_nothing_else(
    request: tuple[dict[str, Any], bytes], served: str
) -> None:
    fields, body = request
    spliced = with_model(body, read_request(CHAT, body), served)
    assert json.loads(spliced) == fields | {"model": served}


@given(requests())
def test_usage_is_asked_for_and_other_stream_options_are_kept(
    request: tuple[dict[str, Any], bytes],
) -> None:
    fields, body = request
    spliced = with_usage_asked(body, read_request(CHAT, body))
    wanted = (fields.get("stream_options") or {}) | {"include_usage": True}
    assert json.loads(spliced) == fields | {"stream_options": wanted}


def limited(fields: dict[str, Any], limit: int, field: str) -> dict[str, Any]:
    names = ("max_tokens", "max_completion_tokens")
    given = {name: fields[name] for name in names if fields.get(name) is not None}
    if not given:
        return fields | {field: limit}
    return fields | {name: min(value, limit) for name, value in given.items()}


@given(requests(), st.integers(1, 5_000), st.sampled_from(["max_tokens", "max_completion_tokens"]))
def test_a_limit_is_lowered_where_it_stands_or_added(
    request: tuple[dict[str, Any], bytes], limit: int, field: str
) -> None:
    fields, body = request
    spliced = with_output_limit(body, read_request(CHAT, body), limit, field)
    assert json.loads(spliced) == limited(fields, limit, field)


@given(requests(), st.integers(1, 5_000))
def test_splices_can_follow_each_other(request: tuple[dict[str, Any], bytes], limit: int) -> None:
    fields, body = request
    facts = read_request(CHAT, body)
    spliced = with_usage_asked(
        with_output_limit(with_model(body, facts, "other"), facts, limit, "max_tokens"), facts
    )
    options = (fields.get("stream_options") or {}) | {"include_usage": True}
    changed = {"model": "other", "stream_options": options}
    assert json.loads(spliced) == limited(fields, limit, "max_tokens") | changed


@given(requests())
def test_the_result_has_each_member_once(request: tuple[dict[str, Any], bytes]) -> None:
    _, body = request
    facts = read_request(CHAT, body)
    spliced = with_output_limit(with_usage_asked(body, facts), facts, 9, "max_completion_tokens")
    assert read_request(CHAT, spliced).wants_usage


def test_all_other_bytes_stay_as_they_were() -> None:
    body = b'{ "temperature" : 1.0e0, "model":"a", "messages":[{"content":"\\u4f60"}] ,"n":1 } '
    facts = read_request(CHAT, body)
    assert with_model(body, facts, "bb") == body.replace(b'"a"', b'"bb"')


def test_nothing_is_spliced_without_a_need() -> None:
    body = chat(stream=True, stream_options={"include_usage": True})
    facts = read_request(CHAT, body)
    assert with_model(body, facts, "gpt-4o") is body
    assert with_usage_asked(body, facts) is body


def test_a_request_that_does_not_stream_is_not_asked_for_usage() -> None:
    body = chat()
    assert with_usage_asked(body, read_request(CHAT, body)) is body


@pytest.mark.parametrize("spaced", [True, False])
@pytest.mark.parametrize("model_first", [True, False])
def test_the_usual_shapes_need_no_walk(spaced: bool, model_first: bool) -> None:
    fields = {"model": "gpt-4o", "temperature": 0.5, "messages": MESSAGES, "stream": True}
    names = list(fields) if model_first else list(reversed(fields))
    separators = (", ", ": ") if spaced else (",", ":")
    body = json.dumps({name: fields[name] for name in names}, separators=separators).encode()
    facts = read_request(CHAT, body)
    assert facts.around.is_plain
    assert json.loads(with_model(body, facts, "x")) == fields | {"model": "x"}


def test_nested_twins_of_a_field_are_left_alone() -> None:
    inner = {"model": "inner", "stream_options": {}, "max_tokens": 7}
    fields = {"metadata": inner, "messages": MESSAGES, "model": "outer", "tools": [inner]}
    body = packed(fields)
    facts = read_request(CHAT, body)
    assert json.loads(with_model(body, facts, "x")) == fields | {"model": "x"}
    limited_body = with_output_limit(body, facts, 3, "max_tokens")
    assert json.loads(limited_body) == fields | {"max_tokens": 3}


def test_an_escaped_key_is_found() -> None:
    body = b'{"mod\\u0065l":"a","messages":[{}],"\\u006dax_tokens":9}'
    facts = read_request(CHAT, body)
    assert json.loads(with_model(body, facts, "b"))["model"] == "b"
    assert json.loads(with_output_limit(body, facts, 3, "max_tokens"))["max_tokens"] == 3


def test_completions_are_spliced_too() -> None:
    body = packed({"model": "a", "prompt": ["model", '"max_tokens":5'], "max_tokens": 5})
    facts = read_request(COMPLETIONS, body)
    spliced = with_output_limit(with_model(body, facts, "b"), facts, 2, "max_tokens")
    assert json.loads(spliced) == json.loads(body) | {"model": "b", "max_tokens": 2}
