"""Fixtures of the portal's tests: its cast."""

from tests.cast import browser, north, operator, south

__all__ = ["browser", "north", "operator", "south"]
