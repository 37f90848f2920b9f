"""A clock that moves only when it is told to."""


class VirtualClock:
    """Time for tests: a 365-day Wait takes no time at all."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance_to(self, at: float) -> None:
        """Move to ``at``; never back."""
        self._now = max(self._now, at)
