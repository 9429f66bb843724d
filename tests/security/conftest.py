"""Fixtures of the security tests: two shops and their people."""

from tests.cast import browser, north, operator, south

__all__ = ["browser", "north", "operator", "south"]
