"""One server process for both planes: relay paths go to the relay, everything else to Django.

`uvicorn portal.asgi:app` serves a small shop; a large one runs `relay.asgi:app` apart from it.
"""

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
pages = get_asgi_application()

import portal.celery  # noqa: E402, F401  so that what wakes a job finds our broker
from relay.asgi import app as relay  # noqa: E402  its modules need Django's apps to be loaded
from relay.asgi import is_relay_path  # noqa: E402


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one ASGI connection; start-up, shutdown and WebSockets belong to the relay."""
    if scope["type"] == "http" and not is_relay_path(scope["path"]):
        await pages(scope, receive, send)
    else:
        await relay(scope, receive, send)
