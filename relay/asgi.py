"""The relay's ASGI callable: routes, lifespan, and the edge where every failure becomes an answer.

`uvicorn relay.asgi:app` runs the data plane alone; `portal.asgi` mounts it beside the pages. Raw
ASGI without a framework: a handler is one dictionary look-up away.
"""

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import django
import structlog
from django.apps import apps

if not apps.ready:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()

from relay import headers, local, objects_api, realtime
from relay.call import Call, Receive, Scope, Send, call_of
from relay.errors import (
    ClientGone,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RelayError,
    Stopping,
    UpstreamRefused,
)
from relay.exchange import serve
from relay.generic_calls import serve_route
from relay.options import Options, from_settings
from relay.paths import errors_at, is_relay_path, resolve
from relay.protocols.realtime import REALTIME
from relay.services import Services

__all__ = ["Relay", "app", "is_relay_path"]

log = structlog.get_logger(__name__)

_PARTING_S = 1.0


class Relay:
    """An ASGI application; start-up makes its services, shutdown drains and settles them."""

    def __init__(self, options: Options | None = None) -> None:
        self.services: Services | None = None
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._websocket(scope, receive, send)

    def is_asked(self, scope: Scope) -> bool:
        """Say whether an HTTP request is the relay's, be it for an error; pages are Django's."""
        path = scope["path"]
        if is_relay_path(path):
            return True
        if self.services is None or not self.services.snapshot.has_routes:
            return False
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        return self.services.snapshot.route(host, path) is not None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.services = Services(self._options or from_settings())
            await self.services.start()
        # The server prints the reason and exits; a supervisor starts it again.
        except Exception as error:
            log.exception("relay not started")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        with _collector_spared() if self.services.options.owns_process else nullcontext():
            await receive()
            await self.services.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = call_of(scope, receive, send)
        services = self.services
        if services is None:
            await _tell(call, Stopping())
            return
        services.calls.add(call)
        call.bodies = services.bodies
        try:
            await _handle(services, call)
        except RelayError as error:
            await _tell(call, error)
        except asyncio.CancelledError:
            await _tell(call, call.interrupted())
        # The edge: whatever a bug has raised becomes an answer, and a line without a body or key.
        except Exception:
            log.exception("request failed", request_id=call.request_id)
            await _tell(call, RelayError())
        finally:
            services.calls.discard(call)
            services.bodies.held_bytes -= call.body_bytes

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        call = call_of(scope, receive, send)
        services = self.services
        if services is None:
            await realtime.tell(call, Stopping())
            return
        services.calls.add(call)
        try:
            route = resolve(scope["path"])
            if route is None or route.name != REALTIME.name:
                raise NotFound
            await realtime.serve(services, call)
        except RelayError as error:
            await realtime.tell(call, error)
        except asyncio.CancelledError:
            await realtime.tell(call, call.interrupted())
        # The edge, as for requests.
        except Exception:
            log.exception("conversation failed", request_id=call.request_id)
            await realtime.tell(call, RelayError())
        finally:
            services.calls.discard(call)


@contextmanager
def _collector_spared() -> Iterator[None]:
    """Keep the garbage collector from walking over all of Django every few hundred requests.

    What start-up has made lives as long as the process. Requests leave next to no cycles behind.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


async def _handle(services: Services, call: Call) -> None:
    """Find what answers, and have it answer."""
    method = call.scope["method"]
    if method == "OPTIONS":
        await _preflight(call)
        return
    route = resolve(call.scope["path"])
    if route is None:
        await _handle_unknown(services, call)
        return
    call.errors = route.errors
    if method not in route.methods:
        raise MethodNotAllowed(headers=[(b"allow", ", ".join(sorted(route.methods)).encode())])
    call.check_headers()
    if route.endpoint is None and route.name in local.ANSWERS:
        await local.ANSWERS[route.name](services, call, route.argument)
        return
    _check_room(services)
    if route.endpoint is None or method == "GET":
        await objects_api.ANSWERS[route.name](services, call, route.argument)
        return
    services.watch.add(call)
    await serve(services, call, route.endpoint, route.argument)


async def _handle_unknown(services: Services, call: Call) -> None:
    """Answer at an address that is a shop's own, below one of its generic routes, or is none."""
    path = call.scope["path"]
    route = services.snapshot.route(call.headers.get(b"host", b""), path)
    if route is None:
        call.errors = errors_at(path)
        raise NotFound
    call.check_headers()
    _check_room(services)
    await serve_route(services, call, route)


def _check_room(services: Services) -> None:
    if len(services.calls) > services.options.max_in_flight:
        raise Overloaded
    if services.is_stopping:
        raise Stopping


async def _preflight(call: Call) -> None:
    requested = call.headers.get(b"access-control-request-headers")
    await call.start(204, headers.preflight(requested))
    await call.end()


async def _tell(call: Call, error: RelayError) -> None:
    """Answer with an error, if there is still somebody and something to answer."""
    if call.is_started or isinstance(error, ClientGone):
        has_events = call.is_streaming and not call.is_answered and not call.is_opaque
        call.drop()
        if has_events and not isinstance(error, ClientGone):
            await _tell_in_stream(call, error)
        return
    if isinstance(error, UpstreamRefused) and error.body is not None:
        body = error.body
    else:
        body = call.errors.body(error, call.request_id)
    await call.answer_json(error.status, body, headers=error.headers)


async def _tell_in_stream(call: Call, error: RelayError) -> None:
    """Say why a stream breaks off, to a client that still reads; whole events went before."""
    try:
        async with asyncio.timeout(_PARTING_S):
            await call.push(call.errors.event(error, call.request_id))
    except TimeoutError:
        return


app: Any = Relay()
