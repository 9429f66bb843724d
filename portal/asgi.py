"""One server process for both planes: relay paths go to the relay, everything else to Django.

`uvicorn portal.asgi:app` serves a small shop; a large one runs `relay.asgi:app` apart from it.
"""

import os
from typing import Any

import django
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup(set_prefix=False)

import portal.celery  # noqa: E402, F401  so that what wakes a job finds our broker
from relay.asgi import app as relay  # noqa: E402  its modules need Django's apps to be loaded


class Pages(ASGIHandler):
    """Django, for which a request that can't even be read is its caller's fault."""

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Return the request, or None and what refuses it."""
        try:
            request, refusal = super().create_request(scope, body_file)
            # A charset of the caller's choice reads query and form; not every codec reads text.
            b"\xff".decode((request and request.encoding) or "utf-8", "replace")
        except (LookupError, UnicodeError, SuspiciousOperation):
            return None, HttpResponse(status=400)
        return request, refusal


pages = Pages()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one ASGI connection; start-up, shutdown and WebSockets belong to the relay."""
    if scope["type"] == "http" and not relay.is_asked(scope):
        await pages(scope, receive, send)
    else:
        await relay(scope, receive, send)
