"""Which state may follow which: every pair of every table."""

import re
from itertools import product

import pytest

from billing.errors import StateInvalid
from billing.orders import states
from portal.dev.state import ROOT

ORDER = {
    *("pending paid", "pending expired", "pending cancelled"),
    *("expired paid", "cancelled paid"),
    *("paid partly_refunded", "paid refunded", "partly_refunded refunded"),
}
DELIVERY = {"none delivered", "none review", "review delivered", "review none"}
PAYMENT = {
    *("created pending", "created failed", "created cancelled", "created expired"),
    *("pending confirmed", "pending review"),
    *("pending failed", "pending cancelled", "pending expired"),
    *("failed confirmed", "failed review"),
    *("cancelled confirmed", "cancelled review"),
    *("expired confirmed", "expired review"),
    *("review confirmed", "review refunded"),
    *("confirmed partly_refunded", "confirmed refunded", "confirmed disputed"),
    *("partly_refunded refunded", "partly_refunded disputed"),
    *("disputed confirmed", "disputed partly_refunded", "disputed refunded"),
}
TABLES = {
    "order": (states.ORDER, ORDER),
    "delivery": (states.DELIVERY_STATUS, DELIVERY),
    "payment": (states.PAYMENT, PAYMENT),
}


def is_allowed(table: states.Table, old: str, new: str) -> bool:
    try:
        states.check(table, old, new)
    except StateInvalid:
        return False
    return True


@pytest.mark.parametrize("name", TABLES)
def test_every_pair_of_states_is_allowed_or_refused_as_written(name: str) -> None:
    table, written = TABLES[name]
    found = {f"{old} {new}" for old, new in product(table, table) if is_allowed(table, old, new)}
    assert found == written


@pytest.mark.parametrize("name", TABLES)
def test_the_documentation_says_the_same(name: str) -> None:
    text = (ROOT / "docs" / "concepts" / "orders.md").read_text()
    [rows] = re.findall(rf"^\| {name} \| may become \|\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    told = set()
    for row in rows.splitlines():
        old, *following = re.findall(r"`(\w+)`", row)
        told |= {f"{old} {new}" for new in following}
    assert told == TABLES[name][1]


@pytest.mark.parametrize("name", TABLES)
def test_no_state_leads_out_of_its_table(name: str) -> None:
    table, _ = TABLES[name]
    assert all(follows <= table.keys() for follows in table.values())


def test_a_state_that_does_not_exist_leads_nowhere() -> None:
    assert not is_allowed(states.ORDER, "unheard_of", "paid")
