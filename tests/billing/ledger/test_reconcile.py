"""Clean books are clean, also under load; each broken invariant is found, once, and kept."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from billing.ids import uuid7
from billing.ledger import direct
from billing.ledger.clock import database_now
from billing.ledger.ops import Batch, HoldOp, Window
from billing.ledger.reconcile import reconcile, reconcile_touched
from billing.models import (
    ApiKey,
    BudgetWindow,
    Hold,
    ReaperPass,
    ReconcileFinding,
    ReconcileRun,
    Tenant,
    UsageRecord,
    Wallet,
)
from billing.pricing import Counts
from billing.scoping import all_tenants
from tests.billing.ledger.making import (
    Buyer,
    age,
    facts,
    hold_op,
    new_buyer,
    new_priced_buyer,
    new_wallet,
    progress_op,
    record,
    settle_op,
    wholesale_hold,
)
from tests.databases import Database

MIDNIGHT = 1_777_651_200


@pytest.fixture
def bert(migrated_database: Database) -> Buyer:
    """A buyer with 1,000 ubt and a cap of 900; a token costs 2 in and 4 out."""
    buyer = new_priced_buyer(1_000)
    ApiKey.objects.filter(pk=buyer.key_id).update(limit_ubt=900)
    return buyer


def bought(buyer: Buyer, **changes: Any) -> HoldOp:
    """Hold 100 for a request, and charge it 3 tokens in and 5 out: 26 ubt."""
    op = hold_op(buyer, 100, window=Window("day", MIDNIGHT, 500), **changes)
    direct.hold(op)
    direct.settle(settle_op(buyer, op.id, 26))
    return op


def forged(buyer: Buyer, **fields: Any) -> UsageRecord:
    """Return a usage record as no engine would write it."""
    values = {
        "id": uuid7(),
        "tenant_id": buyer.tenant_id,
        "wallet_id": buyer.wallet_id,
        "key_id": buyer.key_id,
        "model_asked": "m",
        "model_served": "m",
        "endpoint": "chat_completions",
        "resolution": "settled",
        "usage_source": "upstream",
        "created_at": database_now(),
    }
    return UsageRecord(**{**values, "retail_price_id": buyer.price_id, **fields})


def forge(buyer: Buyer, **fields: Any) -> None:
    """Insert a usage record that no engine has written."""
    forged(buyer, **fields).save(force_insert=True)


def found() -> set[str]:
    return {finding.invariant for finding in reconcile(repair=False).findings}


def test_books_that_were_only_written_by_the_ledger_are_clean(bert: Buyer) -> None:
    bought(bert)
    direct.hold(hold_op(bert, 50))
    direct.settle(settle_op(bert, hold_op(bert).id, 26))
    assert reconcile().findings == []
    assert reconcile_touched().findings == []


def test_wholesale_charges_are_debits_of_the_shops_wallet(bert: Buyer) -> None:
    wallet = new_wallet(Tenant.objects.get(pk=bert.tenant_id), 500)
    op = wholesale_hold(bert, wallet, 80)
    direct.hold(op)
    direct.settle(settle_op(bert, op.id, 26, wholesale_wallet_id=wallet.pk, wholesale_ubt=20))
    wallet.refresh_from_db()
    assert wallet.debits_ubt == 20
    assert reconcile().is_clean


def test_i1_credits_without_a_transfer_are_found(bert: Buyer) -> None:
    Wallet.objects.filter(pk=bert.wallet_id).update(credits_ubt=1_001)
    [finding] = reconcile().findings
    assert (finding.invariant, finding.subject) == ("I1", str(bert.wallet_id))
    assert (finding.observed, finding.expected) == ("1001", "1000")


def test_i2_a_charge_that_was_not_debited_is_found(bert: Buyer) -> None:
    forge(bert, charged_ubt=26, input_count=3, output_count=5)
    assert found() == {"I2", "I11 key"}


def test_i2_a_debt_without_a_transfer_is_found(bert: Buyer) -> None:
    Wallet.objects.filter(pk=bert.wallet_id).update(debt_ubt=5)
    assert found() == {"I2 debt"}


def test_i3_pending_without_a_hold_is_found(bert: Buyer) -> None:
    Wallet.objects.filter(pk=bert.wallet_id).update(pending_ubt=5)
    assert found() == {"I3 wallet"}


def test_i3_a_hold_that_a_cap_or_window_does_not_know_is_found(bert: Buyer) -> None:
    direct.hold(hold_op(bert, 100, window=Window("day", MIDNIGHT, 500)))
    ApiKey.objects.filter(pk=bert.key_id).update(pending_ubt=1)
    BudgetWindow.objects.update(pending_ubt=1)
    assert found() == {"I3 key", "I3 window"}


def test_i4_a_silent_hold_is_settled_where_the_reaper_was_watching(bert: Buyer) -> None:
    op = hold_op(bert, 100)
    direct.hold(op)
    direct.progress(progress_op(bert, op.id, 14))
    age(op.id, 91)
    now = database_now()
    ReaperPass.objects.create(pk=1, watching_since=now - timedelta(hours=1), last_pass_at=now)
    [finding] = reconcile().findings
    assert (finding.invariant, finding.repair) == ("I4", "settled at its checkpoint")
    assert record(op.id).charged_ubt == 14
    assert reconcile().is_clean


def test_i4_a_silent_hold_is_only_reported_where_nobody_was_watching(bert: Buyer) -> None:
    op = hold_op(bert, 100)
    direct.hold(op)
    age(op.id, 91)
    assert reconcile_touched().is_clean
    [finding] = reconcile().findings
    assert (finding.invariant, finding.repair) == ("I4", "")
    assert Hold.objects.count() == 1


def test_i4_a_hold_that_was_heard_of_is_fine(bert: Buyer) -> None:
    op = hold_op(bert, 100)
    direct.hold(op)
    age(op.id, 85)
    assert reconcile().is_clean


def test_i6_a_charge_that_does_not_follow_from_the_price_is_found(bert: Buyer) -> None:
    op = hold_op(bert, 100)
    direct.hold(op)
    direct.settle(settle_op(bert, op.id, 27))
    [finding] = reconcile().findings
    assert (finding.invariant, finding.subject) == ("I6", op.id.hex())
    assert (finding.observed, finding.expected) == ("27", "26")


def test_i6_what_was_absorbed_is_part_of_the_price(bert: Buyer) -> None:
    op, other = hold_op(bert, 100), hold_op(bert, 795)
    direct.hold(op)
    direct.hold(other)
    counts = Counts(input=50, output=25)
    assert direct.settle(settle_op(bert, op.id, 200, facts=facts(counts=counts))) == 105
    assert reconcile().is_clean


def test_i6_a_request_that_was_given_away_may_say_what_it_used(bert: Buyer) -> None:
    op = hold_op(bert, 100)
    direct.hold(op)
    direct.settle(settle_op(bert, op.id, 0, facts=facts("client_gone")))
    assert reconcile().is_clean


def test_i9_a_record_of_another_tenant_is_found(bert: Buyer) -> None:
    other = new_buyer()
    forge(bert, tenant_id=other.tenant_id)
    assert found() == {"I9 wallet", "I9 usage"}


def test_i9_a_wholesale_wallet_of_another_tenant_is_found(bert: Buyer) -> None:
    forge(bert, wholesale_wallet_id=new_buyer().wallet_id)
    assert found() == {"I9 wholesale"}


def test_i10_a_charge_with_nothing_delivered_is_found(bert: Buyer) -> None:
    op = hold_op(bert, 100)
    direct.hold(op)
    counted = facts(counts=Counts(input=3), usage_source="counted")
    direct.settle(settle_op(bert, op.id, 6, facts=counted))
    assert found() == {"I10"}


@pytest.mark.parametrize("changes", [{"usage_source": "upstream"}, {"endpoint": "embeddings"}])
def test_i10_upstream_may_say_so_and_vectors_are_delivery(
    bert: Buyer, changes: dict[str, str]
) -> None:
    op = hold_op(bert, 100)
    direct.hold(op)
    said = facts(counts=Counts(input=3), **{"usage_source": "counted", **changes})
    direct.settle(settle_op(bert, op.id, 6, facts=said))
    assert reconcile().is_clean


def test_i11_a_cap_or_window_that_lost_a_charge_is_found(bert: Buyer) -> None:
    bought(bert)
    ApiKey.objects.filter(pk=bert.key_id).update(spent_ubt=0)
    BudgetWindow.objects.update(spent_ubt=0)
    assert found() == {"I11 key", "I11 window"}


def test_a_finding_is_stored_once_and_counted_each_time(bert: Buyer) -> None:
    Wallet.objects.filter(pk=bert.wallet_id).update(credits_ubt=1_001)
    reconcile()
    reconcile()
    assert ReconcileFinding.objects.count() == 1
    assert list(ReconcileRun.objects.values_list("finding_count", flat=True)) == [1, 1]


def test_findings_without_end_are_cut_off_and_said_to_be(bert: Buyer) -> None:
    for _ in range(2):
        lost = [forged(bert, id=uuid7(), charged_ubt=1) for _ in range(600)]
        UsageRecord.objects.bulk_create(lost)
    report = reconcile()
    assert (len(report.findings), report.has_more) == (1_000, True)
    assert report.as_text().endswith("1 wallets compared, 1000 findings and more")
    assert ReconcileFinding.objects.count() == 1_000


def test_a_run_for_one_tenant_leaves_the_others_out(bert: Buyer) -> None:
    other = new_buyer()
    Wallet.objects.filter(pk=other.wallet_id).update(credits_ubt=1_001)
    assert reconcile(tenant_id=bert.tenant_id).is_clean
    assert not reconcile(tenant_id=other.tenant_id).is_clean


def test_more_wallets_than_a_page_are_all_compared(bert: Buyer) -> None:
    tenant = Tenant.objects.get(pk=bert.tenant_id)
    Wallet.objects.bulk_create([Wallet(tenant=tenant) for _ in range(1_200)])
    last = Wallet.objects.latest("pk")
    Wallet.objects.filter(pk=last.pk).update(credits_ubt=5)
    report = reconcile()
    assert report.wallet_count == 1_201
    assert len(report.findings) == 1


def test_touched_wallets_are_found_by_usage_holds_and_transfers(bert: Buyer) -> None:
    bought(bert)
    Wallet.objects.filter(pk=bert.wallet_id).update(credits_ubt=1_001)
    report = reconcile_touched()
    assert [finding.invariant for finding in report.findings] == ["I1"]


def test_a_system_under_load_is_clean(bert: Buyer) -> None:
    stop = threading.Event()

    def load() -> None:
        with all_tenants():
            while not stop.is_set():
                ops = [hold_op(bert, 1) for _ in range(8)]
                direct.run(Batch(holds=ops))
                void = facts("voided", Counts())
                direct.run(Batch(settles=[settle_op(bert, op.id, 0, facts=void) for op in ops]))
            connection.close()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        reports = [reconcile() for _ in range(15)]
    finally:
        stop.set()
        thread.join()
    assert [finding for report in reports for finding in report.findings] == []


def run_command(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    try:
        call_command("reconcile", *argv)
    except SystemExit as exit_:
        return int(str(exit_.code)), capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_the_command_says_0_when_clean(bert: Buyer, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run_command(capsys)
    assert (status, text) == (0, "1 wallets compared, 0 findings\n")


def test_the_command_says_1_and_what_it_found(
    bert: Buyer, capsys: pytest.CaptureFixture[str]
) -> None:
    Wallet.objects.filter(pk=bert.wallet_id).update(credits_ubt=1_001)
    status, text = run_command(capsys)
    assert status == 1
    assert text.splitlines()[0] == f"I1 {bert.wallet_id}: 1001, not 1000"


def test_the_command_speaks_json(bert: Buyer, capsys: pytest.CaptureFixture[str]) -> None:
    Wallet.objects.filter(pk=bert.wallet_id).update(credits_ubt=1_001)
    slug = Tenant.objects.get(pk=bert.tenant_id).slug
    status, text = run_command(capsys, "--json", "--tenant", slug)
    report = json.loads(text)
    assert (status, report["is_clean"], report["wallet_count"]) == (1, False, 1)
    assert report["findings"][0]["observed"] == "1001"
