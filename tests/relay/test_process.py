"""What a relay does to the process that it runs in."""

import gc

from tests.databases import Database
from tests.relay.server import running_relay


def test_a_relay_spares_the_collector_while_it_runs(sqlite_database: Database) -> None:
    before = gc.get_freeze_count(), gc.get_threshold()
    with running_relay(tunes_collector=True):
        assert gc.get_freeze_count() > before[0] + 10_000
        assert gc.get_threshold()[0] > before[1][0]
    assert gc.get_threshold() == before[1]
    assert gc.get_freeze_count() <= before[0]


def test_a_relay_in_anothers_process_leaves_the_collector_alone(
    sqlite_database: Database,
) -> None:
    before = gc.get_freeze_count(), gc.get_threshold()
    with running_relay(tunes_collector=False):
        assert (gc.get_freeze_count(), gc.get_threshold()) == before
