"""Secrets at rest: opened only where they were sealed, and only as long as their key is there."""

import pytest
from django.test import override_settings

from billing.errors import SealBroken
from billing.sealing import seal, unseal

OLD = f"1:{'a' * 64}"
BOTH = f"{OLD},2:{'b' * 64}"


def test_a_secret_comes_back() -> None:
    sealed = seal(b"sk-secret", context="channel:1")
    assert b"sk-secret" not in sealed
    assert unseal(sealed, context="channel:1") == b"sk-secret"
    assert unseal(memoryview(sealed), context="channel:1") == b"sk-secret"


def test_two_seals_of_one_secret_differ() -> None:
    assert seal(b"same", context="x") != seal(b"same", context="x")


def test_a_secret_does_not_open_in_another_place() -> None:
    with pytest.raises(SealBroken):
        unseal(seal(b"secret", context="channel:1"), context="channel:2")


def test_any_changed_byte_breaks_the_seal() -> None:
    sealed = seal(b"secret", context="x")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            unseal(changed, context="x")


@pytest.mark.parametrize("length", [0, 1, 3, 14, 15, 30])
def test_a_cut_secret_is_broken(length: int) -> None:
    with pytest.raises(SealBroken):
        unseal(seal(b"secret", context="x")[:length], context="x")


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    with override_settings(SEALING_KEYS=OLD):
        old = seal(b"old", context="x")
    with override_settings(SEALING_KEYS=BOTH):
        assert unseal(old, context="x") == b"old"
        new = seal(b"new", context="x")
    with override_settings(SEALING_KEYS=OLD), pytest.raises(SealBroken, match="sealing keys"):
        unseal(new, context="x")
