"""API keys: their form, their proof, their issue and their end."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import override_settings

from billing import keys, tenants
from billing.errors import FieldInvalid, NotFound, ScopeMissing, TenantMismatch
from billing.models import ApiKey, Tenant, Transfer
from billing.scoping import all_tenants, tenant_scope

PEPPER = f"1:{'a' * 64}"


@pytest.fixture
def anna(db: None) -> Tenant:
    return tenants.create_tenant(slug="anna", name="Anna", hosts=["anna.example"])


@pytest.fixture
def bert(db: None) -> Tenant:
    return tenants.create_tenant(slug="bert", name="Bert", hosts=["bert.example"])


def test_a_key_has_a_prefix_and_forty_eight_letters_and_digits() -> None:
    minted = keys.mint()
    assert re.fullmatch(r"ak-tg1[0-9A-Za-z]{45}", minted.plaintext)
    assert minted.plaintext[6:14] == minted.kid
    assert minted.plaintext.endswith(minted.hint)


def test_a_minted_key_does_not_show_itself() -> None:
    minted = keys.mint()
    assert minted.plaintext not in repr(minted)
    assert minted.plaintext.encode() not in minted.mac


def test_no_two_keys_are_the_same() -> None:
    assert len({keys.mint().kid for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("prefix", ["ak-", "sk-", "shopkey-", ""])
def test_a_key_is_the_same_in_any_prefix(prefix: str) -> None:
    minted = keys.mint("ak-")
    parsed = keys.parse(prefix + minted.plaintext.removeprefix("ak-"))
    assert parsed is not None
    assert keys.matches(parsed, mac=minted.mac, pepper_version=minted.pepper_version)


@pytest.mark.parametrize("prefix", ["a-", "AK-", "ak", "toolongs-", "a1-", ""])
def test_a_prefix_of_wrong_form_is_refused(prefix: str) -> None:
    with pytest.raises(FieldInvalid):
        keys.mint(prefix)


def test_every_changed_character_is_noticed_without_a_look_up() -> None:
    key = keys.mint().plaintext
    for place in range(3, len(key)):
        other = "A" if key[place] != "A" else "B"
        assert keys.parse(key[:place] + other + key[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "ak-", "Bearer x", "ak-tg1", "sk-" + "x" * 48, "ak-tg1" + "é" * 45, "\0" * 51]
)
def test_what_has_not_the_form_of_a_key_is_none(text: str) -> None:
    assert keys.parse(text) is None


def test_a_key_with_a_line_end_is_no_key() -> None:
    assert keys.parse(keys.mint().plaintext + "\n") is None


def test_another_secret_with_the_same_public_id_does_not_match() -> None:
    first, second = keys.mint(), keys.mint()
    parsed = keys.parse(second.plaintext)
    assert parsed is not None
    assert not keys.matches(parsed, mac=first.mac, pepper_version=first.pepper_version)


def test_an_unknown_key_is_compared_with_a_dummy_and_never_matches() -> None:
    parsed = keys.parse(keys.mint().plaintext)
    assert parsed is not None
    assert not keys.matches(parsed, mac=None, pepper_version=None)
    with override_settings(KEY_PEPPERS=f"7:{'0' * 64}"):
        minted = keys.mint()
    assert not keys.matches(parsed, mac=minted.mac, pepper_version=7)


def test_a_key_outlives_the_pepper_that_signs_new_ones() -> None:
    with override_settings(KEY_PEPPERS=PEPPER):
        old = keys.mint()
    with override_settings(KEY_PEPPERS=f"{PEPPER},2:{'b' * 64}"):
        assert keys.mint().pepper_version == 2
        parsed = keys.parse(old.plaintext)
        assert parsed is not None
        assert keys.matches(parsed, mac=old.mac, pepper_version=1)


def test_a_pepper_that_was_taken_away_ends_its_keys() -> None:
    with override_settings(KEY_PEPPERS=PEPPER):
        old = keys.mint()
    parsed = keys.parse(old.plaintext)
    assert parsed is not None
    with override_settings(KEY_PEPPERS=f"2:{'b' * 64}"):
        assert not keys.matches(parsed, mac=old.mac, pepper_version=1)


def test_an_issued_key_is_found_by_its_text_alone(anna: Tenant) -> None:
    with tenant_scope(anna.pk):
        key, plaintext = keys.issue(tenant_id=anna.pk, name="for Chatbox")
    found = keys.find(f" {plaintext}\n")
    assert found == key
    assert keys.find(keys.mint().plaintext) is None
    assert keys.find("nonsense") is None


def test_the_plain_text_is_nowhere_in_the_row(anna: Tenant) -> None:
    with tenant_scope(anna.pk):
        key, plaintext = keys.issue(tenant_id=anna.pk)
        row = ApiKey.objects.filter(pk=key.pk).values().get()
    secret = plaintext[14:45]
    assert not [value for value in row.values() if secret in str(value)]
    assert key.masked == f"ak-{key.kid[:4]}***{plaintext[-4:]}"


def test_credit_of_a_new_key_is_an_adjustment(anna: Tenant) -> None:
    with tenant_scope(anna.pk):
        key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=5, actor="operator")
        key.wallet.refresh_from_db()
        booked = Transfer.objects.get(wallet=key.wallet)
    assert (booked.kind, booked.direction, booked.amount_ubt) == ("adjustment", 1, 5)
    assert (booked.actor, key.wallet.credits_ubt) == ("operator", 5)


def test_a_key_without_credit_has_no_transfer(anna: Tenant) -> None:
    with tenant_scope(anna.pk):
        keys.issue(tenant_id=anna.pk)
        assert not Transfer.objects.exists()


def test_limits_and_end_are_stored(anna: Tenant) -> None:
    end = datetime(2030, 1, 1, tzinfo=UTC)
    limits: dict[str, Any] = {"rpm": 3, "tpm": 4, "concurrency": 5, "allowed_models": ["gpt-4"]}
    with tenant_scope(anna.pk):
        key, _ = keys.issue(tenant_id=anna.pk, expires_at=end, **limits)
        key.refresh_from_db()
        assert {name: getattr(key, name) for name in limits} == limits
        assert key.expires_at == key.wallet.expires_at == end


def test_a_shops_own_prefix_is_on_its_keys(anna: Tenant) -> None:
    Tenant.objects.update(key_prefix="sk-")
    with tenant_scope(anna.pk):
        key, plaintext = keys.issue(tenant_id=anna.pk)
    assert (plaintext[:6], key.prefix) == ("sk-tg1", "sk-")


def test_a_key_is_issued_for_the_open_tenant_alone(anna: Tenant, bert: Tenant) -> None:
    with tenant_scope(anna.pk), pytest.raises(TenantMismatch):
        keys.issue(tenant_id=bert.pk)
    with pytest.raises(ScopeMissing):
        keys.issue(tenant_id=bert.pk)


def test_a_revoked_key_stays_revoked(anna: Tenant) -> None:
    with tenant_scope(anna.pk):
        key, _ = keys.issue(tenant_id=anna.pk)
        first = keys.revoke(kid=key.kid)
        again = keys.revoke(kid=key.kid)
    assert (first.status, again.revoked_at) == (ApiKey.DISABLED, first.revoked_at)
    assert first.revoked_at is not None


def test_another_tenants_key_can_not_be_revoked(anna: Tenant, bert: Tenant) -> None:
    with tenant_scope(bert.pk):
        key, plaintext = keys.issue(tenant_id=bert.pk)
    with tenant_scope(anna.pk), pytest.raises(NotFound):
        keys.revoke(kid=key.kid)
    found = keys.find(plaintext)
    assert found is not None
    assert found.revoked_at is None


def test_a_public_id_exists_once(anna: Tenant) -> None:
    with tenant_scope(anna.pk):
        key, _ = keys.issue(tenant_id=anna.pk)
        copy = ApiKey(tenant=anna, wallet=key.wallet, kid=key.kid, mac=b"", pepper_version=1)
        with pytest.raises(IntegrityError):
            copy.save()


def test_a_cap_is_never_overspent(anna: Tenant) -> None:
    with all_tenants():
        key, _ = keys.issue(tenant_id=anna.pk, limit_ubt=5)
        with pytest.raises(IntegrityError, match="api_key_cap_never_overspent"):
            ApiKey.objects.filter(pk=key.pk).update(spent_ubt=3, pending_ubt=3)
