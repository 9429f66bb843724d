"""R13: ends are refused by the hold, booked by the job, moved by a top-up, and announced."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.ledger import direct
from billing.ledger.clock import database_now
from billing.ledger.expiry import book_expiries, prolong, prolonged, warn_of_expiries
from billing.ledger.reconcile import reconcile
from billing.models import ApiKey, Notice, Transfer, User, Wallet
from tests.billing.ledger.making import (
    Buyer,
    balance,
    hold_op,
    key_of,
    settle_op,
    wallet_of,
)

DAY = timedelta(days=1)
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def end_wallet(buyer: Buyer, at: datetime) -> None:
    Wallet.objects.filter(pk=buyer.wallet_id).update(expires_at=at, created_at=at - 99 * DAY)


def end_key(buyer: Buyer, at: datetime) -> None:
    ApiKey.objects.filter(pk=buyer.key_id).update(expires_at=at, created_at=at - 99 * DAY)


def test_the_database_tells_the_time(anna: Buyer) -> None:
    assert abs(database_now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_r13_the_rest_of_an_expired_wallet_is_booked_once(anna: Buyer) -> None:
    end_wallet(anna, database_now() - DAY)
    assert [book_expiries(), book_expiries()] == [1, 0]
    assert balance(anna) == (1_000, 1_000, 0)
    transfer = Transfer.objects.get(kind="expiry")
    assert (transfer.direction, transfer.amount_ubt) == (-1, 1_000)
    assert wallet_of(anna).expired_at is not None


def test_r13_an_expiry_waits_until_nothing_is_running(anna: Buyer) -> None:
    op = hold_op(anna, 100)
    direct.hold(op)
    end_wallet(anna, database_now() - DAY)
    assert book_expiries() == 0
    direct.settle(settle_op(anna, op.id, 60))
    assert book_expiries() == 1
    assert balance(anna) == (1_000, 1_000, 0)
    assert reconcile().is_clean


def test_r13_what_comes_back_after_the_end_is_booked_too(anna: Buyer) -> None:
    end_wallet(anna, database_now() - DAY)
    book_expiries()
    Wallet.objects.filter(pk=anna.wallet_id).update(credits_ubt=1_050)
    assert book_expiries() == 1
    assert wallet_of(anna).available_ubt == 0


def test_r13_what_has_not_ended_is_left_alone(anna: Buyer) -> None:
    end_wallet(anna, database_now() + DAY)
    assert book_expiries() == 0
    assert balance(anna) == (1_000, 0, 0)


def test_r13_an_empty_wallet_ends_without_a_transfer(anna: Buyer) -> None:
    op = hold_op(anna, 1_000)
    direct.hold(op)
    direct.settle(settle_op(anna, op.id, 1_000))
    end_wallet(anna, database_now() - DAY)
    assert book_expiries() == 1
    assert not Transfer.objects.filter(kind="expiry").exists()


def test_r13_an_expired_key_is_marked_and_its_wallet_is_not_touched(anna: Buyer) -> None:
    end_key(anna, database_now() - DAY)
    assert [book_expiries(), book_expiries()] == [1, 0]
    assert key_of(anna).expired_at is not None
    assert balance(anna) == (1_000, 0, 0)


@pytest.mark.parametrize(
    ("old", "days", "new"),
    [
        (NOW + 5 * DAY, 30, NOW + 30 * DAY),
        (NOW + 50 * DAY, 30, NOW + 50 * DAY),
        (NOW - 5 * DAY, 30, NOW + 30 * DAY),
        (None, 30, None),
        (NOW + 5 * DAY, None, None),
    ],
)
def test_r13_a_top_up_moves_the_end(
    old: datetime | None, days: int | None, new: datetime | None
) -> None:
    assert prolonged(old, now=NOW, days=days) == new


def test_r13_a_top_up_revives_an_expired_wallet_and_its_key(anna: Buyer) -> None:
    end_wallet(anna, database_now() - DAY)
    end_key(anna, database_now() - DAY)
    book_expiries()
    end = prolong(wallet_id=anna.wallet_id, days=30)
    assert end is not None and end > database_now() + 29 * DAY
    assert key_of(anna).expires_at == end
    assert (key_of(anna).expired_at, wallet_of(anna).expired_at) == (None, None)


def test_r13_a_top_up_of_an_account_leaves_its_keys_their_own_ends(anna: Buyer) -> None:
    owner = User.objects.create_user("anna@example.org")
    Wallet.objects.filter(pk=anna.wallet_id).update(owner=owner)
    end = database_now() + DAY
    end_key(anna, end)
    prolong(wallet_id=anna.wallet_id, days=30)
    assert key_of(anna).expires_at == end


def test_an_end_is_announced_three_days_and_one_day_ahead_once_each(anna: Buyer) -> None:
    end = database_now() + 10 * DAY
    end_wallet(anna, end)
    written = [warn_of_expiries(end - timedelta(days=days)) for days in (4, 3, 2, 1, 0.5, 0)]
    assert written == [0, 1, 0, 1, 0, 0]
    dues = Notice.objects.order_by("due_at").values_list("subject", "due_at")
    assert list(dues) == [
        (f"wallet:{anna.wallet_id}", end - 3 * DAY),
        (f"wallet:{anna.wallet_id}", end - DAY),
    ]


def test_a_warning_that_was_missed_is_not_made_up_for(anna: Buyer) -> None:
    end = database_now() + 10 * DAY
    end_wallet(anna, end)
    assert warn_of_expiries(end - timedelta(hours=2)) == 1
    assert Notice.objects.get().due_at == end - DAY


def test_a_key_that_never_lived_so_long_is_not_warned_of(anna: Buyer) -> None:
    ApiKey.objects.filter(pk=anna.key_id).update(expires_at=database_now() + timedelta(hours=2))
    assert warn_of_expiries() == 0


def test_a_wallet_that_has_nothing_to_lose_is_not_warned_of(anna: Buyer) -> None:
    op = hold_op(anna, 1_000)
    direct.hold(op)
    direct.settle(settle_op(anna, op.id, 1_000))
    end_wallet(anna, database_now() + DAY)
    assert warn_of_expiries() == 0


def test_a_key_that_ends_with_its_wallet_is_announced_once(anna: Buyer) -> None:
    end = database_now() + DAY
    end_wallet(anna, end)
    end_key(anna, end)
    assert warn_of_expiries() == 1
