"""What programs do with google-genai: `python google_sdk.py URL KEY EMPTY_KEY MODELS`."""

# mypy: ignore-errors
# Runs in the environment of the library.

import base64
import json
import sys
from functools import cache

from google import genai
from google.genai import types
from telling import BREAK, PIXEL, QUESTION, TOOL_QUESTION, UNKNOWN_KEY, WEATHER, tell

URL, KEY, EMPTY_KEY, MODELS = sys.argv[1:5]
MODEL = json.loads(MODELS)["gemini"]
TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name="weather", parameters_json_schema=WEATHER)
        ]
    )
]


@cache
def client(key=KEY, version=None):
    """Return a client as a program makes it, and keeps it: one that nobody holds closes itself."""
    options = types.HttpOptions(base_url=URL, api_version=version)
    return genai.Client(api_key=key, http_options=options)


def ask(contents=QUESTION, key=KEY, model=MODEL, version=None, **config):
    """Ask one question."""
    return client(key, version).models.generate_content(
        model=model, contents=contents, config=types.GenerateContentConfig(**config)
    )


def stream(contents=QUESTION):
    """Stream an answer."""
    parts = client().models.generate_content_stream(model=MODEL, contents=contents)
    return "".join(part.text or "" for part in parts)


def call_of(answer):
    """Return the call of a tool in an answer."""
    [call] = answer.function_calls
    return {"name": call.name, "arguments": dict(call.args)}


def tool_answer():
    """Give a tool's result back."""
    first = ask(TOOL_QUESTION, tools=TOOLS)
    result = types.Part.from_function_response(name="weather", response={"result": "sunny"})
    question = types.Content(role="user", parts=[types.Part(text=TOOL_QUESTION)])
    contents = [
        question,
        first.candidates[0].content,
        types.Content(role="user", parts=[result]),
    ]
    return ask(contents, tools=TOOLS).text


def structured():
    """Ask for an answer of a certain form."""
    answer = ask(response_mime_type="application/json", response_json_schema=WEATHER)
    return json.loads(answer.text)


def image():
    """Show a picture."""
    picture = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")
    return ask([picture, QUESTION]).text


def embeddings():
    """Embed a text; return how many numbers came back."""
    model = json.loads(MODELS)["gemini embedding"]
    answer = client().models.embed_content(model=model, contents="hello")
    return len(answer.embeddings[0].values)


tell(
    {
        "chat": lambda: ask().text,
        "chat of v1beta": lambda: ask(version="v1beta").text,
        "stream": stream,
        "tools": lambda: call_of(ask(TOOL_QUESTION, tools=TOOLS)),
        "tool answer": tool_answer,
        "structured": structured,
        "image": image,
        "embeddings": embeddings,
        "count": lambda: client().models.count_tokens(model=MODEL, contents=QUESTION).total_tokens,
        "models": lambda: [model.name.removeprefix("models/") for model in client().models.list()],
        "unknown key": lambda: ask(key=UNKNOWN_KEY).text,
        "unknown model": lambda: ask(model="no-such-model").text,
        "no balance": lambda: ask(key=EMPTY_KEY).text,
        "broken stream": lambda: stream(BREAK),
    }
)
