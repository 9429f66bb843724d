"""Which addresses the relay serves, in every form that clients write them.

`resolve` is one dictionary look-up for an address as it is documented; only others are brought to
that form first: `/openai` in front, doubled slashes, a slash at the end, a doubled `/v1`, and the
dashboard addresses without `/v1`. Called by `asgi` for every request.
"""

import re
from typing import NamedTuple

from relay.protocols.base import Endpoint, ErrorStyle
from relay.protocols.endpoints import ENDPOINTS
from relay.protocols.gemini import GEMINI_ERRORS
from relay.protocols.openai import OPENAI_ERRORS
from relay.protocols.realtime import REALTIME
from relay.protocols.videos import VIDEOS

MODELS = "/v1/models"
GEMINI_MODELS = "/v1beta/models"
SUBSCRIPTION = "/v1/dashboard/billing/subscription"
USAGE = "/v1/dashboard/billing/usage"
CREDIT_GRANTS = "/v1/dashboard/billing/credit_grants"
KEY_USAGE = "/api/usage/token"
KEY_LOG = "/api/log/token"
HEALTH = "/healthz"
READY = "/readyz"

_DOUBLED = re.compile(r"^(?:/v1)+(?=/v1/)")
_PREFIXES = ("/v1/", "/v1beta/", "/openai/", "/dashboard/billing/")
_MODEL_PREFIXES = (MODELS + "/", GEMINI_MODELS + "/")
# Among addresses that are not the relay's, and therefore taken as they are.
_ALONE = frozenset({HEALTH, READY, KEY_USAGE, KEY_LOG})


class Route(NamedTuple):
    """What answers at an address: an endpoint of a dialect, or one of our own by its name.

    `argument` is what stands in the address for a name: a model's.
    """

    name: str
    methods: frozenset[str]
    endpoint: Endpoint | None = None
    argument: str = ""
    errors: ErrorStyle = OPENAI_ERRORS


_POST = frozenset({"POST"})
_GET = frozenset({"GET", "HEAD"})

_BY_VERB = {
    path.rpartition(":")[2]: endpoint for path, endpoint in ENDPOINTS.items() if "{model}" in path
}
_ROUTES: dict[str, Route] = {
    **{
        path: Route(endpoint.name, _POST, endpoint, errors=endpoint.errors)
        for path, endpoint in ENDPOINTS.items()
        if "{" not in path
    },
    # What is ordered by POST can be listed by GET.
    VIDEOS.path: Route(VIDEOS.name, _POST | {"GET"}, VIDEOS),
    # A WebSocket begins as a GET; any other request is told so.
    REALTIME.path: Route(REALTIME.name, _GET),
    MODELS: Route("models", _GET),
    GEMINI_MODELS: Route("models", _GET, errors=GEMINI_ERRORS),
    SUBSCRIPTION: Route("subscription", _GET),
    USAGE: Route("usage", _GET),
    CREDIT_GRANTS: Route("credit_grants", _GET),
    KEY_USAGE: Route("token_usage", _GET),
    KEY_LOG: Route("token_log", _GET),
    HEALTH: Route("healthz", _GET),
    READY: Route("readyz", _GET),
}


_OF_AN_OBJECT: dict[str, dict[str, tuple[str, frozenset[str]]]] = {
    "/v1/responses/": {
        "": ("response", frozenset({"GET", "DELETE"})),
        "cancel": ("response_cancel", _POST),
        "input_items": ("response_items", frozenset({"GET"})),
    },
    "/v1/videos/": {
        "": ("video", frozenset({"GET", "DELETE"})),
        "content": ("video_content", frozenset({"GET"})),
        "remix": ("video_remix", _POST),
    },
}


def resolve(path: str) -> Route | None:
    """Return the route of a decoded path, None if nothing answers there."""
    route = _ROUTES.get(path)
    if route is not None:
        return route
    path = normalised(path)
    route = _ROUTES.get(path)
    if route is None and path.startswith(_MODEL_PREFIXES):
        version, _, rest = path.partition("/models/")
        return _of_model(rest, GEMINI_ERRORS if version == "/v1beta" else OPENAI_ERRORS)
    if route is None and path.startswith(tuple(_OF_AN_OBJECT)):
        return _of_object(path)
    return route


def _of_object(path: str) -> Route | None:
    """Return the route of an address that names what an upstream keeps."""
    _, version, collection, object_id, *verb = path.split("/")
    verbs = _OF_AN_OBJECT[f"/{version}/{collection}/"]
    if len(verb) > 1 or "".join(verb) not in verbs:
        return None
    name, methods = verbs["".join(verb)]
    return Route(name, methods, argument=object_id)


def _of_model(rest: str, errors: ErrorStyle) -> Route:
    """Return the route of an address that names a model, maybe with what is to be done with it.

    `errors` are for who asks about the model itself.
    """
    model, _, verb = rest.rpartition(":")
    endpoint = _BY_VERB.get(verb) if model else None
    if endpoint is not None:
        return Route(endpoint.name, _POST, endpoint, model, endpoint.errors)
    return Route("model", _GET, argument=rest, errors=errors)


def errors_at(path: str) -> ErrorStyle:
    """Return how clients want to be told of errors at an address that nothing answers."""
    path = normalised(path)
    if path.startswith("/v1beta/"):
        return GEMINI_ERRORS
    near = (one for one in ENDPOINTS.values() if path.startswith(one.path.partition("{")[0]))
    return next((one.errors for one in near), OPENAI_ERRORS)


def normalised(path: str) -> str:
    """Return the documented form of an address."""
    while "//" in path:
        path = path.replace("//", "/")
    path = path.rstrip("/") or "/"
    if path.startswith("/openai/"):
        path = path[len("/openai") :]
    path = _DOUBLED.sub("", path)
    if path.startswith("/dashboard/billing/"):
        path = "/v1" + path
    return path


def is_relay_path(path: str) -> bool:
    """Say whether the relay answers for a path, be it with an error; pages are Django's."""
    if path in _ROUTES:
        return True
    while "//" in path:
        path = path.replace("//", "/")
    path = path.rstrip("/")
    return f"{path}/".startswith(_PREFIXES) or path in _ALONE
