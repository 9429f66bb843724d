"""Translations between dialects, by the endpoint that a client asks at and one that a channel has.

A channel that speaks the client's own dialect always goes before one that needs a translation.
`chat_to_*` and `messages_to_*` make the requests, `*_as_chat` and `*_as_messages` the answers.
"""

from relay.protocols.anthropic import MESSAGES
from relay.protocols.base import Endpoint
from relay.protocols.gemini import GENERATE
from relay.protocols.openai import CHAT
from relay.providers.base import Provider
from relay.translate import chat_as_messages, gemini_as_chat, messages_as_chat
from relay.translate.base import Translation
from relay.translate.chat_to_gemini import gemini_request
from relay.translate.chat_to_messages import messages_request
from relay.translate.counting import CountHere
from relay.translate.joined import Joined
from relay.translate.messages_to_chat import chat_request

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
    requests=chat_request,
    answers=chat_as_messages.message_answer,
    translators=chat_as_messages.MessageEvents,
)

TRANSLATIONS: dict[str, tuple[Translation, ...]] = {
    "chat_completions": (CHAT_TO_MESSAGES, CHAT_TO_GEMINI),
    "messages": (MESSAGES_TO_CHAT,),
    "count_tokens": (CountHere(),),
}
"""By the name of the client's endpoint, the ones to prefer first."""


def translation_for(endpoint: Endpoint, provider: Provider) -> Translation | None:
    """Return how a provider can serve an endpoint that is not its own, None if it can't."""
    candidates = TRANSLATIONS.get(endpoint.name, ())
    return next((one for one in candidates if provider.serves(one.needs)), None)
