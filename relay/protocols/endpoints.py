"""Every endpoint that a dialect serves, by the address it is documented under. Free of Django."""

from relay.protocols import anthropic, openai, responses
from relay.protocols.base import Endpoint

ENDPOINTS: dict[str, Endpoint] = {
    **openai.ENDPOINTS,
    **anthropic.ENDPOINTS,
    **responses.ENDPOINTS,
}
