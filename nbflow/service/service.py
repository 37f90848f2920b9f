"""The front desk as one object: AWS's actions by their names, and what Python callers need beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.engine import Engine
from nbflow.language import model
from nbflow.language.values import Json
from nbflow.machine.history import Event
from nbflow.machine.records import Record
from nbflow.service import executions, forking, histories, machines, map_runs, redriving, resuming
from nbflow.service.arns import execution_arn
from nbflow.service.desk import Desk, Limits
from nbflow.service.errors import ApiError
from nbflow.service.lookup import execution_of
from nbflow.service.nested import Nested
from nbflow.service.parameters import DEFAULT_RESULTS, MOST_RESULTS
from nbflow.service.starting import Work
from nbflow.store.port import Store
from nbflow.store.rows import ExecutionRow
from nbflow.tasks.job import Code
from nbflow.testing.mock_config import MockConfig


class Service:
    """The front desk over one store and one engine.

    ``call`` is the door for HTTP and for boto3 in process. The methods are for Python callers: they take what JSON
    cannot hold, such as the code of tasks, and check nothing that their types say already.
    """

    def __init__(self, store: Store, engine: Engine) -> None:
        self.desk = Desk(store, engine)
        engine.nest(Nested(self.desk))

    def call(
        self, action: str, parameters: Mapping[str, Any], gone: Future[None] | None = None
    ) -> dict[str, Json]:
        """Do what AWS's action of this name does, with parameters and answer under AWS's names; times are seconds.

        ``gone`` is done when nobody waits for the answer any more: what only waits then ends.

        Raises ApiError, also for parameters that AWS's model of the API does not allow.
        """
        from nbflow.service.actions import (
            call,
        )  # the model comes with botocore, which those who stay in Python spare

        return call(self.desk, action, parameters, gone)

    @property
    def functions(self) -> Mapping[str, Code]:
        """What does the tasks of executions that arrive by ``call``: by the name at the end of a Lambda ARN."""
        return self.desk.functions

    @functions.setter
    def functions(self, functions: Mapping[str, Code]) -> None:
        self.desk.functions = functions

    @property
    def limits(self) -> Limits:
        """Whose quotas hold for the executions that are started from now on."""
        return self.desk.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.desk.limits = limits

    @property
    def mocks(self) -> MockConfig:
        """Scripted results, for executions that are started on ``<machine's ARN>#<test case>``."""
        return self.desk.mocks

    @mocks.setter
    def mocks(self, mocks: MockConfig) -> None:
        self.desk.mocks = mocks

    # --- state machines

    def create_state_machine(self, name: str, definition: str, **options: Any) -> dict[str, Json]:
        """:func:`nbflow.service.machines.create_state_machine`"""
        return machines.create_state_machine(self.desk, name, definition, **options)

    def update_state_machine(
        self, state_machine_arn: str, definition: str | None = None, **options: Any
    ) -> dict[str, Json]:
        """:func:`nbflow.service.machines.update_state_machine`"""
        return machines.update_state_machine(self.desk, state_machine_arn, definition, **options)

    def describe_state_machine(self, state_machine_arn: str) -> dict[str, Json]:
        """:func:`nbflow.service.machines.describe_state_machine`"""
        return machines.describe_state_machine(self.desk, state_machine_arn)

    def list_state_machines(self, **paging: Any) -> dict[str, Json]:
        """:func:`nbflow.service.machines.list_state_machines`"""
        return machines.list_state_machines(self.desk, **paging)

    # --- executions

    def start_execution(
        self,
        state_machine_arn: str,
        input: str = "{}",
        name: str | None = None,
        *,
        tasks: Mapping[str, Code],
        artifacts: Sequence[Artifact] = (),
        directory: str = "",
    ) -> dict[str, Json]:
        """:func:`nbflow.service.executions.start_execution`, with the code of the tasks by the resource that names it.

        ``artifacts`` are those that the input refers to, if they are new; ``directory`` is where the tasks run.
        """
        work = Work(tasks, artifacts, directory)
        return executions.start_execution(self.desk, state_machine_arn, input=input, name=name, work=work)

    def describe_execution(self, execution_arn: str) -> dict[str, Json]:
        """:func:`nbflow.service.executions.describe_execution`"""
        return executions.describe_execution(self.desk, execution_arn)

    def list_executions(
        self,
        state_machine_arn: str | None = None,
        status_filter: str | None = None,
        max_results: int = DEFAULT_RESULTS,
        next_token: str | None = None,
        *,
        search: executions.Search = executions.Search(),  # noqa: B008 (frozen)
    ) -> dict[str, Json]:
        """AWS, ListExecutions; AWS has neither lists without a machine, of all executions, nor the ``search``."""
        return executions.listed(
            self.desk, state_machine_arn, status_filter, max_results, next_token, search=search
        )

    def stop_execution(
        self, execution_arn: str, error: str | None = None, cause: str | None = None
    ) -> dict[str, Json]:
        """:func:`nbflow.service.executions.stop_execution`"""
        return executions.stop_execution(self.desk, execution_arn, error=error, cause=cause)

    def redrive_execution(
        self, execution_arn: str, *, tasks: Mapping[str, Code], directory: str = ""
    ) -> dict[str, Json]:
        """:func:`nbflow.service.redriving.redrive_execution`, with the code of the tasks as for ``start_execution``."""
        return redriving.redrive_execution(self.desk, execution_arn, work=Work(tasks, (), directory))

    def interrupted(self) -> list[ExecutionRow]:
        """:func:`nbflow.service.resuming.interrupted`"""
        return resuming.interrupted(self.desk)

    def resume(self, row: ExecutionRow) -> bool:
        """:func:`nbflow.service.resuming.resume`"""
        return resuming.resume(self.desk, row)

    def why_not_here(self, row: ExecutionRow) -> str | None:
        """:func:`nbflow.service.resuming.why_not_here`"""
        return resuming.why_not_here(self.desk, row)

    def keeper(self, row: ExecutionRow) -> str | None:
        """:func:`nbflow.service.resuming.keeper`"""
        return resuming.keeper(self.desk, row)

    def forsaken(self, rows: Iterable[ExecutionRow]) -> set[str]:
        """:func:`nbflow.service.resuming.forsaken`"""
        return resuming.forsaken(self.desk, rows)

    def fork_execution(
        self,
        execution_arn: str,
        at: str,
        *,
        tasks: Mapping[str, Code],
        artifacts: Sequence[Artifact] = (),
        directory: str = "",
        **options: Any,
    ) -> dict[str, Json]:
        """:func:`nbflow.service.forking.fork_execution`, with the code of the tasks as for ``start_execution``."""
        work = Work(tasks, artifacts, directory)
        return forking.fork_execution(self.desk, execution_arn, at, work=work, **options)

    def forked_at(self, execution_arn: str) -> str | None:
        """:func:`nbflow.service.forking.forked_at`"""
        return forking.forked_at(self.desk, execution_of(self.desk, execution_arn))

    def map_run_progress(self, map_run_arn: str) -> map_runs.Progress:
        """:func:`nbflow.service.map_runs.progress`"""
        return map_runs.progress(self.desk, map_run_arn)

    def describe_map_run(self, map_run_arn: str) -> dict[str, Json]:
        """:func:`nbflow.service.map_runs.describe_map_run`"""
        return map_runs.describe_map_run(self.desk, map_run_arn)

    def get_execution_history(self, execution_arn: str, **options: Any) -> dict[str, Json]:
        """:func:`nbflow.service.histories.get_execution_history`"""
        return histories.get_execution_history(self.desk, execution_arn, **options)

    def events(self, execution_arn: str) -> list[Event]:
        """:func:`nbflow.service.histories.events`"""
        return histories.events(self.desk, execution_arn)

    def records(self, execution_arn: str) -> list[Record]:
        """:func:`nbflow.service.histories.records`"""
        return histories.records(self.desk, execution_arn)

    def definition_of(self, execution_arn: str) -> model.StateMachine:
        """:func:`nbflow.service.histories.definition_of`"""
        return histories.definition_of(self.desk, execution_arn)

    def find_execution(self, name: str) -> str:
        """The ARN of an execution given by its ARN, by its name, or by an unambiguous beginning of its name.

        Raises ApiError ExecutionDoesNotExist, also if several fit: then it lists them.
        """
        if name.startswith("arn:"):
            return execution_of(self.desk, name).arn
        if not name:
            raise ApiError(
                "ExecutionDoesNotExist", "an execution is given by its name or its ARN", "this is empty"
            )
        store = self.desk.store
        arns = [execution_arn(machine.name, name) for machine in store.machines()]
        found = [row.arn for arn in arns if (row := store.execution(arn)) is not None]
        found = found or [row.arn for row in self._all_executions() if row.name.startswith(name)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise ApiError(
                "ExecutionDoesNotExist",
                f"there is no execution {name!r}",
                "`nbflow list` shows those there are",
            )
        listed = "\n".join(["", *found[:10], *["…"][: len(found) - 10]])
        raise ApiError("ExecutionDoesNotExist", f"{len(found)} executions are meant by {name!r}:{listed}")

    def _all_executions(self) -> Iterator[ExecutionRow]:
        """Newest first."""
        before: int | None = None
        while rows := self.desk.store.executions(limit=MOST_RESULTS, before=before):
            yield from rows
            before = rows[-1].id
