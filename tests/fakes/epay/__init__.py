"""A fake epay gateway on loopback: V1 and V2, with books, a signing of its own and notifications.

In a test: `with FakeEpay() as fake:` runs it in threads; a shop's account there is
`fake.open_account("1001")`, its base address `fake.url`. `fake.pay(out_trade_no)` is the buyer, who
may also pay another amount, or open `/cashier/<trade_no>` in a browser; `fake.deliver(order)` tells
the shop, as often, as late and as forged as it is asked to. `gives` is how it says to a server
where an order is paid. `says` changes what its answers say before they are signed, `tampers` after
that, `instead` replaces them. `asked` is what it was asked, and `addresses` where.

Alone, for a shop in a browser: `python -m tests.fakes.epay --port 8090 --pid 1001 --key k3y`.
"""

from tests.fakes.epay.books import PAID, REFUNDED, UNPAID, Account, Placed
from tests.fakes.epay.gateway import Canned, FakeEpay, browser
from tests.fakes.epay.signing import (
    Fields,
    KeyPair,
    joined,
    key_pair,
    md5_sign,
    rsa_sign,
    rsa_verify,
)

__all__ = [
    "PAID",
    "REFUNDED",
    "UNPAID",
    "Account",
    "Canned",
    "FakeEpay",
    "Fields",
    "KeyPair",
    "Placed",
    "browser",
    "joined",
    "key_pair",
    "md5_sign",
    "rsa_sign",
    "rsa_verify",
]
