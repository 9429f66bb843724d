"""OpenAI's dialect: everything the relay needs to know of it, and nothing it has to send.

The face of `openai_request.py`, `openai_content.py`, `openai_splice.py` and `openai_answer.py`; the
exchange and the error edge import from here only.
"""

from relay.protocols.openai_answer import (
    AnswerFacts,
    EventFacts,
    StreamReader,
    answer_facts,
    error_body,
    error_event,
    usage_of_answer,
)
from relay.protocols.openai_content import prompt_text
from relay.protocols.openai_request import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    ENDPOINTS,
    Endpoint,
    RequestFacts,
    read_request,
)
from relay.protocols.openai_splice import with_model, with_output_limit, with_usage_asked

__all__ = [
    "CHAT",
    "COMPLETIONS",
    "EMBEDDINGS",
    "ENDPOINTS",
    "AnswerFacts",
    "Endpoint",
    "EventFacts",
    "RequestFacts",
    "StreamReader",
    "answer_facts",
    "error_body",
    "error_event",
    "prompt_text",
    "read_request",
    "usage_of_answer",
    "with_model",
    "with_output_limit",
    "with_usage_asked",
]
