"""How long things will take, by how far each has come since it was first looked at."""

from collections.abc import Hashable
from typing import NamedTuple

from nbflow.drawing.words import left


class _Begun(NamedTuple):
    at: float
    done: float


class Paces:
    """The pace of what goes on, by any key. What was done before it was first looked at, took nobody knows how long."""

    def __init__(self) -> None:
        self._begun: dict[Hashable, _Begun] = {}

    def left(self, key: Hashable, done: float, total: float | None, now: float) -> str:
        """As :func:`nbflow.drawing.words.left`. What has gone back has begun anew."""
        begun = self._begun.setdefault(key, _Begun(now, done))
        if done < begun.done:
            begun = self._begun[key] = _Begun(now, done)
        return left(done - begun.done, None if total is None else total - begun.done, now - begun.at)
