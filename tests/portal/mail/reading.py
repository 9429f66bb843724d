"""Mails as their readers see them: both forms of a mail of any kind about one sale."""

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

from django.utils import timezone

from billing import orders, sign_in
from billing.ids import uuid7
from billing.models import Dispute, Notice, Order, OrderLine, Payment, PaymentInstance, Wallet
from portal.mail.envelope import message_of
from tests.sales import Sale, mail_of


class Seen(HTMLParser):
    """What a person sees of a page, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.links: list[str] = []
        self.hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.hidden += tag in ("style", "title")
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text.append(data)

    @property
    def words(self) -> str:
        """All text in one line."""
        return " ".join(" ".join(self.text).split())


def subject_of(sale: Sale, kind: str) -> int:
    """Return the row that a mail of a kind is about."""
    if kind == "key_replaced":
        return sale.delivery.pk
    if kind == "key_rotated":
        return sale.key.pk
    if kind == "low_balance":
        Wallet.objects.update(alert_below_ubt=9_000_000_000_000)
        return sale.wallet.pk
    if kind == "expiry":
        Wallet.objects.update(expires_at=timezone.now() + timedelta(days=3))
        notice = Notice(kind=kind, subject=f"wallet:{sale.wallet.pk}", due_at=timezone.now())
        notice.tenant_id = sale.order.tenant_id
        notice.save()
        return notice.pk
    if kind == "refund":
        made = orders.refund(
            sale.payment.pk, refund_id=uuid7(), amount_minor=2_900, actor="test", reason=""
        )
        return made.pk
    if kind == "dispute":
        return disputed(sale).pk
    if kind == "transfer":
        ask_for_transfer(sale)
    if kind == "top_up":
        OrderLine.objects.update(kind=OrderLine.TOP_UP, key=sale.key)
    return sale.order.pk


def disputed(sale: Sale) -> Dispute:
    """Have a bank want the money of a sale back."""
    columns = {"amount_minor": 5_800, "frozen_wallets": [sale.wallet.pk]}
    case = {"tenant_id": sale.order.tenant_id, "payment": sale.payment, "reference": "dp_1"}
    return Dispute.objects.get_or_create(**case, defaults=columns)[0]


def ask_for_transfer(sale: Sale) -> None:
    """Make the order one that waits for money by hand."""
    tenant_id = sale.order.tenant_id
    words = {"name": "银行", "instructions": "IBAN 0042\n<北辰>"}
    bank, _is_new = PaymentInstance.objects.get_or_create(
        tenant_id=tenant_id, provider="manual", defaults=words
    )
    Order.objects.update(status=Order.PENDING)
    Payment.objects.update(provider="manual", instance=bank)


def forms(sale: Sale, kind: str, language: str = "en") -> tuple[str, Seen]:
    """Return a mail's plain text and what is seen of its HTML."""
    return read(sale, kind, subject_of(sale, kind), language)


def read(sale: Sale, kind: str, subject_id: int, language: str = "en") -> tuple[str, Seen]:
    """Return the same for a row of the test's own."""
    mail = mail_of(sale.order.tenant, kind, subject_id, language=language)
    if kind == sign_in.KIND:  # it tells of itself
        mail.subject_id = mail.pk
    message = message_of(mail)
    return str(message.body), Seen(str(message.alternatives[0][0]))
