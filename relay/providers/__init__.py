"""What upstreams speak: one kind a file. `REGISTRY` names them as channels do.

A new provider is one file beside these, one line here, one in the docs and its tests.
"""

from relay.providers.anthropic import AnthropicProvider
from relay.providers.azure import AzureProvider
from relay.providers.base import Provider
from relay.providers.demo import DemoProvider
from relay.providers.gemini import GeminiProvider
from relay.providers.generic import GenericProvider
from relay.providers.openai import OpenAIProvider

REGISTRY: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        OpenAIProvider(),
        AnthropicProvider(),
        AzureProvider(),
        GeminiProvider(),
        DemoProvider(),
        GenericProvider(),
    )
}
