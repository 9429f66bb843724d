"""The token counter: right counts, visible tokens, and nothing that a pasted text could do."""

import logging
import re
from collections.abc import Callable
from html import unescape

import pytest
import tiktoken
from django.test import Client

from portal import token_counter
from portal.token_counter import MAX_CHARS, MAX_SHOWN
from relay import tokens
from tests.cast import Shop

Browser = Callable[..., Client]

FAMILY = "👨‍👩‍👧‍👦"


def post(browser: Browser, shop: Shop, text: str, **more: str) -> tuple[int, str]:
    fields = {"text": text, **more}
    answer = browser(shop.host).post("/tokens/", fields, headers={"accept-language": "en"})
    assert "no-store" in answer.headers["cache-control"]
    return answer.status_code, answer.text


def counted(text: str) -> dict[str, int]:
    found = re.findall(r"<dt>(\w+_base)</dt><dd>(\d+)", text)
    return {name: int(count) for name, count in found}


def shown(text: str) -> list[str]:
    return [unescape(piece) for piece in re.findall(r"<bdi[^>]*>(.*?)</bdi>", text, re.DOTALL)]


def test_both_tokenizers_count(north: Shop, browser: Browser) -> None:
    status, text = post(browser, north, "Hello, 世界!")
    assert status == 200
    assert counted(text) == {
        name: len(tiktoken.get_encoding(name).encode("Hello, 世界!"))
        for name in (tokens.O200K, tokens.CL100K)
    }


def test_spaces_and_lines_can_be_seen(north: Shop, browser: Browser) -> None:
    _, text = post(browser, north, "a b\r\n\tc")
    assert "".join(shown(text)) == "a·b↵\n→\tc"


def test_a_character_of_several_tokens_is_one_piece(north: Shop, browser: Browser) -> None:
    _, text = post(browser, north, FAMILY, encoding=tokens.CL100K)
    assert "".join(shown(text)) == FAMILY
    assert max(int(number) for number in re.findall(r'data-n="(\d+)"', text)) > 1
    assert "\N{REPLACEMENT CHARACTER}" not in text


@pytest.mark.parametrize(
    "payload",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</bdi></p></textarea><script>alert(1)</script>",
        "{{ settings.SECRET_KEY }}{% debug %}",
        "<|endoftext|><|im_start|>",
    ],
)
def test_a_text_is_only_ever_text(north: Shop, browser: Browser, payload: str) -> None:
    status, text = post(browser, north, payload)
    assert status == 200
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "".join(shown(text)) == token_counter.visible(payload)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\ud83d\ude00", "😀"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_what_no_model_would_get_is_replaced(text: str, seen: str) -> None:
    assert token_counter.clean(text) == seen


@pytest.mark.parametrize("broken", [b"a%00b", b"%ED%A0%80", b"%FF%FE", b"a\x00"])
def test_broken_bytes_are_counted_as_what_they_become(
    north: Shop, browser: Browser, broken: bytes
) -> None:
    form = "application/x-www-form-urlencoded"
    answer = browser(north.host).post("/tokens/", b"text=" + broken, content_type=form)
    assert answer.status_code == 200
    assert "\0" not in answer.text


def test_text_that_turns_round_is_held_in_its_piece(north: Shop, browser: Browser) -> None:
    _, text = post(browser, north, "abc \u202e def \u05e9\u05dc\u05d5\u05dd \u2066x")
    assert "‹202E›" in "".join(shown(text))
    assert "\u202e" not in "".join(shown(text))
    assert "שלום" in "".join(shown(text))


def test_the_longest_text_is_counted(north: Shop, browser: Browser) -> None:
    status, text = post(browser, north, "é\n" * (MAX_CHARS // 2))
    assert status == 200
    assert len(shown(text)) == MAX_SHOWN


def test_a_longer_text_is_refused_and_not_lost(north: Shop, browser: Browser) -> None:
    status, text = post(browser, north, "a" * (MAX_CHARS + 1))
    assert status == 400
    assert "That is 20,001 characters; 20,000 at most." in text
    assert "a" * (MAX_CHARS + 1) in text
    assert counted(text) == {}


def test_line_ends_count_once(north: Shop, browser: Browser) -> None:
    status, _ = post(browser, north, "\r\n" * MAX_CHARS)
    assert status == 200


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": "a", "encoding": "p50k_base"}])
def test_an_incomplete_form_is_shown_again(
    north: Shop, browser: Browser, fields: dict[str, str]
) -> None:
    assert browser(north.host).post("/tokens/", fields).status_code == 400


def test_costs_go_by_the_models_own_count(north: Shop, browser: Browser) -> None:
    _, text = post(browser, north, "Hello world, " * 50)
    row = re.search(r'<th scope="row" class="mono">gpt-4</th>(.*?)</tr>', text, re.DOTALL)
    assert row
    sent = counted(text)[tokens.CL100K] * 20
    assert f"<span>{sent:,}</span>" in row[1]


def test_estimates_are_called_so(north: Shop, browser: Browser) -> None:
    _, text = post(browser, north, "Hello")
    row = re.search(r">claude-sonnet-4-5</th>(.*?)</td>", text, re.DOTALL)
    assert row
    assert "about" in row[1]


def test_nothing_of_a_text_is_logged(
    north: Shop, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        post(browser, north, "canary-of-a-text")
        post(browser, north, "canary-of-a-text" * 2_000)
    assert "canary-of-a-text" not in caplog.text


def test_a_visitor_may_not_count_for_ever(north: Shop, browser: Browser) -> None:
    statuses = [post(browser, north, "Hello")[0] for _ in range(31)]
    assert statuses == [200] * 30 + [429]


def test_a_form_from_elsewhere_is_refused(north: Shop) -> None:
    visitor = Client(headers={"host": north.host}, enforce_csrf_checks=True)
    assert visitor.post("/tokens/", {"text": "a"}).status_code == 403


@pytest.mark.parametrize("text", ["a", " ", FAMILY, "的", "\n"], ids=ascii)
def test_no_text_takes_long(text: str) -> None:
    """Counting is linear: a word of 20,000 letters would take one by squares minutes."""
    counts = token_counter.count((text * MAX_CHARS)[:MAX_CHARS])
    assert all(0 < count <= 4 * MAX_CHARS for count in counts.values())
