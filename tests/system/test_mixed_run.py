"""Many requests, fifty at a time: every one is charged what it cost, to the ubt.

Streams and whole answers, clients that leave, upstreams that fail in every way, second tries. The
oracle is what the upstream sent and what the clients received.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from billing.models import Hold, Tenant, UsageRecord, Wallet
from relay.tokens import install_ranks
from tests.databases import Database
from tests.fakes.upstream import FakeUpstream
from tests.plugins.proof import size
from tests.system import mixed, oracle, running
from tests.system.mixed import Judged
from tests.system.oracle import Counts
from tests.system.running import RunningSystem, wait_until
from tests.system.sending import Received, send_all
from tests.system.shops import Way, open_shop

pytestmark = [pytest.mark.system, pytest.mark.proof]

REQUESTS = {"sqlite": size(1_000, proof=10_000), "postgres": size(300, proof=10_000)}
SEED = 20_261_122
SLUG = "mixed"
SETTLES_S = 30.0


@pytest.fixture(autouse=True, scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The oracle counts tokens too."""
    install_ranks(tmp_path_factory.mktemp("ranks"))


@pytest.fixture
def postgres_system(postgres_database: Database, tmp_path: Path) -> Iterator[RunningSystem]:
    with running.start(tmp_path / "installation", database_url=postgres_database.url) as system:
        yield system


def ways(fake: FakeUpstream) -> list[Way]:
    """Channels that fail in their own ways, and those behind them."""
    failing, dropping = f"{fake.origin}/status=503/v1", f"{fake.origin}/drop_before_headers/v1"
    return [
        Way(mixed.MODEL, fake.base_url, priority=1),
        Way(mixed.MODEL, fake.base_url, credential="sk-fake-b"),
        Way(mixed.RETRIED, failing, priority=1),
        Way(mixed.RETRIED, fake.base_url),
        Way(mixed.DROPPED, dropping, priority=1),
        Way(mixed.DROPPED, fake.base_url),
        Way(mixed.REFUSED, fake.base_url, credential="sk-bad"),
    ]


def judged(system: RunningSystem, fake: FakeUpstream, received: list[Received]) -> Counts:
    """Compare every request with its record; fail with all that are wrong."""
    with system.books():
        shop = Tenant.objects.get(slug=SLUG)
        records = {record.id: record for record in UsageRecord.objects.filter(tenant=shop)}
    counts, faults = Counts(), []
    for got in received:
        attempts = fake.told(got.case.ref)
        record = records.pop(got.id, None) if got.id else None
        faults.append(oracle.wrong(got, attempts, record))
        judged_by = oracle.judge(got, attempts)
        counts.exact += judged_by is Judged.USAGE
        counts.estimated += judged_by is Judged.COUNT
        counts.free += judged_by is Judged.NOTHING
        counts.refused += oracle.was_refused(got, attempts)
        counts.rows += record is not None
    # Clients that left before they had an id: whatever was held for them cost nothing.
    unknown = [got for got in received if got.id is None]
    faults += [f"charged {record.id}" for record in records.values() if record.charged_ubt]
    wrong = list(filter(None, faults))
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:20])
    assert len(records) <= len(unknown)
    counts.rows += len(records)
    return counts


def check_balances(system: RunningSystem) -> None:
    """Every wallet's debits are its records' charges, and nothing is held any more."""
    with system.books():
        shop = Tenant.objects.get(slug=SLUG)
        assert not Hold.objects.filter(tenant=shop).exists()
        for wallet in Wallet.objects.filter(tenant=shop):
            records = UsageRecord.objects.filter(wallet_id=wallet.pk)
            assert wallet.debits_ubt == sum(record.charged_ubt for record in records)
            assert wallet.pending_ubt == 0


def run_mixed(
    system: RunningSystem, fake: FakeUpstream, say: Callable[[str, object], None]
) -> None:
    count = REQUESTS[system.vendor]
    shop = open_shop(system, SLUG, prices=mixed.PRICES, ways=ways(fake), key_count=10)
    cases = mixed.cases(count, seed=SEED)
    received = asyncio.run(send_all(system.url, cases, keys=shop.keys, host=shop.host))
    wait_until(lambda: not has_holds(system), patience_s=SETTLES_S)
    counts = judged(system, fake, received)
    check_balances(system)
    assert system.reconcile() == []
    attempted = sum(1 for case in cases if fake.told(case.ref))
    assert len(received) == count
    assert counts.exact + counts.estimated + counts.free == count
    assert attempted <= counts.rows <= count
    assert counts.refused <= count // 50  # while other programs kept the disk busy
    say(
        "mixed run",
        f"{count} requests on {system.vendor}: {counts.exact} charged exactly by usage,"
        f" {counts.estimated} without usage within 5 %, {counts.free} failed at 0,"
        f" {counts.rows} usage rows for {attempted} that reached an upstream",
    )


def has_holds(system: RunningSystem) -> bool:
    with system.books():
        return Hold.objects.filter(tenant__slug=SLUG).exists()


def test_mixed_run_on_sqlite(
    running_system: RunningSystem,
    fake: FakeUpstream,
    record_property: Callable[[str, object], None],
) -> None:
    run_mixed(running_system, fake, record_property)


def test_mixed_run_on_postgres(
    postgres_system: RunningSystem,
    fake: FakeUpstream,
    record_property: Callable[[str, object], None],
) -> None:
    run_mixed(postgres_system, fake, record_property)
