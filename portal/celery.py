"""Background jobs: the Celery app, its queues, its schedule, and the base of tenants' tasks.

`celery -A portal.celery worker` and `celery -A portal.celery beat` start from here. Tasks are
interfaces to services in `billing`; all of them may run twice, so a task that was under way when
its worker died is run again.
"""

import os
from typing import Any

from celery import Celery, Task
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

from django.conf import settings


class TenantTask(Task):  # type: ignore[type-arg]
    """A task of one shop: it is called with `tenant_id=` and runs in that scope, or not at all."""

    abstract = True

    def __call__(self, *args: Any, tenant_id: Any = None, **kwargs: Any) -> Any:
        """Run the task in the scope of `tenant_id`; raises ScopeMissing without one."""
        # Celery imports this module before it loads Django's apps, which models need.
        from billing.scoping import tenant_scope

        with tenant_scope(tenant_id):
            return self.run(*args, tenant_id=tenant_id, **kwargs)


_QUEUES = ("money", "mail", "cron")


def _every(task: str, seconds: float) -> dict[str, Any]:
    # A run that waited a whole period is dropped: the next one does the same work.
    return {"task": task, "schedule": seconds, "options": {"expires": max(seconds, 10.0)}}


app = Celery("tollgate")
app.set_default()  # in every thread; a web server has many
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 600,
        # Who wakes a job does not wait for a broker that is away: jobs also come by the clock.
        # A worker's own wait for messages is one second at a time, so it is not cut short.
        "max_retries": 0,
        "socket_connect_timeout": 1.0,
        "socket_timeout": 3.0,
    },
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_time_limit=300,
    task_soft_time_limit=240,
    task_default_queue="cron",
    task_create_missing_queues=False,
    task_queues={name: {"exchange": name, "routing_key": name} for name in _QUEUES},
    task_routes={"billing.*": {"queue": "money"}, "portal.mail.*": {"queue": "mail"}},
    worker_prefetch_multiplier=1,
    worker_concurrency=1,
    worker_max_memory_per_child=300_000,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_send_task_events=False,
    timezone="UTC",
    beat_schedule={
        "reap": _every("billing.reap", settings.REAPER_PERIOD_S),
        "expire": _every("billing.expire", 60.0),
        "notify": _every("billing.notify", 60.0),
        "deliver mail": _every("portal.mail.deliver", 60.0),
        "reconcile touched": _every("billing.reconcile_touched", 60.0),
        "poll payments": _every("billing.poll_payments", 60.0),
        "poll refunds": _every("billing.poll_refunds", 60.0),
        "expire orders": _every("billing.expire_orders", 60.0),
        "forget sealed keys": _every("billing.forget_sealed_keys", 60.0),
        "poll jobs": _every("relay.poll_jobs", 10.0),
        "forget objects": _every("relay.forget_objects", 3_600.0),
        "reconcile all": {
            "task": "billing.reconcile_all",
            "schedule": crontab(hour="3", minute="17"),
        },
        "make partitions": {
            "task": "billing.make_partitions",
            "schedule": crontab(hour="2", minute="47"),
        },
    },
)
app.autodiscover_tasks()
