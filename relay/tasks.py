"""The jobs of the relay's rows: thin faces of services, put on a clock by Celery."""

from celery import shared_task
from django.utils import timezone

from billing.tasks import InstallationTask
from relay import jobs, object_rows


@shared_task(name="relay.poll_jobs", base=InstallationTask)
def poll_jobs() -> int:
    """Ask for jobs that upstreams run, give back those that failed; return how many were due."""
    return jobs.poll()


@shared_task(name="relay.forget_objects", base=InstallationTask)
def forget_objects() -> int:
    """Forget what upstreams have kept for long enough; return how many things that were."""
    return object_rows.forget_expired(timezone.now())
