"""Tests written from recorded runs pass, and say what the run did.

The recordings are made by ``run_machine``, whose tasks take random times here; tests/client has real ones.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.store.rows import ExecutionRow
from nbflow.testing import NEVER, After, MachineRun, Throw, VirtualClock, recorded, run_machine
from nbflow.testing.recorded import Recording, source, write_test

LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"
START = 1_700_000_000.5


def task(**fields: Json) -> dict[str, Json]:
    return {"Type": "Task", "Resource": f"{LAMBDA}f", **({} if "Next" in fields else {"End": True}), **fields}


def machine(**states: Json) -> dict[str, Json]:
    return {"StartAt": next(iter(states)), "States": states}


def each(**states: Json) -> dict[str, Json]:
    return {"Type": "Map", "ItemProcessor": machine(**states), "End": True}


def record(definition: Json, input: Json = None, mocks: Any = None, **changes: Any) -> Recording:
    """What the store would hold of such a run."""
    run = run_machine(
        definition, input, mocks, name="orders", execution_name="monday", clock=VirtualClock(START)
    )
    return Recording(
        "orders", row_of(run, {} if input is None else input, **changes), json.dumps(definition), run.records
    )


def row_of(run: MachineRun, input: Json, **changes: Any) -> ExecutionRow:
    fields = {
        "arn": "arn:aws:states:us-east-1:000000000000:execution:orders:monday",
        "name": "monday",
        "machine_arn": "arn:aws:states:us-east-1:000000000000:stateMachine:orders",
        "definition": "",
        "status": run.status,
        "input": json.dumps(input),
        "started_at": START,
        "output": None if run.status != "SUCCEEDED" else json.dumps(run.output),
        "error": run.error,
        "cause": run.cause,
    }
    return ExecutionRow(**{**fields, **changes})


def passes(text: str) -> None:
    """Run the test that the text defines."""
    names: dict[str, Any] = {}
    exec(compile(text, "test_orders.py", "exec"), names)
    names["test_orders"]()


def body(text: str) -> str:
    return text.partition("def test_orders() -> None:\n")[2]


def test_a_run_becomes_a_test() -> None:
    retry = [{"ErrorEquals": ["OSError"], "IntervalSeconds": 1}]
    definition = machine(A=task(Retry=retry, Next="B"), B=task())
    text = source(
        record(definition, {"id": 7}, {"A": [Throw("OSError", "asleep"), [1, 2]], "B": {"paid": True}}),
        "orders",
    )
    assert (
        text
        == '''"""Execution monday of orders, once more.

