"""What is read from a request in Gemini's dialect, and what it does to the bound of the cost."""

from typing import Any

import pytest

from billing.pricing import Counts, is_variant
from relay.errors import BadRequest
from relay.protocols.base import UNSEEN_TOKENS, RequestFacts
from relay.protocols.gemini import (
    BATCH_EMBED,
    COUNT_TOKENS,
    EMBED,
    GENERATE,
    STREAM_GENERATE,
)
from relay.protocols.gemini_content import prompt_text
from tests.relay.protocols.gemini_requests import MODEL, facts_of, generate, said
from tests.relay.protocols.requests import packed

PIXELS = "iVBORw0KGgo" * 50
EMBEDDING = packed({"model": "models/e", "content": {"parts": [{"text": "Hello"}]}})


def configured(**config: Any) -> RequestFacts:
    return facts_of(generationConfig=config)


def inline(kind: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": PIXELS}}


def test_the_model_is_the_address_and_the_bound_the_bytes() -> None:
    facts = facts_of()
    assert (facts.model, facts.text_bytes, facts.messages) == (MODEL, len(generate()), 1)
    assert (facts.stream, facts.choices, facts.output_limit) == (False, 1, None)


def test_a_model_may_come_with_its_folder() -> None:
    assert facts_of(model="models/gemini-2.5-pro").model == "gemini-2.5-pro"


@pytest.mark.parametrize("model", ["", "models/", "x" * 65])
def test_an_address_without_a_sensible_model_is_refused(model: str) -> None:
    with pytest.raises(BadRequest) as refused:
        facts_of(model=model)
    assert refused.value.param == "model"


def test_the_address_says_whether_to_stream_and_the_query_in_what_shape() -> None:
    assert facts_of(STREAM_GENERATE).shape
    streamed = facts_of(STREAM_GENERATE, query=b"key=secret&alt=sse")
    assert (streamed.stream, streamed.shape) == (True, None)


def test_nothing_of_the_query_goes_on() -> None:
    assert facts_of(query=b"key=secret&fields=candidates&alt=sse").query == b""


@pytest.mark.parametrize(
    "config",
    [{"maxOutputTokens": 50, "candidateCount": 3}, {"max_output_tokens": 50, "candidate_count": 3}],
)
@pytest.mark.parametrize("member", ["generationConfig", "generation_config"])
def test_both_spellings_are_read(member: str, config: dict[str, Any]) -> None:
    facts = facts_of(body=packed({"contents": said({}), member: config}))
    assert (facts.output_limit, facts.limit_field, facts.choices) == (50, "maxOutputTokens", 3)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"generationConfig": {}, "generation_config": {}}, "generation_config"),
        (
            {"generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}},
            "generationConfig.max_output_tokens",
        ),
        ({"GenerationConfig": {"maxOutputTokens": 9}}, "generationConfig"),
        (
            {"generationConfig": {"maxoutputtokens": 9}},
            "generationConfig.maxOutputTokens",
        ),
        (
            {"contents": said({"inlineData": {}, "inline_data": {}})},
            "contents.inlineData",
        ),
        (
            {"contents": said({"inlineData": {"mimeType": "image/png", "mime_type": "audio/wav"}})},
            "contents.mimeType",
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        facts_of(**fields)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"[]", None),
        (b'{"contents":', None),
        (b"{}", "contents"),
        (b'{"contents":[]}', "contents"),
        (b'{"contents":"Hello"}', "contents"),
        (b'{"contents":[{}],"contents":[{}]}', None),
        (b'{"contents":[{}],"generationConfig":[]}', "generationConfig"),
        (b'{"contents":[{}],"generationConfig":{"maxOutputTokens":"many"}}', "maxOutputTokens"),
        (b'{"contents":[{}],"generationConfig":{"candidateCount":0}}', "candidateCount"),
        (b'{"contents":[{}],"generationConfig":{"thinkingConfig":7}}', "thinkingConfig"),
        (b'{"contents":[{}],"generationConfig":{"responseModalities":"AUDIO"}}', "Modalities"),
        (b'{"contents":[{}],"tools":7}', "tools"),
    ],
)
def test_wrong_types_are_refused_by_name(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        facts_of(body=body)
    assert (param or "") in (refused.value.param or "")


def test_nulls_are_as_good_as_nothing() -> None:
    facts = facts_of(generationConfig=None, tools=None, systemInstruction=None, cachedContent=None)
    assert (facts.output_limit, facts.searches, facts.files) == (None, 0, 0)
    assert configured(maxOutputTokens=None, candidateCount=None, thinkingConfig=None).choices == 1


@pytest.mark.parametrize("number", ["50", 50.0])
def test_numbers_may_be_written_as_the_vendor_takes_them(number: Any) -> None:
    facts = configured(maxOutputTokens=number, candidateCount=2.0)
    assert (facts.output_limit, facts.choices) == (50, 2)


def test_a_limit_of_nothing_is_no_limit() -> None:
    assert configured(maxOutputTokens=0).output_limit is None


def test_one_content_and_one_part_may_stand_for_several() -> None:
    facts = facts_of(contents={"parts": inline("image/png")})
    assert (facts.messages, facts.images) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("image/png", "images"),
        ("IMAGE/JPEG", "images"),
        ("audio/wav", "audio"),
        ("video/mp4", "files"),
        ("application/pdf", "files"),
        ("text/csv", "files"),
        ("", "files"),
    ],
)
def test_what_is_not_text_is_counted_by_its_kind(kind: str, item: str) -> None:
    facts = facts_of(contents=said({"text": "What is this?"}, inline(kind)))
    counts = {"images": facts.images, "audio": facts.audio, "files": facts.files}
    assert counts == {name: int(name == item) for name in counts}
    assert facts.image_bytes + facts.audio_bytes + facts.file_bytes > len(PIXELS)
    assert facts.text_bytes < len(generate()) + 100


