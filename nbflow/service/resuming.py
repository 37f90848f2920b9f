"""Going on with what an engine has left RUNNING that is no more: a process that was killed, a machine that stopped.

What is outstanding is ordered again, as the journal tells it. The code of the tasks is what was recorded when the
execution started, or was last redriven; so it goes on without the notebook's cells. Where that cannot be loaded here,
the execution waits as it is, and the reason is told: another process may be able to go on with it.
"""

import json
import logging
from collections.abc import Collection, Iterable
from typing import Final

from nbflow.engine.live import AlreadyExists, Script
from nbflow.engine.rebuilding import recorded_codes, recorded_steps
from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.machine import facts
from nbflow.machine.records import Record, TaskScheduled
from nbflow.machine.step import Machine
from nbflow.service.arns import map_state_of
from nbflow.service.definitions import check_definition
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.starting import bound, script_of_case
from nbflow.service.stopping import stop_left
from nbflow.store.port import StoreError
from nbflow.store.rows import ExecutionRow
from nbflow.tasks.function import NotPortable, load
from nbflow.tasks.importing import importable_for
from nbflow.tasks.job import Code, Outcome

_log = logging.getLogger(__name__)

PAGE: Final = 1000
"""Interrupted executions that are looked for at once."""


class NotHere(NbflowError):
    """An execution cannot go on in this process; elsewhere it may."""


def interrupted(desk: Desk, due: float | None = None) -> list[ExecutionRow]:
    """Executions that nobody goes on with, oldest first: their engines are no more.

    With ``due``, only those that have something to do before that time.
    """
    return _halfway(desk) + _astray(desk) + _left(desk, due)


def _left(desk: Desk, due: float | None) -> list[ExecutionRow]:
    """Those whose owners are no more. All of them: the oldest may be such as cannot go on here."""
    alive = desk.engine.alive()
    found = page = desk.store.left(alive, due, PAGE)
    while len(page) == PAGE:
        page = desk.store.left(alive, due, PAGE, after=page[-1].id)
        found = found + page
    return found


def _halfway(desk: Desk) -> list[ExecutionRow]:
    """Those that are still this engine's: others could take them over, while it had nothing live."""
    found = [row for arn in list(desk.halfway) if (row := desk.store.execution(arn)) is not None]
    lost = {row.arn for row in found if row.owner != desk.engine.id}
    desk.halfway.difference_update(lost)
    return [row for row in found if row.arn not in lost]


def _astray(desk: Desk) -> list[ExecutionRow]:
    """Those that this engine has lost to another process, which had no time to bring them to their end."""
    found = []
    for arn in list(desk.engine.astray):
        row = desk.store.execution(arn)
        if row is None or row.owner != desk.engine.id or desk.engine.ended(arn) is not None:
            desk.engine.astray.discard(arn)
        elif arn not in desk.halfway:
            found.append(row)
    return found


def keeper(desk: Desk, row: ExecutionRow) -> str | None:
    """The process that goes on with an execution, in words; None if it is interrupted, or over."""
    return _keeper(desk, row, desk.engine.alive())


def forsaken(desk: Desk, rows: Iterable[ExecutionRow]) -> set[str]:
    """The ARNs of those of the executions that are RUNNING and interrupted. The store is asked once who is alive."""
    running = [row for row in rows if row.status == "RUNNING"]
    if not running:
        return set()
    alive = desk.engine.alive()
    keepers: dict[str, str | None] = {}
    """Of the children of a Map Run, by its ARN: they have the same."""
    for row in running:
        key = row.map_run_arn or row.arn
        if key not in keepers:
            keepers[key] = _keeper(desk, row, alive)
    return {row.arn for row in running if keepers[row.map_run_arn or row.arn] is None}


def _keeper(desk: Desk, row: ExecutionRow, alive: Collection[str]) -> str | None:
    whose = _whose(desk, row)
    owner = whose.owner
    if owner is None or owner not in alive:
        return None
    lost = desk.halfway | desk.engine.astray
    if owner == desk.engine.id and whose.arn in lost and desk.engine.ended(whose.arn) is None:
        return None
    host, pid, _ = owner.rsplit(":", 2)
    return f"process {pid} on {host}"


def _whose(desk: Desk, row: ExecutionRow) -> ExecutionRow:
    """The child of a Map Run belongs to whoever has the execution whose Map it is."""
    run = None if row.map_run_arn is None else desk.store.map_run(row.map_run_arn)
    parent = None if run is None else desk.store.execution(run.execution)
    return row if parent is None else _whose(desk, parent)


def why_not_here(desk: Desk, row: ExecutionRow) -> str | None:
    """What is missing in this process to go on with an interrupted execution; None if nothing is."""
    try:
        code_for(desk, row, check_definition(desk.store.definition(row.definition)))
        _case(desk, row)
    except NotHere as reason:
        return str(reason)
    return None


