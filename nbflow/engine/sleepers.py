"""Executions that have nothing to do for a while leave the memory: 100,000 that wait are rows of the store, no more.

One of them is rebuilt from its journal when it is due, or when the inbox holds something for it. As long as there are
few, all stay: to rebuild one takes about a millisecond.
"""

from math import inf
from typing import Final

from nbflow.engine.clock import Clock
from nbflow.engine.live import Live
from nbflow.language.integrations import integration
from nbflow.machine import orders
from nbflow.store.port import Store
from nbflow.store.rows import ExecutionRow

MOST_AWAKE: Final = 1000
"""Executions that are kept in memory, though they may have nothing to do."""

SOON: Final = 5.0
"""Seconds: what is due within these, is not worth the trouble."""

REST: Final = 1.0
"""Seconds between two looks for executions that can leave."""


class Sleepers:
    """What one engine has put to sleep. Of its thread."""

    def __init__(self, store: Store, clock: Clock, owner: str) -> None:
        self.next_due: float | None = None
        """When the first of them is due; infinity: none is before it is told something. None: there are none."""
        self._store = store
        self._clock = clock
        self._owner = owner
        self._looked_at = -inf
        self._awake: set[str] = set()
        """Those in memory that are perhaps asleep as the store has it, since it has refused something."""

    def put_to_sleep(self, live: dict[str, Live]) -> list[Live]:
        """Those of the live executions that have left the engine's care, if there are too many. Raises StoreError."""
        if self._awake:
            self.woken([])
        now = self._clock.now()
        if len(live) <= MOST_AWAKE or now < self._looked_at + REST:
            return []
        self._looked_at = now
        all_live = list(live.items())  # other threads add to it
        leaving = {arn: due for arn, each in all_live if (due := self._due(each)) > now + SOON}
        if leaving:
            self._awake = set(leaving)
            self._store.put_to_sleep(leaving, self._owner)
            self.look()
            self._awake.clear()
        return [live[arn] for arn in leaving]

    def _due(self, live: Live) -> float:
        """When it has something to do again, unless it is told something: at once, if it is not asleep."""
        run = live.machine.run
        if (
            live.mailbox
            or live.submitted
            or live.refusals
            or live.ending
            or live.script is not None
            or not live.kept
            or not live.started.done()
            or live.row.owner != self._owner
            or live.row.map_run_arn is not None
            or (live.codes and live.row.bindings is None)
            or run.ended
            or run.ready
            or run.cancelling
            or len(live.tokens) < len(run.attempts)
        ):
            return -inf
        owed = live.machine.outstanding()
        if any(isinstance(order, orders.RunTask) and not _waits(order) for order in owed):
            return -inf
        tokens = [self._store.token(token) for token in live.tokens.values()]
        dues = [
            due
            for row in tokens
            if row is not None
            for due in (row.due, row.heartbeat_due)
            if due is not None
        ]
        return min([order.due for order in owed if isinstance(order, orders.WakeAt)] + dues, default=inf)

    def look(self) -> None:
        """See when the first one is due. Raises StoreError."""
        self.next_due = self._store.next_sleeper(self._owner)

    def due(self) -> list[ExecutionRow]:
        """Those that are due, or some of them. Raises StoreError."""
        return self._store.sleepers(self._owner, self._clock.now())

    def woken(self, rows: list[ExecutionRow]) -> None:
        """These are live again. Raises StoreError."""
        self._awake.update(row.arn for row in rows)
        self._store.wake(self._awake, self._owner)
        self._awake.clear()
        self.look()


def _waits(order: orders.RunTask) -> bool:
    """Whether it is somebody outside who is to act: who has been told already, or who comes to ask."""
    return order.submitted or integration(order.resource).family == "Activity"
