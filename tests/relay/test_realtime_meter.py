"""What a conversation has come to, what its next answer may cost, and what a crash would cost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from billing.pricing import BUCKETS, Counts, Price, charge
from relay.protocols.realtime import TRANSCRIBED, Event, Given, read_event
from relay.realtime_meter import LEAST_TOKENS, Meter
from relay.tokens import install_ranks

RATES = {"input": 2, "cached_input": 1, "output": 4, "audio_in": 10, "audio_out": 20, "second": 3}
PRICE = Price(id=1, model="m", ubt=tuple(RATES.get(name, 0) for name in BUCKETS))
SECOND_OF_SOUND = "A" * 64_000


@pytest.fixture(scope="module", autouse=True)
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TIKTOKEN_CACHE_DIR", "")
        install_ranks(tmp_path_factory.mktemp("state"))
        yield


@pytest.fixture
def meter() -> Meter:
    return Meter(PRICE, "gpt-4o")


def event(kind: str, **fields: Any) -> Event:
    found = read_event(json.dumps({"type": kind} | fields))
    assert found is not None
    return found


def done(given: int, written: int, *, spoken: int = 0, name: str | None = None) -> Event:
    usage = {
        "input_tokens": given,
        "output_tokens": written,
        "output_token_details": {"audio_tokens": spoken},
    }
    return event("response.done", response={"id": name, "usage": usage})


LEAST_UBT = LEAST_TOKENS * RATES["audio_out"]


def test_a_silent_conversation_needs_an_answer_that_can_begin(meter: Meter) -> None:
    assert meter.needed_ubt() == LEAST_UBT
    assert meter.wanted_ubt() > meter.needed_ubt()


def test_what_the_client_says_is_bounded_before_it_passes(meter: Meter) -> None:
    meter.hear(Given("x" * 100, audio_bytes=48_000, images=1))
    said = 100 * RATES["input"] + 10 * RATES["audio_in"] + 2_000 * RATES["input"]
    assert meter.needed_ubt() == LEAST_UBT + said


def seconds_of_sound(meter: Meter) -> float:
    """Return how long the sound is that the hold must cover."""
    return (meter.needed_ubt() - LEAST_UBT) / RATES["audio_in"] / 10


def test_sound_that_is_cleared_costs_nothing(meter: Meter) -> None:
    meter.hear(Given(live_bytes=48_000))
    assert seconds_of_sound(meter) == 1
    meter.forget_sound()
    assert seconds_of_sound(meter) == 0


def test_an_open_microphone_is_no_endless_speech(meter: Meter) -> None:
    meter.hear(Given(live_bytes=600 * 48_000))
    assert seconds_of_sound(meter) == 30


async def test_speech_counts_from_its_beginning(meter: Meter) -> None:
    meter.hear(Given(live_bytes=600 * 48_000))
    await meter.read(event("input_audio_buffer.speech_started"))
    meter.hear(Given(live_bytes=90 * 48_000))
    assert seconds_of_sound(meter) == 91
    await meter.read(event("input_audio_buffer.committed"))
    meter.hear(Given(live_bytes=2 * 48_000))
    assert seconds_of_sound(meter) == 93


def test_what_a_client_commits_counts_whole(meter: Meter) -> None:
    meter.hear(Given(live_bytes=90 * 48_000))
    meter.commit_sound()
    assert seconds_of_sound(meter) == 90


async def test_what_is_written_is_bounded_as_it_comes(meter: Meter) -> None:
    await meter.read(event("response.created"))
    await meter.read(event("response.output_text.delta", delta="x" * 10))
    await meter.read(event("response.output_audio.delta", delta=SECOND_OF_SOUND))
    written = 10 * RATES["output"] + 20 * RATES["audio_out"]
    assert meter.needed_ubt() == LEAST_UBT + written


async def test_counting_brings_the_bound_down(meter: Meter) -> None:
    meter.hear(Given("hello " * 50))
    before = meter.needed_ubt()
    await meter.count()
    assert meter.needed_ubt() < before


async def test_the_report_of_a_response_is_what_it_used(meter: Meter) -> None:
    meter.hear(Given("x" * 1_000))
    await meter.read(event("response.created"))
    await meter.read(event("response.output_text.delta", delta="x" * 500))
    await meter.read(done(30, 20, spoken=5))
    assert meter.counts == Counts(input=30, output=15, audio_out=5)
    assert meter.used_ubt == charge(PRICE, meter.counts)
    # All that was said will be read again, most of it from the cache.
    assert meter.needed_ubt() == meter.used_ubt + 50 * RATES["cached_input"] + LEAST_UBT
    assert not meter.is_responding


async def test_reports_add_up(meter: Meter) -> None:
    for _ in range(2):
        await meter.read(event("response.created"))
        await meter.read(done(30, 20))
    await meter.read(event(TRANSCRIBED, usage={"type": "duration", "seconds": 4}))
    assert await meter.final_counts() == Counts(input=60, output=40, second=4)
    assert not meter.has_counted


async def test_an_end_that_is_told_twice_is_used_once(meter: Meter) -> None:
    for _ in range(2):
        await meter.read(event("response.created", response={"id": "resp_1"}))
        await meter.read(done(30, 20, name="resp_1"))
        await meter.read(done(30, 20, name="resp_1"))
    assert (meter.counts.input, meter.counts.output) == (60, 40)


async def test_what_is_said_during_an_answer_belongs_to_the_next(meter: Meter) -> None:
    await meter.read(event("response.created"))
    meter.hear(Given("x" * 100))
    await meter.read(done(30, 20))
    expected = meter.used_ubt + 50 * RATES["cached_input"] + 100 * RATES["input"] + LEAST_UBT
    assert meter.needed_ubt() == expected


async def test_an_answer_that_is_cut_is_counted(meter: Meter) -> None:
    await meter.read(event("response.created"))
    await meter.read(done(30, 20))
    meter.hear(Given("Hello there", audio_bytes=96_000))
    await meter.read(event("response.created"))
    await meter.read(event("response.output_text.delta", delta="one two three"))
    await meter.read(event("response.output_audio.delta", delta=SECOND_OF_SOUND))
    counts = await meter.final_counts()
    assert counts == Counts(input=30 + 2, cached_input=50, output=20 + 3, audio_in=20, audio_out=20)
    assert meter.has_counted


async def test_an_answer_that_has_not_begun_is_not_charged(meter: Meter) -> None:
    meter.hear(Given("Hello there"))
    await meter.read(event("response.created"))
    assert await meter.final_counts() == Counts()


async def test_telephone_sound_is_longer(meter: Meter) -> None:
    format_ = {"input_audio_format": "g711_ulaw"}
    await meter.read(event("session.updated", session=format_))
    meter.hear(Given(audio_bytes=8_000))
    assert meter.needed_ubt() == LEAST_UBT + 10 * RATES["audio_in"]


async def test_a_checkpoint_never_costs_more_than_was_used(meter: Meter) -> None:
    await meter.read(event("response.created"))
    await meter.read(done(31, 20, spoken=7))
    given, written, delivered_ubt = meter.checkpoint()
    assert delivered_ubt == charge(PRICE, Counts(input=given, output=written))
    assert 0 <= meter.used_ubt - delivered_ubt < RATES["input"]


def test_a_price_of_nothing_needs_nothing() -> None:
    free = Meter(Price(id=1, model="m", ubt=(0,) * len(BUCKETS)), "gpt-4o")
    free.hear(Given("x" * 1_000, audio_bytes=1_000_000))
    assert (free.needed_ubt(), free.checkpoint()) == (0, (0, 0, 0))
