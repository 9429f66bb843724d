"""Tags of templates: words by language, times by the shop's zone, controls tied to their errors."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django import forms
from django.template import Context, Template
from django.utils import translation

from billing.models import Tenant

AT = datetime(2026, 11, 22, 18, 2, 5, tzinfo=UTC)
SHANGHAI = Tenant(name="North shop", time_zone="Asia/Shanghai")


class Mailbox(forms.Form):
    """A form with a hint."""

    email = forms.EmailField(label="E-mail", help_text="For the link.")


def drawn(source: str, *, language: str = "zh-hans", **context: Any) -> str:
    """Return what a template with our tags makes of a context."""
    with translation.override(language):
        return Template("{% load shop %}" + source).render(Context(context))


@pytest.mark.parametrize(
    ("source", "chinese", "english"),
    [
        ("{% base_tokens 6204118000000 %}", "6,204,118", "6,204,118"),
        ("{% used_base_tokens 1 %}", "1", "1"),
        ("{% amount 5000000000000 %}", "500 万", "5M"),
        ("{% amount_parts 5000000000000 as a %}{{ a.number }}|{{ a.unit }}", "500|万", "5|M"),
        ("{% money 5800 'CNY' %}", "¥58.00", "¥58.00"),
        ("{% money 5800 'CNY' short=True %}", "¥58", "¥58"),
        ("{% multiplier 1666667 %}", "1.666667", "1.666667"),
        ("{% seconds 412 %}", "0.41 秒", "0.41 s"),
        ("{% seconds 412 bare=True %}", "0.41", "0.41"),
        ("{% seconds None %}", "–", "–"),
        ("{{ 'lin@example.com'|mask_email }}", "l***n@example.com", "l***n@example.com"),
    ],
)
def test_tags_say_numbers_in_both_languages(source: str, chinese: str, english: str) -> None:
    assert drawn(source) == chinese
    assert drawn(source, language="en") == english


@pytest.mark.parametrize(
    ("form", "chinese", "english"),
    [
        ("date", "2026 年 11 月 23 日", "23 Nov 2026"),
        ("minute", "2026 年 11 月 23 日 02:02", "23 Nov 2026, 02:02"),
        ("second", "2026-11-23 02:02:05", "2026-11-23 02:02:05"),
    ],
)
def test_times_are_those_of_the_shop(form: str, chinese: str, english: str) -> None:
    source = "{% local_words at form %}"
    assert drawn(source, at=AT, form=form, tenant=SHANGHAI) == chinese
    assert drawn(source, at=AT, form=form, tenant=SHANGHAI, language="en") == english


def test_a_time_can_be_read_by_programs() -> None:
    page = drawn("{% local_time at %}", at=AT, tenant=SHANGHAI)
    assert page.startswith('<time datetime="2026-11-22T18:02:05+00:00">')


def test_a_hint_belongs_to_its_control() -> None:
    page = drawn("{% include 'portal/_field.html' with field=form.email %}", form=Mailbox())
    assert 'aria-describedby="id_email-note"' in page
    assert '<span class="hint" id="id_email-note">For the link.</span>' in page
    assert "aria-invalid" not in page


def test_an_error_takes_the_place_of_the_hint() -> None:
    form = Mailbox({"email": "nobody"})
    page = drawn("{% include 'portal/_field.html' with field=form.email %}", form=form)
    assert 'aria-invalid="true"' in page
    assert 'class="error" id="id_email-note"' in page
    assert "For the link." not in page


def test_a_meter_is_drawn_without_inline_style() -> None:
    page = drawn("{% meter 378 9 1000 'used 378' %}")
    assert '<rect class="used" width="37.8%"' in page
    assert '<rect class="left" x="38.7%"' in page
    assert "style" not in page


@pytest.mark.parametrize(("used", "total"), [(5, 0), (2_000, 1_000), (-5, 1_000)])
def test_a_meter_stays_within_its_frame(used: int, total: int) -> None:
    page = drawn("{% meter used 0 total '' %}", used=used, total=total)
    assert 'width="0.0%"' in page or 'width="100.0%"' in page


def test_a_span_reaches_from_p50_to_p99() -> None:
    page = drawn("{% span 100 220 480 1000 %}")
    assert 'x1="10.0%" x2="48.0%"' in page
    assert 'x="10.0%" y="30%" width="12.0%"' in page


@pytest.mark.parametrize(("at", "low"), [(100, "10.0%"), (1_000, "98.0%")])
def test_a_span_of_no_length_is_still_a_mark(at: int, low: str) -> None:
    page = drawn("{% span at at at 1000 %}", at=at)
    assert f'x="{low}" y="30%" width="2.0%"' in page


@pytest.mark.parametrize(("language", "between"), [("en", "One. Two."), ("zh-hans", "One.Two.")])
def test_sentences_are_parted_as_their_language_parts_them(language: str, between: str) -> None:
    assert drawn("One.{% gap %}Two.", language=language) == between


def test_what_a_tag_is_given_can_not_carry_markup() -> None:
    page = drawn("{% icon name %}{% meter 1 0 2 name %}", name='"><script>alert(1)</script>')
    assert "<script>" not in page
