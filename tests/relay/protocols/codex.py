"""What Codex sends in the first turn of a conversation, in its shape and size."""

from typing import Any

_RULES = 'Use `apply_patch` to edit files.\n- Say "done" when you are.\n' * 280
_TOOLS = ("exec_command", "write_stdin", "update_plan", "view_image", "apply_patch", "spawn_agent")


def _function(name: str) -> dict[str, Any]:
    properties = {
        "input": {"type": "string", "description": "What to do. " * 20},
        "command": {"type": "array", "items": {"type": "string"}},
    }
    parameters = {"type": "object", "properties": properties, "additionalProperties": False}
    return {
        "type": "function",
        "name": name,
        "description": f"Runs {name}.\n" * 40,
        "strict": False,
        "parameters": parameters,
    }


def _message(role: str, text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": role, "content": content}


def codex(text: str = "say hi", **fields: Any) -> dict[str, Any]:
    """Return a request of 30 KB with nine tools."""
    namespace = {"type": "namespace", "name": "mcp__files", "tools": [_function("read")]}
    tools = [*map(_function, _TOOLS), namespace, {"type": "custom", "name": "patch"}]
    return {
        "model": "gpt-5-codex",
        "instructions": _RULES,
        "input": [
            _message("developer", "<permissions>\n" * 100),
            _message("user", "<environment_context>\n" * 60),
            _message("user", text),
        ],
        "tools": [*tools, {"type": "web_search", "external_web_access": False}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019a7c1e-7f5e-7d11-9c7b-0f4f3f6f8a11",
        "text": {"verbosity": "medium"},
        "client_metadata": {"x-codex-installation-id": "a1b2"},
    } | fields
