"""What Map Runs ask of the engine, and what an earlier process has left of a run that is given up."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from nbflow.engine.children import rebuilt
from nbflow.engine.clock import Clock
from nbflow.engine.live import AlreadyExists, Arrival, Live
from nbflow.language.paths import compact
from nbflow.language.values import Chance
from nbflow.machine import distributed, facts
from nbflow.store.port import Store, StoreError
from nbflow.store.rows import MapRunRow


class Host(Protocol):
    """What a Map Run asks of the engine. On its thread, where nothing else is said."""

    @property
    def live(self) -> dict[str, Live]: ...

    def admit(self, live: Live, start: facts.Start) -> None:
        """Begin an execution."""
        ...

    def take_in(self, live: Live, *, stop: bool = False) -> None:
        """Go on with an execution that is as its journal has left it, or take it in to stop it. Raises StoreError."""
        ...

    def drop(self, live: Live, error: AlreadyExists) -> None:
        """Forget an execution: it is another engine's."""
        ...

    def put(self, execution: str, arrival: Arrival) -> None: ...

    def later(self, work: Callable[[], None]) -> None:
        """Do something in the engine's next turn. From any thread. If it raises StoreError, it is tried again."""
        ...

    def again(self, work: Callable[[], None], error: StoreError) -> None:
        """The store has refused: do it in a while. From any thread."""
        ...


class Leftovers:
    """Runs that an execution has given up, and whose process was gone before their children had ended."""

    def __init__(self, store: Store, clock: Clock, chance: Chance, host: Host) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._host = host
        self._ending: set[str] = set()
        """The ARNs of the runs that are being ended."""

    def cancel(self, live: Live, attempt: int) -> bool:
        """Stop the children of the attempt's run, and say that it is Cancelled after the last one.

        False: the attempt is none of a Map Run that has not ended, or that is somebody else's care. Raises StoreError.
        """
        if live.ending or not distributed.has_map_run(live.machine.run.definition):
            return False
        rows = [row for row in self._store.map_runs(live.row.arn) if row.attempt == attempt]
        if not rows or rows[0].status != "RUNNING":
            return False
        if rows[0].arn not in self._ending:
            self._end(live, rows[0])
        return True

    def _end(self, live: Live, row: MapRunRow) -> None:
        running = [each.item for each in self._store.children_of(row.arn) if each.status == "RUNNING"]
        lives = [found for item in running if (found := self._child(live, row.arn, item)) is not None]
        self._ending.add(row.arn)
        left = {child.row.arn for child in lives}

        def ended(arn: str) -> None:
            left.discard(arn)
            if not left:
                self._host.later(partial(self._close, live, row))

        for child in lives:
            if child.row.arn not in self._host.live:
                self._host.take_in(child, stop=True)
            child.ended.add_done_callback(lambda _, arn=child.row.arn: ended(arn))  # type: ignore[misc]
            self._host.put(child.row.arn, Arrival(facts.Stop()))
        if not lives:
            self._close(live, row)

    def _child(self, parent: Live, run: str, item: int) -> Live | None:
        arn = distributed.child(run, item, express=False).arn
        if (here := self._host.live.get(arn)) is not None:
            return here
        row = self._store.execution(arn)
        return None if row is None else rebuilt(self._store, row, parent, self._chance)

    def _close(self, live: Live, row: MapRunRow) -> None:
        counted = self._store.children_by_status(row.arn)
        counts = compact({"executions": counted, "items": counted})
        self._ending.discard(row.arn)
        closed = replace(row, status="ABORTED", stopped_at=self._clock.now(), counts=counts)
        self._host.put(live.row.arn, Arrival(facts.Cancelled(row.attempt), map_run=closed))