def test_items_of_the_system_instruction_count_too() -> None:
    assert facts_of(systemInstruction={"parts": [inline("image/png")]}).images == 1


def test_items_that_a_tool_has_given_back_count_too() -> None:
    result = {"name": "look", "response": {"parts": "none"}, "parts": [inline("image/png")]}
    for name in ("functionResponse", "function_response"):
        assert facts_of(contents=said({name: result})).images == 1
    plain = {"functionResponse": {"name": "look", "response": {"parts": "none"}}}
    assert facts_of(contents=said(plain)).images == 0


def test_for_what_lies_at_the_vendor_a_figure_is_held() -> None:
    stored = {"fileData": {"fileUri": "https://x.example/files/1", "mimeType": "video/mp4"}}
    facts = facts_of(contents=said(stored), cachedContent="cachedContents/abc")
    assert (facts.files, facts.file_bytes) == (2, 2 * UNSEEN_TOKENS)
    assert facts.conversation == "cachedContents/abc"
    picture = {"file_data": {"file_uri": "gs://x/1.png", "mime_type": "image/png"}}
    assert facts_of(contents=said(picture)).images == 1


@pytest.mark.parametrize(
    ("tools", "searches"),
    [
        ([{"googleSearch": {}}], 1),
        ([{"google_search": {}}], 1),
        ({"googleSearchRetrieval": {}}, 1),
        ([{"googleMaps": {}}], 1),
        ([{"functionDeclarations": [{"name": "googleSearch"}]}], 0),
        ([], 0),
    ],
)
def test_a_search_is_held_when_the_vendor_may_search(tools: Any, searches: int) -> None:
    assert facts_of(tools=tools).searches == searches


@pytest.mark.parametrize(
    ("model", "held"),
    [("gemini-2.5-pro", 1), ("mine", 1), ("gemini-3-pro", 4), ("gemini-flash-latest", 4)],
)
def test_several_searches_are_held_where_each_has_its_price(model: str, held: int) -> None:
    assert facts_of(model=model, tools=[{"googleSearch": {}}]).searches == held


@pytest.mark.parametrize("tool", ["urlContext", "file_search", "mcpServers"])
def test_a_figure_is_held_for_what_the_vendors_tools_will_read(tool: str) -> None:
    facts = facts_of(tools=[{tool: {}}])
    assert (facts.files, facts.file_bytes, facts.searches) == (1, UNSEEN_TOKENS, 0)


