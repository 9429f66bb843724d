"""A stateful Stripe on loopback: Checkout Sessions, refunds, disputes, signed events, hosted pages.

In a test: `with FakeStripe() as fake:` listens at `fake.url`. What buyers, banks and the shop's
staff do is done by its methods (see `books`), or in a browser on the page that a session's `url`
leads to. `event` makes what Stripe would send, signed by code of its own, and the test decides what
is delivered, when, how often and by which secret; after `notify(url, secret=...)` every event
is delivered there as it happens. `requests` is what came in; what is put into `troubles` is
answered instead of the next ones.

Alone: `python -m tests.fakes.stripe --port 12111 --notify URL --secret whsec_x`.
"""

from tests.fakes.stripe.api import Request
from tests.fakes.stripe.books import Json
from tests.fakes.stripe.server import FakeStripe, Trouble
from tests.fakes.stripe.signing import Event, signed

__all__ = ["Event", "FakeStripe", "Json", "Request", "Trouble", "signed"]
