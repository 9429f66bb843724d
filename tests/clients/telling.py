"""How a client program tells what it saw: one JSON object, a call a member.

`{"said": ...}` is what a call gave, `{"raised": "ClassName", "status": 401}` what it raised.
Imported by the programs beside it, each in the environment of its library.
"""

# mypy: ignore-errors
# Runs where this project is not installed.

import json
import sys

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
QUESTION = "Say hello to a friend."
TOOL_QUESTION = "How is the weather? [demo tool]"
BREAK = "[demo error_event=8 chunk_delay_ms=5]"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
UNKNOWN_KEY = "ak-" + "x" * 48


def tell(calls):
    """Make every call and print what came of it."""
    json.dump({name: outcome(call) for name, call in calls.items()}, sys.stdout)


def outcome(call):
    """Return what one call gave, or the class and status of what it raised."""
    try:
        return {"said": call()}
    # Whatever a library raises is what its users have to catch.
    except Exception as error:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        return {
            "raised": type(error).__name__,
            "status": status if isinstance(status, int) else None,
            "words": str(error)[:300],
        }
