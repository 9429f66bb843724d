"""How the channels' credentials do: who cools down, how fast they answer, how busy they are.

Passive: fed by the attempts of ordinary traffic. Known to this process only, and forgotten with it.
Called by `forwarding`, read by `routing`. Free of Django.
"""

from relay.providers.base import Failure

_FIRST_PAUSE_S = {"credential": 60.0, "rate_limited": 2.0}
_OTHER_PAUSE_S = 1.0
_LONGEST_PAUSE_S = {"credential": 900.0, "rate_limited": 120.0}
_OTHER_LONGEST_S = 60.0
_LONGEST_RETRY_AFTER_S = 3_600.0
_MEMORY = 0.2


class _State:
    """One credential: when it may be used again, and how quick it was."""

    __slots__ = ("failed_at", "failures", "first_byte_s", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.failed_at = 0.0
        self.until = 0.0
        self.first_byte_s = 0.0


class Health:
    """What this process knows of every credential and channel it has used."""

    def __init__(self) -> None:
        self.running: dict[int, int] = {}
        self._states: dict[int, _State] = {}

    def cooling_until(self, credential_id: int) -> float:
        """Return until when a credential should be left alone; 0.0 for never in trouble."""
        state = self._states.get(credential_id)
        return state.until if state is not None else 0.0

    def first_byte_s(self, credential_id: int) -> float:
        """Return the recent time to the first byte, 0.0 when not known."""
        state = self._states.get(credential_id)
        return state.first_byte_s if state is not None else 0.0

    def note_answer(self, credential_id: int, *, first_byte_s: float, now: float) -> None:
        """A credential has answered as it should: its troubles are over.

        Not if it was asked before them: what ran already says nothing of what is refused now.
        """
        state = self._states.get(credential_id)
        if state is None:
            state = self._states[credential_id] = _State()
            state.first_byte_s = first_byte_s
        if now - first_byte_s >= state.failed_at:
            state.failures = 0
            state.until = 0.0
        state.first_byte_s += (first_byte_s - state.first_byte_s) * _MEMORY

    def note_failure(self, credential_id: int, failure: Failure, *, now: float) -> None:
        """A credential has failed: cool it down, longer each time; a deadline only moves out."""
        state = self._states.setdefault(credential_id, _State())
        state.failed_at = now
        if state.until <= now:  # what fails together with others counts once
            state.failures += 1
        first = _FIRST_PAUSE_S.get(failure.kind, _OTHER_PAUSE_S)
        longest = _LONGEST_PAUSE_S.get(failure.kind, _OTHER_LONGEST_S)
        pause_s = min(first * 2 ** min(state.failures - 1, 16), longest)
        if failure.retry_after_s is not None:
            pause_s = max(pause_s, min(failure.retry_after_s, _LONGEST_RETRY_AFTER_S))
        state.until = max(state.until, now + pause_s)

    def enter(self, channel_id: int) -> None:
        """Count a running attempt."""
        self.running[channel_id] = self.running.get(channel_id, 0) + 1

    def leave(self, channel_id: int) -> None:
        """Count an ended attempt."""
        self.running[channel_id] -= 1
