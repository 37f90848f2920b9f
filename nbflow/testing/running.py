"""``run_machine``: a definition from its start to its end, at once, on scripted results."""

import json
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from nbflow.artifacts.shelf import Shelf
from nbflow.artifacts.values import pack, unpack
from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.language.validate import all_states, parse, resources
from nbflow.language.values import Json
from nbflow.machine.distributed import is_distributed
from nbflow.machine.history import Event, history
from nbflow.machine.records import Record, StateEntered
from nbflow.machine.trace import Trace
from nbflow.testing.bound import bound
from nbflow.testing.clock import VirtualClock
from nbflow.testing.mocks import MockError, hint, script
from nbflow.testing.player import Player, World
from nbflow.testing.work import GIVER, Giver, Work, name_of


class MachineFailed(NbflowError):
    """The execution did not succeed. ``error`` and ``cause`` are ASL's; ``run`` is how it went."""

    def __init__(self, run: "MachineRun") -> None:
        super().__init__(f"{run!r}{_traceback(run.cause)}")
        self.run = run
        self.error = run.error
        self.cause = run.cause


@dataclass(frozen=True, eq=False, repr=False)
class MachineRun:
    """How an execution went."""

    machine: str
    """The state machine's name."""
    definition: model.StateMachine
    status: str
    """SUCCEEDED, FAILED or TIMED_OUT; ABORTED is a child that its Map Run has given up."""
    output: Json
    """As JSON: a DataFrame is its reference, and ``result()`` loads it. None unless it has succeeded."""
    error: str | None
    cause: str | None
    seconds: float
    """How long it took, in virtual time: Waits, retries' intervals and timeouts. Tasks take none."""
    records: list[Record]
    """What it remembers."""
    work: Work = field(repr=False)
    """What did its tasks."""
    maps: dict[str, list["MachineRun"]] = field(default_factory=dict)
    """By the names of distributed Maps: the runs of their children."""

    @cached_property
    def states(self) -> list[str]:
        """The names of the states, in the order of entering them, those within Maps and Parallels too.

        Those of a distributed Map's children are in :meth:`children`.
        """
        return [record.name for record in self.records if isinstance(record, StateEntered)]

    @cached_property
    def events(self) -> list[Event]:
        """The events of GetExecutionHistory, in AWS's shapes; ``timestamp`` is seconds of the virtual clock."""
        return list(history(self.definition, self.records))

    @property
    def trace(self) -> Trace:
        """The visits of its states: input, output, error and attempts of each."""
        trace = Trace(self.definition)
        for record in self.records:
            trace.add(record)
        return trace

    def calls(self, state: str) -> list[Json]:
        """The arguments that each attempt at a Task state was given, in the order of scheduling.

        Raises KeyError for what is no Task state of the definition.
        """
        return self.work.calls.get(self._task(state), [])

    def attempts(self, state: str) -> int:
        """How often a Task state was tried, over all visits. Raises KeyError as :meth:`calls`."""
        return len(self.calls(state))

    def log(self, state: str) -> str:
        """What a Task state's functions printed. Raises KeyError as :meth:`calls`."""
        return "".join(self.work.logs.get(self._task(state), ()))

    def result(self) -> object:
        """The output with references loaded. Raises MachineFailed if the execution did not succeed."""
        if self.status != "SUCCEEDED":
            raise MachineFailed(self)
        return unpack(self.output, self.work.known, self.work.shelf)

    def children(self, state: str) -> list["MachineRun"]:
        """How the children of a distributed Map went, in the order of their start, over all its Map Runs.

        Raises KeyError for what is no distributed Map of the definition. ``calls``, ``attempts`` and ``log`` are those
        of the whole run.
        """
        found = [place for place, each in all_states(self.definition) if is_distributed(each)]
        names = [place.rpartition("/States/")[2] for place in found]
        if state not in names:
            raise KeyError(f"there is no distributed Map {state!r} in {self.machine}{hint(state, names)}")
        return self.maps.get(state, [])

    def _task(self, state: str) -> str:
        if state not in self._named:
            raise KeyError(f"there is no Task state {state!r} in {self.machine}{hint(state, self._named)}")
        return state

    @cached_property
    def _named(self) -> list[str]:
        return [place.rpartition("/States/")[2] for place in resources(self.definition)]

    def __repr__(self) -> str:
        failed = [
            visit.name
            for visit in self.trace.walk()  # a Map or Parallel before what failed in it
            if visit.status == "FAILED" and (visit.error, visit.cause) == (self.error, self.cause)
        ]
        where = f" in {failed[-1]!r}" if failed and self.status == "FAILED" else ""
        why = ": ".join(filter(None, [self.error, _message(self.cause)]))
        return f"<run of {self.machine}: {self.status}{where}{f', {why}' if why else ''}>"


@runtime_checkable
class Bound(Protocol):
    """An ``nf.StateMachine``, as far as it is read here: its house is above this one."""

    name: str

    @property
    def tasks(self) -> Mapping[str, Any]: ...

    @property
    def checks(self) -> Mapping[str, str]: ...

    @property
    def definition(self) -> dict[str, Json]: ...


class Compiled(Protocol):
    """An ``nf.flow``: the machine is compiled anew each time."""

    @property
    def machine(self) -> Bound: ...


Definition: TypeAlias = Mapping[str, Json] | str | Path | Bound | Compiled


