"""What one turn decides for one execution: its machine takes the facts in, and a journal row comes of it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.live import Arrival, Decided, Live, Nesting, Owed, Scripted
from nbflow.engine.map_run import opened
from nbflow.engine.outside import Outside
from nbflow.engine.rows import artifact_row, closing, code_row, redriving
from nbflow.machine import Step, facts, orders
from nbflow.machine.records import FORMAT, Record, join
from nbflow.machine.turn import BOUND
from nbflow.store.rows import Append, Closing, CodeRow, LogRow, MapRunRow, Settled, TokenRow
from nbflow.tasks.job import Outcome

MOST_RECORDS: Final = 1024
"""A journal row takes no further fact in beyond this: a burst of answers becomes several rows of one commit."""

MOST_BYTES: Final = 64 * 2**20
"""Nor beyond this much JSON text."""

MOST_TOGETHER: Final = BOUND // 4
"""Answers that are taken in before the machine goes on: two records of each, and the step has room for what follows."""

_ENDS: Final = (facts.TaskSucceeded, facts.TaskFailed, facts.TaskTimedOut)


@dataclass(slots=True)
class _Draft:
    """The journal row in the making."""

    live: Live
    now: float
    outside: Outside
    records: list[Record] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    size: int = 0
    owed: deque[Owed] = field(default_factory=deque)
    wake: float | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)
    tokens: list[TokenRow] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    map_runs: list[MapRunRow] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return len(self.records) >= MOST_RECORDS or self.size >= MOST_BYTES

    def hear(self, arrival: Arrival, heeded: bool) -> None:
        """What goes with a fact, which has changed something, or nothing."""
        if arrival.inbox is not None:
            self.consumed.append(arrival.inbox)
        if arrival.outcome is not None and heeded:
            self.outcomes.append(arrival.outcome)
        if arrival.map_run is not None and heeded:
            self.map_runs.append(arrival.map_run)
        if isinstance(arrival.fact, _ENDS):
            self._close(arrival.fact.attempt, by_token=arrival.inbox is not None)

    def take(self, step: Step) -> None:
        self.records += step.records
        self.encoded += step.encoded
        self.size += step.size
        for order in step.orders:
            self._order(order)

    def _order(self, order: orders.Order) -> None:
        if type(order) is orders.WakeAt:
            self.wake = order.due if self.wake is None else min(self.wake, order.due)
            return
        if type(order) is orders.CancelTask:
            self._close(order.attempt)
        elif type(order) is orders.RunMap:
            self.map_runs.append(opened(self.live.row.arn, order, self.now))
        elif type(order) is orders.RunTask:
            outcome = self.live.script(order.state) if self.live.script is not None else None
            if outcome is not None:
                self.owed.append(Scripted(order, outcome))
                return
            if order.token is not None and order.attempt not in self.live.tokens:
                self.tokens.append(self.outside.opened(order, self.live, self.now))
        self.owed.append(order)

    def _close(self, attempt: int, *, by_token: bool = False) -> None:
        """The attempt is over. Its token is closed, if it was not the token by which it was ended."""
        token = self.live.tokens.pop(attempt, None)
        if token is not None and not by_token:
            self.closed.append(token)


def decide(
    live: Live, now: float, outside: Outside, nesting: Nesting | None, refuse: Callable[[Live, Live], None]
) -> Decided | None:
    """Step the machine through its mailbox. None: nothing came of it.

    ``refuse`` is told of a redrive that comes too late or too early: of what, and by what it would go on.
    """
    run = live.machine.run
    ended, first_event, redrives = run.ended, run.last_event + 1, run.redrives
    draft = _Draft(live, now, outside)
    while live.mailbox and not draft.full:
        arrival, *more = together = _together(live.mailbox)
        if arrival.redrive is not None:
            if draft.records or not run.redrivable:
                refuse(live, arrival.redrive)
                continue
            draft.owed.extend(_take_over(live, arrival.redrive))
        step = live.machine.step(arrival.fact, max(now, arrival.at), [each.fact for each in more])
        live.mailbox.extendleft(reversed(together[len(step.heeded) :]))
        for each, heeded in zip(together, step.heeded, strict=False):
            draft.hear(each, heeded)
        draft.take(step)
        if arrival.redrive is not None:
            break  # whoever redrives it too finds it as this one has left it
    if not draft.records:
        live.unheard += draft.consumed
        return None
    made: list[Artifact] = [artifact for outcome in draft.outcomes for artifact in outcome.artifacts]
    if live.step == 0:
        made += live.brought
    redriven = run.redrives > redrives
    closed = closing(run) if run.ended and (redriven or not ended) else None
    told, settled = _reports(live, closed, nesting)
    append = Append(
        execution=live.row.arn,
        step=live.step,
        first_event=first_event,
        at=now,
        records=join(draft.encoded),
        format=FORMAT,
        opened=live.row if live.step == 0 else None,
        redriven=redriving(run, live.row) if redriven else None,
        closed=closed,
        released=run.ended and not run.cancelling,
        codes=_codes(live) if live.step == 0 or redriven else (),
        logs=tuple(LogRow(outcome.attempt, outcome.log) for outcome in draft.outcomes if outcome.log),
        artifacts=tuple(artifact_row(artifact, now) for artifact in made),
        tokens=tuple(draft.tokens),
        closed_tokens=tuple(draft.closed),
        consumed=tuple(draft.consumed),
        map_runs=tuple(draft.map_runs),
        told=told,
        settled=settled,
    )
    return Decided(live, draft.records, draft.owed, append, tuple(made), draft.wake)


def _together(mailbox: deque[Arrival]) -> list[Arrival]:
    """What is taken from a mailbox at once: the first arrival, and if it is an answer, those that follow it."""
    taken = [mailbox.popleft()]
    while (
        mailbox
        and len(taken) < MOST_TOGETHER
        and type(mailbox[0].fact) is type(taken[0].fact) is facts.TaskSucceeded
    ):
        taken.append(mailbox.popleft())
    return taken


def _codes(live: Live) -> tuple[CodeRow, ...]:
    """What does its tasks, for whoever goes on with it. Those of a Map Run's children are their parent's."""
    if live.row.map_run_arn is not None:
        return ()
    return tuple(code_row(code) for code in live.codes.values() if code.kind != "nested")


def _take_over(live: Live, fresh: Live) -> list[orders.Order]:
    """An ended execution is redriven. Returns what it owes still, if it has not been here."""
    if live is fresh:
        return [orders.CancelTask(attempt) for attempt in live.machine.run.cancelling]
    live.row, live.codes, live.directory, live.script = fresh.row, fresh.codes, fresh.directory, None
    live.started, live.ended, live.nests = fresh.started, fresh.ended, fresh.nests
    fresh.machine = live.machine  # whoever has asked, hears by it how this ends
    return []


def _reports(
    live: Live, closed: Closing | None, nesting: Nesting | None
) -> tuple[tuple[Settled, ...], tuple[Settled, ...]]:
    """What the task that waits for the execution is told of its begin, and of its end."""
    token = live.row.parent_token
    if token is None or nesting is None:
        return (), ()
    begun = (Settled(token, facts.encode(nesting.begun(live.row))),) if live.step == 0 else ()
    ended = () if closed is None else (Settled(token, facts.encode(nesting.report(live.row, closed))),)
    return begun, ended
