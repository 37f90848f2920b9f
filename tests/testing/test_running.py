"""``run_machine``: definitions, mocks, functions, time, and what comes out."""

import gc
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import nbflow as nf
from nbflow.language.values import Json
from nbflow.testing import (
    NEVER,
    After,
    MachineFailed,
    MockError,
    NeverEnds,
    Return,
    Throw,
    VirtualClock,
    player,
    run_machine,
)
from nbflow.testing.mock_config import MockConfigError

LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"
YEAR = 31_536_000


def task(name: str = "f", **fields: Json) -> dict[str, Json]:
    return {"Type": "Task", "Resource": LAMBDA + name, "End": True, **fields}


def machine(**states: Json) -> dict[str, Json]:
    return {"StartAt": next(iter(states)), "States": states}


def each(state: Json, **fields: Json) -> dict[str, Json]:
    return {"Type": "Map", "ItemProcessor": machine(T=state), "End": True, **fields}


ONE = machine(T=task())
RETRY = [{"ErrorEquals": ["OSError"], "IntervalSeconds": 3, "BackoffRate": 1}]
CATCH = [{"ErrorEquals": ["States.ALL"], "Next": "C"}]
CAUGHT = machine(T=task(Catch=CATCH), C={"Type": "Pass", "End": True})


def test_a_wait_of_a_year_takes_no_time() -> None:
    run = run_machine(machine(W={"Type": "Wait", "Seconds": YEAR, "End": True}), {"a": 1})
    assert (run.status, run.output, run.seconds) == ("SUCCEEDED", {"a": 1}, YEAR)
    assert [event["type"] for event in run.events] == [
        "ExecutionStarted",
        "WaitStateEntered",
        "WaitStateExited",
        "ExecutionSucceeded",
    ]


def test_the_clock_of_the_test_is_moved_on() -> None:
    clock = VirtualClock(100.0)
    definition = machine(W={"Type": "Wait", "Seconds": 60, "End": True})
    for end in (160.0, 220.0):
        assert run_machine(definition, clock=clock).seconds == 60
        assert clock.now() == end


# --- definitions


@nf.task
def double(number: int) -> int:
    return 2 * number


@nf.flow
def twice(number: int = 4) -> int:
    return double(double(number))


def _json_file(folder: Path) -> Path:
    path = folder / "once.asl.json"
    path.write_text(json.dumps(ONE))
    return path


def _yaml_file(folder: Path) -> str:
    path = folder / "once.yaml"
    path.write_text(yaml.safe_dump(ONE))
    return str(path)


DEFINITIONS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "dict": (lambda folder: ONE, "machine"),
    "JSON": (lambda folder: json.dumps(ONE), "machine"),
    "YAML": (lambda folder: yaml.safe_dump(ONE), "machine"),
    "JSON file": (_json_file, "once"),
    "YAML file": (_yaml_file, "once"),
    "StateMachine": (lambda folder: nf.StateMachine(ONE, name="mine", tasks={"f": abs}), "mine"),
}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_what_a_definition_can_be(kind: str, tmp_path: Path) -> None:
    make, name = DEFINITIONS[kind]
    run = run_machine(make(tmp_path), -3, {"T": 7})
    assert (run.machine, run.output, run.calls("T")) == (name, 7, [-3])


def test_a_flow_does_its_tasks_or_those_that_are_mocked() -> None:
    run = run_machine(twice)
    assert (run.machine, run.result()) == ("twice", 16)
    first, second = (state for state in run.states if state.startswith("double"))
    mocked = run_machine(twice, {"number": 1}, {first: 100})
    assert (mocked.output, mocked.calls(first), mocked.calls(second)) == (
        200,
        [{"number": 1}],
        [{"number": 100}],
    )


def test_what_is_no_definition(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"a definition is a dict, .* not 3"):
        run_machine(3)  # type: ignore[arg-type]
    with pytest.raises(nf.DefinitionError):
        run_machine({})
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run_machine(tmp_path / "nowhere.json")


# --- mocks


