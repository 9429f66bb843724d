"""Options of the API's libraries, read by `portal.settings`. Free of Django."""

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["portal.api.authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["portal.api.authentication.HoldsKey"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "portal.api.problems.answer",
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Key API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "DESCRIPTION": (
        "Balance, limits and calls of one API key: the usage page for scripts. Every call carries "
        "the key itself: `Authorization: Bearer KEY`. Amounts are decimal texts of **base "
        "tokens**, exact to a millionth; times are UTC. Errors are problem details (RFC 9457)."
    ),
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATIONS": False,
    "PREPROCESSING_HOOKS": ["portal.api.reference.only_the_api"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "portal.api.reference.with_problems",
    ],
}
