"""From a real run to a test that repeats it.

The recorded result of each attempt becomes a mock. In a real run the tasks of a Map end in any order, while mocks are
counted in the order of scheduling. So the run is played once with every attempt's result looked up by its place (the
iterations and branches that it is in, the state, and how often it was tried there), and the order in which the results
were asked for is the order of the mocks. Then the mocks are played as the test will play them; what comes out the same
as in the real run is what the test asserts. An attempt that did not end by itself is :data:`NEVER`: a timeout, or the
failure of a sibling, ends it again.
"""

import json
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from nbflow.artifacts.values import references
from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import facts, orders, records
from nbflow.machine.evolve import evolve
from nbflow.machine.run import Run
from nbflow.store.rows import ExecutionRow
from nbflow.testing.clock import VirtualClock
from nbflow.testing.layout import WIDTH, layout, names, string
from nbflow.testing.mocks import NEVER, After, MockError, Throw
from nbflow.testing.player import Answer, NeverEnds, Player, World
from nbflow.testing.running import MachineRun, context, run_machine

MOST_CHARACTERS: Final = 1_000_000
"""A longer test is refused: nobody would read it."""

_MOST_LISTED: Final = 40
"""Of more states than these, the test asserts how often each was entered, not their order."""


class Recording(NamedTuple):
    """A run as it was recorded."""

    machine: str
    """The state machine's name."""
    row: ExecutionRow
    definition: str
    """JSON text."""
    records: Sequence[records.Record]


def write_test(recording: Recording, path: str | Path | None, name: str | None) -> Path:
    """Write the test, and say where it is: :meth:`nbflow.Execution.to_test`."""
    identifier = _identifier(name or recording.machine)
    target = Path(path or ".")
    if target.is_dir():
        target /= f"test_{identifier}.py"
    if target.exists():
        raise NbflowError(
            f"{target} is there already, and perhaps edited: delete it, or give another path or name"
        )
    text = source(recording, identifier)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NbflowError(f"the test {target} cannot be written: {error.strerror}") from error
    return target


