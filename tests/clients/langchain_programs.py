"""What programs do with LangChain: `python langchain_programs.py URL KEY EMPTY_KEY MODELS`."""

# mypy: ignore-errors
# Runs in the environment of the library.

import json
import sys

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from telling import BREAK, PIXEL, QUESTION, TOOL_QUESTION, UNKNOWN_KEY, WEATHER, tell

URL, KEY, EMPTY_KEY, MODELS = sys.argv[1:5]
MODELS = json.loads(MODELS)


@tool
def weather(city: str, days: int) -> str:
    """Tell the weather."""
    return f"sunny in {city} for {days} days"


def model(key=KEY, name=MODELS["chat"], **fields):
    """Return a chat model as a program makes it."""
    return ChatOpenAI(base_url=f"{URL}/v1", api_key=key, model=name, max_retries=0, **fields)


def claude():
    """Return a chat model that asks with Anthropic's messages."""
    return ChatAnthropic(base_url=URL, api_key=KEY, model=MODELS["claude"], max_retries=0)


def gemini():
    """Return a chat model that asks in Gemini's way."""
    return ChatGoogleGenerativeAI(
        model=MODELS["gemini"], google_api_key=KEY, base_url=URL, max_retries=1
    )


def tools():
    """Have a tool called."""
    [call] = model().bind_tools([weather]).invoke(TOOL_QUESTION).tool_calls
    return {"name": call["name"], "arguments": call["args"]}


def tool_answer():
    """Give a tool's result back."""
    bound = model().bind_tools([weather])
    first = bound.invoke(TOOL_QUESTION)
    result = ToolMessage("sunny", tool_call_id=first.tool_calls[0]["id"])
    return bound.invoke([HumanMessage(TOOL_QUESTION), first, result]).content


def structured():
    """Ask for an answer of a certain form."""
    schema = {"title": "weather", "description": "the weather", **WEATHER}
    return model().with_structured_output(schema, method="json_schema").invoke(QUESTION)


def image():
    """Show a picture."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    return model().invoke([HumanMessage([{"type": "text", "text": QUESTION}, picture])]).content


def embeddings():
    """Embed a text; the check of its length would fetch a tokenizer."""
    found = OpenAIEmbeddings(
        base_url=f"{URL}/v1",
        api_key=KEY,
        model=MODELS["embedding"],
        check_embedding_ctx_length=False,
    )
    return len(found.embed_query("hello"))


def streamed(asked, question=QUESTION):
    """Stream an answer."""
    return "".join(chunk.text for chunk in asked.stream(question))


tell(
    {
        "chat": lambda: model().invoke(QUESTION).content,
        "stream": lambda: streamed(model(stream_usage=True)),
        "tools": tools,
        "tool answer": tool_answer,
        "structured": structured,
        "image": image,
        "embeddings": embeddings,
        "responses": lambda: model(use_responses_api=True).invoke(QUESTION).text,
        "chat with Claude": lambda: claude().invoke(QUESTION).content,
        "stream of Claude": lambda: streamed(claude()),
        "chat with Gemini": lambda: gemini().invoke(QUESTION).text,
        "unknown key": lambda: model(UNKNOWN_KEY).invoke(QUESTION).content,
        "unknown model": lambda: model(name="no-such-model").invoke(QUESTION).content,
        "no balance": lambda: model(EMPTY_KEY).invoke(QUESTION).content,
        "broken stream": lambda: streamed(model(), BREAK),
    }
)
