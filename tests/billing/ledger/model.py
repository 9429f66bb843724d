"""An independent model of the ledger, small enough to be believed: one wallet and one key.

It shares no code with the product; `test_machine.py` plays both and compares.
"""

from dataclasses import dataclass, field


@dataclass
class Model:
    """What must be true of a wallet and its key; amounts by request."""

    credits: int = 0
    debits: int = 0
    debt: int = 0
    frozen: bool = False
    expired: bool = False
    cap: int | None = None
    spent: int = 0
    held: dict[int, int] = field(default_factory=dict)
    delivered: dict[int, int] = field(default_factory=dict)
    charged: dict[int, int] = field(default_factory=dict)
    reaped: set[int] = field(default_factory=set)
    given_back: set[int] = field(default_factory=set)

    def pending(self) -> int:
        return sum(self.held.values())

    def room(self) -> int:
        wallet = self.credits - self.debits - self.pending()
        return wallet if self.cap is None else min(wallet, self.cap - self.spent - self.pending())

    def hold(self, request: int, amount: int) -> str:
        if request in self.charged:
            return "CLOSED"
        if request in self.held:
            return "GRANTED" if self.held[request] == amount else "CONFLICT"
        if self.frozen or self.debt:
            return "WALLET_BLOCKED"
        if self.expired:
            return "WALLET_EXPIRED"
        if amount <= self.room():
            self.held[request], self.delivered[request] = amount, 0
            return "GRANTED"
        if amount > self.credits - self.debits:
            return "INSUFFICIENT"
        return (
            "CAP" if self.cap is not None and amount > self.cap - self.spent else "HELD_BY_OTHERS"
        )

    def progress(self, request: int, delivered: int, wanted: int) -> str:
        if request not in self.held:
            return "CLOSED"
        self.delivered[request] = delivered
        missing = wanted - self.held[request]
        if missing <= 0:
            return "RECORDED"
        grown = 0 if self.frozen or self.debt else min(missing, self.room())
        self.held[request] += grown
        return "RECORDED" if grown else "EXHAUSTED"

    def settle(self, request: int, actual: int) -> int:
        if request in self.held:
            del self.held[request]
            self._charge(request, min(actual, self.room()))
        elif request in self.reaped:
            more = min(actual - self.charged[request], self.room())
            self._charge(request, more)
            if more:
                self.reaped.remove(request)
        return self.charged.setdefault(request, 0)

    def _charge(self, request: int, amount: int) -> None:
        self.charged[request] = self.charged.get(request, 0) + amount
        self.debits += max(amount, 0)
        self.credits += max(-amount, 0)
        self.spent += amount

    def reap(self, request: int) -> None:
        self.settle(request, self.delivered[request])
        self.reaped.add(request)

    def give_back(self, request: int) -> int | None:
        if request not in self.charged or request in self.reaped:
            return None
        amount = self.charged[request]
        if amount and request not in self.given_back:
            self.given_back.add(request)
            self.spent -= amount
            self.top_up(amount)
        return amount

    def top_up(self, amount: int) -> None:
        self.credits += amount
        paid = min(self.debt, self.credits - self.debits - self.pending())
        self.debits += paid
        self.debt -= paid

    def refund(self, amount: int) -> None:
        missing = max(0, amount - (self.credits - self.debits - self.pending()))
        self.credits += missing
        self.debits += amount
        self.debt += missing

    def book_expiry(self) -> None:
        if self.expired and not self.pending():
            self.debits = self.credits
