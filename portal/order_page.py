"""What the page of an order shows: where it stands, its keys, its facts. Called by order views.

The page answers one question in its largest type, so everything about an order is brought down to
one `stand`. Reads only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone

from billing import payments, tenants
from billing.models import (
    Delivery,
    Order,
    OrderLine,
    Payment,
    PaymentInstance,
    Receipt,
    Tenant,
)
from billing.orders.deliveries import FRESH, LAPSED, REPLACED, REVEALED, SAVED, state_of
from billing.payments.manual import MANUAL
from portal import amounts, offers, paying, receipts
from relay import status

WAITING, LATE, FAILED, AWAY = "waiting", "late", "failed", "away"
TRANSFER = "transfer"
REVIEW, EXPIRED, CANCELLED = "review", "expired", "cancelled"
REFUNDED, DISPUTED = "refunded", "disputed"
TOPPED_UP, SHOWN = "topped_up", "shown"
STATES_OF_KEYS = (FRESH, REVEALED, LAPSED, REPLACED, SAVED)
SEALED = frozenset({FRESH, REVEALED})
WATCHED = frozenset({WAITING, LATE, TRANSFER})
UNPAID = frozenset({*WATCHED, FAILED, AWAY})

_LATE_AFTER = timedelta(minutes=3)
_EXAMPLES = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "deepseek-chat", "gpt-3.5-turbo")
_NOT_PAID = {Payment.FAILED: FAILED, Payment.CANCELLED: FAILED, Payment.EXPIRED: FAILED}


@dataclass(frozen=True)
class Ticket:
    """One key that was delivered; `plaintext` is filled in the one answer that shows it."""

    delivery: Delivery
    state: str
    number: int
    plaintext: str = field(default="", repr=False)

    @property
    def is_sealed(self) -> bool:
        """Whether its key can still be shown."""
        return self.state in SEALED

    @property
    def is_dead(self) -> bool:
        """Whether its key works no more, whoever has it."""
        return self.delivery.key.revoked_at is not None


@dataclass(frozen=True)
class OrderPage:
    """Everything that the templates of an order's page ask for."""

    order: Order
    lines: list[OrderLine]
    payment: Payment | None
    tickets: list[Ticket]
    stand: str
    methods: list[tuple[str, PaymentInstance]]

    @property
    def total(self) -> str:
        """The sum of the order, in the order's own currency."""
        return amounts.money(self.order.total_minor, self.order.currency)

    @property
    def discount(self) -> str:
        """What a coupon took off, "" without one."""
        discount_minor = self.order.discount_minor
        return amounts.money(discount_minor, self.order.currency) if discount_minor else ""

    @property
    def paid_by(self) -> str:
        """How it was paid, or is to be paid."""
        return offers.paid_by(self.payment) if self.payment else ""

    @property
    def line(self) -> OrderLine:
        """What was bought; the checkout sells one product at a time."""
        return self.lines[0]

    @property
    def ticket(self) -> Ticket:
        """The ticket that is shown whole: the revealed one, else the first to be revealed."""
        shown = [ticket for ticket in self.tickets if ticket.plaintext]
        sealed = [ticket for ticket in self.tickets if ticket.is_sealed]
        return (shown or sealed or self.tickets)[0]

    @property
    def other_tickets(self) -> list[Ticket]:
        """The rest of the tickets."""
        return [ticket for ticket in self.tickets if ticket is not self.ticket]

    @property
    def is_unpaid(self) -> bool:
        """Whether the page is about paying."""
        return self.stand in UNPAID

    @property
    def is_watched(self) -> bool:
        """Whether the page waits for money and goes on by itself once it is there."""
        return self.stand in WATCHED

    @property
    def shows_code(self) -> bool:
        """Whether a phone can scan a code to pay."""
        return self.stand in (WAITING, LATE) and paying.code_of(self.order, self.payment) != ""

    @property
    def instructions(self) -> str:
        """What the shop tells buyers who pay by hand."""
        instance = self.payment.instance if self.payment else None
        return instance.instructions.strip() if instance else ""

    @property
    def sum_to_type(self) -> str:
        """The sum of the order as one types it at a bank."""
        return amounts.plain_money(self.order.total_minor, self.order.currency)

    @property
    def is_delivered(self) -> bool:
        """Whether the page is about keys."""
        return self.stand == SHOWN or self.stand in STATES_OF_KEYS

    @property
    def shown_count(self) -> int:
        """How many keys this answer shows."""
        return sum(1 for ticket in self.tickets if ticket.plaintext)

    @property
    def sealed_count(self) -> int:
        """How many keys can still be shown."""
        return sum(1 for ticket in self.tickets if ticket.is_sealed)

    @property
    def chosen(self) -> str:
        """The way to pay that is marked: the one of the last try, else the first."""
        tried = self.payment.instance if self.payment else None
        offered = [one for _words, one in self.methods]
        marked = tried if tried in offered else next(iter(offered), None)
        return str(marked.public_id) if marked else ""

    @cached_property
    def receipts(self) -> list[Receipt]:
        """The papers of what was paid and what went back, the first one first."""
        return list(receipts.of_order(self.order))

    @property
    def went_back(self) -> str:
        """What of the sum was given back, "" as long as that is nothing."""
        back_minor = sum(one.amount_minor for one in self.receipts if one.cancels_id)
        return amounts.money(back_minor, self.order.currency) if back_minor else ""

    @property
    def ends_at(self) -> datetime | None:
        """When what was bought ends, once it was delivered."""
        return self.tickets[0].delivery.wallet.expires_at if self.tickets else None

    @property
    def minutes_waited(self) -> int:
        """How long the payment is being waited for."""
        began = self.payment.created_at if self.payment else self.order.created_at
        return int((timezone.now() - began).total_seconds() // 60)

    @property
    def minutes_left(self) -> int:
        """How long the order still waits for a payment, rounded up."""
        left_s = (self.order.expires_at - timezone.now()).total_seconds()
        return max(0, -int(-left_s // 60))


def of(order: Order, *, shop: Tenant, revealed: Mapping[int, str] | None = None) -> OrderPage:
    """Return the page of an order; `revealed` holds keys that this answer shows, by delivery."""
    lines = list(order.lines.select_related("key").order_by("pk"))
    payment = paying.latest_payment(order)
    tickets = _tickets(order, revealed or {})
    is_top_up = any(line.key_id or line.wallet_id for line in lines)
    stand = _stand(order, payment, tickets, is_top_up=is_top_up)
    methods = [(offers.method_of(one), one) for one in payments.offered(shop)]
    return OrderPage(order, lines, payment, tickets, stand, methods if stand in UNPAID else [])


def example_model(line: OrderLine, *, shop: Tenant) -> str:
    """Return a model to try a key with: one that people know, that it may use and that works."""
    candidates: list[str] = line.allowed_models or list(_EXAMPLES)
    usable = status.usable_models(candidates, tenant_id=shop.pk, platform_id=tenants.platform().pk)
    return next((name for name in candidates if name in usable), candidates[0])


def _tickets(order: Order, revealed: Mapping[int, str]) -> list[Ticket]:
    deliveries = (
        Delivery.objects.filter(line__order=order, line__key__isnull=True)
        .select_related("key", "wallet", "line")
        .order_by("line_id", "index")
    )
    return [
        Ticket(one, state_of(one), number, revealed.get(one.pk, ""))
        for number, one in enumerate(deliveries, start=1)
    ]


def _stand(order: Order, payment: Payment | None, tickets: list[Ticket], *, is_top_up: bool) -> str:
    if order.status == Order.REFUNDED:
        return REFUNDED
    if order.paid_at and order.payments.filter(status=Payment.DISPUTED).exists():
        return DISPUTED
    if order.delivery_status == Order.DELIVERED:
        return TOPPED_UP if is_top_up else _stand_of_keys(tickets)
    if order.delivery_status == Order.REVIEW:
        return REVIEW
    if order.status in (Order.EXPIRED, Order.CANCELLED):
        return EXPIRED if order.status == Order.EXPIRED else CANCELLED
    return _stand_of_payment(payment)


def _stand_of_keys(tickets: list[Ticket]) -> str:
    if any(ticket.plaintext for ticket in tickets):
        return SHOWN
    states = {ticket.state for ticket in tickets}
    return next(state for state in STATES_OF_KEYS if state in states)


def _stand_of_payment(payment: Payment | None) -> str:
    if payment is None or payment.status == Payment.CREATED:
        return AWAY
    if payment.status in _NOT_PAID:
        return FAILED
    if payment.provider == MANUAL:
        return TRANSFER
    return LATE if timezone.now() - payment.created_at > _LATE_AFTER else WAITING
