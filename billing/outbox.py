"""Mails that wait to be sent. Written in the transaction of their cause, sent by a job afterwards.

A mail names the row that it is about; what it says is made when it is sent:

    order, trial, top_up, order_link, transfer    the order
    key_replaced                                  the delivery
    key_rotated                                   the new key
    expiry                                        the notice
    low_balance                                   the wallet
    refund                                        the refund
    dispute                                       the dispute, to the shop
    sign_in                                       itself: whom it is sent to

`write` is called by services, in a tenant's scope; `due`, `sent` and `failed` by the mail job.
"""

from datetime import timedelta

from celery import current_app
from django.db import transaction
from django.db.models import F, QuerySet

from billing.errors import FieldInvalid
from billing.ledger.clock import database_now
from billing.models import Mail

KINDS = frozenset(
    {
        *("order", "trial", "top_up", "order_link"),
        *("key_replaced", "key_rotated", "expiry", "low_balance"),
        *("refund", "dispute", "transfer", "sign_in"),
    }
)
BACK_OFF = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
)
"""How long to wait after each failure. After one more there is no other try."""
CLAIMED_FOR = timedelta(minutes=10)
"""Longer than a job may run: who claimed a mail and died gives it back by then."""
DELIVER_TASK = "portal.mail.deliver"

_MOST_TRIES = len(BACK_OFF) + 1
_MOST_ERROR = 200


def write(
    *, kind: str, subject_id: int, recipient: str, language: str, once: str, tenant_id: int
) -> Mail | None:
    """Put a mail into the outbox, once for each `once` of a tenant.

    Returns None if it was written before, or if there is nobody to send it to. Raises FieldInvalid.
    """
    if kind not in KINDS:
        raise FieldInvalid(f"{kind!r} is no kind of mail.")
    if not recipient:
        return None
    mail, is_new = Mail.objects.get_or_create(
        tenant_id=tenant_id,
        once=once,
        defaults={
            "kind": kind,
            "subject_id": subject_id,
            "recipient": recipient,
            "language": language,
            "next_try_at": database_now(),
        },
    )
    if not is_new:
        return None
    transaction.on_commit(_wake, robust=True)
    return mail


def again(mail: Mail, *, once: str) -> None:
    """Send a mail again for someone who asks: one that was not sent gets all its tries back.

    A sent one is written anew, once for each `once`.
    """
    if mail.status == Mail.SENT:
        write(
            kind=mail.kind,
            subject_id=mail.subject_id,
            recipient=mail.recipient,
            language=mail.language,
            once=f"mail:{mail.pk}:{once}",
            tenant_id=mail.tenant_id,
        )
        return
    unsent = Mail.objects.filter(pk=mail.pk).exclude(status=Mail.SENT)
    unsent.update(status=Mail.WAITING, try_count=0, next_try_at=database_now())
    transaction.on_commit(_wake, robust=True)


@transaction.atomic
def due(limit: int) -> list[Mail]:
    """Claim mails whose time has come, at most `limit`; nobody else gets them for a while."""
    now = database_now()
    waiting = Mail.objects.filter(status=Mail.WAITING, next_try_at__lte=now)
    waiting.filter(try_count__gte=_MOST_TRIES).update(
        status=Mail.FAILED, last_error="Whoever tried to send it ended before it was done."
    )
    # Where rows can't be locked, the whole database is: a transaction there begins as a writer.
    claimed = waiting.select_for_update(skip_locked=True).order_by("next_try_at", "pk")[:limit]
    ids = list(claimed.values_list("pk", flat=True))
    mails = Mail.objects.filter(pk__in=ids)
    mails.update(next_try_at=now + CLAIMED_FOR, try_count=F("try_count") + 1)
    return list(mails.order_by("pk"))


def sent(mail: Mail) -> None:
    """Note that a claimed mail is on its way."""
    _waiting(mail).update(status=Mail.SENT, sent_at=database_now(), last_error="")


def failed(mail: Mail, error: str, *, is_final: bool = False) -> None:
    """Note that a claimed mail could not be sent: it is tried again later, or given up.

    `is_final` gives it up at once: no other try would end otherwise.
    """
    error = error[:_MOST_ERROR]
    if is_final or mail.try_count >= _MOST_TRIES:
        _waiting(mail).update(status=Mail.FAILED, last_error=error)
        return
    next_try_at = database_now() + BACK_OFF[mail.try_count - 1]
    _waiting(mail).update(next_try_at=next_try_at, last_error=error)


def _waiting(mail: Mail) -> QuerySet[Mail]:
    return Mail.objects.filter(pk=mail.pk, status=Mail.WAITING)


def _wake() -> None:
    """Tell the mail job that there is work, where there is a broker; it comes by itself, too."""
    if current_app.conf.broker_url:
        current_app.send_task(DELIVER_TASK, expires=60, retry=False, ignore_result=True)
