"""The properties of the fuzzers hold for their seeds and for thousands of fixed mutations."""

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS
from tests.plugins.proof import size

MUTATIONS = size(2_000, proof=50_000)

pytestmark = [pytest.mark.proof, pytest.mark.timeout(size(120, proof=3_600))]


@pytest.mark.parametrize("name", TARGETS)
def test_the_property_holds_for_every_seed(name: str) -> None:
    assert TARGETS[name].seeds
    for seed in TARGETS[name].seeds:
        TARGETS[name].check(seed)
        TARGETS[name].check(seed[: len(seed) // 2])


@pytest.mark.parametrize("name", TARGETS)
def test_the_property_holds_for_what_looks_like_the_seeds(name: str) -> None:
    target = TARGETS[name]
    for number in range(MUTATIONS):
        data = mutated(target.seeds, number)
        try:
            target.check(data)
        except Exception as error:
            raise AssertionError(f"{name}, mutation {number}: {data!r}") from error
