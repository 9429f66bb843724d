"""Translations between dialects, by the endpoint that a client asks at and one that a channel has.

A channel that speaks the client's own dialect always goes before one that needs a translation.
`*_to_*` make the requests, `*_as_*` the answers; some are two others, one after the other.
"""

from collections.abc import Collection

from relay.protocols.anthropic import MESSAGES
from relay.protocols.base import Endpoint
from relay.protocols.gemini import GENERATE
from relay.protocols.openai import CHAT
from relay.providers.base import Provider
from relay.translate import (
    chat_as_messages,
    chat_as_responses,
    gemini_as_chat,
    messages_as_chat,
    messages_to_chat,
    responses_to_chat,
)
from relay.translate.base import Translation
from relay.translate.chained import Chained
from relay.translate.chat_to_gemini import gemini_request
from relay.translate.chat_to_messages import messages_request
from relay.translate.counting import CountHere
from relay.translate.joined import Joined

CHAT_TO_MESSAGES = Joined(
    endpoint=MESSAGES,
    requests=messages_request,
    answers=messages_as_chat.chat_answer,
    translators=messages_as_chat.ChatEvents,
)
CHAT_TO_GEMINI = Joined(
    endpoint=GENERATE,
    requests=gemini_request,
    answers=gemini_as_chat.chat_answer,
    translators=gemini_as_chat.ChatEvents,
)
MESSAGES_TO_CHAT = Joined(
    endpoint=CHAT,
    requests=messages_to_chat.chat_request,
    answers=chat_as_messages.message_answer,
    translators=chat_as_messages.MessageEvents,
)
RESPONSES_TO_CHAT = Joined(
    endpoint=CHAT,
    requests=responses_to_chat.chat_request,
    answers=chat_as_responses.response_answer,
    translators=chat_as_responses.ResponseEvents,
)

TRANSLATIONS: dict[str, tuple[Translation, ...]] = {
    "chat_completions": (CHAT_TO_MESSAGES, CHAT_TO_GEMINI),
    "messages": (MESSAGES_TO_CHAT, Chained(first=MESSAGES_TO_CHAT, second=CHAT_TO_GEMINI)),
    "responses": (
        RESPONSES_TO_CHAT,
        Chained(first=RESPONSES_TO_CHAT, second=CHAT_TO_MESSAGES),
        Chained(first=RESPONSES_TO_CHAT, second=CHAT_TO_GEMINI),
    ),
    "count_tokens": (CountHere(needs=CHAT), CountHere(needs=GENERATE)),
}
"""By the name of the client's endpoint, the ones to prefer first."""


def serves_itself(endpoint: Endpoint, provider: Provider, allowed: Collection[str]) -> bool:
    """Say whether a channel speaks an endpoint's own dialect there.

    `allowed` names the endpoints that the channel is kept to; empty: all of its provider's.
    """
    return (not allowed or endpoint.name in allowed) and provider.serves(endpoint)


def translation_for(
    endpoint: Endpoint, provider: Provider, allowed: Collection[str]
) -> Translation | None:
    """Return how a channel can serve an endpoint that is not its own, None if it can't.

    One that is kept to endpoints must be so to the client's or to the upstream's.
    """
    for one in TRANSLATIONS.get(endpoint.name, ()):
        is_allowed = not allowed or endpoint.name in allowed or one.needs.name in allowed
        if is_allowed and provider.serves(one.needs):
            return one
    return None
