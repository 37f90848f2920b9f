"""What each state type does, as a table: a definition of one or two states, an input, and how the run ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from nbflow.language.values import Json
from tests.machine.driver import TASK, Driver, Raised, Script


def one(**state: Json) -> dict[str, Json]:
    """A machine of the state ``S``."""
    ending = {} if state["Type"] in ("Choice", "Succeed", "Fail") or "Next" in state else {"End": True}
    return {"StartAt": "S", "States": {"S": {**state, **ending}}}


def jsonata(**state: Json) -> dict[str, Json]:
    return one(QueryLanguage="JSONata", **state)


def chosen(*rules: dict[str, Json], language: str = "JSONPath", **state: Json) -> dict[str, Json]:
    """A Choice ``S`` whose rules lead to ``Yes``, else to ``No``; each says its name and what it was given."""
    choice = {"Type": "Choice", "QueryLanguage": language, "Default": "No", **state}
    choice["Choices"] = [{**rule, "Next": "Yes"} for rule in rules]
    said = {"at.$": "$$.State.Name", "given.$": "$"}
    ends = {name: {"Type": "Pass", "Parameters": said, "End": True} for name in ("Yes", "No")}
    return {"StartAt": "S", "States": {"S": choice, **ends}}


def mapped(inner: dict[str, Json] | None = None, **state: Json) -> dict[str, Json]:
    processor = {"StartAt": "I", "States": {"I": inner or {"Type": "Pass", "End": True}}}
    return one(Type="Map", ItemProcessor=processor, **state)


RUNTIME = "An error occurred while executing the state 'S' (entered at the event id #2). "


@dataclass(frozen=True)
class Case:
    id: str
    definition: Mapping[str, Json]
    input: Json = None
    output: Json = None
    error: str | None = None
    cause: str | None = None
    tasks: Mapping[str, Script] = field(default_factory=dict)
    waited: float = 0


def echo(number: int, arguments: Json) -> Json:
    return arguments


def fails(error: str | None, cause: str | None = None) -> Script:
    def script(number: int, arguments: Json) -> Json:
        raise Raised(error, cause)

    return script


def by_call(*results: Json) -> Script:
    """Returns, or raises, one after the other."""

    def script(number: int, arguments: Json) -> Json:
        result = results[min(number, len(results) - 1)]
        if isinstance(result, Raised):
            raise result
        return result

    return script


CASES = [
    # Pass
    Case("pass hands its input on", one(Type="Pass"), {"a": 1}, {"a": 1}),
    Case("pass: Result", one(Type="Pass", Result=[1]), {"a": 1}, [1]),
    Case("pass: Result null is a result", one(Type="Pass", Result=None), {"a": 1}, None),
    Case("pass: Parameters", one(Type="Pass", Parameters={"b.$": "$.a", "c": 2}), {"a": 1}, {"b": 1, "c": 2}),
    Case("pass: InputPath", one(Type="Pass", InputPath="$.a"), {"a": {"b": 1}}, {"b": 1}),
    Case("pass: InputPath null", one(Type="Pass", InputPath=None), {"a": 1}, {}),
    Case("pass: OutputPath", one(Type="Pass", OutputPath="$.a"), {"a": [1]}, [1]),
    Case("pass: OutputPath null", one(Type="Pass", OutputPath=None), {"a": 1}, {}),
    Case(
        "pass: ResultPath joins the input",
        one(Type="Pass", Result=1, ResultPath="$.x.y"),
        {"a": 0},
        {"a": 0, "x": {"y": 1}},
    ),
    Case(
        "pass: ResultPath null keeps the input",
        one(Type="Pass", Result=1, ResultPath=None),
        {"a": 0},
        {"a": 0},
    ),
    Case(
        "pass: a missing path",
        one(Type="Pass", Parameters={"b.$": "$.nope"}),
        {"a": 1},
        error="States.Runtime",
        cause=RUNTIME
        + "The JSONPath '$.nope' specified for the field 'b.$' could not be found in the input '{\"a\":1}'",
    ),
    Case("pass: Output", jsonata(Type="Pass", Output={"n": "{% $states.input.a + 1 %}"}), {"a": 1}, {"n": 2}),
    Case(
        "pass: an undefined Output",
        jsonata(Type="Pass", Output={"n": "{% $nope %}"}),
        error="States.QueryEvaluationError",
        cause=RUNTIME
        + "The JSONata expression '$nope' specified for the field 'Output/n' returned nothing (undefined).",
    ),
    # Succeed and Fail
    Case("succeed", one(Type="Succeed", InputPath="$.a"), {"a": 1}, 1),
    Case("succeed: Output", jsonata(Type="Succeed", Output="{% $states.input.a %}"), {"a": 1}, 1),
    Case("fail", one(Type="Fail", Error="E", Cause="C"), error="E", cause="C"),
    Case("fail without a word", one(Type="Fail")),
    Case(
        "fail: paths",
        one(Type="Fail", ErrorPath="$.e", CausePath="States.Format('{}!', $.c)"),
        {"e": "E", "c": "C"},
        error="E",
        cause="C!",
    ),
    Case(
        "fail: JSONata",
        jsonata(Type="Fail", Error="{% $states.input.e %}", Cause="c"),
        {"e": "E"},
        error="E",
        cause="c",
    ),
    # Choice
    Case(
        "choice",
        chosen({"Variable": "$.n", "NumericGreaterThan": 1}),
        {"n": 2},
        {"at": "Yes", "given": {"n": 2}},
    ),
    Case(
        "choice: Default",
        chosen({"Variable": "$.n", "NumericGreaterThan": 1}),
        {"n": 1},
        {"at": "No", "given": {"n": 1}},
    ),
    Case(
        "choice: InputPath",
        chosen({"Variable": "$.n", "NumericEquals": 1}, InputPath="$.a"),
        {"a": {"n": 1}},
        {"at": "Yes", "given": {"n": 1}},
    ),
    Case(
        "choice: JSONata",
        chosen({"Condition": "{% $states.input.n = 1 %}", "Output": "out"}, language="JSONata"),
        {"n": 1},
        {"at": "Yes", "given": "out"},
    ),
    Case(
        "choice: no way on",
        {
            "StartAt": "S",
            "States": {
                "S": {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": True, "Next": "E"}]},
                "E": {"Type": "Succeed"},
            },
        },
        {"n": 1},
        error="States.NoChoiceMatched",
        cause=RUNTIME + "Failed to transition out of the state. The state does not point to a next state.",
    ),
    # Wait
    Case("wait", one(Type="Wait", Seconds=7), {"a": 1}, {"a": 1}, waited=7),
    Case("wait: no time", one(Type="Wait", Seconds=0), {"a": 1}, {"a": 1}),
    Case("wait: SecondsPath", one(Type="Wait", SecondsPath="$.s"), {"s": 5}, {"s": 5}, waited=5),
    Case(
        "wait: JSONata",
        jsonata(Type="Wait", Seconds="{% $states.input.s * 2 %}", Output="done"),
        {"s": 5},
        "done",
        waited=10,
    ),
    Case("wait: Timestamp", one(Type="Wait", Timestamp="1970-01-01T00:20:00Z"), {}, {}, waited=200),
    Case(
        "wait: Timestamp in the past",
        one(Type="Wait", TimestampPath="$.t"),
        {"t": "1969-07-20T20:17:40Z"},
        {"t": "1969-07-20T20:17:40Z"},
    ),
    Case(
        "wait: a whole number written as a float",
        jsonata(Type="Wait", Seconds="{% $states.input.s %}"),
        {"s": 5.0},
        {"s": 5.0},
        waited=5,
    ),
    Case(
        "wait: no seconds",
        one(Type="Wait", SecondsPath="$.s"),
        {"s": -1.5},
        error="States.Runtime",
        cause=RUNTIME + "The SecondsPath parameter cannot be parsed as a long value: $.s == -1.5",
    ),
    Case(
        "wait: nothing there",
        one(Type="Wait", SecondsPath="$.s"),
        {},
        error="States.Runtime",
        cause=RUNTIME + "The SecondsPath parameter does not reference an input value: $.s",
    ),
    Case(
        "wait: no timestamp",
        one(Type="Wait", TimestampPath="$.t"),
        {"t": "tomorrow"},
        error="States.Runtime",
        cause=RUNTIME
        + "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: $.t == tomorrow",
    ),
    # Task
    Case("task", one(Type="Task", Resource=TASK), {"a": 1}, {"a": 1}, tasks={"S": echo}),
    Case(
        "task: Parameters",
        one(Type="Task", Resource=TASK, Parameters={"b.$": "$.a"}),
        {"a": 1},
        {"b": 1},
        tasks={"S": echo},
    ),
    Case(
        "task: Arguments",
        jsonata(Type="Task", Resource=TASK, Arguments={"b": "{% $states.input.a %}"}),
        {"a": 1},
        {"b": 1},
        tasks={"S": echo},
    ),
    Case(
        "task: ResultSelector and ResultPath",
        one(Type="Task", Resource=TASK, ResultSelector={"k.$": "$.x"}, ResultPath="$.r"),
        {"a": 1},
        {"a": 1, "r": {"k": 2}},
        tasks={"S": by_call({"x": 2, "y": 3})},
    ),
    Case(
        "task: Output sees the result",
        jsonata(
            Type="Task", Resource=TASK, Output={"r": "{% $states.result.x %}", "i": "{% $states.input.a %}"}
        ),
        {"a": 1},
        {"r": 2, "i": 1},
        tasks={"S": by_call({"x": 2})},
    ),
    Case(
        "task: an error",
        one(Type="Task", Resource=TASK),
        error="Boom",
        cause="why",
        tasks={"S": fails("Boom", "why")},
    ),
    # Parallel
    Case(
        "parallel",
        one(
            Type="Parallel",
            Branches=[
                {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": 1, "End": True}}},
                {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 3, "End": True}}},
            ],
        ),
        {"a": 1},
        [1, {"a": 1}],
        waited=3,
    ),
    Case(
        "parallel: Parameters are the input of every branch",
        one(
            Type="Parallel",
            Parameters={"b.$": "$.a"},
            ResultSelector={"first.$": "$[0]"},
            ResultPath="$.r",
            Branches=[
                {"StartAt": name, "States": {name: {"Type": "Pass", "End": True}}} for name in ("A", "B")
            ],
        ),
        {"a": 1},
        {"a": 1, "r": {"first": {"b": 1}}},
    ),
    Case(
        "parallel: a failure ends the others",
        one(
            Type="Parallel",
            Branches=[
                {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E", "Cause": "C"}}},
                {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 99, "End": True}}},
            ],
        ),
        error="E",
        cause="C",
    ),
    # Map
    Case("map", mapped(), [1, 2, 3], [1, 2, 3]),
    Case("map over nothing", mapped(), [], []),
    Case(
        "map: ItemsPath and ResultPath",
        mapped(ItemsPath="$.i", ResultPath="$.o"),
        {"i": [1]},
        {"i": [1], "o": [1]},
    ),
    Case(
        "map: ItemSelector",
        mapped(
            ItemsPath="$.i",
            ItemSelector={"k.$": "$.k", "n.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"},
        ),
        {"i": ["a", "b"], "k": 9},
        [{"k": 9, "n": 0, "v": "a"}, {"k": 9, "n": 1, "v": "b"}],
    ),
    Case("map: Items", mapped(QueryLanguage="JSONata", Items="{% [1..3] %}"), {}, [1, 2, 3]),
    Case(
        "map: one at a time",
        mapped({"Type": "Wait", "Seconds": 2, "End": True}, MaxConcurrency=1),
        [1, 2, 3],
        [1, 2, 3],
        waited=6,
    ),
    Case(
        "map: all at once",
        mapped({"Type": "Wait", "Seconds": 2, "End": True}),
        [1, 2, 3],
        [1, 2, 3],
        waited=2,
    ),
    Case(
        "map: MaxConcurrencyPath",
        mapped({"Type": "Wait", "Seconds": 2, "End": True}, ItemsPath="$.i", MaxConcurrencyPath="$.n"),
        {"i": [1, 2], "n": 1},
        [1, 2],
        waited=4,
    ),
    Case(
        "map: no array",
        mapped(ItemsPath="$.i"),
        {"i": 1},
        error="States.Runtime",
        cause=RUNTIME + 'Reference path "$.i" must point to array.',
    ),
    Case(
        "map: no array, in JSONata",
        mapped(QueryLanguage="JSONata", Items="{% 'text' %}"),
        {},
        error="States.QueryEvaluationError",
        cause=RUNTIME
        + "The JSONata expression ''text'' specified for the field 'Items' returned an unexpected result type. "
        "Expected 'array', but was 'string' for value: \"text\"",
    ),
    Case(
        "map: a failure fails it",
        mapped({"Type": "Task", "Resource": TASK, "End": True}),
        [1, 2],
        error="Boom",
        tasks={"I": by_call(1, Raised("Boom"))},
    ),
    Case(
        "map: tolerated failures leave their places out",
        mapped({"Type": "Task", "Resource": TASK, "End": True}, ToleratedFailureCount=1) | {},
        [1, 2, 3],
        [1, 3],
        tasks={"I": by_call(1, Raised("Boom"), 3)},
    ),
    Case(
        "map: more failures than are tolerated",
        mapped({"Type": "Task", "Resource": TASK, "End": True}, ToleratedFailurePercentage=40),
        [1, 2, 3],
        error="States.ExceedToleratedFailureThreshold",
        cause="The specified tolerated failure threshold was exceeded",
        tasks={"I": by_call(1, Raised("Boom"))},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_state(case: Case) -> None:
    driver = Driver(case.definition, case.tasks, crash=lambda: True).go(case.input)
    run = driver.run
    fails = case.error is not None or case.cause is not None or case.id == "fail without a word"
    assert (run.status, run.error, run.cause) == ("FAILED" if fails else "SUCCEEDED", case.error, case.cause)
    assert run.output == case.output
    assert driver.now == 1000 + case.waited
