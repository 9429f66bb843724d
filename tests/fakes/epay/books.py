"""The books of the fake gateway: merchants, their orders, what was paid and what went back."""

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count

from tests.fakes.epay.signing import Fields, KeyPair, key_pair

UNPAID, PAID, REFUNDED = 0, 1, 2


@dataclass(frozen=True)
class Account:
    """A merchant at the gateway; `key` is for V1, `keys` are its own ones of V2."""

    pid: str
    key: str
    keys: KeyPair


@dataclass
class Placed:
    """One order in the gateway's books; amounts are texts in yuan.

    `refunds` are what went back, by the names that V2 has for them.
    """

    account: Account
    trade_no: str
    asked: Fields
    version: int
    money: str
    status: int = UNPAID
    out_trade_no: str = ""
    is_closed: bool = False
    refunds: dict[str, Decimal] = field(default_factory=dict)

    @property
    def refunded(self) -> Decimal:
        """What has gone back."""
        return sum(self.refunds.values(), Decimal("0.00"))


class Books:
    """Who is a merchant and what was ordered. A refusal is a text, in the gateway's words."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.orders: dict[tuple[str, str], Placed] = {}
        self._numbers = count(2026112200000012345)

    def open_account(self, pid: str, *, key: str = "k3y") -> Account:
        """Make somebody a merchant."""
        self.accounts[pid] = Account(pid, key, key_pair(f"merchant {pid}"))
        return self.accounts[pid]

    def order(self, out_trade_no: str, *, pid: str = "1001") -> Placed:
        """Return an order as the books have it."""
        return self.orders[pid, out_trade_no]

    def pay(self, out_trade_no: str, *, money: str | None = None, pid: str = "1001") -> Placed:
        """Let the buyer pay what was asked for, or another amount."""
        order = self.order(out_trade_no, pid=pid)
        order.status, order.money = PAID, money or order.money
        return order

    def refund(self, out_trade_no: str, *, money: str | None = None) -> Placed:
        """Give everything back, or some of it, as the merchant may on the gateway's site."""
        order = self.order(out_trade_no)
        order.status = PAID
        assert self.give_back(order, Decimal(money or order.money), name="site") is None
        return order

    def place(self, account: Account, fields: Fields, *, version: int) -> Placed | str:
        """Write an order down, or return the one that is there, or why not."""
        number = fields["out_trade_no"]
        known = self.orders.get((account.pid, number))
        if known is None:
            trade_no = str(next(self._numbers))
            known = Placed(account, trade_no, fields, version, fields["money"])
            known.out_trade_no = number
            self.orders[account.pid, number] = known
        same = ("money", "notify_url", "return_url")
        if any(known.asked.get(name) != fields.get(name) for name in same):
            return "订单号已存在"
        return "订单已关闭" if known.is_closed else known

    def find(self, account: Account, fields: Fields) -> Placed | None:
        """Return the order of a merchant that is named by either number."""
        for order in self.orders.values():
            named = fields.get("out_trade_no") == order.out_trade_no
            if order.account is account and (named or fields.get("trade_no") == order.trade_no):
                return order
        return None

    def by_number(self, trade_no: str) -> Placed | None:
        """Return the order with a number of the gateway's own."""
        return next((one for one in self.orders.values() if one.trade_no == trade_no), None)

    def give_back(self, order: Placed, money: Decimal, *, name: str) -> str | None:
        """Give money back, once for each name; return why it can't be."""
        if name in order.refunds:
            return None
        if order.status == UNPAID:
            return "订单未支付"
        if money <= 0 or order.refunded + money > Decimal(order.money):
            return "退款金额大于订单金额"
        order.refunds[name] = money
        if order.refunded == Decimal(order.money):
            order.status = REFUNDED
        return None
