"""Fixtures of the tests of buying: one buyer at each of the two shops."""

from collections.abc import Callable

import pytest
from django.test import Client

from portal.celery import app
from tests.cast import Shop
from tests.portal.buying.buyer import Buyer, buyer_at


@pytest.fixture
def buyer(north: Shop, browser: Callable[..., Client]) -> Buyer:
    """Somebody at the shop that is looked at."""
    return buyer_at(north, browser)


@pytest.fixture
def stranger(south: Shop, browser: Callable[..., Client]) -> Buyer:
    """Somebody at the other shop."""
    return buyer_at(south, browser)


@pytest.fixture
def broken_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue of jobs that nobody answers at."""
    monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
