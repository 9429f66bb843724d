"""Every failure is a problem: one form, whatever has gone wrong and where."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import RequestFactory
from rest_framework import exceptions

from portal.api import problems
from portal.views import errors
from tests.cast import Shop
from tests.portal.api.conftest import Script

PATH = "/api/v1/key"


def check(answer: Any, status: int) -> dict[str, Any]:
    """Fail unless an answer is a problem of this status; return it."""
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    told: dict[str, Any] = json.loads(answer.content)
    assert told.keys() >= {"type", "title", "status", "detail", "request_id"}
    assert (told["type"], told["status"]) == ("about:blank", status)
    return told


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/key/", "/api/v2/key", "/api/x/y?key=z"])
def test_an_address_that_there_is_not(north: Shop, script: Script, path: str) -> None:
    check(script(north, path, north.plaintext), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_a_method_that_is_not_answered(north: Shop, script: Script, method: str) -> None:
    answer = script(north, PATH, north.plaintext, method=method)
    check(answer, 405)
    assert answer["Allow"] == "GET, HEAD, OPTIONS"


def test_a_form_that_is_not_answered(north: Shop, script: Script) -> None:
    check(script(north, PATH, north.plaintext, accept="text/html"), 406)


def test_a_browser_that_takes_anything_gets_json(north: Shop, script: Script) -> None:
    answer = script(north, PATH, north.plaintext, accept="text/html,*/*;q=0.1")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_a_host_that_is_nobodys(north: Shop, south: Shop, script: Script) -> None:
    check(script(north, PATH, north.plaintext, host="nobody.example"), 421)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (exceptions.UnsupportedMediaType("text/x-secret"), 415),
        (exceptions.ParseError("secret"), 400),
        (exceptions.Throttled(wait=7), 429),
        (Http404("secret"), 404),
        (PermissionDenied("secret"), 403),
        (KeyError("secret"), 500),
    ],
)
def test_whatever_a_view_raises(error: Exception, status: int) -> None:
    answer = problems.answer(error, {"request": RequestFactory().get(PATH)})
    check(answer, status)
    assert b"secret" not in answer.content


def test_a_fault_of_ours_before_the_view_is_reached(rf: RequestFactory) -> None:
    check(errors.server_error(rf.get(PATH)), 500)


def test_a_fault_of_ours_within_a_view(
    north: Shop, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(key_id: int) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("billing.reports.key_balance", broken)
    told = check(script(north, PATH, north.plaintext), 500)
    assert "secret" not in repr(told)


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_problems_are_told_in_english(north: Shop, script: Script, language: str) -> None:
    headers = {"accept-language": language}
    answer = script(north, f"{PATH}/usage?limit=0", north.plaintext, **headers)
    [error] = check(answer, 400)["errors"]
    assert error["detail"] == "Ensure this value is greater than or equal to 1."
