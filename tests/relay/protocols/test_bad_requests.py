"""What is wrong with a request is said in a 400 that names the field and quotes nothing."""

import json
from typing import Any

import pytest

from relay.errors import BadRequest
from relay.protocols.json_text import check_text
from relay.protocols.openai import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    Endpoint,
    RequestFacts,
    read_request,
)
from tests.relay.protocols.requests import MESSAGES, chat, facts_of, packed


def refused(endpoint: Endpoint, body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read_request(endpoint, body)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"hello",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b'{"model":"m","messages":[{}]',
        b'{"model":"m","messages":[{}]} x',
        b'{"model":"m","messages":[{}],}',
        b'{"model":"m","messages":[{}],"temperature":NaN}',
        b'{"model":"m","messages":[{}],"temperature":Infinity}',
        b'{"model":"m","messages":[{}],"user":"\xff"}',
        b'{"model":"m","messages":[{"content":"\xff"}]}',
        b'{"model":"m","messages":[{}],"user":"\\ud800"}',
        b"\xef\xbb\xbf" + chat(),
        chat().decode().encode("utf-16"),
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refused(CHAT, body).status == 400


@pytest.mark.parametrize("shift", range(4))
def test_a_character_may_stand_anywhere_in_a_long_text_but_must_be_whole(shift: int) -> None:
    text = ("x" * shift + "😀" * 20_000).encode()
    check_text(text)
    for broken in (text[:-1], text[:40_001] + text[40_002:]):
        with pytest.raises(BadRequest, match="UTF-8"):
            check_text(broken)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 5}, "model"),
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": "m" * 65}, "model"),
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": "2"}, "n"),
        ({"n": 1.5}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "100"}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"max_completion_tokens": 2**31}, "max_completion_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": {"role": "user"}}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": 5}]}, "messages[0].content"),
        ({"messages": [{"content": [5]}]}, "messages[0].content[0]"),
        ({"stream_options": True}, "stream_options"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"modalities": "audio"}, "modalities"),
        ({"service_tier": "priority"}, "service_tier"),
    ],
)
def test_a_wrong_type_or_range_names_its_field(fields: dict[str, Any], param: str) -> None:
    assert refused(CHAT, chat(**fields)).param == param


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n": "2"}, "Invalid type for 'n': expected an integer, but got a string."),
        ({"n": 200}, "Invalid value for 'n': expected an integer <= 128."),
        ({"messages": "hi"}, "Invalid type for 'messages': expected an array, but got a string."),
    ],
)
def test_the_words_are_plain(fields: dict[str, Any], words: str) -> None:
    assert refused(CHAT, chat(**fields)).message == words


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(missing: str) -> None:
    fields = {"model": "m", "messages": MESSAGES}
    del fields[missing]
    error = refused(CHAT, packed(fields))
    assert error.param == missing
    assert "Missing" in error.message


@pytest.mark.parametrize("given", [None, [], 5, {}, ["a", 1], [1, [2]], [[-1]], [1.5], [["a"]]])
def test_an_input_of_no_known_form_is_refused(given: Any) -> None:
    assert "input" in str(refused(EMBEDDINGS, packed({"model": "m", "input": given})).param)


@pytest.mark.parametrize("given", [[], 5, {}, ["a", 1], [True]])
def test_a_prompt_of_no_known_form_is_refused(given: Any) -> None:
    body = packed({"model": "m", "prompt": given})
    assert "prompt" in str(refused(COMPLETIONS, body).param)


def test_embeddings_need_an_input() -> None:
    assert refused(EMBEDDINGS, packed({"model": "m"})).param == "input"


def test_a_scoring_completion_may_ask_for_no_token() -> None:
    assert facts_of(COMPLETIONS, prompt="x", max_tokens=0, echo=True).output_limit == 0


def test_the_words_quote_nothing_of_the_request() -> None:
    secret = "canary-text"
    for fields in ({"n": secret}, {"messages": [{"content": {secret: secret}}]}):
        error = refused(CHAT, chat(**fields))
        assert secret not in error.message
        assert secret not in str(error.param)


@pytest.mark.parametrize(
    "twice",
    [
        b'"model":"gpt-4o-mini"',
        b'"mod\\u0065l":"gpt-4o-mini"',
        b'"stream":true',
        b'"n":64',
        b'"max_tokens":1000000',
        b'"messages":[{"role":"user","content":"Say hello"}]',
        b'"seed":2',
    ],
)
@pytest.mark.parametrize("spaced", [True, False])
def test_a_field_given_twice_is_refused(twice: bytes, spaced: bool) -> None:
    fields = {"model": "gpt-4o", "messages": MESSAGES, "stream": False, "n": 1, "seed": 1}
    body = json.dumps(
        fields | {"max_tokens": 5}, separators=None if spaced else (",", ":")
    ).encode()
    assert read_request(CHAT, body).model == "gpt-4o"
    assert "twice" in refused(CHAT, body[:-1] + b"," + twice + b"}").message
    assert "twice" in refused(CHAT, b"{" + twice + b"," + body[1:]).message


def test_a_stream_option_given_twice_is_refused() -> None:
    options = b'"stream_options":{"include_usage":true,"include_usage":false}'
    assert "twice" in refused(CHAT, chat()[:-1] + b"," + options + b"}").message


@pytest.mark.parametrize("name", ["N", "Max_Tokens", "MODEL", "ſtream", "Best_of"])
def test_a_known_field_in_another_case_is_refused(name: str) -> None:
    """Parsers that ignore case would read it; the price would not."""
    body = json.dumps({"model": "m", "messages": MESSAGES, name: 5}, ensure_ascii=False).encode()
    assert refused(CHAT, body).param == name


def test_values_may_look_like_known_fields() -> None:
    assert facts_of(user="N", stop=["model", "n", "Stream"], metadata={"N": "n"}).choices == 1


def nested(depth: int) -> bytes:
    return chat()[:-1] + b',"x":' + b'[{"a":' * (depth // 2) + b"1" + b"}]" * (depth // 2) + b"}"


def test_sixty_four_levels_are_enough_for_everyone() -> None:
    assert isinstance(read_request(CHAT, nested(62)), RequestFacts)
    assert "deep" in refused(CHAT, nested(64)).message


def test_brackets_inside_strings_are_not_levels() -> None:
    text = '[{"\\"[{' * 500 + "\\"
    assert read_request(CHAT, chat(messages=[{"role": "user", "content": text}])).messages == 1


def test_many_shallow_brackets_are_fine() -> None:
    assert read_request(CHAT, chat(x=[[{}]] * 5_000)).messages == 1


def test_a_flood_of_brackets_is_refused() -> None:
    assert "deep" in refused(CHAT, chat(x=[[]] * 600_000)).message
