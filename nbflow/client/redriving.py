"""What does the tasks of an execution that is redriven: the functions of this process, as they are now.

An execution remembers its definition, and of its tasks their names. Which functions these mean is looked up here: in
what the caller gives, else in the flow or state machine of this name and definition that this process has defined,
else in what the service is told that Lambda functions are.
"""

import os
from collections.abc import Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, Literal

from nbflow.client.presentation import in_shell
from nbflow.errors import NbflowError
from nbflow.service.starting import bound
from nbflow.tasks.job import Code

if TYPE_CHECKING:
    from nbflow.client.executions import Execution
    from nbflow.client.flows import Flow
    from nbflow.client.machines import Bound, StateMachine

MOST_KNOWN: Final = 1000
"""Flows and state machines that are remembered: the latest ones, and of each definition the latest one."""

_known: Final[dict[tuple[str, str], "StateMachine | Flow[..., Any]"]] = {}
"""By name, and by the digest of the definition."""


def remember(sha256: str, machine: "StateMachine | Flow[..., Any]") -> None:
    """This process knows the tasks of a definition (its digest). Those of a flow are looked up when they are needed."""
    key = machine.name, sha256
    _known.pop(key, None)
    _known[key] = machine
    while len(_known) > MOST_KNOWN:
        del _known[next(iter(_known))]


def redrive(
    execution: "Execution",
    flow: "StateMachine | Flow[..., Any] | None" = None,
    tasks: "Mapping[str, Bound] | None" = None,
) -> None:
    """:meth:`nbflow.client.executions.Execution.redrive`, without showing it."""
    from nbflow.client.machines import end_importing_worker

    end_importing_worker()
    connection, arn = execution.connection, execution.arn
    connection.context = copy_context()
    described = connection.service.describe_execution(arn)
    # What cannot be redriven is told so, whatever its tasks are.
    codes = (
        codes_now(execution, flow, tasks, verb="redrive")
        if described["redriveStatus"] == "REDRIVABLE"
        else {}
    )
    connection.service.redrive_execution(arn, tasks=codes, directory=os.getcwd())


def known_of(execution: "Execution") -> "StateMachine | Flow[..., Any] | None":
    """What this process has defined under the execution's machine's name with its definition."""
    return _known.get((execution.machine, execution.row.definition))


_REMEDIES: Final = {
    "redrive": (
        "start it anew, go on from its middle with run.fork(at=…, definition=report), or define the flow as it was "
        "(its tasks may do something else now)",
        "give it, as in redrive(report)",
        "nbflow redrive takes --from FILE or --tasks FILE.py",
        "start it anew, or go on from its middle: nbflow fork {name} --at STATE --from FILE",
    ),
    "fork": (
        "to go on with those that it has now, give it, as in fork(…, definition=report)",
        "give it, as in fork(…, definition=report)",
        "nbflow fork takes --from FILE or --tasks FILE.py",
        "to go on with those that it has now, give it: nbflow fork {name} --at STATE --from FILE",
    ),
}
"""What to do where the states have changed; where the tasks are not known; and in a shell: the second, the first."""


def codes_now(
    execution: "Execution",
    flow: "StateMachine | Flow[..., Any] | None",
    tasks: "Mapping[str, Bound] | None",
    *,
    verb: Literal["redrive", "fork"],
) -> dict[str, Code]:
    """The code of the execution's tasks as it is now, by the resource that names it.

    Raises NbflowError for functions that are not known, and for a flow whose states are others by now.
    """
    from nbflow.client.flows import Flow
    from nbflow.client.machines import missing_in, pinned

    changed, give, shell, changed_in_shell = _REMEDIES[verb]
    service, row = execution.connection.service, execution.row
    if in_shell():
        changed = changed_in_shell.format(name=row.name)
    definition = service.definition_of(row.arn)
    known = flow or known_of(execution)
    machine = known.machine if isinstance(known, Flow) else known
    if machine is not known and machine is not None and machine.sha256 != row.definition:
        if flow is not None or tasks is None:
            raise NbflowError(
                f"the states of {machine.name} have changed since execution {row.name} began, which goes on with those "
                f"that it began with: {changed}"
            )
        machine = None
    given, checks = (machine.tasks, machine.checks) if machine is not None else ({}, {})
    given = {**given, **(tasks or {})}
    codes = bound(service.desk, definition)
    lacking = sorted(missing_in(definition, given) - {code.name for code in codes.values()})
    if lacking:
        call = (
            f"efine its flow or state machine in this process and {give}, or give the functions, as in "
            f"{verb}({'' if verb == 'redrive' else '…, '}tasks={{…}})"
        )
        remedy = f"{shell}; in Python, d{call}" if in_shell() else f"D{call}; in a shell, {shell}"
        raise NbflowError(
            f"execution {row.name} of {execution.machine} has tasks that are not known here: {', '.join(lacking)}. "
            f"{remedy}"
        )
    return {**codes, **pinned(definition, given, checks)}
