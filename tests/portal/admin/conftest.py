"""Who visits the admin in its tests: people of north, with pages or with what pages are made of."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.test import Client
from django.test.client import ClientHandler

from tests.cast import Shop

Browser = Callable[..., Client]


class Unrendered(ClientHandler):
    """Answers with pages that are not written out: their status and `context_data` are there.

    For tests that ask many pages for no more than that. Every page is written out by the crawler
    of tests/security, for each who may see it.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        """Leave blank whatever a view has returned."""
        super().load_middleware(is_async)
        self._template_response_middleware.append(self._left_blank)  # type: ignore[attr-defined]

    def _left_blank(self, _request: HttpRequest, response: TemplateResponse) -> TemplateResponse:
        response.content = b""
        return response


@pytest.fixture
def staff(north: Shop, browser: Browser) -> Client:
    """The owner of north in the admin, in English."""
    return _in_english(browser(north.host, north.owner))


@pytest.fixture
def unrendered(browser: Browser) -> Browser:
    """Return browsers for which pages are not written out."""
    handler = Unrendered(enforce_csrf_checks=False)

    def at(*place: Any) -> Client:
        client = browser(*place)
        client.handler = handler
        return client

    return at


@pytest.fixture
def clerk(north: Shop, unrendered: Browser) -> Client:
    """The owner of north, for whom pages are not written out."""
    return _in_english(unrendered(north.host, north.owner))


def _in_english(client: Client) -> Client:
    client.cookies["django_language"] = "en"
    return client
