"""A key's summary: who may read it, and what it says."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing import keys
from billing.models import ApiKey, Wallet
from billing.scoping import tenant_scope
from portal import key_entry
from tests.cast import Shop
from tests.portal.api.conftest import Script

PATH = "/api/v1/key"


def limit(shop: Shop, **columns: object) -> None:
    with tenant_scope(shop.tenant.pk):
        ApiKey.objects.filter(pk=shop.key.pk).update(**columns)


def test_a_key_reads_its_balance_in_base_tokens(
    north: Shop, script: Script, calls: list[str]
) -> None:
    answer = script(north, PATH, north.plaintext)
    assert answer.status_code == 200
    told = answer.json()
    shown = [told[name] for name in ("granted", "used", "held", "left")]
    assert shown == ["5", "2.25", "0", "2.75"]
    assert (told["state"], told["name"]) == ("active", "north key")
    assert told["last_used_at"] is not None


def test_the_key_is_masked(north: Shop, script: Script) -> None:
    answer = script(north, PATH, north.plaintext)
    assert answer.json()["key"] == north.key.masked
    assert north.plaintext.encode() not in answer.content


def test_limits_are_told(north: Shop, script: Script) -> None:
    limit(north, limit_ubt=2_500_000, rpm=60, allowed_models=["gpt-4"])
    limits = script(north, PATH, north.plaintext).json()["limits"]
    assert (limits["base_tokens"], limits["requests_per_minute"]) == ("2.5", 60)
    assert (limits["models"], limits["budget"]) == (["gpt-4"], None)


def test_a_budget_is_told_with_its_period(north: Shop, script: Script) -> None:
    limit(north, budget_period="day", budget_ubt=1)
    limits = script(north, PATH, north.plaintext).json()["limits"]
    assert limits["budget"] == {"period": "day", "base_tokens": "0.000001"}


def test_the_earlier_end_of_key_and_wallet_counts(north: Shop, script: Script) -> None:
    soon = timezone.now().replace(microsecond=0) + timedelta(days=1)
    limit(north, expires_at=soon + timedelta(days=1))
    with tenant_scope(north.tenant.pk):
        Wallet.objects.update(expires_at=soon)
    told = script(north, PATH, north.plaintext).json()["expires_at"]
    assert told == soon.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_an_expired_key_may_look(north: Shop, script: Script) -> None:
    limit(north, expires_at=timezone.now() - timedelta(days=1))
    assert script(north, PATH, north.plaintext).json()["state"] == "expired"


def test_a_revoked_key_may_look(north: Shop, script: Script) -> None:
    with tenant_scope(north.tenant.pk):
        keys.revoke(kid=north.key.kid)
    assert script(north, PATH, north.plaintext).json()["state"] == "revoked"


def wrong_keys(north: Shop, south: Shop) -> dict[str, dict[str, str]]:
    """Return headers that prove no key of the north, by what is wrong with them."""
    unknown = keys.mint().plaintext
    return {
        "no key": {},
        "another shop's": {"authorization": f"Bearer {south.plaintext}"},
        "unknown": {"authorization": f"Bearer {unknown}"},
        "changed": {"authorization": f"Bearer {north.plaintext[:-1]}!"},
        "a long one": {"authorization": "Bearer " + "x" * 5_000},
        "another scheme": {"authorization": f"Basic {north.plaintext}"},
        "no scheme": {"authorization": north.plaintext},
        "another header": {"x-api-key": north.plaintext},
    }


def test_every_wrong_key_gets_the_same_answer(north: Shop, south: Shop, script: Script) -> None:
    bodies = set()
    for headers in wrong_keys(north, south).values():
        answer = script(north, PATH, **headers)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
        told = answer.json()
        assert told.pop("request_id") == answer["x-request-id"]
        bodies.add(repr(told))
    assert len(bodies) == 1


def test_any_prefix_of_a_key_will_do(north: Shop, script: Script) -> None:
    assert script(north, PATH, "sk-" + north.plaintext[3:]).status_code == 200


def test_a_key_in_the_address_is_no_key(north: Shop, script: Script) -> None:
    assert script(north, f"{PATH}?key={north.plaintext}").status_code == 401


def test_a_session_is_neither_needed_nor_made(north: Shop, script: Script) -> None:
    assert not script(north, PATH, north.plaintext).cookies


def test_answers_are_kept_by_no_cache(north: Shop, script: Script) -> None:
    answer = script(north, PATH, north.plaintext)
    assert (answer["Cache-Control"], answer["Content-Language"]) == ("no-store", "en")


def test_scripts_of_any_site_may_read_with_a_key(north: Shop, script: Script) -> None:
    asked = script(north, PATH, method="OPTIONS", origin="https://elsewhere.example")
    assert (asked.status_code, asked["Access-Control-Allow-Headers"]) == (204, "authorization")
    for key in (north.plaintext, "ak-wrong"):
        answer = script(north, PATH, key, origin="https://elsewhere.example")
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer


def test_guessing_is_slowed_down_even_with_the_right_key(north: Shop, script: Script) -> None:
    for _ in range(key_entry.WRONG_KEYS_PER_MINUTE):
        assert script(north, PATH, "ak-wrong").status_code == 401
    answer = script(north, PATH, north.plaintext)
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["CALLS_OF_A_KEY", "CALLS_OF_A_NETWORK"])
def test_asking_too_often_is_refused(
    north: Shop, script: Script, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(f"portal.api.views.{name}", 2)
    codes = [script(north, PATH, north.plaintext).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
