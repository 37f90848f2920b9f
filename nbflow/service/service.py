"""The actions on state machines and executions."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import Final

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.engine import Engine
from nbflow.engine.live import AlreadyExists
from nbflow.language import model
from nbflow.language.validate import Diagnostic, diagnose
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.history import Event, history
from nbflow.machine.records import Record, decode
from nbflow.service.arns import ROLE, check_arn, check_name, execution_arn, machine_arn
from nbflow.service.errors import ApiError
from nbflow.service.parameters import (
    DEFAULT_RESULTS,
    MOST_RESULTS,
    check_definition,
    check_input,
    invalid,
    limit_of,
    number_of,
    page,
)
from nbflow.store.port import ExecutionRow, MachineRow, Store, digest
from nbflow.tasks.job import Code

STATUSES: Final = ("SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING")
"""What a list of executions can be filtered by, in AWS's order."""


class Service:
    """The front desk over one store and one engine."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self.store = store
        self.engine = engine

    # --- state machines

    def create_state_machine(
        self, name: str, definition: str, *, role_arn: str = ROLE, type: str = "STANDARD"
    ) -> dict[str, Json]:
        """AWS, CreateStateMachine: idempotent for the same name, definition and type.

        Raises ApiError InvalidName, InvalidDefinition or StateMachineAlreadyExists.
        """
        arn = machine_arn(check_name(name))
        check_definition(definition)
        present = self.store.machine(arn)
        if present is not None:
            if (present.definition, present.type) != (digest(definition), type):
                raise ApiError(
                    "StateMachineAlreadyExists",
                    f"State Machine Already Exists: '{arn}'",
                    "with another definition or type; update it, or choose another name",
                )
            return {"stateMachineArn": arn, "creationDate": present.created_at}
        now = self.engine.now()
        # AWS has no revision id before the first update.
        row = MachineRow(
            arn, name, type, role_arn, digest(definition), now, now, revision_id="", options="{}"
        )
        self.store.add_machine(row, definition)
        return {"stateMachineArn": arn, "creationDate": now}

    def update_state_machine(
        self, state_machine_arn: str, definition: str | None = None, *, role_arn: str | None = None
    ) -> dict[str, Json]:
        """AWS, UpdateStateMachine: executions that run keep the definition that they started with.

        Raises ApiError StateMachineDoesNotExist, InvalidDefinition or MissingRequiredParameter.
        """
        present = self._machine(state_machine_arn)
        if definition is None and role_arn is None:
            raise ApiError(
                "MissingRequiredParameter", "Either the definition or the role ARN must be specified"
            )
        text = self.store.definition(present.definition) if definition is None else definition
        check_definition(text)
        row = replace(
            present,
            definition=digest(text),
            role_arn=role_arn or present.role_arn,
            updated_at=self.engine.now(),
            revision_id=str(uuid.uuid4()),
        )
        self.store.add_machine(row, text)
        return {"updateDate": row.updated_at, "revisionId": row.revision_id}

    def describe_state_machine(self, state_machine_arn: str) -> dict[str, Json]:
        """AWS, DescribeStateMachine."""
        row = self._machine(state_machine_arn)
        return _without_none(
            {
                "stateMachineArn": row.arn,
                "name": row.name,
                "status": "ACTIVE",
                "definition": self.store.definition(row.definition),
                "roleArn": row.role_arn,
                "type": row.type,
                "creationDate": row.created_at,
                "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
                "tracingConfiguration": {"enabled": False},
                "revisionId": row.revision_id or None,
            }
        )

    def list_state_machines(
        self, max_results: int = DEFAULT_RESULTS, next_token: str | None = None
    ) -> dict[str, Json]:
        """AWS, ListStateMachines, in the order of their creation."""
        listed = [
            {
                "stateMachineArn": row.arn,
                "name": row.name,
                "type": row.type,
                "creationDate": row.created_at,
            }
            for row in self.store.machines()
        ]
        return page("stateMachines", listed, max_results, next_token)

    def validate_state_machine_definition(self, definition: str) -> dict[str, Json]:
        """AWS, ValidateStateMachineDefinition."""
        found: list[Diagnostic] = diagnose(definition)
        failed = any(diagnostic.severity == "ERROR" for diagnostic in found)
        return {
            "result": "FAIL" if failed else "OK",
            "diagnostics": [
                _without_none(
                    {"severity": d.severity, "code": d.code, "message": d.message, "location": d.location}
                )
                for d in found
            ],
            "truncated": False,
        }

    def _machine(self, arn: str) -> MachineRow:
        row = self.store.machine(check_arn(arn))
        if row is None:
            names = [machine.name for machine in self.store.machines()]
            hint = (
                f"the store has {', '.join(names[:10])}{', …' * (len(names) > 10)}"
                if names
                else "the store has none"
            )
            raise ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'", hint)
        return row

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
        """AWS, StartExecution. It returns when the execution is durable.

        ``tasks`` is the code of each task, by the resource that names it; ``artifacts`` are those that the input refers
        to, if they are new; ``directory`` is where the tasks run.
        Raises ApiError StateMachineDoesNotExist, InvalidName, InvalidExecutionInput or ExecutionAlreadyExists (the name
        is taken; but if that one runs with the same input, this answers as if it had started it).
        """
        machine = self._machine(state_machine_arn)
        check_input(input)
        name = str(uuid.uuid4()) if name is None else check_name(name)
        now = self.engine.now()
        row = ExecutionRow(
            arn=execution_arn(machine.name, name),
            name=name,
            machine_arn=machine.arn,
            definition=machine.definition,
            status="RUNNING",
            input=input,
            started_at=now,
            bindings=_bindings(tasks),
        )
        context: dict[str, Json] = {
            "Execution": {"Id": row.arn, "Name": name, "RoleArn": machine.role_arn},
            "StateMachine": {"Id": machine.arn, "Name": machine.name},
        }
        definition = check_definition(self.store.definition(machine.definition))
        self.engine.open()
        try:
            self.engine.start(row, definition, tasks, directory, context, artifacts).result()
        except AlreadyExists as error:
            started = self.engine.started(row.arn)
            if started is not None:  # by another thread, in this moment: its outcome decides
                wait([started])
            present = self.store.execution(row.arn)
            if present is not None and present.status == "RUNNING" and present.input == input:
                return {"executionArn": row.arn, "startDate": present.started_at}
            raise ApiError(
                "ExecutionAlreadyExists",
                f"Execution Already Exists: '{row.arn}'",
                "choose another name, or none to get a new one",
            ) from error
        return {"executionArn": row.arn, "startDate": now}

    def describe_execution(self, execution_arn: str) -> dict[str, Json]:
        """AWS, DescribeExecution: ``input`` and ``output`` are JSON texts; members without a value are left out."""
        row = self._execution(execution_arn)
        return _without_none(
            {
                **_listed(row),
                "input": row.input,
                "inputDetails": {"included": True},
                "output": row.output,
                "outputDetails": None if row.output is None else {"included": True},
                "error": row.error,
                "cause": row.cause,
            }
        )

    def list_executions(
        self,
        state_machine_arn: str | None = None,
        status_filter: str | None = None,
        max_results: int = DEFAULT_RESULTS,
        next_token: str | None = None,
    ) -> dict[str, Json]:
        """AWS, ListExecutions, newest first; without a machine, those of all machines.

        Raises ApiError StateMachineDoesNotExist, ValidationException or InvalidToken.
        """
        if state_machine_arn is not None:
            self._machine(state_machine_arn)
        if status_filter is not None and status_filter not in STATUSES:
            raise invalid(
                "statusFilter", status_filter, f"Member must satisfy enum value set: [{', '.join(STATUSES)}]"
            )
        limit = limit_of(max_results)
        rows = self.store.executions(
            machine_arn=state_machine_arn,
            status=status_filter,
            limit=limit + 1,
            before=None if next_token is None else number_of(next_token),
        )
        answer: dict[str, Json] = {"executions": [_without_none(_listed(row)) for row in rows[:limit]]}
        if len(rows) > limit:
            answer["nextToken"] = str(rows[limit - 1].id)
        return answer

    def stop_execution(
        self, execution_arn: str, error: str | None = None, cause: str | None = None
    ) -> dict[str, Json]:
        """AWS, StopExecution. It returns when the end is durable; one that has ended already stays as it ended.

        Also one that another process runs, or ran before it was killed: the end is recorded here. If that process
        lives, it finds at its next step that the execution is no longer its own, and lets go of it.
        Raises ApiError ExecutionDoesNotExist.
        """
        row = self._execution(execution_arn)
        while row.status == "RUNNING":
            ended = self.engine.ended(execution_arn) or self._adopt(row)
            self.engine.post(execution_arn, facts.Stop(error, cause))
            try:
                ended.result()
            except AlreadyExists:  # the other process was quicker with its next step: look at what it did
                row = self._execution(execution_arn)
                continue
            row = self._execution(execution_arn)
        return {"stopDate": row.stopped_at}

    def _adopt(self, row: ExecutionRow) -> Future[None]:
        self.engine.open()
        steps = [decode(step.records, step.format) for step in self.store.journal(row.arn)]
        return self.engine.adopt(row, self.definition_of(row.arn), steps)

    def get_execution_history(
        self,
        execution_arn: str,
        *,
        reverse_order: bool = False,
        max_results: int = DEFAULT_RESULTS,
        next_token: str | None = None,
    ) -> dict[str, Json]:
        """AWS, GetExecutionHistory. Raises ApiError ExecutionDoesNotExist, InvalidArn or InvalidToken."""
        events = self.events(execution_arn)
        if reverse_order:
            events.reverse()
        return page("events", events, max_results, next_token)

    def events(self, execution_arn: str) -> list[Event]:
        """The whole history, in AWS's shapes."""
        return list(history(self.definition_of(execution_arn), self.records(execution_arn)))

    def records(self, execution_arn: str) -> list[Record]:
        """What the execution remembers."""
        self._execution(execution_arn)
        journal = self.store.journal(execution_arn)
        return [record for row in journal for record in decode(row.records, row.format)]

    def definition_of(self, execution_arn: str) -> model.StateMachine:
        """The definition that the execution started with."""
        return check_definition(self.store.definition(self._execution(execution_arn).definition))

    def find_execution(self, name: str) -> str:
        """The ARN of an execution given by its ARN, by its name, or by an unambiguous beginning of its name.

        Raises ApiError ExecutionDoesNotExist, also if several fit: then it lists them.
        """
        if name.startswith("arn:"):
            return self._execution(name).arn
        arns = [execution_arn(machine.name, name) for machine in self.store.machines()]
        found = [row.arn for arn in arns if (row := self.store.execution(arn)) is not None]
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
        while rows := self.store.executions(limit=MOST_RESULTS, before=before):
            yield from rows
            before = rows[-1].id

    def _execution(self, arn: str) -> ExecutionRow:
        row = self.store.execution(check_arn(arn))
        if row is None:
            raise ApiError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return row


def _bindings(tasks: Mapping[str, Code]) -> str:
    """What each resource was bound to, for the execution's row."""
    return json.dumps(
        {
            resource: {"kind": code.kind, "name": code.name, "path": code.path, "sha256": code.sha256}
            for resource, code in tasks.items()
        }
    )


def _listed(row: ExecutionRow) -> dict[str, Json]:
    """AWS, ExecutionListItem."""
    return {
        "executionArn": row.arn,
        "stateMachineArn": row.machine_arn,
        "name": row.name,
        "status": row.status,
        "startDate": row.started_at,
        "stopDate": row.stopped_at,
        "redriveCount": 0,
    }


def _without_none(members: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value is not None}
