"""OpenAI's own library orders, watches, fetches, remixes and deletes videos of the demo channel."""

from collections.abc import Iterator

import pytest
from openai import NotFoundError, OpenAI

from billing.scoping import tenant_scope
from relay import tasks
from relay.models import UpstreamObject
from tests.relay.asking import until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer

# The library tells its readers when OpenAI's own videos end.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

A_SECOND = 200
SOON = "[demo lasts_ms=1]"


@pytest.fixture
def openai(relay_server: RelayServer, shop: Shop) -> Iterator[OpenAI]:
    """The library, with a key to a shop that has the demo channel."""
    shop.channel()
    shop.reprice("sora-2", second=A_SECOND)
    key = shop.key()
    shop.wait_for_relays()
    with OpenAI(api_key=key, base_url=f"{relay_server.url}/v1", max_retries=0) as client:
        yield client


def test_it_orders_and_fetches_a_video(openai: OpenAI, shop: Shop) -> None:
    video = openai.videos.create(model="sora-2", prompt=f"A cat {SOON}", seconds="8")
    assert (video.seconds, video.size) == ("8", "720x1280")
    until(lambda: openai.videos.retrieve(video.id).status == "completed")
    assert openai.videos.download_content(video.id).read().startswith(b"\x00\x00\x00\x18ftyp")
    [record] = shop.settled()
    assert record.charged_ubt == 8 * A_SECOND * 1_000_000


def test_it_is_told_of_a_failure_and_gets_its_credit_back(openai: OpenAI, shop: Shop) -> None:
    video = openai.videos.create(model="sora-2", prompt=f"A cat [demo fail] {SOON}")
    shop.settled()
    until(lambda: openai.videos.retrieve(video.id).status == "failed")
    error = openai.videos.retrieve(video.id).error
    assert error is not None
    assert error.code == "demo_failure"
    assert shop.wallets()[0].available_ubt == 90_000_000_000
    shop.check_books()


def test_it_remixes_lists_and_deletes(openai: OpenAI, shop: Shop) -> None:
    first = openai.videos.create(model="sora-2", prompt=SOON, seconds="12")
    second = openai.videos.remix(first.id, prompt=f"A dog {SOON}")
    assert second.seconds == "12"
    assert [video.id for video in openai.videos.list()] == [second.id, first.id]
    until(lambda: openai.videos.retrieve(first.id).status == "completed")
    assert openai.videos.delete(first.id).deleted
    with pytest.raises(NotFoundError):
        openai.videos.retrieve(first.id)
    assert [video.id for video in openai.videos.list()] == [second.id]
    assert [record.second_count for record in shop.settled(2)] == [12, 12]


def test_the_worker_notices_what_nobody_looks_at(openai: OpenAI, shop: Shop) -> None:
    openai.videos.create(model="sora-2", prompt=f"A cat [demo fail] {SOON}")
    shop.settled()
    with tenant_scope(shop.tenant.pk):
        UpstreamObject.objects.update(next_poll_at=UpstreamObject.objects.get().created_at)
    tasks.poll_jobs()
    assert shop.wallets()[0].available_ubt == 90_000_000_000
