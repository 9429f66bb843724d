"""Runs the fake gateway alone, until it is interrupted, and says what a shop has to enter."""

import argparse
import sys
import threading
from contextlib import suppress

from tests.fakes.epay.books import Account
from tests.fakes.epay.gateway import FakeEpay


def main() -> None:
    """Open one merchant's account and wait."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.epay")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--pid", default="1001", help="the number of the merchant")
    parser.add_argument("--key", default="k3y", help="the merchant's key of V1")
    options = parser.parse_args()
    with FakeEpay(port=options.port) as fake:
        fake.open_account(options.pid, key=options.key)
        sys.stdout.write(what_to_enter(fake, fake.accounts[options.pid]))
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


def what_to_enter(fake: FakeEpay, account: Account) -> str:
    """Return an account's secrets as one enters them."""
    return f"""\
An epay gateway at {fake.url}, for shops with TOLLGATE_PAYMENT_PRIVATE_NETWORK=1.
url          {fake.url}
pid          {account.pid}
type         alipay
show         qr (for a code on the order's page)
V1, key      {account.key}
V2, private_key  {account.keys.private}
V2, gateway_key  {fake.keys.public}
"""


if __name__ == "__main__":
    main()
