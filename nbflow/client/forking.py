"""``run.fork``: what it goes on with, and what does its tasks."""

import json
import os
from collections.abc import Mapping
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.artifacts.shelf import Artifact
from nbflow.artifacts.values import pack
from nbflow.client.redriving import codes_now, known_of
from nbflow.language.validate import parse
from nbflow.language.values import ABSENT, Json

if TYPE_CHECKING:
    from nbflow.client.executions import Execution
    from nbflow.client.flows import Flow
    from nbflow.client.machines import Bound, StateMachine


def fork(
    execution: "Execution",
    at: str,
    input: object,
    variables: Mapping[str, object] | None,
    definition: "StateMachine | Flow[..., Any] | Mapping[str, Json] | str | Path | None",
    tasks: "Mapping[str, Bound] | None",
    visit: int,
    name: str | None,
) -> "Execution":
    """:meth:`nbflow.client.executions.Execution.fork`, without showing it."""
    from nbflow.client.machines import end_importing_worker

    end_importing_worker()
    connection = execution.connection
    connection.context = copy_context()
    options: dict[str, Any] = {"visit": visit, "name": name}
    artifacts: list[Artifact] = []
    if input is not ABSENT:
        value, made = pack(input, connection.shelf, name="input")
        options["input"] = json.dumps(value, ensure_ascii=False)
        artifacts += made
    if variables:
        options["variables"], made = pack(dict(variables), connection.shelf, name="variables")
        artifacts += made
    if definition is None:
        codes = codes_now(execution, None, tasks, verb="fork")
    else:
        machine = _machine(execution, definition, tasks or {})
        codes = machine.codes(tasks)
        options["state_machine_arn"] = machine.publish(connection, codes)
    answer = connection.service.fork_execution(
        execution.arn, at, tasks=codes, artifacts=artifacts, directory=os.getcwd(), **options
    )
    return type(execution)(answer["executionArn"], connection)


def _machine(
    execution: "Execution",
    definition: "StateMachine | Flow[..., Any] | Mapping[str, Json] | str | Path",
    tasks: "Mapping[str, Bound]",
) -> "StateMachine":
    """What the fork runs on. A bare definition keeps the name of the original's machine, and the functions it names."""
    from nbflow.client.flows import Flow
    from nbflow.client.machines import StateMachine, missing_in, read_definition

    if isinstance(definition, Flow):
        return definition.machine
    if isinstance(definition, StateMachine):
        return definition
    known = known_of(execution)
    before = known.machine if isinstance(known, Flow) else known
    needed = missing_in(parse(read_definition(definition)[0]), tasks)
    kept = {} if before is None else {name: before.tasks[name] for name in needed & before.tasks.keys()}
    checks = {} if before is None else {name: before.checks[name] for name in kept if name in before.checks}
    return StateMachine(definition, name=execution.machine, tasks={**kept, **tasks}, checks=checks)
