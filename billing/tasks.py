"""The jobs of billing: thin faces of services, put on a clock by Celery.

A message is only a wake-up; what there is to do stands in the database. So each job may run twice,
late, or on two workers at once.
"""

from datetime import UTC, datetime
from typing import Any

from celery import Task, shared_task

from billing import notices, orders, partitions
from billing.ledger import expiry, reaper, reconcile
from billing.orders import deliveries
from billing.scoping import all_tenants


class InstallationTask(Task):  # type: ignore[type-arg]
    """A task that works for the whole installation: it runs in the scope of all tenants."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task."""
        with all_tenants():
            return self.run(*args, **kwargs)


@shared_task(name="billing.reap", base=InstallationTask)
def reap() -> int:
    """Settle the holds of processes that have died; return how many."""
    return reaper.reap()


@shared_task(name="billing.expire", base=InstallationTask)
def expire() -> int:
    """Warn before wallets and keys end, and book those that have; return how many ended."""
    expiry.warn_of_expiries()
    return expiry.book_expiries()


@shared_task(name="billing.notify", base=InstallationTask)
def notify() -> int:
    """Write the mails about ends that come near and balances that are low; return how many."""
    return notices.mail_notices() + notices.warn_of_low_balances()


@shared_task(name="billing.poll_payments", base=InstallationTask)
def poll_payments() -> int:
    """Ask for payments that nobody has confirmed, close those not to be paid; return how many."""
    return orders.poll_open()


@shared_task(name="billing.poll_refunds", base=InstallationTask)
def poll_refunds() -> int:
    """Ask providers for refunds whose fate is not known; return how many were asked for."""
    return orders.poll_refunds()


@shared_task(name="billing.expire_orders", base=InstallationTask)
def expire_orders() -> int:
    """End orders that were not paid in time; return how many."""
    return orders.expire_unpaid()


@shared_task(name="billing.forget_sealed_keys", base=InstallationTask)
def forget_sealed_keys() -> int:
    """Forget keys that nobody has fetched in time; return how many."""
    return deliveries.forget_lapsed()


@shared_task(name="billing.reconcile_touched", base=InstallationTask)
def reconcile_touched() -> int:
    """Compare the wallets that were moved lately; return how many findings there are."""
    return len(reconcile.reconcile_touched().findings)


@shared_task(name="billing.reconcile_all", base=InstallationTask)
def reconcile_all() -> int:
    """Compare all wallets; return how many findings there are."""
    return len(reconcile.reconcile().findings)


@shared_task(name="billing.make_partitions", base=InstallationTask)
def make_partitions() -> int:
    """Make the next months' partitions of usage in time; return how many were missing."""
    return len(partitions.make_partitions(datetime.now(UTC)))
