"""Fork: a new execution that goes on from the middle of another one, perhaps on a definition that was mended.

AWS has nothing like it. The history of a fork begins with ExecutionStarted, with the input of the original, and goes
on with the entry of the state that it begins at.
"""

import itertools
import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from nbflow.engine.live import AlreadyExists
from nbflow.language import model
from nbflow.language.sites import did_you_mean
from nbflow.language.validate import all_states
from nbflow.language.values import Json
from nbflow.machine.entries import entries
from nbflow.machine.records import Entry, ExecutionStarted, decode
from nbflow.service.arns import check_name, execution_arn, map_state_of
from nbflow.service.definitions import check_definition, reads_input, variable_references
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.histories import records
from nbflow.service.lookup import Target, execution_of
from nbflow.service.parameters import check_input
from nbflow.service.starting import (
    Work,
    bound,
    constants,
    definition_of,
    new_row,
    not_for_this_type,
    startable,
)
from nbflow.store.rows import ExecutionRow

MOST_LISTED: Final = 20
"""So many states are named where one is not found."""


def fork_execution(
    desk: Desk,
    original_arn: str,
    at: str,
    *,
    state_machine_arn: str | None = None,
    input: str | None = None,
    variables: Mapping[str, Json] | None = None,
    visit: int = -1,
    name: str | None = None,
    work: Work | None = None,
) -> dict[str, Json]:
    """Start an execution at the state ``at`` of the top level, as another execution has entered it.

    ``state_machine_arn``: on whose definition it goes on; by default the original's own. ``input`` (JSON text) stands
    in place of the state's recorded input, ``variables`` in place of the recorded variables of these names. ``visit``
    counts the entries of the state from 0; negative, from the last one. The original may be running, or have ended in
    any way; nothing happens to it. Returns when the new execution is durable.

    Raises ApiError ValidationException (there is no such state, or it was not entered so often; there is no such
    variable; the state does not read its input), and as
    ``start_execution``: InvalidArn, ExecutionDoesNotExist, StateMachineDoesNotExist, StateMachineDeleting,
    StateMachineTypeNotSupported, InvalidName, InvalidExecutionInput, ExecutionAlreadyExists.
    """
    original = execution_of(desk, original_arn)
    machine_arn, label = map_state_of(original.machine_arn)
    if label is not None:
        raise _refused(
            f"Execution {original.name} is a child of a Map Run", "fork the execution that the Map is in"
        )
    target = startable(desk, state_machine_arn or machine_arn)
    if target.machine.type == "EXPRESS":
        raise not_for_this_type()
    before = check_definition(desk.store.definition(original.definition))
    same = state_machine_arn is None
    definition = before if same else definition_of(desk, target)
    _check_state(definition, at)
    entry = _entry(desk, original, at, visit)
    text = desk.store.definition(
        original.definition if same else (target.version or target.machine).definition
    )
    if input is not None:
        _check_reads_input(text, at)
        entry = Entry(at, check_input(input), entry.variables)
    if variables:
        read = [] if same else itertools.chain.from_iterable(variable_references(text).values())
        _check_variables(variables, at, {**dict.fromkeys(entry.variables), **dict.fromkeys(read)})
        entry = Entry(at, entry.input, {**entry.variables, **variables})
    known = bound(desk, definition, target.machine.arn)
    work = Work(known) if work is None else work._replace(tasks={**known, **work.tasks})
    row = _new_row(desk, target, original, name, work, same=same)
    desk.engine.open()
    try:
        desk.engine.start(
            row,
            definition,
            work.tasks,
            work.directory,
            constants(desk, row, target),
            work.artifacts,
            entry=entry,
        ).result()
    except AlreadyExists as error:
        hint = "choose another name, or none to get a new one"
        raise ApiError("ExecutionAlreadyExists", f"Execution Already Exists: '{row.arn}'", hint) from error
    return {"executionArn": row.arn, "startDate": row.started_at}


def _forebear(desk: Desk, row: ExecutionRow, at: str) -> str:
    """Which of those that a fork comes from has entered the state, in words."""
    while row.forked_from is not None and (before := desk.store.execution(row.forked_from)) is not None:
        if any(entry.state == at for entry in _entered(desk, before)):
            return f"; {before.name}, which it was forked from, has entered '{at}': fork that"
        row = before
    return ""


