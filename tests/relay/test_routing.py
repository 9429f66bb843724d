"""Which channel is chosen, and how long one that failed is left alone."""

from collections.abc import Collection
from typing import Any

import httpx
import pytest

from relay.health import Health
from relay.protocols.openai import CHAT
from relay.providers import REGISTRY
from relay.providers.base import Failure
from relay.routing import choose
from relay.snapshot import ChannelEntry, CredentialEntry, Offer
from relay.upstream import AddressPolicy, Timeouts
from tests.relay.asking import CHAT as CHAT_PATH
from tests.relay.asking import bearer, chat
from tests.relay.conftest import Shop

UNAVAILABLE = Failure("unavailable", "upstream_unavailable")


def offer(number: int, *, credentials: int = 1, **fields: Any) -> Offer:
    """Return an offer of a channel with this id; its credentials are 10 x id, 10 x id + 1, ..."""
    entry: dict[str, Any] = {
        "id": number,
        "provider": REGISTRY["openai"],
        "base_url": "https://api.example/v1",
        "credentials": tuple(
            CredentialEntry(id=10 * number + index, secret="sk-secret", hint="cret")
            for index in range(credentials)
        ),
        "models": {},
        "endpoints": frozenset(),
        "priority": 0,
        "weight": 1,
        "concurrency": None,
        "timeouts": Timeouts(),
        "policy": AddressPolicy(),
        "extra_headers": {},
        "proxy_url": "",
        "cost_prices": {},
        "is_enabled": True,
    }
    return Offer(ChannelEntry(**{**entry, **fields}), "gpt-4", CHAT)


def chosen(
    offers: list[Offer],
    health: Health,
    *,
    now: float = 100.0,
    draw: float = 0.0,
    conversation: str = "",
    tried: Collection[int] = (),
) -> int:
    """Return the id of the credential that is chosen."""
    choice = choose(offers, health, tried=tried, now=now, draw=draw, conversation=conversation)
    assert choice is not None
    return choice.credential.id


def test_the_highest_priority_is_tried_first() -> None:
    offers = [offer(1, priority=5), offer(2, priority=1)]
    assert {chosen(offers, Health(), draw=draw / 10) for draw in range(10)} == {10}


def test_equals_are_chosen_by_weight() -> None:
    offers = [offer(1, weight=9), offer(2, weight=1)]
    draws = [chosen(offers, Health(), draw=draw / 100) for draw in range(100)]
    assert draws.count(10) == 90


def test_the_quicker_of_equals_is_chosen_more_often() -> None:
    health = Health()
    health.note_answer(10, first_byte_s=0.25, now=100.0)
    health.note_answer(20, first_byte_s=2.25, now=100.0)
    draws = [chosen([offer(1), offer(2)], health, draw=draw / 100) for draw in range(100)]
    assert draws.count(10) > 75


TALKS = [f"7 talk {number}" for number in range(400)]


def homes(offers: list[Offer], health: Health | None = None) -> dict[str, int]:
    """Return which credential has which conversation."""
    known = health or Health()
    return {talk: chosen(offers, known, conversation=talk) for talk in TALKS}


def test_a_conversation_stays_where_it_was_however_quick_others_are() -> None:
    offers, health = [offer(1, credentials=2), offer(2)], Health()
    before = homes(offers)
    health.note_answer(10, first_byte_s=9.0, now=100.0)
    assert {chosen(offers, health, draw=d / 9, conversation=TALKS[0]) for d in range(9)} == {
        before[TALKS[0]]
    }
    assert homes(offers, health) == before


def test_of_a_name_that_fills_a_body_the_beginning_counts() -> None:
    offers = [offer(1), offer(2)]
    names = ["long" * 500_000 + str(number) for number in range(9)]
    assert len({chosen(offers, Health(), conversation=name) for name in names}) == 1


def test_conversations_are_spread_by_weight() -> None:
    spread = [*homes([offer(1, weight=3, credentials=2), offer(2)]).values()]
    assert 100 < spread.count(10) < 200
    assert 100 < spread.count(11) < 200
    assert 60 < spread.count(20) < 140


def test_a_channel_that_goes_moves_no_conversation_but_its_own() -> None:
    before, after = homes([offer(1), offer(2), offer(3)]), homes([offer(1), offer(3)])
    assert {after[talk] for talk in TALKS if before[talk] == 20} == {10, 30}
    assert all(after[talk] == before[talk] for talk in TALKS if before[talk] != 20)


def test_a_conversation_leaves_a_cooling_credential_and_comes_back() -> None:
    offers, health = [offer(1), offer(2)], Health()
    home = homes(offers)[TALKS[0]]
    health.note_failure(home, UNAVAILABLE, now=100.0)
    assert chosen(offers, health, now=100.5, conversation=TALKS[0]) != home
    assert chosen(offers, health, now=200.0, conversation=TALKS[0]) == home


