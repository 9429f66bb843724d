"""What goes wrong with pictures and sound: nothing delivered uncharged, nothing else charged."""

import socket

import httpx
import pytest

from billing.models import UsageRecord
from tests.fakes.media import FakeMedia, speech
from tests.relay.asking import until
from tests.relay.conftest import Shop
from tests.relay.media_calls import CALLS, IN_EVENTS, IN_ONE_PIECE, price_all, request
from tests.relay.server import RelayServer, running_relay


@pytest.fixture
def key(shop: Shop, fake_media: FakeMedia) -> str:
    """A key worth 900,000 base tokens of a shop whose only channel is the fake."""
    price_all(shop)
    shop.fake_channel(fake_media)
    return shop.key(900_000)


def received(client: httpx.Client, asked: httpx.Request) -> tuple[httpx.Response, bytes, bool]:
    """Return the answer, what came of its body, and whether that was said to be all."""
    answer, body = client.send(asked, stream=True), b""
    try:
        for piece in answer.iter_raw():
            body += piece
    except httpx.RemoteProtocolError:
        return answer, body, False
    return answer, body, True


def settled(shop: Shop) -> UsageRecord:
    [record] = shop.settled()
    shop.check_books()
    return record


def nothing(shop: Shop, count: int) -> bool:
    """Say whether so many requests have cost nothing."""
    records = shop.settled(count)
    shop.check_books()
    return {(record.charged_ubt, record.resolution) for record in records} == {(0, "voided")}


@pytest.mark.parametrize("told", ["[fake html]", "[fake empty]", "[fake drop_before_headers]"])
def test_an_answer_that_is_none_costs_nothing(
    told: str, key: str, shop: Shop, client: httpx.Client
) -> None:
    for name in CALLS:
        answer = client.send(request(client, key, name, told))
        assert answer.status_code == 503, name
        assert b"fake gateway" not in answer.content
    assert nothing(shop, len(CALLS))


@pytest.mark.parametrize(("status", "passed"), [(400, 400), (429, 503), (500, 503), (401, 502)])
def test_an_error_of_the_vendor_costs_nothing(
    status: int, passed: int, key: str, shop: Shop, client: httpx.Client
) -> None:
    for name in CALLS:
        answer = client.send(request(client, key, name, f"[fake status={status}]"))
        assert answer.status_code == passed, name
        assert answer.json()["error"]["message"]
    assert nothing(shop, len(CALLS))


def test_half_an_answer_is_none(key: str, shop: Shop, client: httpx.Client) -> None:
    for name in IN_ONE_PIECE:
        answer = client.send(request(client, key, name, "[fake cut=1]"))
        assert answer.status_code == 503, name
    assert nothing(shop, len(IN_ONE_PIECE))


@pytest.mark.parametrize(
    "told", ["[fake cut=1 partial=2]", "[fake error_event=1 partial=2 delay_ms=100]"]
)
def test_events_that_break_off_are_charged_for_what_came(
    told: str, key: str, shop: Shop, client: httpx.Client
) -> None:
    for name in IN_EVENTS:
        answer, body, is_whole = received(client, request(client, key, name, told))
        assert (answer.status_code, is_whole) == (200, False), name
        assert b'"code":"no_available_channel"' in body
    records = shop.settled(len(IN_EVENTS))
    assert all(record.charged_ubt > 0 and record.error_type for record in records)


@pytest.mark.parametrize("told", ["[fake cut=0]", "[fake error_event=0]"])
def test_events_that_break_off_before_anything_came_cost_nothing(
    told: str, key: str, shop: Shop, client: httpx.Client
) -> None:
    for name in IN_EVENTS:
        assert client.send(request(client, key, name, told)).status_code == 503, name
    assert nothing(shop, len(IN_EVENTS))


def test_a_crash_is_settled_by_what_a_checkpoint_counts(
    key: str, shop: Shop, relay_server: RelayServer, client: httpx.Client
) -> None:
    """What a record says that it counted is what it charges, also when the reaper writes it."""
    shop.wait_for_relays()
    asked = request(client, key, "transcript in events", "[fake delay_ms=900]")
    with begun(relay_server, asked):
        [hold] = until(lambda: [hold for hold in shop.open_holds() if hold.delivered_ubt])
        assert hold.delivered_ubt == 1_000_000 * (2 * hold.counted_input + 7 * hold.counted_output)
    shop.settled()


