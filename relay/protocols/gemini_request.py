"""What a request in Gemini's dialect asks for: read without rebuilding it.

The model stands in the address. Only what routing, limits and the bound of the cost need is read
and checked; everything else is the upstream's business. Called through `relay.protocols.gemini`.
"""

import re
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import UNSEEN_TOKENS, Asked, Endpoint, RequestFacts
from relay.protocols.decoding import decode
from relay.protocols.gemini_array import JsonArray
from relay.protocols.gemini_content import add_contents
from relay.protocols.gemini_members import Names, joined
from relay.protocols.json_text import check_text

MAX_MODEL_CHARS = 64
HELD_SEARCHES = 4
MOST_SEARCHES = 100

_BODY = Names(
    "contents",
    "system_instruction",
    "generation_config",
    "tools",
    "cached_content",
    "service_tier",
)
_CONFIG = Names(
    "max_output_tokens",
    "candidate_count",
    "response_modalities",
    "thinking_config",
    "image_config",
)
_IMAGE = Names("image_size")
_THINKING = Names("thinking_budget")
_EMBEDDING = Names("content", "requests")
_SEARCHES = Names(
    "google_search", "google_search_retrieval", "google_maps", "enterprise_web_search"
)
_READS = Names("url_context", "file_search", "mcp_servers")
_TIERS_AT_LIST_PRICE = frozenset({"unspecified", "standard", "flex"})
_PAID_BY_QUERY = re.compile(r"(?:^|/)gemini-(?:[3-9]|\d\d|.*latest)")
_DRAWS = re.compile(r"image|banana")
_IMAGE_SIZE = re.compile(r"\d[\d.]{0,3}K", re.IGNORECASE)

# The vendor takes a whole number as `8192.0` and `"8192"`, too.
_LIMIT = msgspec.json.Decoder(Annotated[int, Meta(ge=0, le=2**31 - 1)], strict=False)
_COUNT = msgspec.json.Decoder(Annotated[int, Meta(ge=1, le=128)], strict=False)
_BUDGET = msgspec.json.Decoder(Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)], strict=False)
_TEXT = msgspec.json.Decoder(str)
_TEXTS = msgspec.json.Decoder(list[str])
_OBJECTS = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw])
_REQUESTS = msgspec.json.Decoder(list[msgspec.Raw])


def read_request(endpoint: Endpoint, asked: Asked) -> RequestFacts:
    """Return what a request asks for. Raises BadRequest that names the field.

    Nothing of the query goes on: it may hold the key, and decides about the answer's shape only.
    """
    body = asked.body
    check_text(body)
    model = asked.model.removeprefix("models/")
    if not 0 < len(model) <= MAX_MODEL_CHARS:
        raise BadRequest("The address does not name a model.", param="model")
    facts = RequestFacts(endpoint, model, len(body))
    _READERS[verb_of(endpoint)](facts, asked)
    return facts


def verb_of(endpoint: Endpoint) -> str:
    """Return what an endpoint does with a model, as it stands in the address."""
    return endpoint.path.rpartition(":")[2]


def most_searches(model: str) -> int:
    """Return how many searches a request is charged.

    Since Gemini 3 the vendor's price is for each query, before it was for a prompt that needs any.
    """
    return MOST_SEARCHES if _PAID_BY_QUERY.search(model) else 1


def _read_generate(facts: RequestFacts, asked: Asked) -> None:
    given = _BODY.values(asked.body)
    if "contents" not in given:
        raise BadRequest("Missing required parameter: 'contents'.", param="contents")
    facts.messages = add_contents(facts, given["contents"], "contents")
    if not facts.messages:
        raise BadRequest("Expected at least one content.", param="contents")
    if "system_instruction" in given:
        add_contents(facts, given["system_instruction"], "systemInstruction")
    if "cached_content" in given:
        facts.files += 1
        facts.file_bytes += UNSEEN_TOKENS
        facts.conversation = decode(_TEXT, given["cached_content"], "cachedContent")
    if "service_tier" in given:
        _check_tier(decode(_TEXT, given["service_tier"], "serviceTier"))
    if "tools" in given:
        _add_tools(facts, given["tools"])
    modalities = _read_config(facts, given.get("generation_config", b"{}"))
    facts.wants_audio = "AUDIO" in modalities
    if "IMAGE" in modalities or (not modalities and _DRAWS.search(facts.model)):
        facts.units = Counts(image=facts.choices)


