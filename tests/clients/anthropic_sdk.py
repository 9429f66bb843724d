"""What programs do with anthropic: `python anthropic_sdk.py URL KEY EMPTY_KEY MODELS`."""

# mypy: ignore-errors
# Runs in the environment of the library.

import json
import sys

import anthropic
from telling import BREAK, PIXEL, QUESTION, TOOL_QUESTION, UNKNOWN_KEY, WEATHER, tell

URL, KEY, EMPTY_KEY, MODELS = sys.argv[1:5]
MODEL = json.loads(MODELS)["claude"]
TOOLS = [{"name": "weather", "description": "Tells the weather.", "input_schema": WEATHER}]


def client(key=KEY):
    """Return a client as a program makes it."""
    return anthropic.Anthropic(base_url=URL, api_key=key, max_retries=0)


def ask(content=QUESTION, key=KEY, **fields):
    """Ask one question."""
    fields = {"model": MODEL, "max_tokens": 300} | fields
    messages = [{"role": "user", "content": content}]
    return client(key).messages.create(messages=messages, **fields)


def text(message):
    """Return the text of an answer."""
    return "".join(block.text for block in message.content if block.type == "text")


def stream(content=QUESTION):
    """Stream an answer; the library puts the message together again."""
    messages = [{"role": "user", "content": content}]
    with client().messages.stream(model=MODEL, max_tokens=300, messages=messages) as events:
        said = "".join(events.text_stream)
        final = events.get_final_message()
    assert text(final) == said and final.usage.output_tokens > 0
    return said


def call_of(message):
    """Return the call of a tool in an answer."""
    [block] = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use"
    return block


def tools():
    """Have a tool called."""
    block = call_of(ask(TOOL_QUESTION, tools=TOOLS))
    return {"name": block.name, "arguments": block.input}


def streamed_tools():
    """Have a tool called in a stream."""
    messages = [{"role": "user", "content": TOOL_QUESTION}]
    with client().messages.stream(
        model=MODEL, max_tokens=300, messages=messages, tools=TOOLS
    ) as events:
        block = call_of(events.get_final_message())
    return {"name": block.name, "arguments": block.input}


def tool_answer():
    """Give a tool's result back."""
    first = ask(TOOL_QUESTION, tools=TOOLS)
    result = {"type": "tool_result", "tool_use_id": call_of(first).id, "content": "sunny"}
    messages = [
        {"role": "user", "content": TOOL_QUESTION},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    return text(
        client().messages.create(model=MODEL, max_tokens=300, messages=messages, tools=TOOLS)
    )


def image():
    """Show a picture."""
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    return text(ask([{"type": "image", "source": source}, {"type": "text", "text": QUESTION}]))


def count():
    """Count the tokens of a question."""
    messages = [{"role": "user", "content": QUESTION}]
    return client().messages.count_tokens(model=MODEL, messages=messages).input_tokens


tell(
    {
        "chat": lambda: text(ask()),
        "stream": stream,
        "tools": tools,
        "streamed tools": streamed_tools,
        "tool answer": tool_answer,
        "image": image,
        "count": count,
        "models": lambda: [model.id for model in client().models.list(limit=1000)],
        "unknown key": lambda: text(ask(key=UNKNOWN_KEY)),
        "unknown model": lambda: text(ask(model="no-such-model")),
        "no balance": lambda: text(ask(key=EMPTY_KEY)),
        "bad request": lambda: text(ask(content=7)),
        "broken stream": lambda: stream(BREAK),
    }
)
