"""A provider with moods: it gives money back at once, later, never, or without saying so.

Its books are those of the demo provider. `mood` is how it answers the next question for a refund,
`asked` the refunds that it was asked for, `given` how often each was made.
"""

from collections import Counter
from collections.abc import Callable
from uuid import UUID

from billing.errors import PaymentAway
from billing.models import Payment, Refund
from billing.payments import demo
from billing.payments.base import Outcome, ProviderState, RefundState
from billing.payments.demo import DemoProvider

Deed = Callable[[], object]


class Bank(DemoProvider):
    """Implements `base.Refunding` and `base.Closing`."""

    def __init__(self) -> None:
        self.mood = "prompt"
        self.repeats_refunds = True
        self.asked: list[UUID] = []
        self.closed: list[UUID] = []
        self.given: Counter[UUID] = Counter()
        self.before_answering: Deed = lambda: None
        self.after_looking: Deed = lambda: None

    def fetch(self, payment: Payment) -> ProviderState:
        """Say how a payment stood a moment ago."""
        state = super().fetch(payment)
        self.after_looking()
        return state

    def refund(self, refund: Refund) -> RefundState:
        """Give money back in the present mood."""
        self.asked.append(refund.public_id)
        self.before_answering()
        if self.mood == "silent":
            raise PaymentAway("No answer.")
        if self.mood == "refuses":
            return RefundState(Outcome.FAILED, failure="The account is empty.")
        if self.mood == "slow":
            return RefundState(Outcome.OPEN, reference=f"re_{refund.pk}")
        state = self._give(refund)
        if self.mood == "mumbles":
            raise PaymentAway("The answer was lost.")
        return state

    def fetch_refund(self, refund: Refund) -> RefundState:
        """Say how a slow refund stands."""
        return self.refund(refund)

    def _give(self, refund: Refund) -> RefundState:
        if not self.repeats_refunds or refund.public_id not in self.given:
            demo.give_back(refund.payment, amount_minor=refund.amount_minor)
            self.given[refund.public_id] += 1
        return RefundState(Outcome.DONE, reference=f"re_{refund.pk}")

    def close(self, payment: Payment) -> None:
        """See to it that nobody pays."""
        if self.mood == "silent":
            raise PaymentAway("No answer.")
        self.closed.append(payment.public_id)
        demo.fail(payment)
