"""What programs do with LlamaIndex: `python llama_index_programs.py URL KEY EMPTY_KEY MODELS`."""

# mypy: ignore-errors
# Runs in the environment of the library.

import json
import sys

from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from telling import BREAK, PIXEL, QUESTION, TOOL_QUESTION, UNKNOWN_KEY, tell

URL, KEY, EMPTY_KEY, MODELS = sys.argv[1:5]
MODELS = json.loads(MODELS)


def weather(city: str, days: int) -> str:
    """Tell the weather."""
    return f"sunny in {city} for {days} days"


def model(key=KEY, name=MODELS["chat"]):
    """Return a model as a program makes it."""
    return OpenAI(model=name, api_key=key, api_base=f"{URL}/v1", max_retries=0)


def streamed(question=QUESTION):
    """Stream an answer."""
    asked = [ChatMessage(role="user", content=question)]
    return "".join(part.delta or "" for part in model().stream_chat(asked))


def tools():
    """Have a tool called."""
    tool = FunctionTool.from_defaults(weather)
    answer = model().chat_with_tools([tool], user_msg=TOOL_QUESTION)
    [call] = model().get_tool_calls_from_response(answer)
    return {"name": call.tool_name, "arguments": call.tool_kwargs}


def image():
    """Show a picture."""
    blocks = [
        TextBlock(text=QUESTION),
        ImageBlock(image=PIXEL.encode(), image_mimetype="image/png"),
    ]
    return model().chat([ChatMessage(role="user", blocks=blocks)]).message.content


def embeddings():
    """Embed a text."""
    found = OpenAIEmbedding(
        model_name=MODELS["embedding"], api_key=KEY, api_base=f"{URL}/v1", max_retries=0
    )
    return len(found.get_text_embedding("hello"))


tell(
    {
        "chat": lambda: model().chat([ChatMessage(role="user", content=QUESTION)]).message.content,
        "stream": streamed,
        "completion": lambda: model().complete(QUESTION).text,
        "tools": tools,
        "image": image,
        "embeddings": embeddings,
        "unknown key": lambda: model(UNKNOWN_KEY).complete(QUESTION).text,
        "no balance": lambda: model(EMPTY_KEY).complete(QUESTION).text,
        "broken stream": lambda: streamed(BREAK),
    }
)
