"""What is heard of tasks that run: what they print, and how far they are. It is forgotten with the attempt.

What the children of a Map Run say is heard at the step of the run, too. However many there are, it is little that is
kept there: the last lines, each behind the number of its item, and how far a few of the children are.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from nbflow.tasks.heard import Heard, Progress
from nbflow.tasks.stopping import Key

MOST_TEXT: Final = 50_000
"""Characters of what a task printed that are at hand while it runs: the last ones."""

GAP: Final = "\n…\n"
"""In place of what was too much to be sent while the task ran; its step's log has all in the end."""

MOST_LINES: Final = 20
"""Lines that one child of a Map Run may say at once at the step of the run: the last ones."""

MOST_FAR: Final = 5
"""Children of a Map Run of which it is known at its step how far they are: those that have begun first."""


class Item(NamedTuple):
    """How far a child of a Map Run is."""

    number: int
    said_by: Key
    """Its attempt that has said it."""
    progress: Progress


class Told(NamedTuple):
    """What has been heard of an attempt so far."""

    state: str
    """The name of the state that it is an attempt at."""
    printed: str = ""
    """The end of what it has printed."""
    position: int = 0
    """How many characters it has printed."""
    progress: Progress | None = None
    worker: str = ""
    times: int = 0
    """How often it was heard."""
    items: tuple[Item, ...] = ()
    """Of a Map Run: how far some of its children are, by their numbers."""

    def since(self, position: int) -> str:
        """What it has printed after so many characters, as far as it is at hand."""
        news = self.position - position
        return self.printed[-news:] if news > 0 else ""

    @property
    def log(self) -> str:
        """What it has printed so far, as it is to be shown."""
        before = self.position - len(self.printed)
        return f"… {before:,} characters before this …\n{self.printed}" if before > 0 else self.printed


StateOf: TypeAlias = Callable[[str, int], str | None]
"""The name of the state that an attempt of an execution is at; None if it is not under way. From any thread."""

StepOf: TypeAlias = Callable[[str, int], tuple[str, int, int] | None]
"""Of an attempt of a Map Run's child that runs here: the parent execution, the attempt that the run is there, and the
child's number. None for any other execution. From any thread."""


class Hearing:
    """What pools hear of the attempts of one engine. From any thread."""

    def __init__(self) -> None:
        self._told: dict[Key, Told] = {}
        self._lock = threading.Lock()
        self._state_of: StateOf = lambda execution, attempt: None
        self._step_of: StepOf = lambda execution, attempt: None
        self._news: Callable[[str], None] = lambda execution: None

    def attach(self, state_of: StateOf, step_of: StepOf, news: Callable[[str], None]) -> None:
        """``news`` is called with the execution that there is something new of."""
        self._state_of, self._step_of, self._news = state_of, step_of, news

    def hear(self, said: Sequence[Heard]) -> None:
        """An attempt that is not under way is not listened to."""
        of = [heard.execution for heard in said if self._take(heard)]
        outside = defaultdict[Key, _Outside](_Outside)
        for heard in said:
            mark = ""
            for key, item in self._outside(heard):
                mark = f"[{item}] {mark}"
                outside[key].lines += marked(heard.printed, mark)
                if heard.progress is not None:
                    outside[key].items.append(Item(item, (heard.execution, heard.attempt), heard.progress))
        for key, told in outside.items():
            if self._take(Heard(*key, printed="".join(told.lines)), told.items):
                of.append(key[0])
        for execution in dict.fromkeys(of):
            self._news(execution)

    def _outside(self, heard: Heard) -> Iterator[tuple[Key, int]]:
        """The Map Runs that an attempt is in, from the inside out, and the number of its item there."""
        execution, attempt = heard.execution, heard.attempt
        while (step := self._step_of(execution, attempt)) is not None:
            execution, attempt, number = step
            yield (execution, attempt), number

    def over(self, execution: str, attempt: int) -> None:
        """The attempt has ended: its outcome tells all."""
        if self._told:
            with self._lock:
                self._told.pop((execution, attempt), None)

    def of(self, execution: str) -> Mapping[int, Told]:
        """What has been heard of the attempts of an execution that are under way, by their ids."""
        if not self._told:
            return {}
        with self._lock:
            found = [(key, told) for key, told in self._told.items() if key[0] == execution]
        return {
            attempt: told._replace(items=self._some(told.items)) if told.items else told
            for (_, attempt), told in found
            if self._state_of(execution, attempt)
        }

    def _some(self, items: Iterable[Item]) -> tuple[Item, ...]:
        """The latest of each child, of some that run."""
        running = {item.number: item for item in items if self._step_of(*item.said_by) is not None}
        return tuple(running[number] for number in sorted(running)[:MOST_FAR])

    def _take(self, heard: Heard, items: Sequence[Item] | None = None) -> bool:
        """``items``: children say it; it comes right after what was there."""
        state = self._state_of(heard.execution, heard.attempt)
        if state is None:
            return False
        key = heard.execution, heard.attempt
        with self._lock:
            if key not in self._told:
                self._forget_the_ended()
            told = self._told.get(key) or Told(state)
            start = heard.start if items is None else told.position
            missed = GAP if start > told.position else ""
            self._told[key] = told._replace(
                printed=(told.printed + missed + heard.printed)[-MOST_TEXT:],
                position=start + len(heard.printed),
                progress=heard.progress or told.progress,
                worker=heard.worker,
                times=told.times + 1,
                items=self._some([*told.items, *items]) if items else told.items,
            )
        return True

    def _forget_the_ended(self) -> None:
        """Those of which something came after their outcome."""
        for key in [key for key in self._told if self._state_of(*key) is None]:
            del self._told[key]


class _Outside:
    """What children have said at the step of their Map Run."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.items: list[Item] = []


def marked(printed: str, mark: str) -> list[str]:
    """The last lines of a text, each behind the mark."""
    lines = printed.splitlines()
    cut = [f"{mark}…\n"] if len(lines) > MOST_LINES else []
    return cut + [f"{mark}{line}\n" for line in lines[-MOST_LINES:]]
