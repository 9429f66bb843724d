"""The few bytes that are changed in a body of Gemini's dialect: a limit, a model's other name.

Never re-encoded. Called through `relay.protocols.gemini`.
"""

import msgspec

from relay.protocols.gemini_members import Names
from relay.protocols.json_text import Span, members
from relay.protocols.splicing import appended

_BODY = Names("generation_config")
_CONFIG = Names("max_output_tokens", "thinking_config")
_THINKING = Names("thinking_budget")
_NAMING = Names("model", "requests", "generate_content_request")

_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_NUMBER = msgspec.json.Decoder(int | None, strict=False)
_NOTHING = frozenset({b"null", b"{}"})


def with_output_limit(body: bytes, limit: int) -> bytes:
    """Return the body limited to `limit` tokens for each answer, thoughts included.

    A limit and a budget for thinking that the client gave are lowered where they stand.
    """
    span = _BODY.spans(body).get("generation_config")
    config = b"{}" if span is None or body[slice(*span)] == b"null" else body[slice(*span)]
    config = _with_number(config, _CONFIG, "max_output_tokens", limit, is_added=True)
    thinking = _CONFIG.spans(config).get("thinking_config")
    if thinking is not None and config[slice(*thinking)] not in _NOTHING:
        lowered = _with_number(config[slice(*thinking)], _THINKING, "thinking_budget", limit)
        config = _replaced(config, thinking, lowered)
    if span is None:
        return appended(body, b'"generationConfig":' + config, is_empty=not members(body))
    return _replaced(body, span, config)


def _with_number(
    text: bytes, names: Names, name: str, most: int, *, is_added: bool = False
) -> bytes:
    """Return an object whose member is at most so much; none, null and 0 stand for no limit."""
    span = names.spans(text).get(name)
    if span is None:
        if not is_added:
            return text
        return appended(text, b'"maxOutputTokens":%d' % most, is_empty=not members(text))
    given = _NUMBER.decode(text[slice(*span)])
    is_unlimited = is_added and not given
    if is_unlimited or (given is not None and given > most):
        return _replaced(text, span, b"%d" % most)
    return text


def with_model(body: bytes, served: str) -> bytes:
    """Return the body with the name that the upstream knows wherever it repeats the address's."""
    name = msgspec.json.encode(f"models/{served}")
    for span in reversed(_model_spans(body, 0)):
        body = _replaced(body, span, name)
    return body


def _model_spans(text: bytes, offset: int) -> list[Span]:
    """Return where models are named in a request and in those inside it, from front to back.

    What is no request is passed over; the upstream will say so.
    """
    found: list[Span] = []
    for name, (start, end) in _NAMING.spans(text).items():
        value = text[start:end]
        if name == "model":
            found.append((offset + start, offset + end))
        elif value.startswith(b"{"):
            found += _model_spans(value, offset + start)
        elif value.startswith(b"["):
            found += _model_spans_of_items(value, offset + start)
    return sorted(found)


def _model_spans_of_items(text: bytes, offset: int) -> list[Span]:
    found: list[Span] = []
    at = 0
    for item in map(bytes, _ITEMS.decode(text)):
        at = text.index(item, at)
        if item.startswith(b"{"):
            found += _model_spans(item, offset + at)
        at += len(item)
    return found


def _replaced(text: bytes, span: Span, value: bytes) -> bytes:
    return b"%b%b%b" % (text[: span[0]], value, text[span[1] :])
