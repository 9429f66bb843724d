"""Every call that programs of 2023 make with openai 0.28.1, against one address.

    .venv-openai028/bin/python tests/clients/old_openai.py BASE_URL KEY EMPTY_KEY MODELS BREAK

BASE_URL is what goes into `openai.api_base`; MODELS is a JSON object with the names of a chat, a
completion and an embedding model; BREAK is a prompt that makes a stream fail midway. Prints one
JSON object: what came back from each call, and the class of each error.
"""

# mypy: ignore-errors
# Type checkers see today's openai package, which has none of these names.

import json
import sys

import openai

MESSAGES = [{"role": "user", "content": "Say hello to an old friend."}]


def answers(models):
    """Make each call that succeeds once and keep what a program would look at."""
    chat = openai.ChatCompletion.create(model=models["chat"], messages=MESSAGES)
    stream = openai.ChatCompletion.create(model=models["chat"], messages=MESSAGES, stream=True)
    deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in stream]
    completion = openai.Completion.create(model=models["completion"], prompt="Once upon a time")
    # The library asks for base64 by itself and decodes it to a list.
    packed = openai.Embedding.create(model=models["embedding"], input="hello")
    plain = openai.Embedding.create(
        model=models["embedding"], input=["hello"], encoding_format="float"
    )
    return {
        "chat": chat["choices"][0]["message"]["content"],
        "chat_usage": chat["usage"]["total_tokens"],
        "stream": "".join(deltas),
        "completion": completion["choices"][0]["text"],
        "embedding": list(packed["data"][0]["embedding"])[:8],
        "embedding_as_floats": list(plain["data"][0]["embedding"])[:8],
        "models": [model["id"] for model in openai.Model.list()["data"]],
        "model": openai.Model.retrieve(models["chat"])["id"],
    }


def balance():
    """Ask for the balance as the billing scripts of the time did."""
    asker = openai.api_requestor.APIRequestor()
    found = {}
    for name in ("subscription", "usage"):
        address = f"/dashboard/billing/{name}?start_date=2023-01-01&end_date=2030-01-01"
        answer, _, _ = asker.request("get", address)
        found[name] = answer.data
    return found


def error_of(call):
    """Return class and code of the error that a call raises, or none."""
    try:
        call()
    except openai.error.OpenAIError as error:
        said = (error.json_body or {}).get("error", {})
        return {"class": type(error).__name__, "code": said.get("code")}
    return None


def errors(models, empty_key, breaking):
    """Make each call that must fail and keep what a program would catch."""
    create = openai.ChatCompletion.create

    def broken_stream():
        messages = [{"role": "user", "content": breaking}]
        return list(create(model=models["chat"], messages=messages, stream=True))

    return {
        "unknown key": error_of(
            lambda: create(model=models["chat"], messages=MESSAGES, api_key="ak-" + "x" * 48)
        ),
        "unknown model": error_of(lambda: create(model="no-such-model", messages=MESSAGES)),
        "no balance": error_of(
            lambda: create(model=models["chat"], messages=MESSAGES, api_key=empty_key)
        ),
        "bad request": error_of(lambda: create(model=models["chat"], messages="not a list")),
        "broken stream": error_of(broken_stream),
    }


def main():
    """Make all calls and print what they gave."""
    openai.api_base, openai.api_key, empty_key = sys.argv[1:4]
    models = json.loads(sys.argv[4])
    failed = errors(models, empty_key, breaking=sys.argv[5])
    seen = {**answers(models), **balance(), "errors": failed}
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
