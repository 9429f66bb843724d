"""Every endpoint that a dialect serves, by the address it is documented under. Free of Django."""

from relay.protocols import (
    anthropic,
    audio,
    gemini,
    images,
    moderations,
    openai,
    realtime,
    rerank,
    responses,
    videos,
)
from relay.protocols.base import Endpoint

ENDPOINTS: dict[str, Endpoint] = {
    **openai.ENDPOINTS,
    **anthropic.ENDPOINTS,
    **gemini.ENDPOINTS,
    **responses.ENDPOINTS,
    **realtime.ENDPOINTS,
    **images.ENDPOINTS,
    **audio.ENDPOINTS,
    **moderations.ENDPOINTS,
    **rerank.ENDPOINTS,
    **videos.ENDPOINTS,
}