class Resumer:
    """Goes on with whatever is interrupted, again and again: for a process that stays, such as a server."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._not_here: dict[str, int] = {}
        """Executions that cannot go on in this process, with the number of their steps then."""

    def look(self) -> tuple[list[ExecutionRow], dict[str, str]]:
        """Those that go on now, and why others, which are newly found, cannot, by their ARNs. Raises StoreError."""
        resumed, reasons = [], {}
        found = interrupted(self._desk, self._desk.engine.now())
        self._not_here = {row.arn: row.steps for row in found if self._not_here.get(row.arn) == row.steps}
        for row in found:
            if row.arn in self._not_here:
                continue
            try:
                if resume(self._desk, row):
                    resumed.append(row)
            except StoreError:
                raise
            except NotHere as reason:
                reasons[row.arn] = str(reason)
            except Exception as error:  # noqa: BLE001  # one that cannot be read, say, must not keep the others from going on
                _log.exception("going on with %s has failed", row.arn)
                reasons[row.arn] = f"{type(error).__name__}: {error}"
            if row.arn in reasons:
                self._not_here[row.arn] = row.steps
        return resumed, reasons


def resume(desk: Desk, row: ExecutionRow) -> bool:
    """Go on with an interrupted execution; it returns when a step says so durably. False: somebody else was quicker.

    Raises NotHere, which says what is missing; then it is as it was. Raises StoreError.
    """
    definition = check_definition(desk.store.definition(row.definition))
    # Of one that has ended, only cancels are owed: no code is called any more.
    ended = row.status != "RUNNING"
    codes = bound(desk, definition, row.machine_arn) if ended else code_for(desk, row, definition)
    if not ended:
        _case(desk, row)
    desk.engine.open()
    desk.halfway.add(row.arn)  # until the engine has it: if the store fails meanwhile, it is tried again
    if not desk.engine.take_over(row.arn, row.owner or ""):
        return False
    stop_left(desk, row)
    if _given_up(desk, row):
        desk.store.tell(row.arn, facts.encode(facts.Stop()))
    while True:
        steps = recorded_steps(desk.store, row.arn)
        script = None if ended else _script(desk, row, definition, steps)
        going_on = desk.engine.resume(row, definition, steps, codes, script)
        try:
            going_on.result()
        except AlreadyExists:  # whoever ran it before lives, and has written a step: perhaps its last one
            present = desk.store.execution(row.arn)
            if present is None or present.owner != desk.engine.id:
                desk.halfway.discard(row.arn)
                return False
            continue
        desk.halfway.discard(row.arn)
        return True


def _given_up(desk: Desk, row: ExecutionRow) -> bool:
    """Whether the task that waits for its end was given up while it was being started: no cancel has found it.

    The one who started it looks for that, but was perhaps killed before. What was redriven by itself, goes on.
    """
    if row.parent_token is None or row.status != "RUNNING" or row.redrive_count:
        return False
    token = desk.store.token(row.parent_token)
    return token is not None and token.state == "closed"


def code_for(desk: Desk, row: ExecutionRow, definition: model.StateMachine) -> dict[str, Code]:
    """What does the execution's tasks: as recorded; else, where it cannot be loaded here, what is bound here now.

    Raises NotHere if that is missing, too.
    """
    codes = bound(desk, definition, row.machine_arn)
    recorded = recorded_codes(desk.store, row)
    importable_for(recorded.values(), row.directory or "")
    for resource, each in json.loads(row.bindings or "{}").items():
        code = recorded.get(resource)
        if code is None and resource not in codes:
            raise NotHere(f"the code of its task {each['name']!r} was not recorded")
        if code is None:
            continue
        try:
            if code.kind == "function":
                load(code)
        except NotPortable as error:
            if resource not in codes:
                raise NotHere(str(error)) from error
            continue
        codes[resource] = code
    return codes


def _script(
    desk: Desk, row: ExecutionRow, definition: model.StateMachine, steps: list[list[Record]]
) -> Script | None:
    """The scripted results of its test case, from where it was: those that were given are given away first.

    Raises as ``_case``.
    """
    script = _case(desk, row)
    if script is None:
        return None
    pending = _given(desk, definition, steps, script)

    def answer(state: str) -> Outcome | None:
        return pending[state].pop(0) if pending.get(state) else script(state)

    return answer


def _case(desk: Desk, row: ExecutionRow) -> Script | None:
    """The scripted results of its test case, if it runs one. Raises NotHere if there is no such test case here."""
    case = json.loads(row.revision or "{}").get("testCase")
    if case is None:
        return None
    machine = map_state_of(row.machine_arn)[0].rpartition(":")[2]
    try:
        return script_of_case(desk, machine, case)
    except ApiError as error:
        raise NotHere(f"it runs the test case {case!r}: {error}") from error


def _given(
    desk: Desk, definition: model.StateMachine, steps: list[list[Record]], script: Script
) -> dict[str, list[Outcome | None]]:
    """Take from the script what was asked for already; answers what of it is still outstanding, by the state's name."""
    machine = Machine.of(definition, desk.engine.chance)
    given: dict[int, tuple[str, Outcome | None]] = {}
    for record in (record for step in steps for record in step):
        machine.evolve(record)
        if isinstance(record, TaskScheduled):
            frame = machine.run.frames[record.frame]
            given[machine.run.last_event] = frame.state, script(frame.state)
    pending: dict[str, list[Outcome | None]] = {}
    for attempt in machine.run.attempts:
        if attempt in given:
            state, outcome = given[attempt]
            pending.setdefault(state, []).append(outcome)
    return pending