@pytest.mark.parametrize("tier", ["standard", "FLEX", "SERVICE_TIER_STANDARD", "unspecified"])
def test_tiers_at_the_list_price_or_below_may_be_asked_for(tier: str) -> None:
    assert facts_of(serviceTier=tier).choices == 1


@pytest.mark.parametrize("member", ["serviceTier", "service_tier"])
def test_a_tier_that_costs_more_is_refused(member: str) -> None:
    with pytest.raises(BadRequest) as refused:
        facts_of(body=packed({"contents": said({}), member: "SERVICE_TIER_PRIORITY"}))
    assert refused.value.param == "serviceTier"


@pytest.mark.parametrize(
    ("size", "variants"), [("4K", (f"4K/{MODEL}",)), ("0.5k", (f"0.5K/{MODEL}",)), ("big", ())]
)
def test_a_size_of_images_may_have_a_price_of_its_own(size: str, variants: Any) -> None:
    assert configured(imageConfig={"imageSize": size}).variants == variants
    assert configured(image_config={"image_size": size}).variants == variants
    assert all(map(is_variant, variants))


def test_audio_and_images_are_seen_among_what_is_wanted() -> None:
    assert configured(responseModalities=["audio"]).wants_audio
    drawn = configured(responseModalities=["TEXT", "IMAGE"], candidateCount=2)
    assert (drawn.units, drawn.wants_audio) == (Counts(image=2), False)


def test_a_model_for_images_draws_unless_it_is_told_otherwise() -> None:
    assert facts_of(model="gemini-2.5-flash-image").units == Counts(image=1)
    words: dict[str, Any] = {"generationConfig": {"responseModalities": ["TEXT"]}}
    assert facts_of(model="gemini-2.5-flash-image", **words).units is None


def test_embeddings_write_nothing() -> None:
    facts = facts_of(EMBED, EMBEDDING)
    assert (facts.choices, facts.text_bytes) == (0, len(EMBEDDING))
    batch = facts_of(BATCH_EMBED, b'{"requests":[%b,%b]}' % (EMBEDDING, EMBEDDING))
    assert batch.choices == 0


@pytest.mark.parametrize(
    "body", [b"{}", b'{"requests":[]}', b'{"requests":[7]}', b'{"requests":[{"content":"x"}]}']
)
def test_embeddings_of_nothing_are_refused(body: bytes) -> None:
    for endpoint in (EMBED, BATCH_EMBED):
        with pytest.raises(BadRequest):
            facts_of(endpoint, body)


def test_counting_asks_nothing_of_a_request() -> None:
    body = packed({"generateContentRequest": {"model": "models/x", "contents": said()}})
    assert facts_of(COUNT_TOKENS, body).model == MODEL
    with pytest.raises(BadRequest):
        facts_of(COUNT_TOKENS, b"[]")


def test_every_text_that_the_model_reads_is_counted() -> None:
    asked = {
        "contents": said(
            {"text": "one"}, {"functionCall": {"name": "two", "args": {"a": "three"}}}
        ),
        "system_instruction": {"parts": [{"text": "four"}]},
        "tools": [{"functionDeclarations": [{"name": "five"}]}],
        "generationConfig": {"responseSchema": {"description": "six"}, "stopSequences": ["seven"]},
    }
    texts = " ".join(prompt_text(packed(asked)))
    assert all(word in texts for word in ("one", "two", "three", "four", "five", "six"))
    assert "seven" not in texts


def test_bytes_of_pictures_are_no_text() -> None:
    assert prompt_text(generate(contents=said({"text": "Look"}, inline("image/png")))) == ["Look"]


def test_each_of_several_texts_to_embed_is_counted() -> None:
    assert prompt_text(b'{"requests":[%b,%b]}' % (EMBEDDING, EMBEDDING)) == ["Hello", "Hello"]


def test_whole_and_streamed_answers_have_one_name() -> None:
    assert GENERATE.name == STREAM_GENERATE.name == "gemini_generate"