def test_a_conversation_goes_on_at_its_next_home_when_the_first_fails() -> None:
    offers = [offer(1), offer(2), offer(3)]
    home = homes(offers)[TALKS[0]]
    others = [one for one in offers if one.channel.id != home // 10]
    following = chosen(offers, Health(), conversation=TALKS[0], tried={home})
    assert following == homes(others)[TALKS[0]]


def test_a_conversation_does_not_outweigh_priority() -> None:
    assert set(homes([offer(1, priority=5), offer(2)]).values()) == {10}


def test_a_cooling_credential_gives_way_to_a_lower_priority() -> None:
    health = Health()
    health.note_failure(10, UNAVAILABLE, now=100.0)
    offers = [offer(1, priority=5), offer(2, priority=1)]
    assert chosen(offers, health, now=100.5) == 20
    assert chosen(offers, health, now=200.0) == 10


def test_another_credential_of_the_same_channel_takes_over() -> None:
    health = Health()
    health.note_failure(10, Failure("credential", "upstream_credentials"), now=100.0)
    assert chosen([offer(1, credentials=2)], health, now=101.0) == 11


def test_with_all_of_them_cooling_the_one_due_first_is_tried() -> None:
    health = Health()
    health.note_failure(10, Failure("credential", "upstream_credentials"), now=100.0)
    health.note_failure(20, UNAVAILABLE, now=100.0)
    assert chosen([offer(1, priority=5), offer(2)], health, now=100.1) == 20


def test_what_has_been_tried_is_not_chosen_again() -> None:
    assert choose([offer(1)], Health(), tried={10}, now=1.0, draw=0.0) is None


def test_a_full_channel_is_passed_over() -> None:
    health = Health()
    health.enter(1)
    offers = [offer(1, priority=5, concurrency=1), offer(2)]
    assert chosen(offers, health) == 20
    health.leave(1)
    assert chosen(offers, health) == 10


def test_a_disabled_channel_is_never_chosen() -> None:
    offers = [offer(1, is_enabled=False)]
    assert choose(offers, Health(), tried=(), now=1.0, draw=0.0) is None


def test_cooling_grows_with_each_failure_in_a_row() -> None:
    health, now, pauses = Health(), 100.0, []
    for _ in range(4):
        health.note_failure(10, UNAVAILABLE, now=now)
        pauses.append(health.cooling_until(10) - now)
        now = health.cooling_until(10)
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_failures_at_the_same_time_count_once() -> None:
    health = Health()
    for _ in range(50):
        health.note_failure(10, UNAVAILABLE, now=100.0)
    assert health.cooling_until(10) == 101.0


def test_a_deadline_is_only_ever_moved_out() -> None:
    health = Health()
    health.note_failure(
        10, Failure("rate_limited", "upstream_rate_limited", retry_after_s=60), now=100
    )
    health.note_failure(10, UNAVAILABLE, now=101.0)
    assert health.cooling_until(10) == 160.0


def test_an_answer_ends_the_trouble() -> None:
    health = Health()
    health.note_failure(10, UNAVAILABLE, now=100.0)
    health.note_answer(10, first_byte_s=0.1, now=100.5)
    assert health.cooling_until(10) == 0.0


def test_an_answer_to_an_earlier_request_does_not() -> None:
    health = Health()
    health.note_failure(
        10, Failure("rate_limited", "upstream_rate_limited", retry_after_s=60), now=100
    )
    health.note_answer(10, first_byte_s=5.0, now=101.0)
    assert health.cooling_until(10) == 160.0


@pytest.mark.parametrize("kind", ["credential", "rate_limited", "unavailable", "timeout"])
def test_cooling_has_an_end_whatever_an_upstream_asks_for(kind: Any) -> None:
    health, now = Health(), 0.0
    for _ in range(40):
        now = health.cooling_until(10)
        health.note_failure(10, Failure(kind, "upstream_unavailable", retry_after_s=1e9), now=now)
    assert health.cooling_until(10) - now <= 3_600


def test_a_credential_is_masked_wherever_it_is_printed() -> None:
    found = offer(1)
    printed = f"{found} {found.channel!r} {found.channel.credentials[0]!r}"
    assert "sk-secret" not in printed


def test_requests_of_one_conversation_meet_one_channel(shop: Shop, client: httpx.Client) -> None:
    for name in ("one", "two", "three"):
        shop.channel(name)
    shop.wait_for_relays()
    key = shop.key()
    for _ in range(8):
        body = chat(prompt_cache_key="talk")
        assert client.post(CHAT_PATH, headers=bearer(key), json=body).is_success
    assert len({record.channel_id for record in shop.settled(8)}) == 1
