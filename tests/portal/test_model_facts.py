"""What a model's name and price tell of it."""

import pytest
from django.utils import translation

from billing.pricing import BUCKETS, Price
from portal import model_facts


def priced(name: str, **ubt: int) -> Price:
    return Price(id=0, model=name, ubt=tuple(ubt.get(bucket, 0) for bucket in BUCKETS))


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("gpt-4o", "OpenAI"),
        ("o3-mini", "OpenAI"),
        ("openai/gpt-4o", "OpenAI"),
        ("claude-sonnet-4-5", "Anthropic"),
        ("Gemini-2.5-Pro", "Google"),
        ("deepseek-chat", "DeepSeek"),
        ("text-embedding-3-small", "OpenAI"),
        ("my-own-model", ""),
        ("", ""),
    ],
)
def test_a_name_tells_its_maker(name: str, vendor: str) -> None:
    assert model_facts.vendor_of(name) == vendor


@pytest.mark.parametrize(
    ("name", "ubt", "kind"),
    [
        ("gpt-4o", {"input": 1, "output": 4}, "text"),
        ("text-embedding-3-small", {"input": 1}, "vector"),
        ("unheard-of", {"input": 1}, "vector"),
        ("gpt-image-1", {"input": 1, "output": 4}, "image"),
        ("dall-e-3", {"image": 9}, "image"),
        ("sora-2", {"second": 9}, "video"),
        ("whisper-1", {"second": 9}, "audio"),
        ("tts-1", {"character": 9}, "audio"),
        ("gpt-4o-mini-tts", {"input": 1, "output": 4}, "audio"),
        ("gpt-4o-transcribe", {"input": 1, "output": 4}, "audio"),
        ("gpt-4o-audio-preview", {"input": 1, "output": 4}, "text"),
        ("hd/1024x1792/dall-e-3", {"image": 9}, "image"),
        ("omni-moderation-latest", {}, "other"),
        ("rerank-v3.5", {"search": 9}, "other"),
        ("unheard-of", {"request": 9}, "text"),
    ],
)
def test_name_and_price_tell_the_kind(name: str, ubt: dict[str, int], kind: str) -> None:
    assert model_facts.kind_of(priced(name, **ubt)) == kind


@pytest.mark.parametrize(
    ("name", "kind", "endpoints"),
    [
        ("gpt-4o", "text", ["chat_completions"]),
        ("gpt-3.5-turbo-instruct", "text", ["completions"]),
        ("gpt-5.1-codex", "text", ["responses"]),
        ("gpt-realtime", "text", ["realtime"]),
        ("text-embedding-3-small", "vector", ["embeddings"]),
        ("sora-2", "video", ["videos"]),
        ("dall-e-3", "image", ["images_generations", "images_edits"]),
        ("gemini-2.5-flash-image", "image", ["gemini_generate"]),
        ("tts-1", "audio", ["audio_speech"]),
        ("whisper-1", "audio", ["audio_transcriptions", "audio_translations"]),
        ("gpt-4o-transcribe", "audio", ["audio_transcriptions"]),
        ("omni-moderation-latest", "other", ["moderations"]),
        ("rerank-v3.5", "other", ["rerank"]),
    ],
)
def test_a_model_is_called_where_its_kind_is(name: str, kind: str, endpoints: list[str]) -> None:
    assert model_facts.endpoints_of(name, kind, model_facts.TAGS) == endpoints


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("hd/1024x1792/dall-e-3", "dall-e-3, HD, 1024x1792"),
        ("512x512/dall-e-2", "dall-e-2, 512x512"),
        ("high/1024x1024/gpt-image-1", "gpt-image-1, high, 1024x1024"),
        ("openai/gpt-4o", "openai/gpt-4o"),
    ],
)
def test_a_size_reads_well(name: str, label: str) -> None:
    with translation.override("en"):
        assert model_facts.label_of(name) == label
