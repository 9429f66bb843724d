"""Pictures, sound, moderation and ranking through a running relay, charged as the vendor bills."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from billing.models import UsageRecord
from billing.pricing import BUCKETS
from tests.fakes import media
from tests.fakes.media import FakeMedia
from tests.relay import sounds
from tests.relay.asking import bearer, events
from tests.relay.conftest import Shop
from tests.relay.media_calls import (
    GENERATIONS,
    RERANK,
    SOUND,
    SPEECH,
    TRANSCRIPTIONS,
    owed_ubt,
    price_all,
)


@pytest.fixture
def key(shop: Shop, fake_media: FakeMedia) -> str:
    """A key worth 900,000 base tokens of a shop whose only channel is the fake."""
    price_all(shop)
    shop.reprice("hd/1024x1792/dall-e-3", image=3_000)
    shop.reprice("omni-moderation-latest", input=0)
    shop.fake_channel(fake_media)
    return shop.key(900_000)


def post(client: httpx.Client, key: str, path: str, **body: Any) -> httpx.Response:
    """Post JSON."""
    return client.post(path, headers=bearer(key), json=body)


def upload(
    client: httpx.Client, key: str, path: str = TRANSCRIPTIONS, sound: bytes = SOUND, **fields: str
) -> httpx.Response:
    """Post a form with a sound."""
    fields.setdefault("model", "whisper-1")
    files = {"file": ("speech.wav", sound, "audio/wav")}
    return client.post(path, headers=bearer(key), data=fields, files=files)


def counts(record: UsageRecord) -> dict[str, int]:
    """Return what a record counted, without what it did not."""
    every = {bucket: getattr(record, f"{bucket}_count") for bucket in BUCKETS}
    return {bucket: count for bucket, count in every.items() if count}


def settled(shop: Shop) -> UsageRecord:
    """Return the one record, checked against the books."""
    [record] = shop.settled()
    shop.check_books()
    return record


JSON_CALLS: list[tuple[str, dict[str, Any]]] = [
    (GENERATIONS, {"model": "gpt-image-1", "prompt": "a cat"}),
    (GENERATIONS, {"model": "gpt-image-1", "prompt": "a cat", "n": 3}),
    (GENERATIONS, {"model": "gpt-image-1", "prompt": "[fake partial=2]", "stream": True}),
    (SPEECH, {"model": "tts-1", "input": "Hello 你好", "stream_format": "sse"}),
    (RERANK, {"model": "ranker", "query": "q", "documents": ["a"] * 101}),
    (RERANK, {"model": "ranker", "query": "[fake billed=searches]", "documents": ["a"]}),
]


@pytest.mark.parametrize(("path", "body"), JSON_CALLS)
def test_the_charge_is_the_vendors_own_count(
    path: str,
    body: dict[str, Any],
    key: str,
    shop: Shop,
    fake_media: FakeMedia,
    client: httpx.Client,
) -> None:
    answer = post(client, key, path, **body)
    assert answer.status_code == 200
    record = settled(shop)
    assert (record.usage_source, record.charged_ubt) == ("upstream", owed_ubt(fake_media))
    assert record.endpoint == path.removeprefix("/v1/").replace("/", "_")


FORMATS = ["json", "verbose_json", "diarized_json", "text", "srt", "vtt"]


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe"])
def test_a_transcript_costs_its_seconds_in_every_format(
    model: str, key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    for format_ in FORMATS:
        answer = upload(client, key, response_format=format_, model=model)
        assert media.WORDS in answer.text, format_
    for record, truth in zip(shop.settled(len(FORMATS)), fake_media.truth, strict=True):
        assert counts(record).items() >= (truth.usage or {}).items()


@pytest.mark.parametrize("format_", ["json", "verbose_json"])
def test_a_reported_length_is_charged_to_the_ubt(
    format_: str, key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    upload(client, key, response_format=format_, prompt="[fake seconds=61]")
    record = settled(shop)
    assert record.charged_ubt == owed_ubt(fake_media) == 61 * 67 * 1_000_000


def test_a_minute_of_whisper_costs_six_tenths_of_a_cent(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    """4,000 base tokens of USD 1.50 a million."""
    shop.reprice("whisper-1", second=Decimal("66.666667"))
    shop.wait_for_relays()
    upload(client, key, response_format="text", sound=sounds.wav(60))
    assert settled(shop).charged_ubt == 60 * 66_666_667


def test_a_header_that_lies_gains_nothing(key: str, shop: Shop, client: httpx.Client) -> None:
    """R4: the vendor's truth is charged beyond the hold, as far as there is a balance."""
    poor = shop.key(10_000)
    for who in (key, poor):
        upload(client, who, sound=sounds.wav(1), prompt="[fake seconds=600]")
    first, second = shop.settled(2)
    assert first.held_ubt < 1_000 * 1_000_000
    assert (first.charged_ubt, first.absorbed_ubt) == (600 * 67 * 1_000_000, 0)
    assert (second.charged_ubt, second.second_count) == (10_000 * 1_000_000, 600)
    assert second.absorbed_ubt == (600 * 67 - 10_000) * 1_000_000
    shop.check_books()


