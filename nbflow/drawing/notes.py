"""The few words that stand in a state's corner while a run goes on, and after it."""

from typing import Final

from nbflow.drawing import words
from nbflow.drawing.board import StateView

_INSTANT: Final = frozenset({"Pass", "Choice", "Succeed", "Fail"})
"""Types that take no time worth telling."""


def note(view: StateView, now: float | None = None) -> str:
    """How far a Map or Parallel is, else how long a state took, or how often it was visited.

    ``now`` (seconds since the epoch) is what a state under way has taken until; without it, it shows no time.
    """
    took = "" if view.type in _INSTANT else _took(view, now)
    if view.total:
        counts = f"{view.done}/{view.total}"
        return f"{counts} · {took}" if took and view.done == view.total else counts
    if view.visits > 1:
        failed = f" · {view.failed} ✗" if view.failed else ""
        return (
            f"{view.visits - view.running}/{view.visits}{failed}"
            if view.running
            else f"{view.visits}×{failed}"
        )
    return took


def _took(view: StateView, now: float | None) -> str:
    until = now if view.exited_at is None else view.exited_at
    if view.entered_at is None or until is None:
        return ""
    return words.duration(until - view.entered_at)
