"""How much of the memory of a process the bodies of running requests may take together.

Each body has its own limit; thousands of them at once need one for all. Counted by `call` as bytes
arrive, given back by `asgi` when a call has ended.
"""

from relay.errors import Overloaded


class Bodies:
    """The bytes of bodies that the calls under way have sent."""

    __slots__ = ("held_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0

    def check_room(self, size_bytes: int) -> None:
        """Raise Overloaded if so much more is too much."""
        if self.held_bytes + size_bytes > self.limit_bytes:
            raise Overloaded
