"""Requests in the shape that programs send which are not run here: each is answered whole.

`tests/clients/shapes.json` has them, a line each, as seen on the wire or in published source.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import DjangoDbBlocker

from billing import catalogue
from billing.models import UsageRecord
from billing.scoping import tenant_scope
from tests.databases import default_database, sqlite_template
from tests.relay.conftest import open_shop
from tests.relay.server import running_relay

SHAPES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "clients" / "shapes.json").read_text()
)
TOKENS = {"input": 1, "output": 2}
CHATTING = ("gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "gpt-3.5-turbo")
PRICES = {"dall-e-3": {"image": 26_667}, "tts-1": {"character": 10}}
GREETING = "Hello! This is the demo channel"


@dataclass(frozen=True)
class Answered:
    """What a program got, and what it was charged."""

    response: httpx.Response
    charged_ubt: int


def named(shape: dict[str, Any]) -> str:
    return f"{shape['client']}: {shape['call']}"


def send(client: httpx.Client, shape: dict[str, Any], key: str) -> httpx.Response:
    headers = {name: value.replace("{key}", key) for name, value in shape["headers"].items()}
    content = json.dumps(shape["body"]).encode() if "body" in shape else None
    path = shape["path"].replace("{key}", key)
    return client.request(shape["method"], path, headers=headers, content=content)


@pytest.fixture(scope="module")
def answered(
    django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Answered]]:
    """Every shape's answer by one relay, each with a key of its own."""
    path = tmp_path_factory.mktemp("shapes") / "copy.sqlite3"
    with django_db_blocker.unblock():
        shutil.copyfile(sqlite_template(), path)
        with default_database(f"sqlite:///{path}"):
            shop = open_shop()
            with tenant_scope(shop.tenant.pk):
                catalogue.load_retail(shop.tenant.pk, PRICES | dict.fromkeys(CHATTING, TOKENS))
            shop.channel()
            keys = {named(shape): shop.key() for shape in SHAPES}
            with running_relay() as relay, httpx.Client(base_url=relay.url, timeout=20) as client:
                found = {named(shape): send(client, shape, keys[named(shape)]) for shape in SHAPES}
            charged = dict.fromkeys(found, 0)
            by_id = {answer.headers["x-request-id"]: name for name, answer in found.items()}
            with tenant_scope(shop.tenant.pk):
                for row in UsageRecord.objects.all():
                    charged[by_id[str(row.pk)]] += row.charged_ubt
            yield {name: Answered(found[name], charged[name]) for name in found}


@pytest.mark.parametrize("shape", SHAPES, ids=named)
def test_a_program_is_answered(shape: dict[str, Any], answered: dict[str, Answered]) -> None:
    answer = answered[named(shape)].response
    assert answer.status_code in (200, 204), answer.text
    if "origin" in shape["headers"]:
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("shape", [one for one in SHAPES if "body" in one], ids=named)
def test_it_is_charged_unless_it_only_counts(
    shape: dict[str, Any], answered: dict[str, Answered]
) -> None:
    assert bool(answered[named(shape)].charged_ubt) is ("count" not in shape["path"].lower())


STREAMS = [one for one in SHAPES if one.get("body", {}).get("stream") or "stream" in one["path"]]


@pytest.mark.parametrize("shape", STREAMS, ids=named)
def test_a_stream_comes_to_its_end(shape: dict[str, Any], answered: dict[str, Answered]) -> None:
    answer = answered[named(shape)].response
    assert answer.headers["content-type"].startswith("text/event-stream")
    *_, last = (line for line in answer.text.splitlines() if line.startswith("data: "))
    ends = {"/v1/messages": "message_stop", "/v1beta/": "finishReason"}
    mark = next((end for path, end in ends.items() if shape["path"].startswith(path)), "[DONE]")
    assert mark in last
