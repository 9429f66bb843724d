"""The API's description and its page: complete, true, and with nothing from elsewhere."""

import json
import re
from typing import Any

import jsonschema
import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from portal.api import reference
from portal.api.asking import _ASKED
from tests.cast import Shop
from tests.portal.api.conftest import Script


def operations() -> dict[str, Any]:
    return {path: methods["get"] for path, methods in reference.description()["paths"].items()}


def described(path: str) -> jsonschema.Draft202012Validator:
    """Return a validator of what an address answers, as the description has it."""
    name = operations()[path]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    schema = {"$ref": name, "components": reference.description()["components"]}
    return jsonschema.Draft202012Validator(schema)


def test_the_description_is_open_to_scripts(north: Shop, script: Script) -> None:
    answer = script(north, "/api/schema/")
    assert answer.json()["openapi"] == "3.1.0"
    assert answer["Access-Control-Allow-Origin"] == "*"


def test_every_address_of_the_first_version_is_described() -> None:
    assert operations().keys() == {"/api/v1/key", "/api/v1/key/usage"}


def test_every_parameter_is_described() -> None:
    told = {one["name"] for one in operations()["/api/v1/key/usage"]["parameters"]}
    assert told == _ASKED.keys()


def test_every_address_tells_what_can_go_wrong_with_an_example() -> None:
    for operation in operations().values():
        assert {"401", "406", "429", "500"} <= operation["responses"].keys()
        for status in operation["responses"].keys() - {"200"}:
            content = operation["responses"][status]["content"]["application/problem+json"]
            assert content["example"]["status"] == int(status)


@pytest.mark.parametrize("path", ["/api/v1/key", "/api/v1/key/usage"])
def test_answers_and_examples_are_as_described(
    north: Shop, script: Script, calls: list[str], path: str
) -> None:
    validator = described(path)
    validator.validate(script(north, path, north.plaintext).json())
    examples = operations()[path]["responses"]["200"]["content"]["application/json"]["examples"]
    for example in examples.values():
        validator.validate(example["value"])


def test_the_description_names_no_shop(north: Shop, script: Script) -> None:
    assert "north" not in json.dumps(script(north, "/api/schema/").json()).lower()


def test_all_files_of_the_page_are_ours(north: Shop) -> None:
    page = Client(headers={"host": north.host}).get("/api/docs/")
    assert page.status_code == 200
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert any("swagger-ui-bundle" in file for file in files)
    assert all(finders.find(file.removeprefix("/static/")) for file in files)
    assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="(?:https?:)?//', page.text)


def test_the_page_has_the_strict_policy_of_all_pages(north: Shop) -> None:
    page = Client(headers={"host": north.host}).get("/api/docs/")
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy and "connect-src 'self'" in policy
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son[a-z]+=", page.text)


@pytest.mark.parametrize("path", ["/api/", "/api/docs"])
def test_short_addresses_lead_to_the_page(north: Shop, path: str) -> None:
    answer = Client(headers={"host": north.host}).get(path)
    assert (answer.status_code, answer["Location"]) == (302, "/api/docs/")
