"""Logging: one JSON object a line on standard error, for our events and for every library's.

Called by `portal.settings`. Nothing here or anywhere else logs a body; what looks like a key is
masked on its way out, wherever it came from.
"""

import re
from typing import Any

import structlog
from structlog.typing import Processor, WrappedLogger

# Ours (a prefix and 48 characters), vendors' (sk-..., AIza...), and whatever follows "Bearer".
_SECRETS = re.compile(
    r"\b(?:[a-z]{2,8}-|AIza|tg1)[A-Za-z0-9_-]{24,}|(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{16,}"
)
# The secret links of orders and to sign in, which Django names where it refuses a request.
_LINKS = re.compile(r"(/(?:orders|account/sign-in)/[^/\s]+/)[A-Za-z0-9_-]{20,}")
_SHOWN = 5


def masked(text: str) -> str:
    """Return the text with keys cut to their first characters, and without secrets of links."""
    return _LINKS.sub(r"\1***", _SECRETS.sub(lambda found: f"{found[0][:_SHOWN]}***", text))


def mask_secrets(_logger: WrappedLogger, _method: str, rendered: Any) -> str:
    """Mask the finished line; the last processor."""
    return masked(str(rendered))


def configuration(*, level: str) -> dict[str, Any]:
    """Return Django's LOGGING, and send structlog's own events the same way."""
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    # These bring handlers of their own; their lines go through ours instead.
    foreign = ("django", "django.server", "uvicorn")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": _rendering(),
                "foreign_pre_chain": _shared(),
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            **{name: {"handlers": [], "propagate": True, "level": level} for name in foreign},
            # Addresses may hold a key (`?key=`), so nobody lists them.
            "uvicorn.access": {"handlers": [], "propagate": False},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            # At DEBUG it writes down whole requests, in which links of orders are escaped.
            "stripe": {"level": "WARNING"},
            # At DEBUG both write down what is said over a WebSocket, and the key that opened it.
            "websockets": {"level": "WARNING"},
            "uvicorn.error": {"handlers": [], "propagate": True, "level": _not_debug(level)},
        },
    }


def _not_debug(level: str) -> str:
    return "INFO" if level == "DEBUG" else level


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _rendering() -> list[Processor]:
    # Local variables of a frame may hold a chat or a key, so tracebacks go without them.
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.ExceptionRenderer(frames),
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        mask_secrets,
    ]