def test_a_sound_that_a_balance_does_not_afford_is_not_sent(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    answer = upload(client, shop.key(1_000), sound=sounds.wav(60))
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "insufficient_quota"
    assert not fake_media.truth


def test_a_transcript_streams(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    answer = upload(client, key, model="gpt-4o-transcribe", stream="true")
    assert json.loads(events(answer)[-1])["text"] == media.WORDS
    assert settled(shop).charged_ubt == owed_ubt(fake_media)


@pytest.mark.parametrize("path", ["/v1/images/edits", "/v1/images/variations"])
def test_pictures_are_changed(
    path: str, key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    files = {"image": ("a.png", bytes(range(256)) * 50, "image/png")}
    fields = {"model": "gpt-image-1", "prompt": "a hat", "n": "2"}
    assert client.post(path, headers=bearer(key), data=fields, files=files).status_code == 200
    record = settled(shop)
    assert (record.image_count, record.charged_ubt) == (2, owed_ubt(fake_media))


def test_a_translation_is_a_transcript_too(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    assert upload(client, key, "/v1/audio/translations").json()["text"] == media.WORDS
    assert settled(shop).charged_ubt == owed_ubt(fake_media)


@pytest.mark.parametrize(
    ("fields", "each"), [({}, 1_000), ({"quality": "hd", "size": "1024x1792"}, 3_000)]
)
def test_size_and_quality_have_prices_of_their_own(
    fields: dict[str, str], each: int, key: str, shop: Shop, client: httpx.Client
) -> None:
    shop.reprice("dall-e-3", image=1_000)
    shop.wait_for_relays()
    post(client, key, GENERATIONS, model="dall-e-3", prompt="a cat", n=2, **fields)
    record = settled(shop)
    assert (record.image_count, record.charged_ubt) == (2, 2 * each * 1_000_000)
    assert record.model_asked == "dall-e-3"


def test_only_pictures_that_came_are_charged(key: str, shop: Shop, client: httpx.Client) -> None:
    post(client, key, GENERATIONS, model="dall-e-3", prompt="[fake images=1]", n=4)
    assert settled(shop).image_count == 1


def test_tokens_that_are_not_reported_are_those_of_the_vendors_table(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    asked = {"model": "gpt-image-1", "size": "1024x1024", "quality": "medium"}
    post(client, key, GENERATIONS, prompt="[fake usage=none]", **asked)
    record = settled(shop)
    assert (record.image_count, record.output_count, record.usage_source) == (1, 1_056, "counted")


def test_moderation_is_free_and_needs_no_model(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    answer = post(client, key, "/v1/moderations", input="Hello")
    assert answer.json()["results"][0]["flagged"] is False
    assert json.loads(fake_media.truth[-1].body)["model"] == "omni-moderation-latest"
    record = settled(shop)
    assert (record.charged_ubt, record.resolution) == (0, "settled")


def test_what_has_no_price_is_not_found(key: str, client: httpx.Client) -> None:
    for path, body in [
        ("/v1/moderations", {"input": "Hi", "model": "text-moderation-stable"}),
        (GENERATIONS, {"prompt": "a cat", "model": "dall-e-9"}),
        (SPEECH, {"model": "tts-9", "input": "Hi"}),
        (GENERATIONS, {"prompt": "a cat", "model": "hd/1024x1792/dall-e-3"}),
    ]:
        answer = post(client, key, path, **body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_a_channel_may_know_a_model_by_another_name(
    shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    shop.reprice("whisper-1", second=67)
    shop.fake_channel(fake_media, models={"whisper-1": "whisper-large-v3"})
    key = shop.key()
    shop.wait_for_relays()
    upload(client, key)
    sent = fake_media.truth[-1].body.encode(errors="surrogateescape")
    assert b'name="model"\r\n\r\nwhisper-large-v3\r\n' in sent
    assert SOUND in sent
    assert settled(shop).model_served == "whisper-large-v3"


def test_a_price_may_be_by_the_call(key: str, shop: Shop, client: httpx.Client) -> None:
    shop.reprice("tts-1", request=500)
    shop.wait_for_relays()
    post(client, key, SPEECH, model="tts-1", input="Hello")
    assert settled(shop).charged_ubt == 500 * 1_000_000


def test_a_picture_of_many_megabytes_comes_in_one_event(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    asked = {"model": "gpt-image-1", "prompt": "[fake bytes=9000000]", "stream": True}
    answer = post(client, key, GENERATIONS, **asked)
    assert len(json.loads(events(answer)[-1])["b64_json"]) == 9_000_000
    assert settled(shop).charged_ubt == owed_ubt(fake_media)


def test_models_that_know_no_events_answer_as_they_can(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    asked = {"model": "tts-1", "input": "Hello [fake plain]", "stream_format": "sse"}
    answer = post(client, key, SPEECH, **asked)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.content == media.speech(20_000)
    assert upload(client, key, stream="true", prompt="[fake plain]").json()["text"] == media.WORDS
    spoken, heard = shop.settled(2)
    assert (spoken.character_count, heard.second_count) == (18, 7)


def test_speech_that_is_sold_by_tokens_is_counted_by_its_text(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    """Bytes report no usage: 20 tokens of sound for each second that reading takes."""
    shop.reprice("gpt-4o-mini-tts", input=1, audio_out=8)
    shop.wait_for_relays()
    post(client, key, SPEECH, model="gpt-4o-mini-tts", input="word " * 40)
    record = settled(shop)
    assert (record.audio_out_count, record.usage_source) == (320, "counted")
    assert record.charged_ubt == (record.input_count + 8 * 320) * 1_000_000
    assert 40 <= record.input_count <= 42
