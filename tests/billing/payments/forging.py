"""Genuine callbacks of Stripe and epay, and what somebody without their secrets makes of them."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from pytest_django import Settings

from billing import orders
from billing.models import Payment, PaymentInstance
from billing.payments import Callback
from billing.scoping import tenant_scope
from tests.billing.orders import making as selling
from tests.billing.payments.at_stripe import making as at_stripe
from tests.billing.payments.epay import accounts as at_epay
from tests.fakes.epay import FakeEpay, md5_sign
from tests.fakes.stripe import FakeStripe, signed

STAGES = ("confirmed", "waiting", "unpaid")
"""Booked; paid but not known here yet; and not paid, whatever the callback says."""


@dataclass(frozen=True)
class Letter:
    """A callback that is signed by the secret of an account, about a payment in some stage."""

    account: PaymentInstance
    callback: Callback
    payment: Payment
    stage: str


class Post:
    """Two shops, each with accounts at Stripe and of both versions of epay, and genuine letters."""

    def __init__(self, stripe: FakeStripe, epay: FakeEpay) -> None:
        self.stripe, self.epay = stripe, epay
        stripe.keys["sk_test_south"] = False
        epay.open_account("1002", key="k3y of south")
        self.shops = {slug: selling.open_shop(slug) for slug in ("north", "south")}
        self.accounts = [*self._accounts("north", "1001"), *self._accounts("south", "1002")]
        north = self.shops["north"]
        with tenant_scope(north.pk):
            self.letters = [
                self._letter(account, stage) for account in self.accounts[:3] for stage in STAGES
            ]

    def _accounts(self, slug: str, pid: str) -> list[PaymentInstance]:
        shop, keys = self.shops[slug], self.epay.accounts[pid].keys
        secrets = {"api_key": f"sk_test_{slug}", "webhook_secret": f"whsec_of_{slug}"}
        v1 = at_epay.v1_secrets(self.epay, pid=pid, key=self.epay.accounts[pid].key)
        v2 = at_epay.v2_secrets(self.epay, pid=pid, private_key=keys.private)
        with tenant_scope(shop.pk):
            return [
                at_stripe.new_account(shop, **secrets),
                at_epay.new_instance(shop, v1),
                at_epay.new_instance(shop, v2),
            ]

    def _letter(self, account: PaymentInstance, stage: str) -> Letter:
        order = selling.order_of(selling.new_product(self.shops["north"]))
        make = self._by_stripe if account.provider == "stripe" else self._by_epay
        if account.provider == "stripe":
            payment = at_stripe.begin(order, account)
        else:
            payment = at_epay.opened(order, account)
        callback = make(payment, is_paid=stage != "unpaid")
        if stage == "confirmed":
            assert orders.confirm(payment.pk).status == "confirmed"
        return Letter(account, callback, payment, stage)

    def _by_stripe(self, payment: Payment, *, is_paid: bool) -> Callback:
        session = self.stripe.sessions[at_stripe.session_of(payment)]
        if is_paid:
            self.stripe.pay(session["id"])
        said = {**session, "status": "complete", "payment_status": "paid"}
        return at_stripe.told(at_stripe.completed(self.stripe, said))

    def _by_epay(self, payment: Payment, *, is_paid: bool) -> Callback:
        placed = self.epay.order(payment.public_id.hex)
        if is_paid:
            self.epay.pay(payment.public_id.hex)
        return at_epay.callback(self.epay.notification(placed))


@contextmanager
def open_post(settings: Settings) -> Iterator[Post]:
    """Run both fakes, and have all letters written."""
    with FakeStripe() as stripe, at_epay.open_gateway(settings) as epay:
        settings.STRIPE_API = stripe.url
        yield Post(stripe, epay)


def flipped(letter: Letter, dice: random.Random) -> Callback:
    """Change, drop or add a byte of what was said."""
    callback = letter.callback
    said = bytearray(callback.body or callback.query.encode())
    place = dice.randrange(len(said))
    said[place : place + dice.choice((0, 1))] = dice.choice((b"", b"x", b"7", b"&", b"%00", b"\n"))
    return _saying(callback, bytes(said))


def edited(letter: Letter, dice: random.Random) -> Callback:
    """Change one field and keep the signature."""
    callback = letter.callback
    if callback.body:
        event = json.loads(callback.body)
        subject = event["data"]["object"]
        name = dice.choice(sorted(subject))
        subject[name] = dice.choice((None, 0, "paid", f"{subject[name]}0", {}))
        return _saying(callback, json.dumps(event).encode())
    fields = dict(parse_qsl(callback.query))
    name = dice.choice(sorted(fields.keys() - {"sign", "sign_type"}))
    fields[name] = dice.choice(("0.01", f"{fields[name]}0", "TRADE_CLOSED", "2026-11-22"))
    return _saying(callback, urlencode(fields).encode())


def shuffled(letter: Letter, dice: random.Random) -> Callback:
    """Send a field twice, as a list, or not at all."""
    callback = letter.callback
    if callback.body:
        return _saying(callback, callback.body * dice.choice((0, 2)))
    pairs = parse_qsl(callback.query)
    name, value = dice.choice([pair for pair in pairs if pair[0] != "sign_type"])
    others = [pair for pair in pairs if pair[0] != name]
    twice = [(name, value), (dice.choice((name, f"{name}[]")), dice.choice((value, "0.01")))]
    return _saying(callback, urlencode(others + dice.choice(([], twice))).encode())


def resigned(letter: Letter, dice: random.Random) -> Callback:
    """Break the signature, or make one for another moment."""
    callback = letter.callback
    if not callback.body:
        fields = dict(parse_qsl(callback.query))
        sign = fields["sign"]
        wrong = ("", sign[:-1], sign[::-1], f"{sign}0", "0" * 32, "true", "[]")
        changed = {"sign": dice.choice([one for one in wrong if one != sign])}
        kind = {"sign_type": dice.choice(("", "md5", "NONE", "RSA2"))}
        return _saying(callback, urlencode(fields | dice.choice((changed, kind))).encode())
    moment, mac = callback.headers["stripe-signature"].removeprefix("t=").split(",v1=")
    another = int(moment) + dice.choice((-1_000, -1, 1, 1_000))
    macs = ("", mac[:-1], mac[::-1], f"{mac}0", "0" * 64)
    headers = (
        *("", f"t={moment}", f"v1={mac}", f"t={moment},v0={mac}", f"t={another},v1={mac}"),
        *(f"t={moment},v1={one}" for one in macs),
    )
    return replace(callback, headers={"stripe-signature": dice.choice(headers)})


def forged(letter: Letter, dice: random.Random) -> Callback:
    """Sign it by no secret, by another shop's, by a guess, or long ago."""
    callback, secret = letter.callback, dice.choice(("", "whsec_of_south", "k3y of south", "guess"))
    if callback.body:
        aged = signed(
            callback.body, secret=at_stripe.SECRET, signed_at=int(time.time()) - dice.choice(_AGES)
        )
        event = dice.choice((aged, signed(callback.body, secret=secret)))
        return replace(callback, headers=event.headers)
    fields = dict(parse_qsl(callback.query))
    fields = {name: fields[name] for name in fields if name not in ("sign", "sign_type")}
    return at_epay.callback({**fields, "sign": md5_sign(secret, fields), "sign_type": "MD5"})


def moved(letter: Letter, dice: random.Random) -> Callback:
    """Send it in another way than it is sent."""
    callback = letter.callback
    if callback.body:
        ways = (
            replace(callback, method=dice.choice(("GET", "PUT", "HEAD"))),
            replace(callback, headers={}),
            replace(callback, body=b"", query=callback.body.decode()),
        )
    else:
        ways = (
            replace(callback, method=dice.choice(("POST", "PUT", "HEAD"))),
            replace(callback, query=f"?{callback.query}"),
            replace(callback, method="POST", body=callback.query.encode()),
        )
    return dice.choice(ways)


_AGES = (301, 100_000, -320, -100_000)
TRICKS: tuple[Callable[[Letter, random.Random], Callback], ...] = (
    flipped,
    edited,
    shuffled,
    resigned,
    forged,
    moved,
)


def says_the_same(one: Callback, other: Callback) -> bool:
    """Tell whether a callback was changed in a way that changes nothing of what it says."""
    if one.body or other.body:
        return one == other
    return one.method == other.method and parse_qsl(one.query) == parse_qsl(other.query)


def _saying(callback: Callback, said: bytes) -> Callback:
    if callback.body:
        return replace(callback, body=said)
    return replace(callback, query=said.decode(errors="replace"))
