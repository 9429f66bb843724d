"""What a model's name and price tell of it: who makes it, its kind, where it is called. Pure.

Called by the pages that list models. A name that nobody knows is of no vendor; that harms nothing.
"""

import re
from collections.abc import Iterable

from billing.pricing import BUCKETS, Price

TEXT, IMAGE, VIDEO, AUDIO, VECTOR = "text", "image", "video", "audio", "vector"
KINDS = (TEXT, IMAGE, VIDEO, AUDIO, VECTOR)

TAGS = {"chat_completions": "chat", "completions": "completions", "embeddings": "embeddings"}

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
_OLD_COMPLETIONS = re.compile(r"instruct|davinci|babbage|curie|text-ada")
_BY_NAME = (
    (VIDEO, re.compile(r"sora|veo|kling|video|hailuo|wan\d")),
    (IMAGE, re.compile(r"image|dall-e|imagen|cogview|midjourney|mj[-_]|flux")),
    (AUDIO, re.compile(r"whisper|tts|audio|speech|transcribe|suno|chirp")),
    (VECTOR, re.compile(r"embed|rerank|bge-")),
)
_MEDIA = {IMAGE: ("image",), VIDEO: ("second",), AUDIO: ("second", "character")}


def vendor_of(model: str) -> str:
    """Return who makes a model, "" when its name does not say."""
    name = model.rpartition("/")[2].lower()
    return next((vendor for vendor, maker in _MAKERS if maker.match(name)), "")


def kind_of(price: Price) -> str:
    """Return one of KINDS: by what is charged, and by the name where that leaves a doubt."""
    ubt = dict(zip(BUCKETS, price.ubt, strict=True))
    named = next((kind for kind, names in _BY_NAME if names.search(price.model.lower())), TEXT)
    if ubt["output"] and named != IMAGE:
        return TEXT
    if any(ubt[bucket] for bucket in _MEDIA.get(named, ())):
        return named
    if ubt["input"] and not ubt["output"]:
        return VECTOR if named in (TEXT, VECTOR) else named
    return named


def endpoints_of(model: str, kind: str, served: Iterable[str]) -> list[str]:
    """Return those of the endpoints that channels serve at which a model of this kind is called."""
    if kind == VECTOR:
        own = {"embeddings"}
    elif kind == TEXT:
        own = {"completions" if _OLD_COMPLETIONS.search(model) else "chat_completions"}
    else:
        own = set()
    return [name for name in served if name in own]
