"""Tests that grow: small enough for every run, and as big as a proof under `dev.py prove`.

They are marked `proof` and ask while their module is imported, for a constant at its top.
"""

import os

from portal.dev.testing import PROOF_VARIABLE


def is_asked_for() -> bool:
    """Tell whether this run is a proof."""
    return bool(os.environ.get(PROOF_VARIABLE))


def size(usual: int, *, proof: int) -> int:
    """Return how many tries a test makes: `usual`, or `proof` in one."""
    return proof if is_asked_for() else usual
