"""A fake of Azure OpenAI on loopback: the server of `upstream` under Azure's addresses.

In a test: `with FakeAzure() as fake:`; channels get `fake.origin`, or `fake.origin` and
`/openai/deployments`. It knows the deployment `my-gpt` only, and wants its key in `api-key`.
"""

import asyncio
import re

from tests.fakes.upstream import Exchange, FakeUpstream, Request
from tests.fakes.vendor import Json

DEPLOYMENT = "my-gpt"
_OLDER = re.compile(r"/openai/deployments/(?P<name>[^/]+)(?P<path>/[a-z/]+)")
_VERSION = re.compile(r"\?api-version=\d{4}-\d\d-\d\d(-preview)?")


class AzureExchange(Exchange):
    """One request at an address of Azure's, on either surface."""

    def __init__(
        self,
        fake: FakeUpstream,
        request: Request,
        writer: asyncio.StreamWriter,
        upcoming: "asyncio.Task[Request | None]",
    ) -> None:
        super().__init__(fake, request, writer, upcoming)
        older = _OLDER.match(request.target)
        self._deployment = older["name"] if older else ""
        self._is_known = request.prefix == "/openai"
        if older:
            self._is_known = bool(_VERSION.fullmatch(request.target[older.end() :]))
            request.prefix, request.path = "", f"/v1{older['path']}"

    def _refusal(self) -> tuple[int, Json] | None:
        if not self._request.headers.get("api-key", "").startswith("sk-fake-"):
            return 401, {"error": {"code": "401", "message": "Access denied to north.azure"}}
        if not self._is_known:
            return 404, {"error": {"code": "404", "message": "Resource not found"}}
        if self._request.method == "GET":
            return None
        name = self._deployment or self._asked()["model"]
        if name != DEPLOYMENT:
            words = "The API deployment for this resource does not exist."
            return 404, {"error": {"code": "DeploymentNotFound", "message": words}}
        return None


class FakeAzure(FakeUpstream):
    """The server."""

    exchange = AzureExchange
