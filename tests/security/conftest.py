"""Fixtures of the security tests: two shops and their people."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.test.client import ClientHandler

from billing.models import User
from tests.cast import north, operator, south

__all__ = ["browser", "north", "operator", "south"]


class Crawler(Client):
    """A browser that remembers cookies and nothing else.

    Django's own keeps a copy of every context of every template, which thousands of requests of
    nobody's interest would pay for.
    """

    def request(self, **request: Any) -> Any:
        """Send a request; an error of the server is the answer that a visitor gets."""
        environ = self._base_environ(**request)  # type: ignore[attr-defined]
        answer = self.handler(environ)
        self.cookies.update(answer.cookies)
        return answer


@pytest.fixture(scope="session")
def handler() -> ClientHandler:
    """The application; one for all, because each would look up all static files."""
    return ClientHandler(enforce_csrf_checks=False)


@pytest.fixture
def browser(handler: ClientHandler) -> Callable[..., Client]:
    """Return browsers at a host, signed in or not."""

    def at(host: str, user: User | None = None) -> Client:
        client = Crawler(headers={"host": host}, raise_request_exception=False)
        client.handler = handler
        if user is not None:
            client.force_login(user)
        return client

    return at
