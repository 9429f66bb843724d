"""What a model's name and price tell of it: who makes it, its kind, where it is called.

Called by the pages that list models. A name that nobody knows is of no vendor; that harms nothing.
"""

import re
from collections.abc import Iterable

from django.utils.translation import gettext as _

from billing.pricing import BUCKETS, Price, split_variant

TEXT, IMAGE, VIDEO, AUDIO, VECTOR, OTHER = "text", "image", "video", "audio", "vector", "other"
KINDS = (TEXT, IMAGE, VIDEO, AUDIO, VECTOR, OTHER)

TAGS = {
    "chat_completions": "chat",
    "completions": "completions",
    "embeddings": "embeddings",
    "images_generations": "images",
    "images_edits": "edits",
    "gemini_generate": "generateContent",
    "responses": "responses",
    "realtime": "realtime",
    "audio_speech": "speech",
    "audio_transcriptions": "transcriptions",
    "audio_translations": "translations",
    "moderations": "moderations",
    "rerank": "rerank",
    "videos": "videos",
}

_VENDORS = {
    "OpenAI": r"gpt-|chatgpt|o\d|text-embedding-(ada|3)|text-(davinci|moderation)|davinci|babbage|"
    r"whisper|tts-|dall-e|sora|codex|omni-",
    "Anthropic": r"claude",
    "Google": r"gemini|gemma|imagen|veo|text-embedding-00|learnlm|palm",
    "DeepSeek": r"deepseek",
    "Alibaba": r"qwen|qwq|qvq|wan\d|text-embedding-v",
    "Zhipu": r"glm|chatglm|cogview|cogvideo",
    "Moonshot": r"moonshot|kimi",
    "ByteDance": r"doubao|seed",
    "Baidu": r"ernie",
    "Tencent": r"hunyuan",
    "MiniMax": r"minimax|abab|hailuo",
    "01.AI": r"yi-",
    "StepFun": r"step-",
    "Mistral": r"mistral|mixtral|ministral|codestral|pixtral|devstral|magistral",
    "Meta": r"llama",
    "xAI": r"grok",
    "Cohere": r"command|embed-|rerank-",
    "Midjourney": r"midjourney|mj[-_]",
    "Suno": r"suno|chirp",
    "Kuaishou": r"kling",
}
_MAKERS = [(vendor, re.compile(pattern)) for vendor, pattern in _VENDORS.items()]
_SPEAKS = re.compile(r"tts|speech")
_LISTENS = re.compile(r"whisper|transcri|voxtral")
_RANKS = re.compile(r"rerank|ranker")
_GEMINI = re.compile(r"gemini")
_CONVERSES = re.compile(r"realtime")
_RESPONDS = re.compile(r"codex|\b(?:o\d|gpt-5[\w.]*)-pro\b|computer-use|deep-research")
_OLD_COMPLETIONS = re.compile(r"instruct|davinci|babbage|curie|text-ada")
_BY_NAME = (
    (VIDEO, re.compile(r"sora|veo|kling|video|hailuo|wan\d")),
    (IMAGE, re.compile(r"image|dall-e|imagen|cogview|midjourney|mj[-_]|flux")),
    (AUDIO, re.compile(r"whisper|tts|audio|speech|transcribe|suno|chirp")),
    (OTHER, re.compile(r"moderation|rerank|ranker")),
    (VECTOR, re.compile(r"embed|bge-")),
)
_MEDIA = {IMAGE: ("image",), VIDEO: ("second",), AUDIO: ("second", "character")}


def vendor_of(model: str) -> str:
    """Return who makes a model, "" when its name does not say."""
    name = model.rpartition("/")[2].lower()
    return next((vendor for vendor, maker in _MAKERS if maker.match(name)), "")


def kind_of(price: Price) -> str:
    """Return one of KINDS: by what is charged, and by the name where that leaves a doubt."""
    ubt = dict(zip(BUCKETS, price.ubt, strict=True))
    name = price.model.lower()
    named = next((kind for kind, names in _BY_NAME if names.search(name)), TEXT)
    if named == OTHER or _SPEAKS.search(name) or _LISTENS.search(name):
        return named if named == OTHER else AUDIO
    if ubt["output"] and named != IMAGE:
        return TEXT
    if any(ubt[bucket] for bucket in _MEDIA.get(named, ())):
        return named
    if ubt["input"] and not ubt["output"]:
        return VECTOR if named in (TEXT, VECTOR) else named
    return named


def endpoints_of(model: str, kind: str, served: Iterable[str]) -> list[str]:
    """Return those of the endpoints that channels serve at which a model of this kind is called."""
    own = _endpoints_of(model.lower(), kind)
    return [name for name in served if name in own]


def _endpoints_of(name: str, kind: str) -> set[str]:
    if kind == TEXT and _CONVERSES.search(name):
        return {"realtime"}
    if kind == TEXT and _RESPONDS.search(name):
        return {"responses"}
    if kind == TEXT:
        return {"completions" if _OLD_COMPLETIONS.search(name) else "chat_completions"}
    if kind == IMAGE and _GEMINI.search(name):
        return {"gemini_generate"}
    if kind == AUDIO and _LISTENS.search(name):
        translates = {"audio_translations"} if "whisper" in name else set()
        return {"audio_transcriptions"} | translates
    if kind == OTHER:
        return {"rerank"} if _RANKS.search(name) else {"moderations"}
    return {
        IMAGE: {"images_generations", "images_edits"},
        AUDIO: {"gemini_generate" if _GEMINI.search(name) else "audio_speech"},
        VIDEO: {"videos"},
        VECTOR: {"embeddings"},
    }[kind]


def label_of(name: str) -> str:
    """Return the name of a price row as people read it: "dall-e-3, HD, 1024x1792"."""
    model, variant = split_variant(name)
    words = {"hd": "HD", "standard": _("standard"), "low": _("low"), "medium": _("medium")}
    words |= {"high": _("high")}
    parts = [words.get(part.lower(), part) for part in variant.split("/") if part]
    return ", ".join([model, *parts])