def run_machine(
    definition: Definition,
    input: object = None,
    mocks: Mapping[str, object] | str | Path | None = None,
    *,
    tasks: Mapping[str, Any] | None = None,
    case: str | None = None,
    name: str | None = None,
    execution_name: str = "test",
    clock: VirtualClock | None = None,
) -> MachineRun:
    """Run a state machine to its end, in this thread and in no time, and say how it went.

    ``definition``: a dict, JSON or YAML text, a path of a file with either, an ``nf.StateMachine`` or an ``nf.flow``.
    ``input``: any value; by default ``{}``. ``mocks``: what the Task states give, by their names
    (:mod:`nbflow.testing.mocks`), or the path of a MockConfigFile; then ``case`` is one of its test cases of the
    machine ``name``. ``tasks``: the functions that the definition's Lambda ARNs name, for states that are not mocked;
    they are called themselves, not copies as in a real run. ``name`` and ``execution_name`` are what the context
    object says. ``clock`` is moved on by what the execution waits for; a mock may move it, too.

    Nothing is stored, and chance is the same each time. Raises MockError for mocks that do not fit or do not suffice,
    NeverEnds where nothing will happen any more, and DefinitionError for a definition that is none.
    """
    given = _given(definition)
    machine = parse(given.text)
    name = name or given.name
    answers = script(machine, mocks, case, name)
    functions = {**given.tasks, **(tasks or {})}
    _check_named(machine, functions)
    clock = clock or VirtualClock()
    shelf = _temporary_shelf()
    value, brought = pack({} if input is None else input, shelf, name="input")
    giver = Giver()
    with bound({**functions, GIVER: giver}, given.checks) as codes:
        work = Work(answers, codes, giver, shelf, {artifact.sha256: artifact for artifact in brought})
        player = Player(machine, json.loads(given.text), World(work.do, clock, work.read))
        player.play(value, context(name, execution_name))
    return _run_of(player, name, work)


def _run_of(player: Player, name: str, work: Work) -> MachineRun:
    run = player.run
    return MachineRun(
        machine=name,
        definition=run.definition,
        status=run.status if run.ended else "ABORTED",
        output=run.output,
        error=run.error,
        cause=run.cause,
        seconds=(run.stopped_at or run.started_at) - run.started_at,
        records=player.records,
        work=work,
        maps={
            state: [_run_of(child, child.run.context["StateMachine"]["Name"], work) for child in children]
            for state, children in player.children.items()
        },
    )


class _Given(NamedTuple):
    """What the definition says, and what it brings along."""

    text: str
    name: str = "machine"
    tasks: Mapping[str, Any] = {}  # nobody writes to it
    checks: Mapping[str, str] = {}


def _given(definition: Definition) -> _Given:
    if isinstance(definition, Mapping):
        return _Given(json.dumps(definition))
    if isinstance(definition, str) and (definition.lstrip().startswith(("{", "---")) or "\n" in definition):
        return _Given(_as_json(definition))
    if isinstance(definition, str | Path):
        path = Path(definition)
        return _Given(_as_json(path.read_text(encoding="utf-8")), path.name.split(".")[0])
    machine = getattr(definition, "machine", definition)
    if not isinstance(machine, Bound):
        raise TypeError(
            f"a definition is a dict, a text, a path, an nf.StateMachine or an nf.flow, not {definition!r:.80}"
        )
    return _Given(json.dumps(machine.definition), machine.name, machine.tasks, machine.checks)


def _as_json(text: str) -> str:
    if text.lstrip().startswith("{"):
        return text
    import yaml

    return json.dumps(yaml.safe_load(text))


def _check_named(machine: model.StateMachine, tasks: Mapping[str, Any]) -> None:
    named = [name for resource in resources(machine).values() if (name := name_of(resource))]
    for name in tasks:
        if name not in named:
            raise MockError(f"tasks[{name!r}] is not named by any Task state{hint(name, named)}")


def context(machine: str, execution: str) -> dict[str, Json]:
    """What the context object says of the execution."""
    states = "arn:aws:states:us-east-1:000000000000"
    return {
        "Execution": {
            "Id": f"{states}:execution:{machine}:{execution}",
            "Name": execution,
            "RoleArn": "arn:aws:iam::000000000000:role/nbflow",
        },
        "StateMachine": {"Id": f"{states}:stateMachine:{machine}", "Name": machine},
    }


def _temporary_shelf() -> Shelf:
    """A folder that is made when something is put there, and goes when nothing needs it any more."""
    shelf = Shelf(str(Path(tempfile.gettempdir()) / f"nbflow-test-{uuid.uuid4().hex}"))
    weakref.finalize(shelf, shutil.rmtree, shelf.url, ignore_errors=True)
    return shelf


# --- causes, for people


def _details(cause: str | None) -> dict[str, Json]:
    """The members of a Python task's cause; none of any other."""
    try:
        details = json.loads(cause or "")
    except ValueError:
        return {}
    return details if isinstance(details, dict) and "errorMessage" in details else {}


def _message(cause: str | None) -> str | None:
    return str(_details(cause).get("errorMessage", cause)) if cause else None


def _traceback(cause: str | None) -> str:
    stack = "".join(_details(cause).get("stackTrace", [])).rstrip()
    return f"\n\n{stack}" if stack else ""
