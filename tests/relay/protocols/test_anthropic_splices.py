"""Model, limit and thinking budget are changed where they stand, and no other byte."""

import json
from typing import Any

import pytest

from relay.errors import InsufficientQuota
from relay.protocols.anthropic import MESSAGES, read_request
from relay.protocols.base import Asked
from tests.relay.protocols.messages import blocks, claude_code, message

TRAP = '"max_tokens":7,"thinking":{"budget_tokens":9},"model":"x"}'


def rewritten(body: bytes, *, served: str = "claude-sonnet-4-5", limit: int | None = None) -> bytes:
    facts = read_request(MESSAGES, Asked(body))
    return MESSAGES.dialect.rewritten(
        body, facts, served=served, output_limit=limit, limit_field="max_tokens"
    )


def limits(body: bytes) -> tuple[int, int]:
    asked = json.loads(body)
    return asked["max_tokens"], asked["thinking"]["budget_tokens"]


def thinking(budget: int, **fields: Any) -> bytes:
    return message(thinking={"type": "enabled", "budget_tokens": budget}, **fields)


def test_nothing_is_changed_without_need() -> None:
    body = message(system=TRAP)
    assert rewritten(body) is body
    assert rewritten(body, limit=500) is body
    assert rewritten(body, limit=9_000) is body


@pytest.mark.parametrize("text", [TRAP, TRAP * 300])
def test_only_the_model_is_replaced(text: str) -> None:
    body = message(system=text, messages=blocks({"type": "text", "text": text}))
    changed = rewritten(body, served="vendor/claude")
    assert changed == body.replace(b'"model":"claude-sonnet-4-5"', b'"model":"vendor/claude"', 1)


@pytest.mark.parametrize("text", [TRAP, TRAP * 300])
def test_only_the_limit_is_lowered(text: str) -> None:
    body = message(system=text)
    changed = rewritten(body, limit=100)
    assert changed == body.replace(b'"max_tokens":500', b'"max_tokens":100', 1)


def test_a_thinking_budget_above_the_limit_is_lowered_with_it() -> None:
    body = thinking(16_000, max_tokens=32_000, system=TRAP)
    assert limits(rewritten(body, limit=8_000)) == (8_000, 4_000)


def test_a_thinking_budget_below_the_limit_is_left_alone() -> None:
    body = thinking(16_000, max_tokens=32_000)
    assert limits(rewritten(body, limit=20_000)) == (20_000, 16_000)


def test_a_thinking_budget_is_always_less_than_its_limit_and_not_too_little() -> None:
    for budget, given in [(31_999, 32_000), (2_000, 32_000), (60_000, 32_000)]:
        most, allowed = limits(rewritten(thinking(budget, max_tokens=given), limit=1_500))
        assert 1_024 <= allowed < most == 1_500


def test_a_limit_without_room_for_thinking_is_a_quota_used_up() -> None:
    with pytest.raises(InsufficientQuota):
        rewritten(thinking(31_999, max_tokens=32_000), limit=1_024)


@pytest.mark.parametrize("form", [{"type": "adaptive"}, {"type": "disabled"}, None])
def test_thinking_without_a_budget_passes(form: Any) -> None:
    body = message(thinking=form, output_config={"effort": "high"})
    assert rewritten(body, limit=20) == body.replace(b":500", b":20")


def test_the_shape_of_claude_code_keeps_everything_else() -> None:
    asked = claude_code(output_config={"effort": "medium"})
    changed = json.loads(rewritten(json.dumps(asked).encode(), served="c", limit=9_000))
    assert changed.pop("thinking") == {"type": "enabled", "budget_tokens": 8_999}
    assert (changed.pop("model"), changed.pop("max_tokens")) == ("c", 9_000)
    assert all(asked[name] == value for name, value in changed.items())
