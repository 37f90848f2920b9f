"""What the engine does in the world: pools carry durable orders out, and their answers become facts."""

from collections.abc import Callable
from typing import Final, TypeAlias

from nbflow.artifacts.shelf import Shelf
from nbflow.artifacts.values import references
from nbflow.engine.clock import Clock
from nbflow.engine.known import KnownArtifacts
from nbflow.engine.live import Arrival, Live, Nesting, Owed, Scripted
from nbflow.engine.map_runs import MapRuns
from nbflow.language.integrations import integration, is_invocation
from nbflow.machine import facts, orders
from nbflow.pools.port import Answer, Pool
from nbflow.store.port import Store
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.tasks.lambdas import bound, function_name

NEGLIGIBLE: Final = 0.01
"""Seconds: what is shorter is not worth its bytes in the journal."""

Put: TypeAlias = Callable[[str, Arrival], None]

Over: TypeAlias = Callable[[str, int], None]
"""Called with an execution and an attempt of it that a pool has answered."""


class Hands:
    """The pools of one engine. Of its thread; pools answer from any."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        ordinary: Pool,
        scattered: Pool,
        clock: Clock,
        map_runs: MapRuns,
        known: KnownArtifacts,
        put: Put,
        over: Over,
    ) -> None:
        self.nesting: Nesting | None = None
        self._store = store
        self._shelf = shelf
        self._ordinary = ordinary
        self._scattered = scattered
        self._clock = clock
        self._map_runs = map_runs
        self._put = put
        self._over = over
        self._known = known

    @property
    def pools(self) -> list[Pool]:
        return [pool for pool in (self._ordinary, self._scattered, self.nesting) if pool is not None]

    def _pools(self, live: Live) -> list[Pool]:
        """Those that may have to do with an execution: to ask for nested ones takes a query."""
        return self.pools if live.nests else [self._ordinary, self._scattered]

    def carry_out(self, live: Live, order: Owed) -> None:
        """Do what an order asks for, if it still stands. Raises StoreError; then nothing has been done."""
        if type(order) is Scripted:
            self._say(live, order.order, order.outcome)
        elif type(order) is orders.RunTask and order.attempt in live.machine.run.attempts:
            self._run_task(live, order)
        elif type(order) is orders.RunMap and order.attempt in live.machine.run.attempts:
            self._map_runs.begin(live, order)
        elif type(order) is orders.CancelTask:
            if order.attempt not in live.submitted and self._map_runs.cancel(live, order.attempt):
                return  # it says so itself
            gave_up = [pool.cancel(live.row.arn, order.attempt) for pool in self._pools(live)]
            if any(gave_up) or order.attempt not in live.submitted:
                live.submitted.discard(order.attempt)
                self._put(live.row.arn, Arrival(facts.Cancelled(order.attempt)))

    def let_go(self, live: Live) -> None:
        """Give up whatever the pools and Map Runs still have of it."""
        self._map_runs.let_go(live.row.arn)
        for attempt in live.submitted:
            for pool in (self._ordinary, self._scattered):
                pool.cancel(live.row.arn, attempt)

    def _say(self, live: Live, order: orders.RunTask, outcome: Outcome) -> None:
        """A script has answered: the events are those that the real task would have."""
        outcome = outcome._replace(execution=live.row.arn, attempt=order.attempt)
        named = integration(order.resource)
        if named.family == "Activity":
            self._put(live.row.arn, Arrival(facts.TaskStarted(order.attempt)))
        elif named.pattern:
            self._put(live.row.arn, Arrival(facts.TaskSubmitted(order.attempt, {})))
        if outcome.error == "States.Timeout" and outcome.cause is None:
            self._put(live.row.arn, Arrival(facts.TaskTimedOut(order.attempt), outcome))
        else:
            self._put(live.row.arn, Arrival(_result(outcome), outcome))

    def _run_task(self, live: Live, order: orders.RunTask) -> None:
        """Give the job to a pool. Whatever keeps it from there is the task's failure."""
        if integration(order.resource).family == "Activity" or order.submitted:
            return  # a worker asks for it; or somebody has been told already
        hashes = references(order.arguments)
        known = self._known.of(hashes) if hashes else {}
        if hashes:  # of what lives in memory only, the store does not know them
            known.update((made.sha256, made) for made in live.made if made.sha256 in hashes)
        code, arguments = bound(order, live.codes)
        if code is None:
            self._fail(live, order, _unbound(order))
            return
        job = Job(
            execution=live.row.arn,
            attempt=order.attempt,
            code=code,
            arguments=arguments,
            shelf=self._shelf,
            known=known,
            expected=order.expected,
            directory=live.directory,
            enveloped=is_invocation(order.resource),
            token=order.token,
        )
        live.submitted.add(order.attempt)
        try:
            self._pool(code, order).submit(job, self._answer(order))
        except Exception as error:  # noqa: BLE001  # a pool that is shut down, no threads left, …
            live.submitted.discard(order.attempt)
            self._fail(live, order, f"the task could not be submitted: {type(error).__name__}: {error}")

    def _pool(self, code: Code, order: orders.RunTask) -> Pool:
        if code.kind == "nested" and self.nesting is not None:
            return self.nesting
        on_dask = code.on == "dask" if code.on else order.scattered
        return self._scattered if on_dask and code.kind == "function" else self._ordinary

    def _answer(self, order: orders.RunTask) -> Answer:
        """What hears the pool. Of a task that others end, it has only been submitted, unless that failed."""

        now, begun = self._clock.now, self._clock.now()

        def hear(outcome: Outcome) -> None:
            # By one clock, and the worker's stop-watch: clocks of two machines may differ.
            outcome = outcome._replace(queued=max(0.0, now() - begun - outcome.seconds))
            self._over(outcome.execution, outcome.attempt)
            fact = _result(outcome)
            if order.token is None:
                arrival = Arrival(fact, outcome)
            elif outcome.error is None:
                arrival = Arrival(facts.TaskSubmitted(outcome.attempt, outcome.output), outcome)
            else:
                arrival = Arrival(fact, outcome, token=order.token)
            self._put(outcome.execution, arrival)

        return hear

    def _fail(self, live: Live, order: orders.RunTask, cause: str) -> None:
        fact = facts.TaskFailed(order.attempt, "States.TaskFailed", cause)
        self._put(live.row.arn, Arrival(fact, token=order.token))


def _unbound(order: orders.RunTask) -> str:
    named = order.resource
    if is_invocation(named) and isinstance(order.arguments, dict):
        named = f"the function {function_name(order.arguments.get('FunctionName'))!r}"
    family = integration(order.resource).family
    if family == "Task" and not is_invocation(order.resource):
        return f"nbflow cannot call {named}: script its results (a mock configuration), or use a function"
    return f"no function is bound to {named}; pass it in tasks= of the StateMachine, or nbflow server --tasks FILE.py"


def _result(outcome: Outcome) -> facts.Fact:
    done = outcome.worker, _worth(outcome.queued), _worth(outcome.seconds)
    if outcome.error is None:
        return facts.TaskSucceeded(outcome.attempt, outcome.output, *done)
    return facts.TaskFailed(outcome.attempt, outcome.error, outcome.cause, *done)


def _worth(seconds: float) -> float:
    """The seconds as they are recorded: to the millisecond, and 0 if they are next to nothing."""
    return 0.0 if seconds < NEGLIGIBLE else round(seconds, 3)
