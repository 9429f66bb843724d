"""Jobs that upstreams have accepted: asked for with growing pauses, given back if they fail.

Called by the Celery task `relay.poll_jobs`, and through the reader when a client has asked for a
job's state by itself. No upstream is ever asked inside of a transaction; whatever is done here may
be done twice.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from billing.ledger.giving_back import give_back
from billing.scoping import tenant_scope
from relay.job_polls import Poll, ask_all
from relay.loading import read_channels, rule_of
from relay.models import GenericRoute, UpstreamObject
from relay.object_rows import DELETED, FIRST_POLL, VIDEO
from relay.snapshot import ChannelEntry, CredentialEntry

AT_ONCE = 200
LONGEST_PAUSE = timedelta(minutes=10)
ASKED_FOR = timedelta(hours=48)
"""How long a job's state is asked for. What has not ended by then is lost: staff may look."""

_FIRST_PAUSES = 12


def poll() -> int:
    """Ask for the jobs that are due and conclude those that have ended; return how many were due.

    In the scope of all tenants.
    """
    due = _claim(timezone.now())
    for job in due:
        if job.state == UpstreamObject.FAILED:
            conclude(job, UpstreamObject.FAILED)
    asked = {job.pk: job for job in due if job.state == UpstreamObject.RUNNING}
    for job_id, state in ask_all(_polls(list(asked.values()))):
        conclude(asked[UUID(bytes=job_id)], state)
    return len(due)


@transaction.atomic
def _claim(now: datetime) -> list[UpstreamObject]:
    """Return the jobs that are due, each put off to its next turn: no two workers ask for one."""
    rows = UpstreamObject.objects.filter(next_poll_at__lte=now).order_by("next_poll_at")
    due = list(rows.select_for_update(skip_locked=True)[:AT_ONCE])
    for job in due:
        job.poll_count += 1
        job.next_poll_at = now + _pause(job.poll_count)
        if job.state == UpstreamObject.RUNNING and job.created_at + ASKED_FOR <= now:
            job.state, job.next_poll_at = UpstreamObject.LOST, None
    UpstreamObject.objects.bulk_update(due, ["poll_count", "next_poll_at", "state"])
    return due


def _pause(poll_count: int) -> timedelta:
    """Return how long to wait: every 10 s for two minutes, then longer and longer."""
    if poll_count <= _FIRST_PAUSES:
        return FIRST_POLL
    return min(FIRST_POLL * 1.5 ** min(poll_count - _FIRST_PAUSES, 20), LONGEST_PAUSE)


def note_state(*, tenant_id: int, job_id: bytes, state: str) -> None:
    """Conclude a job whose client has seen how it ended. Called in the reader."""
    with tenant_scope(tenant_id):
        job = UpstreamObject.objects.filter(pk=UUID(bytes=job_id)).first()
        if job is not None:
            conclude(job, state)


@transaction.atomic
def conclude(job: UpstreamObject, state: str) -> None:
    """Write down how a job has ended; one that has failed is given back, once.

    A failure is only concluded when the ledger has settled its request; until then it stays due.
    """
    if state == UpstreamObject.RUNNING:
        return
    job = UpstreamObject.objects.select_for_update().get(pk=job.pk)
    if job.next_poll_at is None:
        return
    if state == UpstreamObject.DONE and job.state == UpstreamObject.RUNNING:
        job.state, job.next_poll_at = state, None
    elif state == UpstreamObject.FAILED:
        job.state = state
        amount_ubt = give_back(usage_id=job.pk)
        if amount_ubt is not None:
            job.given_back_at, job.given_back_ubt = timezone.now(), amount_ubt
            job.next_poll_at = None
    job.save(update_fields=["state", "next_poll_at", "given_back_at", "given_back_ubt"])


@transaction.atomic
def give_up(job: UpstreamObject, *, actor: str, reason: str) -> bool:
    """Count a job as failed and give its charge back, because a person says so.

    False: its request is not settled yet. In the open scope.
    """
    job = UpstreamObject.objects.select_for_update().get(pk=job.pk)
    amount_ubt = give_back(usage_id=job.pk, actor=actor[:64], reason=reason)
    if amount_ubt is None:
        return False
    job.state, job.next_poll_at = UpstreamObject.FAILED, None
    job.given_back_at, job.given_back_ubt = timezone.now(), amount_ubt
    job.save(update_fields=["state", "next_poll_at", "given_back_at", "given_back_ubt"])
    return True


def _polls(jobs: Sequence[UpstreamObject]) -> list[Poll]:
    """Return how to ask for jobs; not for those whose channel or route has gone."""
    channels = read_channels({job.channel_id for job in jobs})
    routes = {
        route.pk: route
        for route in GenericRoute.objects.filter(pk__in={job.route_id for job in jobs})
    }
    found = (_poll(job, channels.get(job.channel_id), routes) for job in jobs)
    return [poll for poll in found if poll is not None]


def _poll(
    job: UpstreamObject, channel: ChannelEntry | None, routes: Mapping[int, GenericRoute]
) -> Poll | None:
    credential = credential_of(channel, job.credential_id) if channel else None
    if channel is None or credential is None:
        return None
    route = routes.get(job.route_id or 0)
    rule = rule_of(route) if route else None
    if rule is None and not (job.kind in (VIDEO, DELETED) and job.route_id is None):
        return None
    return Poll(
        job_id=job.pk.bytes,
        channel=channel,
        credential=credential,
        upstream_id=job.upstream_id,
        model=job.model,
        rule=rule,
        upstream_prefix=route.upstream_prefix if route else "",
    )


def credential_of(channel: ChannelEntry, credential_id: int) -> CredentialEntry | None:
    """Return the credential that made an object, or any other of its channel."""
    for credential in channel.credentials:
        if credential.id == credential_id:
            return credential
    return channel.credentials[0] if channel.credentials else None
