"""What only Anthropic's dialect has to change in a body: a thinking budget follows its limit.

Called through `relay.protocols.anthropic`.
"""

from relay.errors import InsufficientQuota
from relay.protocols.anthropic_request import LIMIT_FIELD, MessagesFacts
from relay.protocols.json_text import members
from relay.protocols.splicing import replaced, with_output_limit

LEAST_THINKING_TOKENS = 1_024


def with_limit(body: bytes, facts: MessagesFacts, limit: int) -> bytes:
    """Return the body with `max_tokens` lowered to `limit`, and its thinking budget below that.

    The vendor wants the budget smaller than the limit and not below LEAST_THINKING_TOKENS. Raises
    InsufficientQuota where both can't be (R3).
    """
    given = facts.output_limit or 0
    if given <= limit:
        return body
    if facts.thinking_budget >= limit:
        body = replaced(body, facts, "thinking", _with_budget(facts, given, limit))
    return with_output_limit(body, facts, limit, LIMIT_FIELD)


def _with_budget(facts: MessagesFacts, given: int, limit: int) -> bytes:
    """Return `thinking` with the share of the limit that the client wanted for it."""
    share = min(limit - 1, max(LEAST_THINKING_TOKENS, facts.thinking_budget * limit // given))
    if share < LEAST_THINKING_TOKENS:
        raise InsufficientQuota
    start, end = members(facts.thinking)["budget_tokens"]
    return b"%b%d%b" % (facts.thinking[:start], share, facts.thinking[end:])
