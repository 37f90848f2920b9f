"""What a step carries along: the run, the time, and the records so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from nbflow.language.values import Chance, Json, Scope
from nbflow.machine.context import context_object
from nbflow.machine.evolve import evolve
from nbflow.machine.records import EXECUTION_ENDED, Record, TooMuchData, encode
from nbflow.machine.run import Frame, Run

BOUND: Final = 256
"""A step ends after about so many records (the handler that reaches the bound finishes)."""

MOST_BYTES: Final = 64 * 2**20
"""Of one record; and a step that has written so much ends, too."""

MOST_EVENTS: Final = 25_000
"""Of one execution, under AWS's quotas (AWS guide, "Quotas related to state machine executions")."""


class TooManyEvents(Exception):
    """The history is full. Never leaves the machine."""


_NONE: Final[Mapping[str, Json]] = {}


HasActivity: TypeAlias = Callable[[str], bool]
"""Whether there is an activity of this ARN. A port, like chance: what it answered shows in the records."""


def always(_: str) -> bool:
    """Every activity is there."""
    return True


class Done(NamedTuple):
    """A state is left."""

    output: Json
    next: str | None
    assigned: dict[str, Json] | None = None


class Failed(NamedTuple):
    """A state has failed with an error that Retry and Catch may see."""

    error: str | None
    cause: str | None
    narrower: str | None = None
    """A more specific name, by which Retry and Catch know the error, too."""

    @property
    def specific(self) -> str | None:
        """The name that Retry and Catch go by."""
        return self.narrower or self.error


@dataclass(slots=True)
class Turn:
    """One step under way."""

    run: Run
    now: float
    chance: Chance
    has_activity: HasActivity = always
    records: list[Record] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    """Each record as JSON text."""
    size: int = 0
    """Bytes of JSON text so far."""
    token: str | None = None
    """Of the attempt that is being prepared: ``$$.Task.Token`` in its arguments."""

    def emit(self, record: Record) -> None:
        """Decide: remember the record and let it change the state.

        It is written out first, so that what cannot be remembered does not change anything. Raises TooMuchData, and
        TooManyEvents.
        """
        run = self.run
        if run.limited and run.last_event >= MOST_EVENTS - 1 and not isinstance(record, EXECUTION_ENDED):
            raise TooManyEvents
        text = encode(record)
        size = len(text)
        if size > MOST_BYTES:
            raise TooMuchData(f"{size:,} bytes of data (at most {MOST_BYTES:,} can be kept of one event)")
        self.records.append(record)
        self.encoded.append(text)
        self.size += size
        evolve(run, record)

    @property
    def full(self) -> bool:
        return len(self.records) >= BOUND or self.size >= MOST_BYTES

    def scope(
        self,
        frame: Frame,
        input: Json,
        extras: Mapping[str, Json] = _NONE,
        item: tuple[int, Json] | None = None,
    ) -> Scope:
        """What an expression of the frame's state sees, with ``input`` as its ``$``."""
        token = self.token
        return Scope(
            input,
            lambda: context_object(self.run, frame, item, token),
            frame.variables,
            self.now,
            self.chance,
            extras,
        )
