"""Finding an order again by its number and mailbox. Called by a job and the checkout.

What a page answers must not depend on whether there is such an order. Whatever is found goes to the
mailbox that the order was placed with, and nowhere else.
"""

import hmac

from billing import outbox
from billing.ledger.clock import database_now
from billing.models import Order
from billing.orders.mailboxes import hash_of

_MAIL_EVERY_S = 600


def mail_link(*, tenant_id: int, number: str, mailbox: str) -> bool:
    """Mail the link of an order to its buyer; say whether a mail was written.

    `mailbox` is the hash of the mailbox that was asked with. At most one mail in ten minutes.
    """
    order = Order.objects.filter(tenant_id=tenant_id, number=number.strip().upper()).first()
    if order is None or not hmac.compare_digest(order.mailbox_hash, mailbox):
        return False
    return _mail_link_of(order)


def mail_first_trial(*, tenant_id: int, email: str) -> Order | None:
    """Mail a mailbox that asks for another trial the link of the one it had; return that one."""
    mailbox = hash_of(email, tenant_id=tenant_id)
    order = Order.objects.filter(tenant_id=tenant_id, trial_mailbox=mailbox).first()
    if order is not None:
        _mail_link_of(order)
    return order


def _mail_link_of(order: Order) -> bool:
    """Mail the link of an order to its buyer, at most once in ten minutes."""
    period = int(database_now().timestamp()) // _MAIL_EVERY_S
    mail = outbox.write(
        kind="order_link",
        subject_id=order.pk,
        recipient=order.email,
        language=order.language,
        once=f"order_link:{order.pk}:{period}",
        tenant_id=order.tenant_id,
    )
    return mail is not None
