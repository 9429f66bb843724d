"""One bounded HTTP exchange with a payment provider. Called by `outgoing` and `stripe_client`.

By httpx's transport and not by its client, because a client writes every address into the log, and
some have a key in it. Redirects, proxies and cookies of the environment play no part.
"""

import asyncio
import ssl
import time
from functools import lru_cache
from typing import NamedTuple

import httpx

from billing.errors import PaymentAway

CONNECT_S = 5.0
WHOLE_S = 15.0
ANSWER_BYTES = 256 * 1024


class Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    headers: httpx.Headers
    body: bytes


def exchange(request: httpx.Request, *, ends_at: float) -> Answer:
    """Send a request and read its answer until a moment of the monotonic clock, however slow it is.

    Raises PaymentAway for an answer that is packed or too long, TimeoutError, httpx.HTTPError.
    """
    request.headers.update({"accept-encoding": "identity", "connection": "close"})
    request.extensions["timeout"] = httpx.Timeout(WHOLE_S, connect=CONNECT_S).as_dict()
    return asyncio.run(_exchange(request, within_s=ends_at - time.monotonic()))


async def _exchange(request: httpx.Request, *, within_s: float) -> Answer:
    async with (
        asyncio.timeout(within_s),
        httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False, retries=0) as transport,
    ):
        answer = await transport.handle_async_request(request)
        try:
            return Answer(answer.status_code, answer.headers, await _body_of(answer))
        finally:
            await answer.aclose()


async def _body_of(answer: httpx.Response) -> bytes:
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise PaymentAway("An encoding was sent that was not asked for.")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > ANSWER_BYTES:
            raise PaymentAway("The answer is too much.")
    return bytes(body)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