def _new_row(
    desk: Desk, target: Target, original: ExecutionRow, name: str | None, work: Work, *, same: bool
) -> ExecutionRow:
    """The fork's row. On the ``same`` definition, it is of the machine as that was when the original began."""
    name = str(uuid.uuid4()) if name is None else check_name(name)
    arn = execution_arn(target.machine.name, name)
    row = replace(new_row(desk, target, arn, name, original.input, work), forked_from=original.arn)
    if not same:
        return row
    revision = {**json.loads(original.revision or "{}"), "traceHeader": None}
    for name in ("waitedFor", "testCase"):  # nobody waits for a fork, and it really does its tasks
        revision.pop(name, None)
    return replace(
        row,
        definition=original.definition,
        version_arn=original.version_arn,
        alias_arn=original.alias_arn,
        revision=json.dumps(revision),
    )


def forked_at(desk: Desk, row: ExecutionRow) -> str | None:
    """The state that a fork began at; None of an execution that is no fork."""
    if row.forked_from is None:
        return None
    step = next(desk.store.journal(row.arn))
    first = decode(step.records, step.format)[0]
    assert isinstance(first, ExecutionStarted)
    return None if first.entry is None else first.entry.state


def _check_state(definition: model.StateMachine, at: str) -> None:
    """Raises ApiError, if a fork cannot begin at this state."""
    if at in definition.states:
        return
    around = [
        name
        for place, _ in all_states(definition)
        if place.endswith(f"/States/{at}")
        for name in definition.states
        if place.startswith(f"/States/{name}/")
    ]
    if around:
        raise _refused(
            f"The state '{at}' is inside of '{around[0]}'",
            f"a fork begins at a state of the top level, such as '{around[0]}'",
        )
    close = did_you_mean(at, definition.states)
    listed = f"t the top level there are {_listed(definition.states)}"
    hint = f"{close} A{listed}" if close else f"a{listed}"
    raise _refused(f"There is no state '{at}' in the definition", hint)


def _listed(names: Iterable[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return ", ".join(quoted[:MOST_LISTED]) + (", …" if len(quoted) > MOST_LISTED else "") or "none"


def _refused(message: str, hint: str) -> ApiError:
    return ApiError("ValidationException", message, hint)


def _check_reads_input(definition: str, at: str) -> None:
    """Raises ApiError, if another input would change nothing."""
    if not reads_input(definition, at):
        names = variable_references(definition).get(at, [])
        hint = (
            f"what it works on are the variables {_listed(names)}: give other values to these"
            if names
            else ""
        )
        raise _refused(f"The state '{at}' does not read its input", hint)


def _check_variables(given: Iterable[str], at: str, known: Collection[str]) -> None:
    """Raises ApiError, if a variable is given that there is not."""
    for name in given:
        if name not in known:
            close = did_you_mean(name, known)
            listed = f"here are {_listed(known)}"
            raise _refused(
                f"There is no variable '{name}' at '{at}'", f"{close} T{listed}" if close else f"t{listed}"
            )


def _entered(desk: Desk, row: ExecutionRow) -> list[Entry]:
    """What an execution has entered, in its order."""
    definition = check_definition(desk.store.definition(row.definition))
    return list(entries(definition, records(desk, row.arn)))


def _entry(desk: Desk, original: ExecutionRow, at: str, visit: int) -> Entry:
    """The chosen entry of the state. Raises ApiError, if it was not entered so often."""
    entered = _entered(desk, original)
    visits = [entry for entry in entered if entry.state == at]
    if not visits:
        names = dict.fromkeys(entry.state for entry in entered)
        raise _refused(
            f"Execution {original.name} has not entered the state '{at}'",
            f"it has entered {_listed(names)}{_forebear(desk, original, at)}",
        )
    count = len(visits)
    if not -count <= visit < count:
        times = "once" if count == 1 else f"{count} times"
        raise _refused(
            f"Execution {original.name} has entered the state '{at}' {times}: there is no visit {visit}",
            f"they are numbered from 0 to {count - 1}; from the last one back, from -1 to -{count}",
        )
    return visits[visit]
