"""What comes from outside the engine: facts in the store's inbox, and the times of tasks that others end by a token.

Whoever ends a task closes its token and puts the fact into the inbox, in one transaction; whether it is a worker behind
the API, another execution that has ended, or this engine, whose timer says that the time is over. So the engine never
decides by itself that such a task has ended: it reads that in the inbox.
"""

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from nbflow.engine.clock import Clock
from nbflow.engine.live import Arrival, Live
from nbflow.language.integrations import integration
from nbflow.language.paths import compact, spelt
from nbflow.machine import facts, orders
from nbflow.machine.retries import DATA_LIMIT
from nbflow.store.port import Store
from nbflow.store.rows import InboxRow, Settled, TokenRow


class Outside:
    """The inbox as one engine reads it, and its timers. Of the engine's thread; only ``changed`` is set by others."""

    def __init__(self, store: Store, clock: Clock, owner: str) -> None:
        self.changed = True
        """The inbox may hold something new."""
        self._store = store
        self._clock = clock
        self._owner = owner
        self._read = 0
        """The id of the last inbox row that was looked at."""
        self._adopted: dict[str, int] = {}
        """Executions whose rows and tokens were perhaps passed over, before they were this engine's, and the last row
        of each that was taken since."""
        self._timers: list[tuple[float, str]] = []
        """When tokens are to be looked at."""

    @property
    def next_due(self) -> float | None:
        """When a task may have timed out."""
        return self._timers[0][0] if self._timers else None

    def arrivals(
        self, known: Mapping[str, Live], wake: Callable[[str], bool]
    ) -> Iterator[tuple[str, Arrival]]:
        """What has newly arrived for the executions that this engine knows, or can ``wake``. Raises StoreError.

        The rest is for other engines, or, of executions that have ended, for nobody, and deleted.
        """
        while self._adopted:
            arn = next(iter(self._adopted))
            if arn in known:
                self.watch_all(known[arn])
            for row in self._store.inbox_of(arn):
                if self._adopted[arn] < row.id <= self._read and arn in known:
                    yield arn, Arrival(_fact(row), inbox=row.id)
                    self._adopted[arn] = row.id  # whoever takes it may fail
            del self._adopted[arn]
        while self.changed:
            self.changed = False
            for row in self._store.inbox(self._read):
                self.changed = True
                if row.execution in known or (row.owner == self._owner and wake(row.execution)):
                    yield row.execution, Arrival(_fact(row), inbox=row.id)
                elif row.ended:
                    self._store.forget([row.id])
                self._read = row.id  # not before it is taken: whoever takes it may fail

    def watch_all(self, live: Live) -> None:
        """Look at the tokens of an execution that was not here. Raises StoreError."""
        for token in list(live.tokens.values()):
            row = self._store.token(token)
            if row is not None and row.state == "open":
                self.watch(row)

    def adopt(self, execution: str) -> None:
        """An execution is this engine's from now on: what has arrived for it before is to be heard."""
        self._adopted.setdefault(execution, 0)
        self.changed = True

    def settle(self, token: str, fact: facts.Fact) -> None:
        """End a task from here; if somebody was quicker, nothing happens. Raises StoreError."""
        if self._store.settle(Settled(token, facts.encode(fact))):
            self.changed = True

    def opened(self, order: orders.RunTask, live: Live, now: float) -> TokenRow:
        """The token of a task that is ordered now. Once it is durable, it is to be watched."""
        assert order.token is not None
        activity = order.resource if integration(order.resource).family == "Activity" else None
        timed = activity is None  # a worker starts an activity's time when it takes the task
        row = TokenRow(
            token=order.token,
            execution=live.row.arn,
            attempt=order.attempt,
            state="open" if activity is None else "queued",
            activity=activity,
            input=None if activity is None else spelt(compact(order.arguments)),
            timeout=order.timeout,
            heartbeat=order.heartbeat,
            due=now + order.timeout if timed and order.timeout is not None else None,
            heartbeat_due=now + order.heartbeat if timed and order.heartbeat is not None else None,
        )
        live.tokens[order.attempt] = order.token
        return row

    def started(self, live: Live, attempt: int) -> None:
        """A worker has taken the task: its time runs. Raises StoreError."""
        token = live.tokens.get(attempt)
        row = None if token is None else self._store.token(token)
        if row is not None:
            self.watch(row)

    def watch(self, row: TokenRow) -> None:
        """Look at a durable token when its time may be over. Heartbeats only move that: it is looked at again then."""
        dues = [due for due in (row.due, row.heartbeat_due) if due is not None]
        if dues:
            heapq.heappush(self._timers, (min(dues), row.token))

    def forget(self, tokens: Collection[str]) -> None:
        """Do not look at these any more: their executions are asleep until the first of them is due."""
        if tokens:
            gone = set(tokens)
            self._timers = [timer for timer in self._timers if timer[1] not in gone]
            heapq.heapify(self._timers)

    def expire(self) -> None:
        """End what has timed out. Raises StoreError; then the same timers are tried again."""
        now = self._clock.now()
        while self._timers and self._timers[0][0] <= now:
            token = self._timers[0][1]
            row = self._store.token(token)
            if row is not None and row.state == "open":
                self._expire(row, now)
            heapq.heappop(self._timers)

    def _expire(self, row: TokenRow, now: float) -> None:
        timed_out = row.due is not None and row.due <= now
        fact = facts.TaskTimedOut(row.attempt, heartbeat=not timed_out)
        if self._store.expire(Settled(row.token, facts.encode(fact)), now):
            self.changed = True
            return
        later = self._store.token(row.token)  # a heartbeat was quicker, or whoever ended it
        if later is not None and later.state == "open":
            self.watch(later)


def _fact(row: InboxRow) -> facts.Fact:
    """What the row says. A result that its sender's thread could just read, and this one cannot, fails its task."""
    try:
        fact = facts.decode(row.fact)
    except RecursionError:
        fact = facts.TaskFailed(0, DATA_LIMIT, "The result of the task is nested too deeply.")
    return fact if row.attempt is None else msgspec.structs.replace(fact, attempt=row.attempt)
