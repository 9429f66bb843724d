"""What programs do with today's openai library: `python openai_sdk.py URL KEY EMPTY_KEY MODELS`."""

# mypy: ignore-errors
# The test that runs it checks what it prints.

import json
import struct
import sys

import openai
from telling import BREAK, PIXEL, QUESTION, TOOL_QUESTION, UNKNOWN_KEY, WEATHER, tell

URL, KEY, EMPTY_KEY, MODELS = sys.argv[1:5]
MODELS = json.loads(MODELS)
MODEL = MODELS["chat"]
FUNCTION = {"name": "weather", "description": "Tells the weather.", "parameters": WEATHER}
TOOLS = [{"type": "function", "function": FUNCTION}]
SECOND_OF_SILENCE = (
    b"RIFF"
    + struct.pack("<I", 36 + 16000)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    + b"data"
    + struct.pack("<I", 16000)
    + bytes(16000)
)


def client(key=KEY):
    """Return a client as a program makes it."""
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=0)


def chat(content=QUESTION, key=KEY, **fields):
    """Ask one question."""
    messages = [{"role": "user", "content": content}]
    fields = {"model": MODEL} | fields
    return client(key).chat.completions.create(messages=messages, **fields)


def stream(content=QUESTION):
    """Stream an answer."""
    chunks = chat(content, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def tools():
    """Have a tool called."""
    [call] = chat(TOOL_QUESTION, tools=TOOLS).choices[0].message.tool_calls
    return {"name": call.function.name, "arguments": json.loads(call.function.arguments)}


def tool_answer():
    """Give a tool's result back."""
    message = chat(TOOL_QUESTION, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    messages = [{"role": "user", "content": TOOL_QUESTION}, message, result]
    answer = client().chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    return answer.choices[0].message.content


def structured():
    """Ask for an answer of a certain form."""
    form = {"name": "weather", "schema": WEATHER, "strict": True}
    answer = chat(response_format={"type": "json_schema", "json_schema": form})
    return json.loads(answer.choices[0].message.content)


def image():
    """Show a picture."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    return chat([{"type": "text", "text": QUESTION}, picture]).choices[0].message.content


def respond(**fields):
    """Ask by way of Responses."""
    return client().responses.create(**({"model": MODEL, "input": QUESTION} | fields))


def responses_stream(question=QUESTION):
    """Stream a response."""
    with client().responses.stream(model=MODEL, input=question) as events:
        said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        assert events.get_final_response().usage.output_tokens > 0
    return said


def responses_tools():
    """Have a tool called by way of Responses."""
    answer = respond(input=TOOL_QUESTION, tools=[{"type": "function", "strict": True, **FUNCTION}])
    [call] = [item for item in answer.output if item.type == "function_call"]
    return {"name": call.name, "arguments": json.loads(call.arguments)}


def responses_state():
    """Go on from an earlier response, fetch it, and delete it."""
    first = respond(store=True)
    respond(previous_response_id=first.id)
    found = client().responses.retrieve(first.id).id == first.id
    client().responses.delete(first.id)
    return found


def picture():
    """Have a picture made; return how many bytes it has."""
    answer = client().images.generate(
        model=MODELS["image"], prompt="a cat", response_format="b64_json"
    )
    return len(answer.data[0].b64_json)


def speech():
    """Have a text spoken; return how many bytes that takes."""
    spoken = client().audio.speech.create(model=MODELS["speech"], voice="alloy", input=QUESTION)
    return len(spoken.read())


def transcription(form):
    """Have a second of silence written down."""
    return client().audio.transcriptions.create(
        model=MODELS["transcription"], file=("a.wav", SECOND_OF_SILENCE), response_format=form
    )


tell(
    {
        "chat": lambda: chat().choices[0].message.content,
        "stream": stream,
        "tools": tools,
        "tool answer": tool_answer,
        "structured": structured,
        "image": image,
        "responses": lambda: respond().output_text,
        "responses stream": responses_stream,
        "responses tools": responses_tools,
        "responses state": responses_state,
        "embeddings": lambda: len(
            client().embeddings.create(model=MODELS["embedding"], input="hello").data[0].embedding
        ),
        "moderation": lambda: (
            client().moderations.create(input="hello").results[0].flagged is False
        ),
        "picture": picture,
        "speech": speech,
        "transcription": lambda: transcription("json").text,
        "transcription as subtitles": lambda: transcription("srt"),
        "models": lambda: [model.id for model in client().models.list()],
        "unknown key": lambda: chat(key=UNKNOWN_KEY).id,
        "unknown model": lambda: chat(model="no-such-model").id,
        "no balance": lambda: chat(key=EMPTY_KEY).id,
        "bad request": lambda: chat(content=7).id,
        "broken stream": lambda: stream(BREAK),
        "broken response": lambda: responses_stream(BREAK),
    }
)