def test_a_picture_on_its_way_is_charged_as_one(key: str, shop: Shop, client: httpx.Client) -> None:
    received(client, request(client, key, "pictures in events", "[fake cut=2 partial=3]"))
    record = settled(shop)
    assert (record.image_count, record.output_count) == (1, 200)


def test_speech_is_passed_on_byte_for_byte(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    answer = client.send(request(client, key, "speech", "[fake bytes=300000]"))
    assert answer.content == speech(300_000)
    assert answer.headers["content-type"] == "audio/mpeg"
    record = settled(shop)
    assert record.character_count == len("[fake bytes=300000]")
    assert record.first_token_ms is not None


def test_speech_that_breaks_off_is_never_whole_and_is_charged(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    answer, body, is_whole = received(client, request(client, key, "speech", "[fake cut=3]"))
    assert answer.status_code == 200
    assert speech(20_000).startswith(body)
    assert not is_whole
    record = settled(shop)
    assert record.charged_ubt > 0
    assert record.error_type == "upstream_cut"


def test_speech_that_never_begins_costs_nothing(key: str, shop: Shop, client: httpx.Client) -> None:
    assert client.send(request(client, key, "speech", "[fake cut=0]")).status_code == 503
    assert settled(shop).charged_ubt == 0


def test_another_channel_speaks_when_the_first_does_not(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    shop.fake_channel(fake_media, "/status=500/v1", priority=5)
    shop.wait_for_relays()
    assert client.send(request(client, key, "edit")).status_code == 200
    first, second = fake_media.truth
    assert (first.status, first.body) == (500, second.body)
    assert settled(shop).attempts == 2


def begun(server: RelayServer, asked: httpx.Request) -> socket.socket:
    """Send a request over a socket of one's own that is slow to take anything."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", server.port))
    names = ("authorization", "content-type", "content-length")
    head = "".join(f"{name}: {asked.headers[name]}\r\n" for name in names)
    sock.sendall(f"POST {asked.url.path} HTTP/1.1\r\nhost: x\r\n{head}\r\n".encode())
    sock.sendall(asked.read())
    return sock


def test_a_listener_who_leaves_is_charged_and_the_vendor_is_told(
    key: str,
    shop: Shop,
    fake_media: FakeMedia,
    relay_server: RelayServer,
    client: httpx.Client,
) -> None:
    shop.wait_for_relays()
    asked = request(client, key, "speech", "[fake bytes=600000 delay_ms=5]")
    with begun(relay_server, asked) as sock:
        assert sock.recv(2_000)
    until(lambda: fake_media.truth[0].closed_by_client)
    record = settled(shop)
    assert (record.resolution, record.charged_ubt > 0) == ("client_gone", True)


def test_a_relay_that_stops_says_nothing_in_the_middle_of_speech(
    key: str, relay_server: RelayServer, client: httpx.Client
) -> None:
    asked = request(client, key, "speech", "[fake bytes=600000 delay_ms=50]")
    with begun(relay_server, asked) as sock:
        heard = sock.recv(2_000)
        relay_server.begin_to_stop()
        while piece := sock.recv(65_536):
            heard += piece
    assert b"error" not in heard
    assert not heard.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("is_wanted", [False, True])
def test_a_listener_who_left_before_pays_where_answers_are_made_all_the_same(
    is_wanted: bool,
    key: str,
    shop: Shop,
    fake_media: FakeMedia,
    relay_server: RelayServer,
    client: httpx.Client,
) -> None:
    """R8: and no later bytes are read for nobody."""
    shop.change_tenant(finishes_abandoned=is_wanted)
    shop.wait_for_relays()
    with begun(relay_server, request(client, key, "speech", "[fake silent_ms=400 delay_ms=9]")):
        until(lambda: fake_media.truth)
    record = settled(shop)
    assert (record.resolution, record.charged_ubt > 0) == ("client_gone", is_wanted)
    until(lambda: fake_media.truth[0].closed_by_client)


def test_a_listener_who_stalls_slows_the_vendor_and_is_given_up(
    key: str, shop: Shop, fake_media: FakeMedia, client: httpx.Client
) -> None:
    asked = request(client, key, "speech", "[fake bytes=60000000]")
    with running_relay(stalled_reader_s=0.5) as server, begun(server, asked):
        until(lambda: fake_media.truth and fake_media.truth[0].closed_by_client, within_s=20)
        record = settled(shop)
    assert fake_media.truth[0].pieces < 15_000
    assert (record.resolution, record.charged_ubt > 0) == ("client_gone", True)
