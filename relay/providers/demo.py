"""An upstream inside this process, so that a fresh installation sells and serves at once.

It answers every endpoint the same way every time, streams, keeps to limits and reports usage. Told
by a prompt, it fails, dawdles or breaks off (docs/reference/demo-provider.md). What it says at each
dialect stands in the `demo_*` files.
"""

from collections.abc import Awaitable, Callable

from relay.protocols.base import Endpoint
from relay.protocols.realtime import REALTIME
from relay.providers import (
    demo_audio,
    demo_gemini,
    demo_images,
    demo_judging,
    demo_messages,
    demo_openai,
    demo_realtime,
    demo_responses,
    demo_videos,
)
from relay.providers.base import LocalAnswerer, LocalCall
from relay.providers.demo_base import DemoResponse
from relay.providers.openai import OpenAIProvider

ANSWERS: dict[str, Callable[[LocalCall], Awaitable[DemoResponse]]] = {
    "chat_completions": demo_openai.answer,
    "completions": demo_openai.answer,
    "embeddings": demo_openai.answer,
    "gemini_count_tokens": demo_gemini.answer,
    "gemini_embed": demo_gemini.answer,
    "gemini_generate": demo_gemini.answer,
    "responses": demo_responses.answer,
    "messages": demo_messages.answer,
    "count_tokens": demo_messages.answer,
    "images_generations": demo_images.answer,
    "images_edits": demo_images.answer,
    "images_variations": demo_images.answer,
    "audio_speech": demo_audio.speak,
    "audio_transcriptions": demo_audio.listen,
    "audio_translations": demo_audio.listen,
    "moderations": demo_judging.moderate,
    "rerank": demo_judging.rank,
    "videos": demo_videos.answer,
}
"""Who answers at an endpoint, by its name."""


class DemoProvider(OpenAIProvider):
    """Every dialect, without an upstream."""

    name = "demo"
    needs_credential = False

    @property
    def local(self) -> LocalAnswerer:  # type: ignore[override]
        """Return itself: it answers in this process."""
        return self

    def serves(self, endpoint: Endpoint) -> bool:
        """Say whether the demo has learnt an endpoint."""
        return endpoint.name in ANSWERS or endpoint is REALTIME

    async def respond(self, call: LocalCall) -> DemoResponse:
        """Return the answer to a request that has been read and found valid."""
        return await ANSWERS[call.endpoint.name](call)

    def converse(self, call: LocalCall) -> demo_realtime.DemoConversation:
        """Return the demo's side of a realtime conversation."""
        return demo_realtime.DemoConversation(call)
