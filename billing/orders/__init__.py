"""Orders: placed, paid, delivered, given back. Called by the shop's pages, the admin and jobs.

    place ──> begin_payment ──> confirm ──> delivered        expire_unpaid, cancel
              (a provider)      (the only door to "paid")    poll_open asks again, hear asks at once

    quote ──> refund ──> settle (a person decides)           poll_refunds asks again

`states` has the tables of what may follow what. `deliveries` is what happens to a key afterwards,
`links` the secret address of an order's page, `mailboxes` which addresses are one person's.
"""

from billing.orders.arrivals import money_arrived
from billing.orders.discounts import Price, price, prices
from billing.orders.ending import cancel, expire_unpaid
from billing.orders.hearing import hear
from billing.orders.paying import begin_payment, confirm, deliver
from billing.orders.placing import place
from billing.orders.polling import poll_open
from billing.orders.redeeming import redeem
from billing.orders.refunding import RefundQuote, poll_refunds, quote, refund, settle
from billing.orders.wishes import may_credit, may_top_up

__all__ = [
    "Price",
    "RefundQuote",
    "begin_payment",
    "cancel",
    "confirm",
    "deliver",
    "expire_unpaid",
    "hear",
    "may_credit",
    "may_top_up",
    "money_arrived",
    "place",
    "poll_open",
    "poll_refunds",
    "price",
    "prices",
    "quote",
    "redeem",
    "refund",
    "settle",
]