def _read_stream(facts: RequestFacts, asked: Asked) -> None:
    facts.stream = True
    if b"alt=sse" not in asked.query.lower().split(b"&"):
        facts.shape = JsonArray()
    _read_generate(facts, asked)


def _read_config(facts: RequestFacts, raw: bytes) -> set[str]:
    """Note the limits of an answer; return what kinds of output are asked for, if that is said."""
    at = "generationConfig"
    config = _CONFIG.values(raw, at)
    if "max_output_tokens" in config:
        limit = decode(_LIMIT, config["max_output_tokens"], joined(at, "maxOutputTokens"))
        facts.output_limit = limit or None
        facts.limit_field = "maxOutputTokens" if limit else None
    if "candidate_count" in config:
        facts.choices = decode(_COUNT, config["candidate_count"], joined(at, "candidateCount"))
    if "thinking_config" in config:
        thinking = _THINKING.values(config["thinking_config"], joined(at, "thinkingConfig"))
        decode(_BUDGET, thinking.get("thinking_budget", b"0"), joined(at, "thinkingConfig"))
    if "image_config" in config:
        _add_image_size(facts, config["image_config"], joined(at, "imageConfig"))
    modalities = config.get("response_modalities", b"[]")
    return {kind.upper() for kind in decode(_TEXTS, modalities, joined(at, "responseModalities"))}


def _add_image_size(facts: RequestFacts, raw: bytes, at: str) -> None:
    """Note the price row of a size, if one is asked for by its name."""
    size = decode(_TEXT, _IMAGE.values(raw, at).get("image_size", b'""'), joined(at, "imageSize"))
    if _IMAGE_SIZE.fullmatch(size):
        facts.variants = (f"{size.upper()}/{facts.model}",)


def _check_tier(tier: str) -> None:
    if tier.casefold().removeprefix("service_tier_") not in _TIERS_AT_LIST_PRICE:
        raise BadRequest("This service tier is not offered here.", param="serviceTier")


def _add_tools(facts: RequestFacts, raw: bytes) -> None:
    """Note the vendor's own tools: one that searches, and one that reads nobody knows how much."""
    given = decode(_OBJECTS, raw, "tools")
    tools = [raw] if isinstance(given, dict) else [bytes(tool) for tool in given]
    objects = [tool for tool in tools if tool.startswith(b"{")]
    if any(_SEARCHES.values(tool, "tools") for tool in objects):
        facts.searches = min(HELD_SEARCHES, most_searches(facts.model))
    if any(_READS.values(tool, "tools") for tool in objects):
        facts.files += 1
        facts.file_bytes += UNSEEN_TOKENS


def _read_count(facts: RequestFacts, asked: Asked) -> None:
    """Check no more than the outermost object: counting is free, the vendor says what is wrong."""
    _BODY.spans(asked.body)


def _read_embedding(facts: RequestFacts, asked: Asked) -> None:
    facts.choices = 0
    given = _EMBEDDING.values(asked.body)
    if "content" not in given:
        raise BadRequest("Missing required parameter: 'content'.", param="content")
    add_contents(facts, given["content"], "content")


def _read_embeddings(facts: RequestFacts, asked: Asked) -> None:
    facts.choices = 0
    given = _EMBEDDING.values(asked.body)
    requests = decode(_REQUESTS, given.get("requests", b"[]"), "requests")
    if not requests:
        raise BadRequest("Expected at least one request.", param="requests")
    for request in requests:
        content = _EMBEDDING.values(bytes(request), "requests").get("content", b"null")
        add_contents(facts, content, "requests.content")


_READERS: dict[str, Callable[[RequestFacts, Asked], None]] = {
    "generateContent": _read_generate,
    "streamGenerateContent": _read_stream,
    "countTokens": _read_count,
    "embedContent": _read_embedding,
    "batchEmbedContents": _read_embeddings,
}