@dataclass(frozen=True)
class Given:
    id: str
    mock: object
    output: Json = None
    error: str | None = None


MOCKS = [
    Given("value", {"a": [1]}, {"a": [1]}),
    Given("null", None),
    Given("callable", lambda arguments: arguments["n"] + 1, 5),
    Given("callable that raises", lambda arguments: [][1], error="IndexError"),
    Given("callable that throws", lambda arguments: Throw("Odd"), error="Odd"),
    Given("exception", ValueError("boom"), error="ValueError"),
    Given("class of exceptions", ValueError, error="ValueError"),
    Given("nf.Fail", nf.Fail("Declined", "no funds"), error="Declined"),
    Given("Throw", Throw("Declined", "no funds"), error="Declined"),
    Given("Throw without a name", Throw(None)),
    Given("Return of a list", Return([1, 2]), [1, 2]),
    Given("list", [["first"]], ["first"]),
    Given("After", After(3, "late"), "late"),
    Given("After of a callable", After(3, lambda arguments: arguments), {"n": 4}),
    Given("mocked response", {"0": {"Return": 3}}, 3),
    Given("mocked failure", {"0-4": {"Throw": {"Error": "E"}}}, error="E"),
    Given("an object that looks like one", {"0": {"value": 3}}, {"0": {"value": 3}}),
    Given("no JSON", float("nan"), error="nbflow.NotJson"),
]


@pytest.mark.parametrize("given", MOCKS, ids=lambda given: given.id)
def test_what_a_mock_can_be(given: Given) -> None:
    run = run_machine(ONE, {"n": 4}, {"T": given.mock})
    assert (run.output, run.error) == (given.output, given.error)
    assert run.status == (
        "SUCCEEDED" if given.error is None and given.id != "Throw without a name" else "FAILED"
    )
    assert run.seconds == (3 if "After" in given.id else 0)
    assert run.calls("T") == [{"n": 4}]


@pytest.mark.parametrize(
    "mock",
    [
        [ConnectionError("asleep"), OSError, "awake"],
        {"0-1": {"Throw": {"Error": "OSError"}}, "2": {"Return": "awake"}},
    ],
    ids=["list", "mocked response"],
)
def test_each_attempt_has_its_answer_and_exceptions_the_name_that_retry_knows(mock: object) -> None:
    run = run_machine(machine(T=task(Retry=RETRY)), 1, {"T": mock})
    assert (run.output, run.attempts("T"), run.seconds) == ("awake", 3, 6)
    failed = [event for event in run.events if event["type"] == "LambdaFunctionFailed"]
    assert [event["lambdaFunctionFailedEventDetails"]["error"] for event in failed] == ["OSError", "OSError"]


@pytest.mark.parametrize(
    ("mock", "why"),
    [
        ([OSError], "the list has 1 answers, one an attempt. Give it another answer, or one value for all"),
        ({"0": {"Throw": {"Error": "OSError"}}}, "no range of its keys holds it"),
    ],
    ids=["list", "mocked response"],
)
def test_a_script_that_is_too_short_is_noticed(mock: object, why: str) -> None:
    with pytest.raises(MockError) as caught:
        run_machine(machine(T=task(Retry=RETRY, Catch=CATCH), C={"Type": "Succeed"}), 1, {"T": mock})
    assert str(caught.value).startswith(
        f"the mock of state 'T' has no answer to attempt 1 (they count from 0): {why}"
    )


def test_in_a_map_attempts_are_counted_in_the_order_of_scheduling() -> None:
    run = run_machine(machine(M=each(task(), MaxConcurrency=2)), [7, 8, 9], {"T": ["a", "b", "c"]})
    assert (run.output, run.calls("T"), run.attempts("T")) == (["a", "b", "c"], [7, 8, 9], 3)
    assert run.states == ["M", "T", "T", "T"]


