"""A bill repeats the charge of a call: each line count x multiplier, their sum what was charged."""

from typing import Any

from billing import catalogue
from billing.ledger import transfers
from billing.ledger.giving_back import give_back
from billing.models import ApiKey, PriceVersion, UsageRecord
from billing.reports import Bill, bills
from tests.billing.reports.making import failed, used

PRICES = {
    "m": {
        "input": "1.666667",
        "cached_input": "0.8",
        "output": 40,
        "tiers": [{"min_input": 1000, "input": 3, "cached_input": 1, "output": 60}],
    }
}


def version(key: ApiKey) -> PriceVersion:
    """Publish a price with a long-context tier."""
    catalogue.load_retail(key.tenant_id, PRICES)
    return PriceVersion.objects.get(model="m")


def bill_of(key: ApiKey, ubt: int, **facts: Any) -> Bill:
    row = used(key, ubt, **facts)
    return bills([UsageRecord.objects.get(pk=row)])[0]


def lines(bill: Bill) -> list[tuple[str, int, int, int]]:
    return [(line.bucket, line.count, line.each_ubt, line.amount_ubt) for line in bill.lines]


def test_a_bill_names_each_bucket_that_was_used(key: ApiKey) -> None:
    counts = {"input_count": 180, "cached_input_count": 20, "output_count": 2}
    pinned = version(key)
    bill = bill_of(key, 396_000_060, retail_price_id=pinned.pk, **counts)
    assert lines(bill) == [
        ("input", 180, 1_666_667, 300_000_060),
        ("cached_input", 20, 800_000, 16_000_000),
        ("output", 2, 40_000_000, 80_000_000),
    ]
    assert sum(line.amount_ubt for line in bill.lines) == bill.charged_ubt
    assert bill.priced_at == pinned.valid_from


def test_a_long_context_is_billed_by_its_tier(key: ApiKey) -> None:
    counts = {"input_count": 900, "cached_input_count": 100}
    bill = bill_of(key, 2_800_000_000, retail_price_id=version(key).pk, **counts)
    assert [line.each_ubt for line in bill.lines] == [3_000_000, 1_000_000]
    assert sum(line.amount_ubt for line in bill.lines) == bill.charged_ubt


def test_what_the_balance_could_not_pay_is_said(key: ApiKey) -> None:
    facts = {"retail_price_id": version(key).pk, "output_count": 1}
    bill = bill_of(key, 15_000_000, absorbed_ubt=25_000_000, **facts)
    assert bill.lines[0].amount_ubt == bill.charged_ubt + bill.absorbed_ubt


def test_a_later_correction_belongs_to_the_charge(key: ApiKey) -> None:
    row = used(key, 50, resolution="reaped", usage_source="checkpoint")
    transfers.credit(
        wallet_id=key.wallet_id,
        kind="correction",
        amount_ubt=20,
        source="late_settle",
        source_id=row.hex,
    )
    [bill] = bills([UsageRecord.objects.get(pk=row)])
    assert (bill.corrected_ubt, bill.charged_ubt) == (-20, 30)


def test_what_a_failed_job_was_given_back_is_on_its_bill(key: ApiKey) -> None:
    row = used(key, 50, endpoint="videos")
    give_back(usage_id=row)
    [bill] = bills([UsageRecord.objects.get(pk=row)])
    assert (bill.corrected_ubt, bill.charged_ubt) == (-50, 0)


def test_a_failed_call_has_an_empty_bill(key: ApiKey) -> None:
    failed(key, retail_price_id=version(key).pk)
    [bill] = bills(UsageRecord.objects.all())
    assert (bill.lines, bill.charged_ubt) == ((), 0)


def test_a_bill_without_a_known_price_has_no_lines(key: ApiKey) -> None:
    bill = bill_of(key, 7, retail_price_id=2**40, input_count=7)
    assert (bill.lines, bill.charged_ubt, bill.priced_at) == ((), 7, None)
