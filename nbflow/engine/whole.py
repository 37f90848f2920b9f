"""EXPRESS children that are done whole, each as one job of a pool: the engine only hears how they end.

A child goes on in the engine if it must wait, or if the pool could not do it: what killed its worker is then found at
the step that does it, whose Retry and Catch may help.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Final

from nbflow.artifacts.shelf import Shelf
from nbflow.artifacts.values import references
from nbflow.engine.clock import Clock
from nbflow.engine.here import Here
from nbflow.engine.known import KnownArtifacts
from nbflow.engine.live import Live
from nbflow.engine.map_run import Child, Ended, MapRun
from nbflow.language import model
from nbflow.language.integrations import integration, is_invocation
from nbflow.machine import distributed
from nbflow.pools.port import Pool
from nbflow.tasks import child as children
from nbflow.tasks.child import Ending, HandedBack, attempt_of, number_of
from nbflow.tasks.job import Code, Job, Outcome

MOST_SENT: Final = 10_000
"""Children of a run that a pool has at once. How many of them run, is the pool's business."""


class Whole:
    """The jobs of one engine's Map Runs. Of its thread; the pool answers from any."""

    def __init__(
        self,
        pool: Pool,
        shelf: Shelf,
        known: KnownArtifacts,
        clock: Clock,
        here: Here,
        soon: Callable[[MapRun], None],
    ) -> None:
        """``here`` goes on with what cannot be done whole. ``soon`` has a run looked at, from any thread."""
        self._pool = pool
        self._shelf = shelf
        self._known = known
        self._clock = clock
        self._here = here
        self._soon = soon
        self._times = count()

    def take_on(self, run: MapRun) -> None:
        """The children of a run are to be done."""
        run.time = next(self._times)
        self.limit(run)

    def begin(self, run: MapRun, child: Child) -> None:
        """Do a child. Raises StoreError; then nothing has been done."""
        assert run.parcel is not None
        hashes = references(child.input)
        known = self._known.of(hashes) if hashes else {}
        directory, attempt = run.parent.directory, attempt_of(child.number, run.time)
        job = Job(run.row.arn, attempt, run.parcel, child.input, self._shelf, known, directory=directory)
        run.begin(child)
        try:
            self._pool.submit(job, partial(self._hear, run))
        except Exception as error:  # noqa: BLE001  # a pool that is shut down, no threads left, …
            self._hear(run, Outcome(job.execution, job.attempt, None, type(error).__name__, str(error)))

    def _hear(self, run: MapRun, outcome: Outcome) -> None:
        run.answers.append(outcome)
        self._soon(run)

    def heed(self, run: MapRun) -> None:
        """Take in what the pool has answered. Raises StoreError."""
        while run.answers:
            outcome = run.answers[0]
            if run.full and type(outcome.output) is not Ending:
                run.parked.append(outcome)
            else:
                self._take(run, outcome)
            run.answers.popleft()

    def unpark(self, run: MapRun) -> None:
        """Children go on in the engine for which there is room there now. Raises StoreError."""
        while run.parked and (run.over or not run.full):
            self._take(run, run.parked[0])
            run.parked.popleft()
            self._soon(run)  # it may have ended with this

    def _take(self, run: MapRun, outcome: Outcome) -> None:
        child = run.running.get(number_of(outcome.attempt))
        if child is None:
            return
        if outcome.log:
            run.note(child, outcome.log)
        if type(outcome.output) is Ending:
            run.ended.append(Ended(child, outcome.output, outcome.artifacts))
        elif type(outcome.output) is HandedBack:
            self._here.take_over(run, child, outcome.output, outcome.artifacts)
            self.limit(run)
        elif run.over:
            run.ended.append(self._aborted(child))
        else:  # the pool could not do it
            run.take_back(child)
            self._here.begin(run, child)
            self.limit(run)

    def stop(self, run: MapRun) -> None:
        """Give up what the pool has: what runs, or was said to, is aborted; what waits there has not begun."""
        in_line = {child.number for child in run.in_line}
        for child in list(run.running.values()):
            if child.live is not None or not self.cancel(run, child):
                continue
            if child.number in in_line:
                run.take_back(child)
            else:
                run.ended.append(self._aborted(child))

    def cancel(self, run: MapRun, child: Child) -> bool:
        """Give a child up. True: it will not begin. False: it is told to stop, and its answer will come."""
        return self._pool.cancel(run.row.arn, attempt_of(child.number, run.time))

    def _aborted(self, child: Child) -> Ended:
        now = self._clock.now()
        return Ended(child, Ending("ABORTED", None, None, None, now, now), ())

    def limit(self, run: MapRun) -> None:
        """Let as many children run as may: those that run in the engine count, too."""
        most = run.row.max_concurrency
        if run.parcel is not None:
            self._pool.limit(run.parcel.sha256, max(most - run.here, 0) or -1 if most else 0)


def parcel(live: Live, run: str, name: str, definition: str, processor: model.StateMachine) -> Code | None:
    """What does the children of a run whole; None: they run in the engine.

    ``run`` is the run's ARN, ``name`` its state's; ``definition`` is the JSON text of ``processor``.
    """
    if live.script is not None or distributed.has_map_run(processor):  # those are at work here
        return None
    codes = {resource: code for resource, code in live.codes.items() if _may_travel(code)}
    tasks = [task.resource for task, _ in _tasks(processor)]
    if not tasks or not all(_is_done_by(codes, resource) for resource in tasks):
        return None
    if any(inside and task.is_timed for task, inside in _tasks(processor)):
        return None  # tasks of branches take turns: the time of one would run while it waits for its turn
    needed = codes if any(map(is_invocation, tasks)) else {resource: codes[resource] for resource in tasks}
    return children.pin(name, definition, needed, distributed.constants(live.machine.run, run, express=True))


def _may_travel(code: Code) -> bool:
    """Whether it is done wherever its child is. What has limits of its own is for the pool to place."""
    return code.kind == "function" and code.on != "local" and not (code.resources or code.concurrency)


def _tasks(scope: model.Branch, inside: bool = False) -> Iterator[tuple[model.Task, bool]]:
    """All Task states in it, and below; whether they are inside of a Map or Parallel."""
    for state in scope.states.values():
        if isinstance(state, model.Task):
            yield state, inside
        elif isinstance(state, model.Map):
            yield from _tasks(state.item_processor, True)
        elif isinstance(state, model.Parallel):
            for branch in state.branches:
                yield from _tasks(branch, True)


def _is_done_by(codes: Mapping[str, Code], resource: str) -> bool:
    """Whether a task of this Resource is done by one of the codes. (An invocation names it later.)"""
    if integration(resource).has_token:
        return False
    return resource in codes or (is_invocation(resource) and bool(codes))