It began on 2023-11-14 22:13:20 UTC. Its tasks are mocked with the results that it recorded,
attempt by attempt, in the order in which they are scheduled.
"""

from nbflow.testing import Throw, run_machine

DEFINITION = {
    "StartAt": "A",
    "States": {
        "A": {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "Retry": [{"ErrorEquals": ["OSError"], "IntervalSeconds": 1}],
            "Next": "B",
        },
        "B": {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "End": True,
        },
    },
}

INPUT = {"id": 7}

MOCKS = {"A": [Throw("OSError", "asleep"), [1, 2]], "B": [{"paid": True}]}


def test_orders() -> None:
    run = run_machine(DEFINITION, INPUT, MOCKS)
    assert run.status == "SUCCEEDED"
    assert run.output == {"paid": True}
    assert run.states == ["A", "B"]
'''
    )
    passes(text)


CATCH = [{"ErrorEquals": ["States.ALL"], "Next": "C"}]
PARALLEL = {"Type": "Parallel", "End": True, "Branches": [machine(A=task()), machine(B=task())]}

RUNS: dict[str, tuple[Json, Json, Any, str]] = {
    "no tasks": (machine(P={"Type": "Pass", "End": True}), 3, None, "run_machine(DEFINITION, INPUT)\n"),
    "null": (machine(T=task()), None, {"T": None}, "assert run.output is None"),
    "failed": (machine(T=task()), 1, {"T": Throw("E", "a\nb")}, 'assert run.error == "E"\n    assert run.cause == "a\\nb"'),
    "failed without a name": (machine(T=task()), 1, {"T": Throw(None)}, "assert run.error is None\n    assert run.cause is None"),
    "Fail state": (machine(F={"Type": "Fail", "Error": "E", "Cause": "c"}), 1, None, 'assert run.cause == "c"'),
    "caught": (machine(T=task(Catch=CATCH), C={"Type": "Pass", "End": True}), 1, {"T": Throw("E", "c")}, 'assert run.output == {"Error": "E", "Cause": "c"}'),
    "timed out": (machine(T=task(TimeoutSeconds=9, Catch=CATCH), C=task()), 1, {"T": NEVER, "C": 2}, "assert run.output == 2"),
    "out of time": ({**machine(T=task()), "TimeoutSeconds": 9}, 1, {"T": NEVER}, 'assert run.status == "TIMED_OUT"'),
    "sibling given up": (machine(P=PARALLEL), 1, {"A": NEVER, "B": After(2, Throw("E"))}, 'assert run.states == ["P", "A", "B"]'),
    "Map in any order": (machine(M=each(A=task(Next="B"), B=task())), [3, 1, 2], {"A": lambda n: After(n, -n), "B": lambda n: n * 10}, "assert run.output == [-30, -10, -20]"),
    "long Map": (machine(M=each(A=task())), [*range(60)], {"A": 1}, 'assert Counter(run.states) == {"M": 1, "A": 60}'),
    "reference": (machine(T=task()), 1, {"T": {"nbflow": "parquet", "sha256": "ab", "rows": 3}}, 'assert run.output == {"nbflow": "parquet", "sha256": "ab", "rows": 3}'),
    "other each time": (machine(P={"Type": "Pass", "Parameters": {"t.$": "$$.State.EnteredTime", "s.$": "$$.Execution.StartTime"}, "Next": "T"}, T=task(Next="Q", ResultPath="$.r"), Q={"Type": "Pass", "End": True}), {}, {"T": After(1, 2)}, 'name="orders",\n        execution_name="monday",\n        clock=VirtualClock(1700000000.5),\n'),
}  # fmt: skip


@pytest.mark.parametrize("id", RUNS)
def test_every_kind_of_run_is_repeated(id: str) -> None:
    definition, input, mocks, expected = RUNS[id]
    text = source(record(definition, input, mocks), "orders")
    assert expected in body(text)
    assert ('"nbflow" and "sha256" are references' in text) == (id == "reference")
    passes(text)


def test_what_takes_its_time_only_where_that_matters() -> None:
    wait = machine(W={"Type": "Wait", "Seconds": 2, "Next": "L"}, L=task())
    parallel = {"Type": "Parallel", "End": True, "Branches": [wait, machine(B=task())]}
    mocks = {"L": NEVER, "B": After(3, Throw("E"))}
    text = source(record(machine(P=parallel), 1, mocks), "orders")
    assert 'MOCKS = {"B": [After(3.0, Throw("E"))], "L": [NEVER]}' in text
    assert 'assert run.states == ["P", "W", "B", "L"]' in text
    passes(text)


def test_data_that_are_others_each_time_are_not_asserted() -> None:
    definition = machine(P={"Type": "Pass", "Parameters": {"id.$": "States.UUID()"}, "End": True})
    text = source(record(definition, output='{"id": "another"}'), "orders")
    assert "# run.output was another in the real run: it holds a time, a name or a random value." in body(
        text
    )
    assert "assert run.output" not in text
    passes(text)


REFUSED: list[tuple[Callable[[], Recording], str]] = [
    (lambda: record(machine(T=task()), mocks={"T": 1}, status="RUNNING"), "execution monday of orders has not ended: wait for it"),
    (lambda: record(machine(T=task()), mocks={"T": 1}, status="ABORTED"), "execution monday of orders was stopped from outside"),
    (lambda: record(machine(T=task()), mocks={"T": 1}, forked_from="arn"), "execution monday of orders is a fork: it began in the middle"),
    (lambda: record(machine(T=task()), mocks={"T": "x" * 3000}), "a test of execution monday of orders would have 7,"),
    (lambda: record(machine(T=task()), mocks={"T": 1}, status="FAILED", error="Worse"), "it ends SUCCEEDED, no error instead of FAILED, Worse"),
    (lambda: record(machine(T=task()), mocks={"T": 1})._replace(records=[]), "there can be no test of execution monday: on its recorded results it goes another way (the execution waits for what will never come"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"), REFUSED, ids=["running", "stopped", "fork", "big", "other end", "lost"]
)
def test_a_run_that_cannot_be_repeated_says_why(
    make: Callable[[], Recording], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "MOST_CHARACTERS", 3000)
    with pytest.raises(NbflowError) as caught:
        source(make(), "orders")
    assert message in str(caught.value)


def test_a_course_that_is_another_is_named() -> None:
    present = record(machine(T=task()), mocks={"T": 1})
    started, entered, *rest = present.records
    with pytest.raises(NbflowError, match="it enters state 'T' 1 times instead of 2"):
        source(present._replace(records=[started, entered, entered, *rest]), "orders")


def test_the_file_has_a_name_and_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recording = record(machine(T=task()), mocks={"T": 1})
    assert write_test(recording, None, None) == Path("test_orders.py")
    assert write_test(recording, tmp_path, "test_Some Name!") == tmp_path / "test_some_name.py"
    path = write_test(recording, tmp_path / "deep.py", "Ünder-lined")
    assert "def test_ünder_lined() -> None:" in path.read_text(encoding="utf-8")
    with pytest.raises(
        NbflowError, match=r"test_orders.py is there already, and perhaps edited: delete it, or"
    ):
        write_test(recording, None, None)
    with pytest.raises(NbflowError, match=r"nowhere.*cannot be written: No such file or directory"):
        write_test(recording, tmp_path / "nowhere" / "test.py", None)


# --- any machine


class Chaos:
    """Tasks of random results and durations."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def __call__(self, arguments: Json) -> object:
        dice = self._dice
        answer = dice.choice(
            [arguments, dice.randrange(100), Throw("E", "c"), Throw("F"), NEVER, [1, {"a": None}]]
        )
        return After(dice.randrange(6) / 2, answer) if dice.random() < 0.7 else answer


