"""The values that flow through a state machine, and what an expression can see of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list of Json or dict of str to Json.

An alias of Any, because a recursive alias would need a cast at every literal (lists and dicts are invariant)
without catching one mistake that matters here.
"""


class Absent:
    """The type of :data:`ABSENT`: a field or value that is not there (JSON's null is a value)."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Failure:
    """An ASL error as a value: the core returns it, and never raises it."""

    error: str
    """The error name, such as ``States.Runtime`` (ASL, "Errors")."""
    cause: str | None = None
    """The sentence for people, without the "An error occurred while executing the state …" before it."""
    location: str | None = None
    """JSONata only: the field that failed, such as ``Arguments/bucket`` (the location of EvaluationFailed)."""


class Chance(Protocol):
    """Where random bits come from. The core owns no randomness: ``random.Random`` fits."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """An integer of k random bits."""
        ...


@dataclass(slots=True)
class Scope:
    """All that an expression may look at."""

    input: Json
    """``$`` in JSONPath, ``$states.input`` in JSONata."""
    context: Callable[[], Mapping[str, Json]]
    """Makes the context object (``$$``, ``$states.context``); called only when an expression mentions it."""
    variables: Mapping[str, Json]
    """The workflow variables that are visible here (``$name``)."""
    now: float
    """Seconds since the epoch, for ``$now()`` and ``$millis()``."""
    chance: Chance
    extras: Mapping[str, Json] = field(default_factory=dict)
    """JSONata: further members of ``$states``, that is ``result`` and ``errorOutput`` where they exist."""
