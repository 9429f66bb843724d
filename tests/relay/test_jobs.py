"""Jobs are asked for until they have ended; what failed is given back, once, whoever notices."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
import time_machine
from django.utils import timezone

from billing.ids import uuid7_bytes
from billing.ledger import direct
from billing.ledger.reconcile import reconcile
from billing.models import Tenant, Transfer
from billing.pricing import Counts
from billing.scoping import all_tenants
from relay import jobs, object_rows, tasks
from relay.channels import create_channel
from relay.models import Channel, ChannelCredential, GenericRoute, UpstreamObject
from relay.object_rows import TASK, VIDEO, Kept
from tests.billing.ledger.making import (
    Buyer,
    facts,
    hold_op,
    new_buyer,
    settle_op,
    wallet_of,
)
from tests.databases import Database
from tests.fakes.jobs import FakeJobs


@pytest.fixture(autouse=True)
def everyone() -> Iterator[None]:
    with all_tenants():
        yield


@pytest.fixture
def vendor() -> Iterator[FakeJobs]:
    with FakeJobs() as fake:
        yield fake


@pytest.fixture
def anna(migrated_database: Database, vendor: FakeJobs) -> Buyer:
    """A buyer of a shop with a channel at the vendor, on both databases."""
    return with_channel(new_buyer(1_000), vendor)


@pytest.fixture
def bert(sqlite_database: Database, vendor: FakeJobs) -> Buyer:
    return with_channel(new_buyer(1_000), vendor)


def with_channel(buyer: Buyer, vendor: FakeJobs) -> Buyer:
    create_channel(
        tenant=Tenant.objects.get(pk=buyer.tenant_id),
        name="vendor",
        provider="openai",
        base_url=f"{vendor.origin}/v1",
        credential="sk-secret-of-vendor",
        allow_private_network=True,
    )
    return buyer


def begun(
    buyer: Buyer, upstream_id: str = "video_1", *, is_settled: bool = True, **changes: object
) -> UpstreamObject:
    """Store a job that was charged 100 ubt; due, as if its first pause were over."""
    op = hold_op(buyer, 100, endpoint="videos")
    direct.hold(op)
    if is_settled:
        settle(buyer, op.id)
    credential = ChannelCredential.objects.get()
    kept = Kept(
        id=op.id,
        tenant_id=buyer.tenant_id,
        wallet_id=buyer.wallet_id,
        key_id=buyer.key_id,
        channel_id=credential.channel_id,
        credential_id=credential.pk,
        kind=VIDEO,
        upstream_id=upstream_id,
        is_job=True,
    )
    object_rows.store([kept])
    rows = UpstreamObject.objects.filter(pk=UUID(bytes=op.id))
    rows.update(**{"next_poll_at": timezone.now(), **changes})
    return rows.get()


def settle(buyer: Buyer, request: bytes) -> None:
    done = facts(counts=Counts(second=4), endpoint="videos")
    direct.settle(settle_op(buyer, request, 100, facts=done))


def due_again(job: UpstreamObject) -> UpstreamObject:
    UpstreamObject.objects.filter(pk=job.pk).update(next_poll_at=timezone.now())
    return job


def test_a_failed_job_is_given_back(anna: Buyer, vendor: FakeJobs) -> None:
    job = begun(anna)
    vendor.states["video_1"] = "failed"
    assert tasks.poll_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.given_back_ubt, job.next_poll_at) == ("failed", 100, None)
    assert wallet_of(anna).available_ubt == 1_000
    assert reconcile().is_clean


def test_it_is_given_back_once_however_often_the_job_runs(anna: Buyer, vendor: FakeJobs) -> None:
    job = begun(anna)
    vendor.states["video_1"] = "failed"
    for _ in range(3):
        tasks.poll_jobs()
        jobs.note_state(tenant_id=anna.tenant_id, job_id=job.pk.bytes, state="failed")
    assert wallet_of(anna).available_ubt == 1_000
    assert Transfer.objects.filter(source="job_failed").count() == 1


def test_a_finished_job_stays_charged_and_is_asked_for_no_more(
    bert: Buyer, vendor: FakeJobs
) -> None:
    job = begun(bert)
    vendor.states["video_1"] = "completed"
    assert [tasks.poll_jobs(), tasks.poll_jobs()] == [1, 0]
    job.refresh_from_db()
    assert (job.state, job.next_poll_at) == ("done", None)
    assert wallet_of(bert).available_ubt == 900


def test_a_running_job_is_asked_for_again_after_a_pause(bert: Buyer, vendor: FakeJobs) -> None:
    job = begun(bert)
    vendor.states["video_1"] = "in_progress"
    assert [tasks.poll_jobs(), tasks.poll_jobs()] == [1, 0]
    job.refresh_from_db()
    assert job.next_poll_at is not None
    assert timedelta(0) < job.next_poll_at - timezone.now() <= timedelta(seconds=10)


def test_the_pauses_grow_up_to_ten_minutes() -> None:
    pauses = [jobs._pause(count).total_seconds() for count in range(1, 40)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (10.0, 600.0)


def test_a_failure_is_kept_until_its_request_is_settled(bert: Buyer, vendor: FakeJobs) -> None:
    job = begun(bert, is_settled=False)
    vendor.states["video_1"] = "failed"
    tasks.poll_jobs()
    job.refresh_from_db()
    assert (job.state, job.given_back_at) == ("failed", None)
    settle(bert, job.pk.bytes)
    due_again(job)
    tasks.poll_jobs()
    assert wallet_of(bert).available_ubt == 1_000
    assert len(vendor.asked) == 1


def test_a_job_that_nobody_knows_is_lost_after_two_days(bert: Buyer) -> None:
    job = begun(bert)
    tasks.poll_jobs()
    job.refresh_from_db()
    assert job.state == "running"
    UpstreamObject.objects.update(created_at=timezone.now() - timedelta(hours=49))
    due_again(job)
    tasks.poll_jobs()
    job.refresh_from_db()
    assert (job.state, job.next_poll_at) == ("lost", None)


def test_a_deleted_job_that_has_failed_is_still_given_back(bert: Buyer, vendor: FakeJobs) -> None:
    job = begun(bert)
    vendor.states["video_1"] = "failed"
    kept = object_rows.read(
        tenant_id=bert.tenant_id, wallet_id=bert.wallet_id, kind=VIDEO, upstream_id="video_1"
    )
    assert kept is not None
    object_rows.remove(kept)
    tasks.poll_jobs()
    assert UpstreamObject.objects.get(pk=job.pk).kind == "deleted"
    assert wallet_of(bert).available_ubt == 1_000


def test_a_vendor_that_is_away_costs_nobody_anything(bert: Buyer, vendor: FakeJobs) -> None:
    job = begun(bert)
    Channel.objects.update(base_url="http://127.0.0.1:9/v1")
    assert tasks.poll_jobs() == 1
    job.refresh_from_db()
    assert (job.state, wallet_of(bert).available_ubt) == ("running", 900)


def test_a_job_without_its_channel_waits_to_be_lost(bert: Buyer) -> None:
    job = begun(bert)
    Channel.objects.all().delete()
    assert tasks.poll_jobs() == 1
    job.refresh_from_db()
    assert job.state == "running"


def test_a_demo_video_is_asked_for_in_this_process(sqlite_database: Database) -> None:
    buyer = new_buyer(1_000)
    tenant = Tenant.objects.get(pk=buyer.tenant_id)
    channel = create_channel(tenant=tenant, name="demo", provider="demo")
    ChannelCredential.objects.create(tenant=tenant, channel=channel, sealed=b"", hint="")
    job = begun(buyer, "video_demo_0_1_4_720x1280_fail_00000000", credential_id=-channel.pk)
    ChannelCredential.objects.all().delete()
    tasks.poll_jobs()
    job.refresh_from_db()
    assert job.state == "failed"


def route_of(buyer: Buyer, **fields: object) -> GenericRoute:
    rule = {"task_field": "result", "poll_path": "/task/{task}/fetch", "state_field": "status"}
    ends = {"done_values": ["SUCCESS"], "failed_values": ["FAILURE"]}
    return GenericRoute.objects.create(
        tenant_id=buyer.tenant_id,
        name="mj",
        prefix="/mj",
        upstream_prefix="/mj",
        channel=Channel.objects.get(),
        methods=["GET", "POST"],
        **{**rule, **ends, **fields},
    )


def test_a_failed_task_of_a_route_is_given_back_by_its_rule(bert: Buyer, vendor: FakeJobs) -> None:
    Channel.objects.update(provider="generic", base_url=vendor.origin)
    job = begun(bert, "171", kind=TASK, route_id=route_of(bert).pk)
    vendor.states["171"] = "failure"
    tasks.poll_jobs()
    job.refresh_from_db()
    assert (job.state, job.given_back_ubt) == ("failed", 100)
    assert vendor.asked[0].path == "/mj/task/171/fetch"


def response_of(buyer: Buyer) -> Kept:
    return Kept(
        id=uuid7_bytes(),
        tenant_id=buyer.tenant_id,
        wallet_id=buyer.wallet_id,
        key_id=buyer.key_id,
        channel_id=1,
        credential_id=1,
        kind="response",
        upstream_id="resp_1",
    )


def test_old_objects_are_forgotten_after_thirty_days(sqlite_database: Database) -> None:
    buyer = new_buyer()
    object_rows.store([response_of(buyer), response_of(buyer), response_of(buyer)])
    assert tasks.forget_objects() == 0
    with time_machine.travel(timezone.now() + timedelta(days=31), tick=False):
        assert [tasks.forget_objects(), tasks.forget_objects()] == [3, 0]
    assert not UpstreamObject.objects.exists()


def test_what_is_stored_twice_is_there_once(sqlite_database: Database) -> None:
    buyer = new_buyer()
    kept = response_of(buyer)
    object_rows.store([kept])
    object_rows.store([kept])
    assert UpstreamObject.objects.count() == 1
