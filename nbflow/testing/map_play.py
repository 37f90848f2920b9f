"""A Map Run in play: its children one beside the other, at most MaxConcurrency of them at once."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.machine import distributed, facts, orders
from nbflow.machine.run import Run
from nbflow.tasks.items import size
from nbflow.tasks.places import ItemsFailed
from nbflow.tasks.writing import ChildResult, exported, target_of, transformed


class _Playing(Protocol):
    """A child that is played."""

    @property
    def run(self) -> Run: ...

    @property
    def busy(self) -> bool: ...

    @property
    def next_due(self) -> float | None: ...

    def round(self) -> None: ...

    def wake(self, due: float) -> None: ...


Child = TypeVar("Child", bound=_Playing)


class MapPlay(Generic[Child]):
    """One Map Run under way. ``begin`` starts the child of an index and an input."""

    def __init__(
        self, order: orders.RunMap, inputs: Sequence[Json], begin: Callable[[int, Json], Child]
    ) -> None:
        self._order = order
        self._inputs = inputs
        self._begin = begin
        self._total = sum(size(order, input) for input in inputs)
        self._begun = 0
        self._running: dict[int, Child] = {}
        self._results: dict[int, ChildResult] = {}
        self._failed = 0
        """Items of children that did not succeed."""

    @property
    def running(self) -> list[Child]:
        return list(self._running.values())

    @property
    def busy(self) -> bool:
        return any(child.busy for child in self._running.values())

    @property
    def next_due(self) -> float | None:
        dues = [child.next_due for child in self._running.values()]
        return min((due for due in dues if due is not None), default=None)

    def round(self) -> None:
        """A round of each child that has something to do."""
        for child in self.running:
            if child.busy:
                child.round()

    def wake(self, due: float) -> None:
        """Each child that waits for this time acts."""
        for child in self.running:
            at = child.next_due
            if at is not None and at <= due:
                child.wake(due)

    def advance(self) -> facts.Fact | None:
        """Take note of the children that have ended, and start others. Answers how the run ends, if it does."""
        plan, attempt = self._order.plan, self._order.attempt
        for index, child in list(self._running.items()):
            if child.run.ended:
                self._end(index, self._running.pop(index).run)
        if distributed.exceeds(self._failed, self._total, plan.tolerated_count, plan.tolerated_percentage):
            return facts.TaskFailed(attempt, *distributed.EXCEEDED)
        limit = plan.concurrency or len(self._inputs)
        while self._begun < len(self._inputs) and len(self._running) < limit:
            self._running[self._begun] = self._begin(self._begun, self._inputs[self._begun])
            self._begun += 1
        if self._running:
            return None
        try:
            return facts.TaskSucceeded(attempt, self._output())
        except ItemsFailed as failed:
            return facts.TaskFailed(attempt, failed.error, failed.cause)

    def _end(self, index: int, run: Run) -> None:
        input, plan = self._inputs[index], self._order.plan
        succeeded = run.status == "SUCCEEDED"
        if not succeeded:
            self._failed += size(self._order, input)
        express = bool(run.context.get("Express"))
        named = distributed.child(plan.arn, index, express=express)
        self._results[index] = ChildResult(
            named.arn,
            named.name,
            named.machine_arn,
            run.status,
            compact(input),
            compact(run.output) if succeeded else None,
            run.error,
            run.cause,
            run.started_at,
            run.stopped_at,
        )

    def _output(self) -> Json:
        """What the Map state gives. Nothing is written: of a ResultWriter, it says where it would be."""
        plan = self._order.plan
        results = [self._results[index] for index in sorted(self._results)]
        if plan.writer is None:
            return transformed([each for each in results if each.status == "SUCCEEDED"], None)
        if plan.writer["Resource"] is None:
            return transformed(results, plan.writer["WriterConfig"])
        return exported(target_of(plan.writer["Parameters"], plan.arn), plan.arn)
