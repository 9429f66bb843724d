"""Azure OpenAI: OpenAI's dialects under other addresses, where a deployment's name is the model.

A base URL without a path, with `/openai` or `/openai/v1` is the v1 surface, which takes the
deployment as `model`. `/openai/deployments` is the older one, which has it in the address and asks
for a dated version: the last stable one, or the one that stands behind it in the base URL
(`/openai/deployments/2025-04-01-preview`).
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from relay.protocols.base import Endpoint
from relay.protocols.realtime import REALTIME
from relay.providers.base import Failure
from relay.providers.openai import OpenAIProvider, error_of
from relay.wire.messages import Header
from relay.wire.origin import parse_base_url

STABLE_VERSION = "2024-10-21"

_DEPLOYMENTS = re.compile(
    r"(?P<root>.*/openai)/deployments(?:/(?P<version>\d{4}-\d\d-\d\d(?:-preview)?))?"
)
_NOT_OFFERED = frozenset({"moderations", "rerank", "images_variations"})
# Not under a deployment, even on the older surface.
_AT_THE_ROOT = frozenset({"responses", "realtime", "videos"})
# What the channel's mapping or base URL got wrong; the client can't help it.
_OUR_MISTAKES = frozenset(
    {"DeploymentNotFound", "ResourceNotFound", "UnsupportedApiVersion", "unknown_model", "404"}
)


class AzureProvider(OpenAIProvider):
    """Azure OpenAI with an API key."""

    name = "azure"

    def serves(self, endpoint: Endpoint) -> bool:
        """Say whether Azure has an endpoint."""
        return super().serves(endpoint) and endpoint.name not in _NOT_OFFERED

    def path(self, base_url: str, endpoint: Endpoint, served: str, *, stream: bool) -> str:
        """Return the path of an endpoint on either surface; see Provider."""
        root, version = _surface(base_url)
        ending, deployment = endpoint.path.removeprefix("/v1"), quote(served, safe="")
        is_realtime = endpoint is REALTIME
        if not version:
            return f"{root}{ending}?model={deployment}" if is_realtime else root + ending
        if endpoint.name not in _AT_THE_ROOT:
            root += f"/deployments/{deployment}"
        path = f"{root}{ending}?api-version={version}"
        return f"{path}&deployment={deployment}" if is_realtime else path

    def models_path(self, base_url: str) -> str:
        """Return the path of the list of models; see Provider."""
        root, version = _surface(base_url)
        return f"{root}/models?api-version={version}" if version else f"{root}/models"

    def headers(self, credential: str, extra: Sequence[Header] = ()) -> list[Header]:
        """Return our headers; Azure has the key in one of its own."""
        given = [header for header in super().headers("", extra) if header[0] != b"api-key"]
        return [(b"api-key", credential.encode("latin-1")), *given] if credential else given

    def limit_field(self, model: str, endpoint: Endpoint) -> str:
        """Return the newer name for chats: a deployment's name does not tell its model."""
        return "max_completion_tokens" if endpoint.name == "chat_completions" else "max_tokens"

    def classify(
        self, status: int, headers: Sequence[Header], body: bytes, *, credential: str = ""
    ) -> Failure:
        """Return what an error answer means; a deployment that is not there is our mistake."""
        error = error_of(body)
        if error.get("code") in _OUR_MISTAKES or (status == 404 and not error.get("type")):
            return Failure("unavailable", "upstream_unavailable")
        return super().classify(status, headers, body, credential=credential)


def _surface(base_url: str) -> tuple[str, str]:
    """Return the path that addresses continue, and the version to ask for, "" on the v1 surface."""
    _, prefix = parse_base_url(base_url)
    path = prefix.decode("ascii")
    older = _DEPLOYMENTS.fullmatch(path)
    if older:
        return older["root"], older["version"] or STABLE_VERSION
    if path.endswith("/v1"):
        return path, ""
    return f"{path.removesuffix('/openai')}/openai/v1", ""
