"""Notices to buyers that nothing they did sets off: written into the outbox, once each.

Called by a job, over all tenants. Expiries were noted by `billing.ledger.expiry`; a low balance is
noticed here, once for each fall below the mark that was set for a wallet. Money on the way (holds)
does not count as gone, so a balance only falls by what was charged and only rises by a credit.
"""

from django.db import transaction
from django.db.models import F, Q

from billing import outbox
from billing.ledger.clock import database_now
from billing.ledger.transfers import lock_wallet
from billing.models import ApiKey, Delivery, Notice, Wallet
from billing.scoping import tenant_scope

_PAGE = 500
_BELOW = Q(alert_below_ubt__isnull=False, alert_below_ubt__gt=F("credits_ubt") - F("debits_ubt"))


def mail_notices() -> int:
    """Put the notices that are due into the outbox; return how many are done with.

    One whose wallet names no address is done with as well: there is nobody to tell.
    """
    waiting = Notice.objects.filter(sent_at__isnull=True).order_by("due_at", "pk")
    rows = list(waiting.values_list("tenant_id", "pk")[:_PAGE])
    return sum(_mail_notice(tenant_id, pk) for tenant_id, pk in rows)


def _mail_notice(tenant_id: int, notice_id: int) -> bool:
    with tenant_scope(tenant_id), transaction.atomic():
        notice = Notice.objects.select_for_update().get(pk=notice_id)
        if notice.sent_at is not None:
            return False
        wallet = _wallet_of(notice)
        if wallet is not None:
            _write(wallet, kind="expiry", subject_id=notice.pk, once=f"notice:{notice.pk}")
        notice.sent_at = database_now()
        notice.save(update_fields=["sent_at"])
    return True


def _wallet_of(notice: Notice) -> Wallet | None:
    kind, _colon, pk = notice.subject.partition(":")
    if kind == "wallet":
        return Wallet.objects.filter(pk=pk).first()
    key = ApiKey.objects.select_related("wallet").filter(pk=pk).first()
    return key.wallet if key else None


def warn_of_low_balances() -> int:
    """Write a mail for every wallet that has fallen below its mark; return how many have.

    A wallet that is above its mark again, or whose mark was moved below it, may fall once more.
    """
    marked = Wallet.objects.filter(alert_below_ubt__isnull=False, expired_at__isnull=True)
    marked.filter(~_BELOW, alerted_at__isnull=False).update(alerted_at=None)
    fallen = marked.filter(_BELOW, alerted_at__isnull=True).exclude(notify_email="")
    rows = list(fallen.order_by("pk").values_list("tenant_id", "pk")[:_PAGE])
    return sum(_warn(tenant_id, pk) for tenant_id, pk in rows)


def _warn(tenant_id: int, wallet_id: int) -> bool:
    with tenant_scope(tenant_id), transaction.atomic():
        wallet = lock_wallet(wallet_id)
        if wallet.alerted_at or not Wallet.objects.filter(_BELOW, pk=wallet_id).exists():
            return False
        now = database_now()
        once = f"low_balance:{wallet_id}:{now.isoformat()}"
        _write(wallet, kind="low_balance", subject_id=wallet_id, once=once)
        Wallet.objects.filter(pk=wallet_id).update(alerted_at=now)
    return True


def _write(wallet: Wallet, *, kind: str, subject_id: int, once: str) -> None:
    outbox.write(
        kind=kind,
        subject_id=subject_id,
        recipient=wallet.notify_email,
        language=_language_of(wallet),
        once=once,
        tenant_id=wallet.tenant_id,
    )


def _language_of(wallet: Wallet) -> str:
    """Return the language in which the wallet's owner bought it, else the shop's."""
    bought = Delivery.objects.filter(wallet=wallet).order_by("-pk")
    language = bought.values_list("line__order__language", flat=True).first()
    return language or wallet.tenant.language
