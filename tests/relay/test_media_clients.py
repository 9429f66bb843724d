"""OpenAI's own library draws, speaks, listens and moderates at a relay with the demo channel."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import BadRequestError, OpenAI, RateLimitError

from relay.protocols.audio_length import seconds_told
from tests.relay import sounds
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")

PNG = b"\x89PNG\r\n\x1a\n"
MINUTE = ("minute.wav", sounds.wav(60))


@pytest.fixture
def openai(relay_server: RelayServer, shop: Shop) -> Iterator[OpenAI]:
    """The library, with a key to a shop that has the demo channel and the prices of a new shop."""
    shop.channel()
    key = shop.key(9_000_000)
    shop.wait_for_relays()
    with OpenAI(api_key=key, base_url=f"{relay_server.url}/v1", max_retries=0) as client:
        yield client


def test_it_draws(openai: OpenAI, shop: Shop) -> None:
    drawn = openai.images.generate(
        model="dall-e-3",
        prompt="a cat",
        quality="hd",
        size="1024x1792",
        response_format="b64_json",
    )
    assert drawn.data is not None
    assert base64.b64decode(drawn.data[0].b64_json or "").startswith(PNG)
    [record] = shop.settled()
    assert record.charged_ubt == 80_000 * 1_000_000


def test_it_draws_while_one_looks_on(openai: OpenAI, shop: Shop) -> None:
    seen = openai.images.generate(
        model="gpt-image-1", prompt="a cat", quality="low", stream=True, partial_images=2
    )
    kinds = [event.type.rpartition(".")[2] for event in seen]
    assert kinds == ["partial_image", "partial_image", "completed"]
    [record] = shop.settled()
    assert (record.image_count, record.output_count) == (1, 472)


def test_it_changes_pictures(openai: OpenAI, shop: Shop) -> None:
    pictures = [("a.png", PNG), ("b.png", PNG)]
    drawn = openai.images.edit(model="gpt-image-1", image=pictures, prompt="a hat", n=2)
    assert drawn.usage is not None
    assert drawn.usage.input_tokens_details.image_tokens == 2 * 65
    [record] = shop.settled()
    assert (record.image_count, record.input_count) == (2, drawn.usage.input_tokens)
    assert openai.images.create_variation(image=("a.png", PNG), size="256x256").data


def test_it_speaks(openai: OpenAI, shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "speech.wav"
    with openai.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="x" * 150, response_format="wav"
    ) as spoken:
        spoken.stream_to_file(file)
    assert seconds_told(file.read_bytes()) == 10
    [record] = shop.settled()
    assert record.charged_ubt == 150 * 10 * 1_000_000


def test_it_writes_down_in_every_format(openai: OpenAI, shop: Shop) -> None:
    listen = openai.audio.transcriptions.create
    said = [
        listen(model="whisper-1", file=MINUTE).text,
        listen(model="whisper-1", file=MINUTE, response_format="text"),
        listen(model="whisper-1", file=MINUTE, response_format="srt"),
        listen(model="whisper-1", file=MINUTE, response_format="vtt"),
    ]
    assert all("for 60 seconds." in str(text) for text in said)
    verbose = listen(
        model="whisper-1",
        file=MINUTE,
        response_format="verbose_json",
        timestamp_granularities=["segment"],
    )
    assert (verbose.duration, len(verbose.segments or ())) == (60, 1)
    told = listen(model="gpt-4o-transcribe", file=MINUTE, response_format="diarized_json")
    assert told.segments[0].speaker == "A"
    *whispered, told_record = shop.settled(6)
    assert {record.charged_ubt for record in whispered} == {60 * 66_666_667}
    assert told_record.audio_in_count == 600


def test_it_writes_down_word_by_word(openai: OpenAI) -> None:
    stream = openai.audio.transcriptions.create(model="gpt-4o-transcribe", file=MINUTE, stream=True)
    *deltas, done = stream
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas if event.type.endswith("delta")) == done.text


def test_it_translates(openai: OpenAI) -> None:
    said = openai.audio.translations.create(model="whisper-1", file=MINUTE)
    assert said.text.endswith("for 60 seconds.")


def test_it_moderates_for_nothing(openai: OpenAI, shop: Shop) -> None:
    [verdict] = openai.moderations.create(input="No [demo flagged]").results
    assert verdict.flagged
    assert verdict.categories.violence
    [record] = shop.settled()
    assert (record.model_asked, record.charged_ubt) == ("omni-moderation-latest", 0)


def test_its_mistakes_raise_the_right_errors(openai: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        openai.images.generate(prompt="a cat", n=1_000)
    assert refused.value.param == "n"
    with pytest.raises(RateLimitError) as used_up:
        openai.images.generate(
            model="dall-e-3", prompt="a cat", n=128, quality="hd", size="1024x1792"
        )
    assert used_up.value.code == "insufficient_quota"
