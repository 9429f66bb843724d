"""The pages of the Stripe of these tests: what a browser, or a person by hand, does on them."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from stripe import Webhook

from tests.billing.payments.at_stripe.making import SECRET
from tests.billing.payments.at_stripe.test_fake import create
from tests.fakes.stripe import FakeStripe


class Ears:
    """A notify address: what it is told, and the status that it answers with."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, str]] = []
        self.statuses = [200]
        ears = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ears.told.append((body, self.headers["Stripe-Signature"]))
                self.send_response(ears.statuses[0] if len(ears.told) == 1 else 200)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def ears() -> Iterator[Ears]:
    """A notify address that listens."""
    ears = Ears()
    Thread(target=ears.server.serve_forever, args=(0.01,), daemon=True).start()
    yield ears
    ears.server.shutdown()
    ears.server.server_close()


def press(fake: FakeStripe, session: str, act: str) -> httpx.Response:
    return httpx.post(f"{fake.url}/c/pay/{session}/{act}", trust_env=False)


def page(fake: FakeStripe, session: str) -> str:
    return httpx.get(fake.sessions[session]["url"], trust_env=False).text


def test_the_page_of_a_session_has_buttons_to_pay_and_a_way_back(fake: FakeStripe) -> None:
    session = create(fake).id
    shown = page(fake, session)
    assert ">Pay</button>" in shown
    assert 'href="https://north.example/"' in shown


def test_who_pays_is_led_back_after_the_shop_was_told(fake: FakeStripe, ears: Ears) -> None:
    fake.notify(ears.url, secret=SECRET)
    session = create(fake).id
    answer = press(fake, session, "pay")
    assert (answer.status_code, answer.headers["location"]) == (303, "https://north.example/")
    ((body, signature),) = ears.told
    event = Webhook.construct_event(body, signature, SECRET)
    assert (event.type, event.data.object.id) == ("checkout.session.completed", session)


def test_what_the_shop_did_not_take_is_told_again(fake: FakeStripe, ears: Ears) -> None:
    ears.statuses = [503]
    notifier = fake.notify(ears.url, secret=SECRET)
    press(fake, create(fake).id, "pay")
    assert [status for _, status in notifier.answers] == [503, 200]


def test_a_button_that_is_not_there_does_nothing(fake: FakeStripe) -> None:
    session = create(fake).id
    for act in ("refund", "win", "nonsense"):
        press(fake, session, act)
    assert fake.sessions[session]["status"] == "open"
    assert press(fake, "cs_test_of_nobody", "pay").status_code == 404


def test_a_session_lives_on_by_its_buttons(fake: FakeStripe) -> None:
    session = create(fake).id
    for act in ("pay-later", "arrive", "refund-half", "dispute", "lose"):
        assert f"/{act}" in page(fake, session)
        press(fake, session, act)
    assert [case["status"] for case in fake.disputes.values()] == ["lost"]
    assert [refund["amount"] for refund in fake.refunds.values()] == [250]
    assert "<button>" not in page(fake, session)


def test_the_front_page_lists_the_sessions(fake: FakeStripe) -> None:
    session = create(fake).id
    assert f"/c/pay/{session}" in httpx.get(f"{fake.url}/", trust_env=False).text


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.fakes.stripe", "--key", "rk_test_by_hand"]
    with subprocess.Popen(command, cwd=Path.cwd(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        headers = {"Authorization": "Bearer rk_test_by_hand"}
        answer = httpx.get(f"{address}/v1/refunds", headers=headers, trust_env=False)
        process.terminate()
    assert (answer.json()["data"], process.returncode) == ([], 0)
