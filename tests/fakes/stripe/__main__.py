"""This Stripe as a process of its own, to try a shop by hand: prints its address and serves."""

import argparse
import signal
import threading

from tests.fakes.stripe.server import FakeStripe


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default="sk_test_north", help="the API key of the shop's account")
    parser.add_argument("--notify", default="", help="the notify address of that account")
    parser.add_argument("--secret", default="", help="its webhook secret")
    options = parser.parse_args()
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_over.set())
    with FakeStripe(options.port) as fake:
        fake.keys[options.key] = "_live_" in options.key
        if options.notify:
            fake.notify(options.notify, secret=options.secret)
        print(fake.url, flush=True)  # noqa: T201  whoever started us reads it
        is_over.wait()


main()
