"""Where a key is entered: what opens, what does not, and that the key itself goes nowhere."""

import re
import time
from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from billing import keys
from billing.models import ApiKey
from billing.scoping import tenant_scope
from tests.cast import Shop
from tests.plugins.proof import size
from tests.portal.usage.conftest import Browser

GUESSES = size(60, proof=20_000)
UNKNOWN = "This shop has no such key."


def wrong(key: str, browser: Client) -> tuple[int, str]:
    """Return the answer to a wrong key, without what differs in every page."""
    answer = browser.post("/usage/", {"key": key}, headers={"accept-language": "en"})
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.text)
    return answer.status_code, text


def test_a_key_opens_its_page_in_any_prefix(visitor: Client, north: Shop, browser: Browser) -> None:
    assert "840" in visitor.get("/usage/key/").text
    other = browser(north.host)
    answer = other.post("/usage/", {"key": f"  sk-{north.plaintext.removeprefix('ak-')} "})
    assert answer.status_code == 303


def test_who_has_shown_a_key_is_led_to_its_page(visitor: Client) -> None:
    assert visitor.get("/usage/")["location"] == "/usage/key/"


def test_without_a_key_there_is_no_page(north: Shop, browser: Browser) -> None:
    for path in ("/usage/key/", "/usage/key/calls.csv", "/usage/key/calls.json"):
        assert browser(north.host).get(path)["location"] == "/usage/?ended=1"


@pytest.mark.usefixtures("fresh_throttles")
def test_all_wrong_keys_get_the_same_answer(north: Shop, south: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    other_secret = keys.mint().plaintext
    answers = {wrong(key, visitor) for key in (other_secret, south.plaintext)}
    assert len(answers) == 1
    [(status, text)] = answers
    assert status == 400
    assert UNKNOWN in text


@pytest.mark.usefixtures("fresh_throttles")
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Paste the key first."),
        ("short", "characters are missing: a key has 48"),
        ("too long", "2 characters too many: a key has 51"),
        ("<script>alert(1)</script>", "are missing"),
        ("x" * 5_000, "far too long"),
        ("\x00", "Null characters are not allowed"),
    ],
)
def test_a_key_of_wrong_form_is_told_what_is_wrong_with_it(
    north: Shop, browser: Browser, typed: str, words: str
) -> None:
    typed = north.plaintext + "xy" if typed == "too long" else typed
    status, text = wrong(typed, browser(north.host))
    assert status == 400
    assert re.search(words, text)
    assert "<script>alert" not in text


@pytest.mark.usefixtures("fresh_throttles")
def test_one_letter_less_is_counted(north: Shop, browser: Browser) -> None:
    _status, text = wrong(north.plaintext[:-1], browser(north.host))
    assert "1 character is missing: a key has 51" in text


@pytest.mark.proof
@pytest.mark.usefixtures("fresh_throttles")
def test_wrong_keys_are_answered_alike_and_throttled(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    key = keys.mint().plaintext
    began = time.monotonic()
    answers = [wrong(key, visitor) for _ in range(GUESSES)]
    minutes = 1 + int((time.monotonic() - began) // 60)
    statuses = [status for status, _text in answers]
    assert statuses[:21] == [400] * 20 + [429]
    assert statuses.count(400) <= 20 * (minutes + 1)
    assert set(statuses) == {400, 429}
    assert len(set(answers)) == 2


@pytest.mark.usefixtures("fresh_throttles")
def test_a_throttled_network_can_not_try_the_right_key(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    for _ in range(20):
        wrong(keys.mint().plaintext, visitor)
    answer = visitor.post("/usage/", {"key": north.plaintext})
    assert (answer.status_code, answer["retry-after"]) == (429, "60")
    elsewhere = visitor.post("/usage/", {"key": north.plaintext}, REMOTE_ADDR="198.51.100.9")
    assert elsewhere.status_code == 303


def test_the_session_ends_after_15_minutes_whatever_is_done_in_it(visitor: Client) -> None:
    begun = timezone.now()
    with time_machine.travel(begun + timedelta(minutes=14), tick=False):
        assert visitor.get("/usage/key/").status_code == 200
    with time_machine.travel(begun + timedelta(minutes=15, seconds=1), tick=False):
        assert visitor.get("/usage/key/")["location"] == "/usage/?ended=1"
        assert "15 minutes are over" in visitor.get("/usage/?ended=1").text


def test_the_session_holds_an_id_and_no_key(visitor: Client, north: Shop) -> None:
    [kept] = Session.objects.all()
    assert set(kept.get_decoded()["usage"]) == {"key", "until"}
    assert north.plaintext not in str(kept.get_decoded())
    assert north.plaintext.removeprefix("ak-") not in visitor.get("/usage/key/").text


def test_the_key_is_in_no_address_and_no_log(
    key: ApiKey, north: Shop, browser: Browser, capfd: pytest.CaptureFixture[str]
) -> None:
    visitor = browser(north.host)
    answer = visitor.post("/usage/", {"key": north.plaintext}, follow=True)
    visitor.get("/usage/key/?period=30d&model=x")
    visitor.post("/usage/", {"key": north.plaintext[:-1]})
    written = "".join(capfd.readouterr()) + str(answer.redirect_chain)
    assert north.plaintext[3:40] not in written
    assert answer["referrer-policy"] in ("same-origin", "no-referrer")
    assert "no-store" in answer["cache-control"]


def test_the_session_id_changes_when_a_key_is_shown(
    key: ApiKey, north: Shop, browser: Browser
) -> None:
    visitor = browser(north.host)
    visitor.cookies["sessionid"] = "planted0planted0planted0planted0"
    visitor.post("/usage/", {"key": north.plaintext})
    assert visitor.cookies["sessionid"].value != "planted0planted0planted0planted0"


def test_a_session_of_one_shop_opens_nothing_in_another(
    visitor: Client, south: Shop, browser: Browser
) -> None:
    other = browser(south.host)
    other.cookies["sessionid"] = visitor.cookies["sessionid"].value
    assert other.get("/usage/key/")["location"] == "/usage/?ended=1"


def test_leaving_ends_it(visitor: Client) -> None:
    assert visitor.get("/usage/leave/").status_code == 405
    assert visitor.post("/usage/leave/")["location"] == "/usage/"
    assert visitor.get("/usage/key/").status_code == 303


def test_a_key_that_is_no_longer_there_ends_the_visit(visitor: Client, north: Shop) -> None:
    session = visitor.session
    session["usage"] = {**session["usage"], "key": 2**40}
    session.save()
    assert visitor.get("/usage/key/").status_code == 303


@pytest.mark.parametrize("noted", [None, "text", {"until": 2e9}, {"key": 1}])
def test_a_session_of_wrong_form_is_none(visitor: Client, noted: object) -> None:
    session = visitor.session
    session["usage"] = noted
    session.save()
    assert visitor.get("/usage/key/").status_code == 303


def test_keys_are_looked_up_in_the_open_shop_only(north: Shop, south: Shop) -> None:
    with tenant_scope(south.tenant.pk):
        assert not ApiKey.objects.filter(pk=north.key.pk).exists()
