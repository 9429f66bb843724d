"""The outbox: a mail for each cause, sent once, tried again later, claimed by one worker."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from billing import outbox, tenants
from billing.errors import FieldInvalid
from billing.ledger.clock import database_now
from billing.models import Mail, Tenant
from billing.scoping import all_tenants, tenant_scope
from tests.databases import Database


@pytest.fixture
def shop(db: None) -> Iterator[Tenant]:
    tenant = tenants.create_tenant(slug="north", name="North", hosts=["north.example"])
    with tenant_scope(tenant.pk):
        yield tenant


def write(shop: Tenant, once: str = "order:1", **changes: Any) -> Mail | None:
    fields = {"kind": "order", "subject_id": 1, "recipient": "a@b.example", "language": "en"}
    return outbox.write(**{**fields, **changes}, once=once, tenant_id=shop.pk)


def claim() -> Mail:
    """Claim the one mail, whose time has come."""
    Mail.objects.update(next_try_at=database_now())
    [mail] = outbox.due(10)
    return mail


def waits_for(mail: Mail) -> timedelta:
    mail.refresh_from_db()
    return mail.next_try_at - database_now()


def test_a_mail_is_due_at_once(shop: Tenant) -> None:
    assert [mail.pk for mail in outbox.due(10)] == []
    written = write(shop)
    assert outbox.due(10) == [written]


def test_the_same_cause_is_one_mail(shop: Tenant) -> None:
    assert write(shop) is not None
    assert write(shop, recipient="other@b.example") is None
    assert Mail.objects.get().recipient == "a@b.example"


def test_another_shop_has_causes_of_its_own(shop: Tenant) -> None:
    write(shop)
    south = tenants.create_tenant(slug="south", name="South", hosts=["south.example"])
    with tenant_scope(south.pk):
        assert write(south) is not None


def test_without_an_address_there_is_no_mail(shop: Tenant) -> None:
    assert write(shop, recipient="") is None
    assert not Mail.objects.exists()


def test_a_mail_of_no_known_kind_is_refused(shop: Tenant) -> None:
    with pytest.raises(FieldInvalid):
        write(shop, kind="spam")


def test_a_mail_leaves_with_its_cause(shop: Tenant) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write(shop)
        raise ZeroDivisionError
    assert not Mail.objects.exists()


def test_a_mail_that_was_sent_is_not_due_again(shop: Tenant) -> None:
    write(shop)
    outbox.sent(claim())
    Mail.objects.update(next_try_at=database_now())
    assert outbox.due(10) == []
    assert Mail.objects.get().sent_at is not None


def test_a_claimed_mail_is_nobody_elses(shop: Tenant) -> None:
    write(shop)
    assert len(outbox.due(10)) == 1
    assert outbox.due(10) == []


def test_no_more_are_claimed_than_asked_for(shop: Tenant) -> None:
    for number in range(5):
        write(shop, f"order:{number}")
    assert [len(outbox.due(2)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_mail_whose_worker_died_is_given_back(shop: Tenant) -> None:
    write(shop)
    mail = claim()
    assert timedelta(0) < waits_for(mail) <= outbox.CLAIMED_FOR
    assert claim() == mail


def test_failures_wait_longer_and_longer_until_it_is_given_up(shop: Tenant) -> None:
    write(shop)
    for back_off in outbox.BACK_OFF:
        mail = claim()
        outbox.failed(mail, "connection refused")
        assert timedelta(0) <= back_off - waits_for(mail) < timedelta(seconds=30)
        assert (mail.status, mail.last_error) == ("waiting", "connection refused")
    outbox.failed(claim(), "connection refused")
    assert Mail.objects.get().status == "failed"
    assert outbox.due(10) == []


def test_a_failure_that_no_time_will_heal_is_final(shop: Tenant) -> None:
    write(shop)
    outbox.failed(claim(), "the order is gone", is_final=True)
    assert Mail.objects.get().status == "failed"


def test_a_long_error_is_cut(shop: Tenant) -> None:
    write(shop)
    outbox.failed(claim(), "x" * 500)
    assert Mail.objects.get().last_error == "x" * 200


def test_a_mail_that_kills_its_workers_is_given_up(shop: Tenant) -> None:
    write(shop)
    for _ in range(len(outbox.BACK_OFF) + 1):
        claim()
    Mail.objects.update(next_try_at=database_now())
    assert outbox.due(10) == []
    assert Mail.objects.get().status == "failed"


def test_a_late_word_of_a_slow_worker_changes_nothing(shop: Tenant) -> None:
    write(shop)
    slow = claim()
    outbox.sent(claim())
    outbox.failed(slow, "timed out")
    assert Mail.objects.get().status == "sent"


def test_two_workers_never_claim_the_same_mail(migrated_database: Database) -> None:
    shop = tenants.create_tenant(slug="north", name="North", hosts=["north.example"])
    with tenant_scope(shop.pk):
        for number in range(60):
            write(shop, f"order:{number}")
    barrier = threading.Barrier(4)

    def work(_worker: int) -> list[int]:
        barrier.wait()
        with all_tenants():
            return [mail.pk for _ in range(10) for mail in outbox.due(3)]

    with ThreadPoolExecutor(4) as threads:
        claimed = [pk for pks in threads.map(work, range(4)) for pk in pks]
    assert len(claimed) == len(set(claimed))
    with all_tenants():
        claimed += [mail.pk for mail in outbox.due(60)]
    assert len(claimed) == len(set(claimed)) == 60