def _identifier(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower().removeprefix("test_") or "run"


def source(recording: Recording, identifier: str) -> str:
    """The text of the test file. Raises NbflowError for a run of which there can be no test, and says why."""
    row = recording.row
    label = f"execution {row.name} of {recording.machine}"
    if row.status == "RUNNING":
        raise NbflowError(f"{label} has not ended: wait for it, and write its test then")
    if row.status == "ABORTED":
        raise NbflowError(f"{label} was stopped from outside, which a test of its machine cannot repeat")
    if row.forked_from is not None:
        raise NbflowError(
            f"{label} is a fork: it began in the middle, where a test of its machine cannot begin. Write the test of "
            "a run of the whole"
        )
    if any(isinstance(record, records.MapRunStarted) for record in recording.records):
        raise NbflowError(
            f"{label} has a distributed Map, and what its tasks gave is with its children: write tests of those "
            "(run['the Map'].children[0].to_test()), or run_machine with mocks of your own"
        )
    replay = _replayed(recording)
    text = _file(recording, replay, identifier)
    if len(text) > MOST_CHARACTERS:
        raise NbflowError(
            f"a test of {label} would have {len(text):,} characters (at most {MOST_CHARACTERS:,}): its data are "
            "too big to be read. Run it on less, or let tasks return DataFrames, which are kept as references"
        )
    return text


# --- what was recorded


class Attempt:
    """An attempt, and what came of it."""

    def __init__(self, scheduled_at: float) -> None:
        self.scheduled_at = scheduled_at
        self.seconds = 0.0
        self.answer: Any = NEVER

    def ended(self, at: float, answer: Any) -> None:
        self.seconds = round(at - self.scheduled_at, 3)
        self.answer = answer


Place: TypeAlias = tuple[tuple[str, int], ...]
"""The Maps and Parallels that a frame is in, from the outermost on: name, and number of the iteration or branch."""


def _place(run: Run, frame: int) -> Place:
    present = run.frames[frame]
    if present.parent is None:
        return ()
    return (*_place(run, present.parent), (run.frames[present.parent].state, present.index))


Attempts: TypeAlias = dict[tuple[Place, str], deque[Attempt]]
"""The attempts at each state in each place, in their order."""


def _attempts(definition: model.StateMachine, recorded: Iterable[records.Record]) -> Attempts:
    run = Run(definition)
    found: Attempts = defaultdict(deque)
    current: dict[int, Attempt] = {}
    limited = set[int]()
    for record in recorded:
        match record:
            case records.TaskScheduled(frame=frame):
                current[frame] = Attempt(record.at)
                found[_place(run, frame), run.frames[frame].state].append(current[frame])
                limited.discard(frame)
                if record.timeout is not None or record.heartbeat is not None:
                    limited.add(frame)
            case records.TaskSucceeded(frame=frame):
                current[frame].ended(record.at, record.output)
            case records.TaskFailed(frame=frame):
                current[frame].ended(record.at, Throw(record.error, record.cause))
            case records.TaskTimedOut(frame=frame) if frame not in limited:
                current[frame].ended(record.at, Throw(record.error, record.cause))
        evolve(run, record)
    return found


# --- what the test will do


class Replay(NamedTuple):
    """A run on mocks, and what it was given beside them."""

    run: MachineRun
    mocks: dict[str, list[Json]]
    options: dict[str, str]
    """Keyword arguments of run_machine, as source."""


def _replayed(recording: Recording) -> Replay:
    """The simplest replay that goes as the real run went; if none gives the same data, one with the same course.

    The plain one takes no time for tasks. In the faithful one they take as long as they took, and the context object
    and the clock say what they said. Raises NbflowError.
    """
    row = recording.row
    problems: list[str] = []
    found: list[Replay] = []
    for faithful in (False, True):
        try:
            replay = _replay(recording, faithful)
        except (MockError, NeverEnds) as error:
            problems.append(str(error))
            continue
        difference = _difference(recording, replay.run)
        if difference is not None:
            problems.append(difference)
        elif _data(replay.run) == _recorded_data(row):
            return replay
        else:
            found.append(replay)
    if found:
        return found[0]
    raise NbflowError(
        f"there can be no test of execution {row.name}: on its recorded results it goes another way "
        f"({problems[-1]}). That way depends on chance, on the time of day, or on which of several tasks ended first"
    )


def _replay(recording: Recording, faithful: bool) -> Replay:
    row = recording.row
    name, execution, start = "machine", "test", VirtualClock().now()  # as run_machine has it
    options: dict[str, str] = {}
    if faithful:
        name, execution, start = recording.machine, row.name, row.started_at
        options = {
            "name": string(name),
            "execution_name": string(execution),
            "clock": f"VirtualClock({start!r})",
        }
    mocks = _in_order_of_asking(recording, faithful, context(name, execution), start)
    definition, input = json.loads(recording.definition), json.loads(row.input)
    run = run_machine(
        definition, input, mocks, name=name, execution_name=execution, clock=VirtualClock(start)
    )
    return Replay(run, mocks, options)


def _in_order_of_asking(
    recording: Recording, faithful: bool, constants: dict[str, Json], start: float
) -> dict[str, list[Json]]:
    definition = parse(recording.definition)
    attempts = _attempts(definition, recording.records)
    mocks: dict[str, list[Json]] = {}

    def do(order: orders.RunTask, run: Run) -> Answer | None:
        known = attempts[_place(run, run.attempts[order.attempt]), order.state]
        attempt = known.popleft() if known else Attempt(0.0)  # in the real run it did not come to this one
        timed = faithful and attempt.answer is not NEVER and attempt.seconds > 0
        mocks.setdefault(order.state, []).append(
            After(attempt.seconds, attempt.answer) if timed else attempt.answer
        )
        fact = _fact(order.attempt, attempt.answer)
        return None if fact is None else Answer(fact, attempt.seconds if timed else 0.0)

    player = Player(definition, json.loads(recording.definition), World(do, VirtualClock(start)))
    player.play(json.loads(recording.row.input), constants)
    return mocks


def _fact(attempt: int, answer: Any) -> facts.Fact | None:
    if answer is NEVER:
        return None
    if isinstance(answer, Throw):
        return facts.TaskFailed(attempt, answer.error, answer.cause)
    return facts.TaskSucceeded(attempt, answer)


def _difference(recording: Recording, run: MachineRun) -> str | None:
    """How the run's course differs from the recorded one, in words."""
    row = recording.row
    if (run.status, run.error) != (row.status, row.error):
        return f"it ends {run.status}, {run.error or 'no error'} instead of {row.status}, {row.error or 'no error'}"
    entered = Counter(each.name for each in recording.records if isinstance(each, records.StateEntered))
    played = Counter(run.states)
    for name in entered | played:
        if entered[name] != played[name]:
            return f"it enters state {name!r} {played[name]} times instead of {entered[name]}"
    return None


def _data(run: MachineRun) -> tuple[Json, str | None]:
    return run.output, run.cause


def _recorded_data(row: ExecutionRow) -> tuple[Json, str | None]:
    return None if row.output is None else json.loads(row.output), row.cause


# --- the file


def _file(recording: Recording, replay: Replay, identifier: str) -> str:
    row, mocks = recording.row, replay.mocks
    definition, input = json.loads(recording.definition), json.loads(row.input)
    body = _body(recording, replay)
    used = {"run_machine"} | names(mocks) | ({"VirtualClock"} if "clock" in replay.options else set())
    constants = {"DEFINITION": definition, "INPUT": input} | ({"MOCKS": mocks} if mocks else {})
    lines = [
        f'"""{_about(recording, [input, mocks, replay.run.output])}"""\n\n',
        "from collections import Counter\n\n" if "Counter(" in body else "",
        f"from nbflow.testing import {', '.join(sorted(used, key=_import_order))}\n\n",
        *(f"{name} = {layout(value, taken=len(name) + 3)}\n\n" for name, value in constants.items()),
        f"\ndef test_{identifier}() -> None:\n{body}",
    ]
    return "".join(lines)


def _import_order(name: str) -> tuple[int, str]:
    """As import sorters have it: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def _about(recording: Recording, data: list[Json]) -> str:
    row = recording.row
    began = datetime.fromtimestamp(row.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    about = (
        f"Execution {row.name} of {recording.machine}, once more.\n\n"
        f"It began on {began} UTC. Its tasks are mocked with the results that it recorded,\n"
        "attempt by attempt, in the order in which they are scheduled.\n"
    )
    if references(data):
        about += (
            '\nObjects with "nbflow" and "sha256" are references to DataFrames and other objects, whose\n'
            "data are in the store of that run, and not needed here.\n"
        )
    return about


def _body(recording: Recording, replay: Replay) -> str:
    run = replay.run
    arguments = ["DEFINITION", "INPUT", *(["MOCKS"] if replay.mocks else [])]
    arguments += [f"{key}={value}" for key, value in replay.options.items()]
    lines = [_called(arguments), _asserted("run.status", run.status)]
    output, cause = _recorded_data(recording.row)
    if run.status != "SUCCEEDED":
        lines.append(_asserted("run.error", run.error))
    if run.status == "SUCCEEDED":
        lines += _data_asserted("run.output", run.output, output)
    else:
        lines += _data_asserted("run.cause", run.cause, cause)
    if len(run.states) > _MOST_LISTED:
        lines.append(_asserted("Counter(run.states)", dict(Counter(run.states))))
    else:
        lines.append(_asserted("run.states", run.states))
    return "".join(f"    {line}\n" for line in lines)


def _called(arguments: list[str]) -> str:
    call = f"run = run_machine({', '.join(arguments)})"
    if len(call) <= WIDTH - 4:
        return call
    return "run = run_machine(\n" + "".join(f"        {each},\n" for each in arguments) + "    )"


def _asserted(what: str, value: Json) -> str:
    if value is None or isinstance(value, bool):
        return f"assert {what} is {value!r}"
    return f"assert {what} == {layout(value, 4, len(f'assert {what} == '))}"


def _data_asserted(what: str, played: Json, recorded: Json) -> list[str]:
    """Nothing is asserted of data that are others each time."""
    if played == recorded:
        return [_asserted(what, played)]
    return [f"# {what} was another in the real run: it holds a time, a name or a random value."]
