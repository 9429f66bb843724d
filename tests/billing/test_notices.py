"""Notices become mails: each once, to who is named, and a low balance once for each fall."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from billing import notices, tasks, tenants
from billing.ledger import expiry, transfers
from billing.models import Mail, Notice, Wallet
from billing.scoping import all_tenants, tenant_scope
from tests.sales import GRANT_UBT, Sale, sell

MARK_UBT = GRANT_UBT // 5


@pytest.fixture
def sale(db: None) -> Iterator[Sale]:
    """A sold key whose wallet has a mark; every shop's rows are seen, as by the jobs."""
    shop = tenants.create_tenant(slug="north", name="North shop", hosts=["north.example"])
    sold = sell(shop, email="li@example.com", language="en")
    with all_tenants():
        Wallet.objects.update(alert_below_ubt=MARK_UBT)
        yield sold


def move(sale: Sale, amount_ubt: int) -> None:
    """Credit or debit the wallet."""
    booked = transfers.credit if amount_ubt > 0 else transfers.debit
    with tenant_scope(sale.order.tenant_id):
        booked(
            wallet_id=sale.wallet.pk,
            kind="adjustment",
            amount_ubt=abs(amount_ubt),
            source="test",
            source_id=str(timezone.now()),
        )


def fall(sale: Sale) -> None:
    """Leave one base token below the mark."""
    move(sale, MARK_UBT - 1_000_000 - sale.wallet.available_ubt)


def told() -> int:
    notices.warn_of_low_balances()
    return Mail.objects.filter(kind="low_balance").count()


def ends_in(sale: Sale, **span: float) -> None:
    born = timezone.now() - timedelta(days=30)
    end = timezone.now() + timedelta(**span)
    Wallet.objects.filter(pk=sale.wallet.pk).update(expires_at=end, created_at=born)


def test_a_fall_below_the_mark_is_told_once(sale: Sale) -> None:
    assert told() == 0
    fall(sale)
    assert [told(), told()] == [1, 1]
    mail = Mail.objects.get()
    assert (mail.recipient, mail.language) == ("li@example.com", "en")


def test_falling_further_is_no_second_fall(sale: Sale) -> None:
    fall(sale)
    told()
    move(sale, -1_000_000)
    assert told() == 1


def test_a_top_up_above_the_mark_arms_it_again(sale: Sale) -> None:
    fall(sale)
    told()
    move(sale, MARK_UBT)
    assert told() == 1
    fall(sale)
    assert told() == 2


def test_a_top_up_that_is_used_up_before_the_job_looks_is_told_of(sale: Sale) -> None:
    fall(sale)
    told()
    move(sale, MARK_UBT)
    fall(sale)
    assert told() == 2


def test_a_top_up_that_stays_below_the_mark_arms_nothing(sale: Sale) -> None:
    fall(sale)
    told()
    move(sale, 1)
    assert told() == 1


def test_a_lower_mark_arms_it_again(sale: Sale) -> None:
    fall(sale)
    told()
    Wallet.objects.update(alert_below_ubt=MARK_UBT // 2)
    told()
    Wallet.objects.update(alert_below_ubt=MARK_UBT)
    assert told() == 2


def test_what_running_requests_hold_is_not_gone(sale: Sale) -> None:
    Wallet.objects.update(pending_ubt=GRANT_UBT)
    assert told() == 0


@pytest.mark.parametrize(
    "change",
    [{"alert_below_ubt": None}, {"notify_email": ""}, {"expired_at": "2026-01-01T00:00:00Z"}],
)
def test_a_wallet_is_not_told_of(sale: Sale, change: dict[str, Any]) -> None:
    Wallet.objects.update(**change)
    fall(sale)
    assert told() == 0


def test_an_address_that_comes_later_is_still_told(sale: Sale) -> None:
    Wallet.objects.update(notify_email="")
    fall(sale)
    assert told() == 0
    Wallet.objects.update(notify_email="later@example.com")
    assert told() == 1


def test_each_notice_of_an_end_becomes_one_mail(sale: Sale) -> None:
    ends_in(sale, days=2)
    expiry.warn_of_expiries()
    assert [notices.mail_notices(), notices.mail_notices()] == [1, 0]
    mail = Mail.objects.get()
    assert (mail.kind, mail.subject_id) == ("expiry", Notice.objects.get().pk)


def test_a_notice_that_was_taken_back_by_a_crash_is_not_mailed_twice(sale: Sale) -> None:
    ends_in(sale, days=2)
    expiry.warn_of_expiries()
    notices.mail_notices()
    Notice.objects.update(sent_at=None)
    notices.mail_notices()
    assert Mail.objects.count() == 1


def test_a_notice_with_nobody_to_tell_is_done_with(sale: Sale) -> None:
    ends_in(sale, days=2)
    Wallet.objects.update(notify_email="")
    expiry.warn_of_expiries()
    assert [notices.mail_notices(), notices.mail_notices()] == [1, 0]
    assert not Mail.objects.exists()


def test_the_job_does_both(sale: Sale) -> None:
    ends_in(sale, days=2)
    fall(sale)
    expiry.warn_of_expiries()
    assert [tasks.notify(), tasks.notify()] == [2, 0]


def test_both_looks_are_served_by_an_index(sale: Sale) -> None:
    notice = Notice.objects.filter(sent_at__isnull=True).order_by("due_at", "pk")
    wallet = Wallet.objects.filter(notices._BELOW, alert_below_ubt__isnull=False)
    assert "notice_waiting" in notice.explain()
    assert "wallet_alert" in wallet.order_by("pk").explain() or connection.vendor != "sqlite"
