"""Counting a message's tokens where no channel could: by our own tokenizer, without an upstream.

Anthropic's clients ask for a count before they send; OpenAI's chats have no such endpoint. The
answer is the estimate that an interrupted stream would be charged by. Called by the translations.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from relay import tokens
from relay.protocols.anthropic import COUNT_TOKENS
from relay.protocols.base import Asked, Endpoint, RequestFacts
from relay.providers.base import LocalCall
from relay.translate.base import EventTranslator, Responder
from relay.wire.messages import Header

IMAGE_TOKENS = 1_000
FILE_TOKENS = 2_000
"""What an image and a file are taken for; vendors' own rules differ."""


class Counted:
    """An UpstreamResponse with a count."""

    status = 200

    def __init__(self, counted: int) -> None:
        self.headers: list[Header] = [(b"content-type", b"application/json")]
        self.complete = False
        self._body = msgspec.json.encode({"input_tokens": counted})

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this lower-case name."""
        return next((value for found, value in self.headers if found == name), None)

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body."""
        return await self.next_chunk()

    async def next_chunk(self) -> bytes:
        """Return the body, and nothing after it."""
        body, self._body = self._body, b""
        self.complete = True
        return body

    def close(self) -> None:
        """Give the answer up. Idempotent."""
        self._body = b""


class CountHere(msgspec.Struct, frozen=True, gc=False, eq=False, kw_only=True):
    """Answers `count_tokens` for channels that messages reach by a translation; see there."""

    needs: Endpoint

    @property
    def endpoint(self) -> Endpoint:
        """Return the client's own endpoint, in whose dialect the answer is."""
        return COUNT_TOKENS

    @property
    def local(self) -> Responder | None:
        """Return itself: it answers in this process."""
        return self

    async def respond(self, call: LocalCall) -> Counted:
        """Return the count of a request that has been read and found valid."""
        return Counted(await asyncio.to_thread(_count, call))

    def request(self, body: bytes, facts: RequestFacts, *, most_output: int) -> bytes:
        """Return the body as it is."""
        return body

    def answer(self, body: bytes, facts: RequestFacts) -> bytes:
        """Return the answer as it is."""
        return body

    def events(self, facts: RequestFacts) -> EventTranslator:
        """Fail: a count does not stream."""
        raise NotImplementedError


def _count(call: LocalCall) -> int:
    dialect = COUNT_TOKENS.dialect
    facts = dialect.read(COUNT_TOKENS, Asked(call.body))
    texts: Sequence[str] = dialect.prompt(call.body)
    counted = tokens.count_prompt(list(texts), call.served, messages=facts.messages, token_ids=0)
    return counted + facts.images * IMAGE_TOKENS + facts.files * FILE_TOKENS
