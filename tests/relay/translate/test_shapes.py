"""Answers that are half broken are read as far as they go: a dialect has found them readable."""

import pytest

from relay.translate.shapes import read_answer, read_event


@pytest.mark.parametrize("odd", [b'"\xff"', b"1e900", b"[" * 100 + b"]" * 100])
def test_what_no_dialect_looks_at_spoils_nothing(odd: bytes) -> None:
    body = b'{"text":"Rain.","odd":%b}' % odd
    assert read_answer(body)["text"] == "Rain."
    assert read_event(b"data: %b\n\n" % body)["text"] == "Rain."


@pytest.mark.parametrize("body", [b"5", b"[]", b"null", b"[" * 5_000 + b"]" * 5_000])
def test_anything_but_an_object_is_an_empty_one(body: bytes) -> None:
    assert read_answer(body) == {}
