"""Fixtures of the account's tests: browsers that are signed in at one shop or the other."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.cast import Shop, signed_in
from tests.portal.buying.conftest import broken_queue

__all__ = ["anna", "bert", "broken_queue"]

ANNA, BERT = "anna@example.com", "bert@example.com"
Browser = Callable[..., Client]


@pytest.fixture
def anna(north: Shop, browser: Browser) -> Client:
    """Somebody who is signed in at north and reads English."""
    return signed_in(browser, north, ANNA)


@pytest.fixture
def bert(north: Shop, browser: Browser) -> Client:
    """Somebody else at the same shop."""
    return signed_in(browser, north, BERT)