RETRIES = [{"ErrorEquals": ["E"], "IntervalSeconds": 1, "MaxAttempts": 2}]


def tasks() -> st.SearchStrategy[Json]:
    """Task states, which always end some day."""
    return st.builds(
        lambda timeout, retried: task(TimeoutSeconds=timeout, **({"Retry": RETRIES} if retried else {})),
        st.integers(1, 4),
        st.booleans(),
    )


@st.composite
def scopes(draw: st.DrawFn, depth: int, prefix: str) -> Json:
    """Up to three states in a row, some of them Maps and Parallels. Each hands on its input, which has items."""
    names = [f"{prefix}{number}" for number in range(draw(st.integers(1, 3)))]
    last = f"{prefix}end"
    states = {}
    for name, after in zip(names, [*names[1:], last], strict=True):
        kinds = ["Task", "Task", "Wait", "Map", "Parallel"] if depth else ["Task", "Wait"]
        state = draw(_STATES[draw(st.sampled_from(kinds))](depth, name))
        if state["Type"] != "Wait":
            state["ResultPath"] = None
            if draw(st.booleans()):
                state["Catch"] = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": last}]
        states[name] = {key: value for key, value in state.items() if key != "End"} | {"Next": after}
    return {"StartAt": names[0], "States": {**states, last: {"Type": "Succeed"}}}


_STATES: dict[str, Callable[[int, str], st.SearchStrategy[Json]]] = {
    "Task": lambda depth, name: tasks(),
    "Wait": lambda depth, name: st.fixed_dictionaries(
        {"Type": st.just("Wait"), "Seconds": st.integers(0, 3)}
    ),
    "Map": lambda depth, name: st.fixed_dictionaries(
        {
            "Type": st.just("Map"),
            "Parameters": st.just({"items": [1, 2, 3]}),
            "ItemsPath": st.just("$.items"),
            "MaxConcurrency": st.integers(0, 2),
            "ItemProcessor": scopes(depth - 1, f"{name}m"),
        },
        optional={"ToleratedFailureCount": st.just(1), "Retry": st.just(RETRIES)},
    ),
    "Parallel": lambda depth, name: st.fixed_dictionaries(
        {
            "Type": st.just("Parallel"),
            "Branches": st.tuples(scopes(depth - 1, f"{name}p"), scopes(depth - 1, f"{name}q")).map(list),
        },
        optional={"Retry": st.just(RETRIES)},
    ),
}


@settings(deadline=None)
@given(scopes(2, "s"), st.integers(0, 1000))
def test_any_run_becomes_a_test_that_passes(definition: Json, seed: int) -> None:
    mocks = dict.fromkeys(_tasks(definition), Chaos(seed))
    passes(source(record(definition, {"items": [1, 2, 3]}, mocks), "orders"))


def _tasks(scope: Json) -> list[str]:
    found = []
    for name, state in scope["States"].items():
        inner = [*state.get("Branches", ()), *([state["ItemProcessor"]] if "ItemProcessor" in state else ())]
        found += [name] if state["Type"] == "Task" else [each for part in inner for each in _tasks(part)]
    return found