def test_what_is_ordered_together_is_tried_although_one_of_it_fails() -> None:
    run = run_machine(machine(M=each(task())), [1, 2, 3], {"T": lambda item: 1 // (item - 1)})
    assert (run.status, run.error, run.calls("T")) == ("FAILED", "ZeroDivisionError", [1, 2, 3])


def test_an_assertion_in_a_mock_is_the_tests_own() -> None:
    def check(arguments: Json) -> None:
        assert arguments == {"amount": 3}

    assert run_machine(CAUGHT, {"amount": 3}, {"T": check}).states == ["T"]
    with pytest.raises(AssertionError, match="amount"):
        run_machine(CAUGHT, {"amount": 4}, {"T": check})


def test_what_a_mock_does_to_its_arguments_stays_with_it() -> None:
    run = run_machine(ONE, {"rows": [1]}, {"T": lambda arguments: arguments["rows"].append(2)})
    assert run.calls("T") == [{"rows": [1]}]


def test_what_is_neither_mocked_nor_bound_says_what_to_write() -> None:
    with pytest.raises(MockError) as caught:
        run_machine(CAUGHT, {"order": 1})
    assert str(caught.value) == (
        "state 'T' is neither mocked nor bound, and was tried with {\"order\":1}. Write "
        "run_machine(…, mocks={'T': <its result>}) or run_machine(…, tasks={'f': <a function>})"
    )
    service = machine(
        T=task(Resource="arn:aws:states:::sqs:sendMessage", Parameters={"MessageBody": "x" * 300})
    )
    with pytest.raises(MockError, match=r"x…\. Write run_machine\(…, mocks=\{'T': <its result>\}\)$"):
        run_machine(service)
    assert run_machine(service, mocks={"T": {"MessageId": "1"}}).output == {"MessageId": "1"}


MISTAKES = [
    ({"mocks": {"U": 1}}, "there is no state 'U' to mock"),
    ({"mocks": {"TT": 1}}, "there is no state 'TT' to mock (did you mean 'T'?)"),
    (
        {"mocks": {"C": 1}},
        "state 'C' is a Pass state: only Task states are mocked, and Maps with an ItemReader",
    ),
    ({"mocks": {"T": 1}, "case": "c"}, "case='c' is one of a MockConfigFile: give the file's path as mocks"),
    ({"tasks": {"ff": abs}}, "tasks['ff'] is not named by any Task state (did you mean 'f'?)"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_mistakes_say_what_to_write(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(MockError) as caught:
        run_machine(CAUGHT, **arguments)
    assert str(caught.value) == message


def test_a_mocked_response_that_is_none_names_the_state() -> None:
    with pytest.raises(MockConfigError, match=r"mocks\['T'\].0.Throw: give the texts Error and Cause"):
        run_machine(ONE, mocks={"T": {"0": {"Throw": {}}}})


# --- MockConfigFile


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "MockConfigFile.json"
    responses = {"Twice": {"0": {"Throw": {"Error": "OSError"}}, "1": {"Return": "awake"}}}
    cases = {"Asleep": {"T": "Twice"}}
    path.write_text(json.dumps({"StateMachines": {"m": {"TestCases": cases}}, "MockedResponses": responses}))
    return path


@pytest.mark.parametrize("name", ["m", None])
def test_a_test_case_of_a_file(config: Path, name: str | None) -> None:
    run = run_machine(machine(T=task(Retry=RETRY)), mocks=config, case="Asleep", name=name)
    assert (run.output, run.attempts("T")) == ("awake", 2)


def test_a_test_case_that_there_is_not(config: Path) -> None:
    with pytest.raises(
        MockError, match=r"say which test case of the file to play \(case=…\); it has 'Asleep'"
    ):
        run_machine(ONE, mocks=str(config))
    with pytest.raises(MockError, match=r"there is no test case 'A' \(case=…\); it has 'Asleep'"):
        run_machine(ONE, mocks=config, case="A")
    config.write_text('{"StateMachines": {"m": {}, "n": {}}}')
    with pytest.raises(MockError, match=r"has no state machine 'machine' \(name=…\), but 'm', 'n'"):
        run_machine(ONE, mocks=config, case="A")


# --- functions


def test_functions_are_called_themselves() -> None:
    seen = []

    def note(value: Json) -> int:
        print("noted", value)
        seen.append(value)
        return len(seen)

    run = run_machine(machine(M=each(task())), ["a", "b"], tasks={"f": note})
    assert (run.output, seen, run.log("T")) == ([1, 2], ["a", "b"], "noted a\nnoted b\n")


def test_a_task_takes_keywords_and_a_machine_brings_its_functions() -> None:
    bound = nf.StateMachine(ONE, tasks={"f": double})
    assert run_machine(bound, {"number": 4}).result() == 8
    assert run_machine(bound, {"number": 4}, tasks={"f": lambda value: value["number"]}).result() == 4
    run = run_machine(ONE, {"numbr": 4}, tasks={"f": double})
    assert run.error == "TypeError"
    assert run.calls("T") == [{"numbr": 4}]


def test_dataframes_travel_by_reference_and_go_with_the_run() -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    both = machine(A=task("f", Next="B", End=False), B=task("g"))
    del both["States"]["A"]["End"]
    run = run_machine(both, frame, {"A": lambda given: given * 2}, tasks={"g": lambda given: given + 1})
    assert run.output["rows"] == 2
    result = run.result()
    assert isinstance(result, pd.DataFrame)
    assert list(result["x"]) == [3, 5]
    folder = Path(run.work.shelf.url)
    assert folder.exists()
    del run
    gc.collect()
    assert not folder.exists()


def test_ctrl_c_ends_the_test() -> None:
    def interrupted(value: Json) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_machine(CAUGHT, tasks={"f": interrupted})


# --- time


def test_a_task_that_never_ends_times_out() -> None:
    run = run_machine(machine(T=task(TimeoutSeconds=5, Retry=[{"ErrorEquals": ["States.Timeout"]}])), mocks={"T": [NEVER, 1]})  # fmt: skip
    assert (run.output, run.seconds) == (1, 6)
    assert "LambdaFunctionTimedOut" in [event["type"] for event in run.events]


@pytest.mark.parametrize(("seconds", "status"), [(4, "SUCCEEDED"), (6, "FAILED")])
def test_a_task_can_take_its_time(seconds: float, status: str) -> None:
    run = run_machine(machine(T=task(TimeoutSeconds=5)), mocks={"T": After(seconds, "late")})
    assert (run.status, run.seconds) == (status, min(seconds, 5))


def test_a_mock_can_move_the_clock() -> None:
    clock = VirtualClock()
    run = run_machine(
        machine(T=task(TimeoutSeconds=5)),
        mocks={"T": lambda _: clock.advance_to(clock.now() + 9)},
        clock=clock,
    )
    assert (run.status, run.error) == ("FAILED", "States.Timeout")


def test_answers_come_in_the_order_of_time() -> None:
    two = machine(T={**task(), "Next": "U"}, U=task("g"))
    del two["States"]["T"]["End"]
    run = run_machine(
        machine(M={**each(task()), "ItemProcessor": two}),
        [3, 1, 2],
        {"T": lambda n: After(n, n), "U": lambda n: n},
    )
    assert (run.output, run.calls("U"), run.seconds) == ([3, 1, 2], [1, 2, 3], 3)


def test_the_first_failure_of_a_parallel_gives_the_others_up() -> None:
    parallel = {"Type": "Parallel", "End": True, "Branches": [machine(A=task("a")), machine(B=task("b"))]}
    run = run_machine(machine(P=parallel), mocks={"A": NEVER, "B": Throw("Broken", "why")})
    assert (run.status, run.error, run.cause, run.states) == ("FAILED", "Broken", "why", ["P", "A", "B"])


def test_what_never_comes_is_an_error_and_no_hang() -> None:
    with pytest.raises(NeverEnds) as caught:
        run_machine(machine(M=each(task())), list(range(7)), {"T": NEVER})
    assert str(caught.value) == (
        "the execution waits for what will never come: "
        + ", ".join(["an attempt at 'T'"] * 5)
        + " and 2 more does not end. Give the state TimeoutSeconds, or a mock that answers in place of NEVER"
    )


def test_an_endless_loop_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "MOST_RECORDS", 500)
    poll = machine(
        W={"Type": "Wait", "Seconds": 60, "Next": "T"},
        T={**task(Next="C")},
        C={
            "Type": "Choice",
            "Choices": [{"Variable": "$", "StringEquals": "done", "Next": "S"}],
            "Default": "W",
        },
        S={"Type": "Succeed"},
    )
    del poll["States"]["T"]["End"]
    run = run_machine(poll, mocks={"T": ["busy", "busy", "done"]})
    assert (run.seconds, run.attempts("T")) == (180, 3)
    with pytest.raises(NeverEnds, match=r"has not ended after 500 records; it is in state 'W'. If it loops"):
        run_machine(poll, mocks={"T": "busy"})


def test_a_machine_runs_out_of_time() -> None:
    run = run_machine({**ONE, "TimeoutSeconds": 30}, mocks={"T": NEVER})
    assert (run.status, run.seconds) == ("TIMED_OUT", 30)


# --- what comes out


def test_a_failed_run_says_where_and_why() -> None:
    def broken(item: int) -> int:
        return 1 // (item - 2)

    run = run_machine(machine(M=each(task())), [1, 2], tasks={"f": broken}, name="rows")
    text = "<run of rows: FAILED in 'T', ZeroDivisionError: integer division or modulo by zero>"
    assert repr(run) == text
    with pytest.raises(MachineFailed) as caught:
        run.result()
    assert str(caught.value).startswith(f"{text}\n\nTraceback")
    assert "return 1 // (item - 2)" in str(caught.value)
    assert (caught.value.error, caught.value.cause, caught.value.run) == (run.error, run.cause, run)
    assert repr(run_machine(ONE, mocks={"T": 1})) == "<run of machine: SUCCEEDED>"
    assert [visit.status for visit in run.trace.walk()] == ["FAILED", "SUCCEEDED", "FAILED"]


def test_a_state_that_there_is_not_has_no_calls() -> None:
    run = run_machine(CAUGHT, mocks={"T": 1})
    for ask in (run.calls, run.attempts, run.log):
        with pytest.raises(KeyError, match="there is no Task state 'C' in machine"):
            ask("C")


def test_the_context_object_says_what_it_is_told() -> None:
    names = machine(P={"Type": "Pass", "Parameters": {"m.$": "$$.StateMachine.Name", "e.$": "$$.Execution.Name"}, "End": True})  # fmt: skip
    assert run_machine(names).output == {"m": "machine", "e": "test"}
    assert run_machine(names, name="orders", execution_name="monday").output == {"m": "orders", "e": "monday"}


def test_chance_is_the_same_each_time() -> None:
    draw = machine(P={"Type": "Pass", "Parameters": {"id.$": "States.UUID()"}, "End": True})
    assert run_machine(draw).output == run_machine(draw).output


def test_it_goes_as_with_the_engine(nbflow_store: object) -> None:
    """The same history, but for the times."""
    parallel = {"Type": "Parallel", "Branches": [machine(W={"Type": "Wait", "Seconds": 0, "End": True}), machine(P={"Type": "Pass", "End": True})], "Next": "E"}  # fmt: skip
    definition = machine(
        T={**task(Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}], Catch=[{"ErrorEquals": ["ValueError"], "Next": "Q"}])},
        Q=parallel,
        E={"Type": "Fail", "Error": "Enough", "Cause": "of this"},
    )  # fmt: skip

    def broken(value: Json) -> None:
        raise ValueError("no")

    real = (
        nf.StateMachine(definition, tasks={"f": broken}, name="machine")
        .start(7, execution_name="test")
        .wait()
    )
    played = run_machine(definition, 7, tasks={"f": broken})

    def bare(events: list[dict[str, Json]]) -> list[dict[str, Json]]:
        return [{**event, "timestamp": 0} for event in events]

    assert bare(played.events) == bare(real.history())
    assert (played.status, played.error, played.cause) == (real.status, real.error, real.cause)
