"""From text to model, or to all the mistakes."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.language import model
from nbflow.language.sites import FIELDS
from nbflow.language.validate import Definition, DefinitionError, Diagnostic, diagnose, parse, resources
from nbflow.language.values import ABSENT, Json

LAMBDA = "arn:aws:states:::lambda:invoke"
END: Json = {"Type": "Pass", "End": True}

RICH: dict[str, Json] = {
    "Comment": "Every type of state, in both query languages",
    "Version": "1.0",
    "TimeoutSeconds": 3600,
    "StartAt": "Work",
    "States": {
        "Work": {
            "Type": "Task",
            "Resource": LAMBDA,
            "Parameters": {"FunctionName": "f", "Payload.$": "$.items", "Id.$": "States.UUID()"},
            "ResultSelector": {"Payload.$": "$.Payload"},
            "ResultPath": "$.work",
            "TimeoutSeconds": 60,
            "HeartbeatSeconds": 10,
            "Retry": [{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 2, "JitterStrategy": "FULL"}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Give up"}],
            "Assign": {"payload.$": "$.Payload"},
            "Next": "Each",
        },
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemSelector": {"item.$": "$$.Map.Item.Value"},
            "MaxConcurrency": 5,
            "ToleratedFailurePercentage": 12.5,
            "Label": "each",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItems": 10},
                "Parameters": {"Bucket": "b", "Key.$": "$.key"},
            },
            "ItemBatcher": {"MaxItemsPerBatch": 10, "BatchInput": {"a.$": "$.a"}},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
                "StartAt": "One",
                "States": {"One": {"Type": "Task", "Resource": LAMBDA, "End": True}},
            },
            "Next": "Both",
        },
        "Both": {
            "Type": "Parallel",
            "QueryLanguage": "JSONata",
            "Arguments": {"a": "{% $states.input.a %}"},
            "Output": "{% $states.result %}",
            "Branches": [
                {"StartAt": "Left", "States": {"Left": {"Type": "Task", "Resource": LAMBDA, "End": True}}},
                {"StartAt": "Right", "States": {"Right": {"Type": "Wait", "Seconds": 1, "End": True}}},
            ],
            "Next": "Enough",
        },
        "Enough": {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.n", "NumericLessThan": 1},
                        {"Variable": "$.s", "StringEquals": "a"},
                    ],
                    "Next": "Work",
                },
                {"Variable": "$.done", "BooleanEquals": True, "Next": "Done"},
            ],
            "Default": "Later",
        },
        "Later": {"Type": "Wait", "QueryLanguage": "JSONata", "Timestamp": "{% $now() %}", "Next": "Shape"},
        "Shape": {"Type": "Pass", "Result": {"a": [1, None]}, "ResultPath": "$.shape", "Next": "Done"},
        "Done": {"Type": "Succeed", "OutputPath": "$.shape"},
        "Give up": {"Type": "Fail", "Error": "GaveUp", "CausePath": "$.error.Cause"},
    },
}


def errors(definition: Definition) -> list[Diagnostic]:
    return [each for each in diagnose(definition) if each.severity == "ERROR"]


def each(state: Json) -> dict[str, Json]:
    return {"Type": "Map", "ItemProcessor": {"StartAt": "I", "States": {"I": state}}, "End": True}


def with_state(**fields: Json) -> dict[str, Json]:
    return {"StartAt": "X", "States": {"X": fields}}


# --- the model --------------------------------------------------------------------------------------------


def test_a_definition_of_everything() -> None:
    machine = parse(RICH)
    assert diagnose(RICH) == []
    assert {type(state).__name__ for state in machine.states.values()} == {
        *("Task", "Map", "Parallel", "Choice", "Wait", "Pass", "Succeed", "Fail")
    }
    work = machine.states["Work"]
    assert isinstance(work, model.Task)
    assert work.retry[0].error_equals == ["States.Timeout"]
    assert work.catch[0].next == "Give up"


@pytest.mark.parametrize("form", [json.dumps, lambda it: json.dumps(it).encode(), lambda it: it])
def test_text_bytes_and_dict_mean_the_same(form: Callable[[Json], Definition]) -> None:
    assert parse(form(RICH)) == parse(RICH)


def test_the_model_shares_nothing_with_the_dict() -> None:
    definition = copy.deepcopy(RICH)
    machine = parse(definition)
    definition["States"]["Shape"]["Result"]["a"].append(2)
    shape = machine.states["Shape"]
    assert isinstance(shape, model.Pass)
    assert shape.result == {"a": [1, None]}


@pytest.mark.parametrize(
    ("top", "own", "expected"),
    [
        (None, None, "JSONPath"),
        (None, "JSONata", "JSONata"),
        ("JSONPath", "JSONata", "JSONata"),
        ("JSONata", None, "JSONata"),
        ("JSONata", "JSONata", "JSONata"),
    ],
)
def test_every_state_carries_its_query_language(top: str | None, own: str | None, expected: str) -> None:
    inner = END if own is None else END | {"QueryLanguage": own}
    outer = each(inner)
    definition = with_state(**outer) if top is None else with_state(**outer) | {"QueryLanguage": top}
    state = parse(definition).states["X"]
    assert isinstance(state, model.Map)
    assert state.query_language == (top or "JSONPath")
    assert state.item_processor.states["I"].query_language == expected


def test_nested_states_do_not_inherit_from_the_state_around_them() -> None:
    processor = {"StartAt": "I", "States": {"I": END}}
    state = parse(with_state(Type="Map", QueryLanguage="JSONata", ItemProcessor=processor, End=True)).states[
        "X"
    ]
    assert isinstance(state, model.Map)
    assert state.jsonata
    assert not state.item_processor.states["I"].jsonata


def test_a_map_of_old_has_todays_names() -> None:
    processor = {"StartAt": "I", "States": {"I": END}}
    state = parse(with_state(Type="Map", Iterator=processor, Parameters={"a": 1}, End=True)).states["X"]
    assert isinstance(state, model.Map)
    assert state.item_processor.start_at == "I"
    assert (state.item_selector, state.parameters) == ({"a": 1}, ABSENT)


def test_resources_are_found_at_any_depth() -> None:
    assert resources(parse(RICH)) == {
        "/States/Work": LAMBDA,
        "/States/Each/ItemProcessor/States/One": LAMBDA,
        "/States/Both/Branches[0]/States/Left": LAMBDA,
    }


# --- what pydantic finds, in Step Functions' words --------------------------------------------------------


@dataclass(frozen=True)
class Case:
    id: str
    definition: Definition
    expected: list[str]


SCHEMA = "SCHEMA_VALIDATION_FAILED at"
TYPES = "Pass, Task, Choice, Wait, Succeed, Fail, Parallel, Map"

CASES = [
    Case("no start", {"States": {"X": END}}, [f"{SCHEMA} /: These fields are required: [StartAt]"]),
    Case("nothing", {}, [f"{SCHEMA} /: These fields are required: [StartAt, States]"]),
    Case(
        "an empty machine",
        {"StartAt": "X", "States": {}},
        [
            f"{SCHEMA} /States: Value cannot be empty",
            "MISSING_TRANSITION_TARGET at /StartAt: Missing 'Next' target: X",
        ],
    ),
    Case(
        "no resource",
        with_state(Type="Task", End=True),
        [f"{SCHEMA} /States/X: These fields are required: [Resource]"],
    ),
    Case(
        "no type",
        {"StartAt": "X", "States": {"X": {"End": True}}},
        [f"{SCHEMA} /States/X: These fields are required: [Type]"],
    ),
    Case(
        "a strange type",
        with_state(Type="Sing", End=True),
        [f"{SCHEMA} /States/X/Type: Value should be one of the following: [{TYPES}]"],
    ),
    Case(
        "no state",
        {"StartAt": "X", "States": {"X": 5, "Y": END}},
        [
            f"{SCHEMA} /States/X: Expected value of type [OBJECT]",
            'MISSING_TRANSITION_TARGET at /States/Y: State "Y" is not reachable.',
        ],
    ),
    Case(
        "a field of no one",
        with_state(Type="Pass", End=True, ResultPaht="$.a"),
        [f"{SCHEMA} /States/X: Field 'ResultPaht' is not supported (did you mean 'ResultPath'?)"],
    ),
    Case(
        "a field of another type",
        with_state(Type="Pass", End=True, TimeoutSeconds=5),
        [f"{SCHEMA} /States/X: Field 'TimeoutSeconds' is not supported"],
    ),
    Case(
        "a field of the top",
        with_state(**END) | {"Name": 1},
        [f"{SCHEMA} /: Field 'Name' is not supported"],
    ),
    Case(
        "a language for a branch",
        with_state(
            Type="Parallel",
            End=True,
            Branches=[{"QueryLanguage": "JSONata", "StartAt": "I", "States": {"I": END}}],
        ),
        [f"{SCHEMA} /States/X/Branches[0]: Field 'QueryLanguage' is not supported"],
    ),
    Case(
        "a language for an Iterator",
        with_state(
            Type="Map", End=True, Iterator={"QueryLanguage": "JSONata", "StartAt": "I", "States": {"I": END}}
        ),
        [f"{SCHEMA} /States/X/Iterator: Field 'QueryLanguage' is not supported"],
    ),
    Case(
        "a mistake deep in an Iterator",
        with_state(
            Type="Map",
            End=True,
            Iterator={"StartAt": "I", "States": {"I": {"Type": "Wait", "Seconds": -1, "End": True}}},
        ),
        [f"{SCHEMA} /States/X/Iterator/States/I/Seconds: Minimum value is 0"],
    ),
    Case(
        "a state called like the field it is in",
        {"StartAt": "States", "States": {"States": {"Type": "Task", "Resource": 5, "End": True}}},
        [f"{SCHEMA} /States/States/Resource: Expected value of type [STRING]"],
    ),
    Case(
        "a state called like its type",
        {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Wait": 5, "Seconds": [], "End": True}}},
        [
            f"{SCHEMA} /States/Wait: Field 'Wait' is not supported",
            f"{SCHEMA} /States/Wait/Seconds: Expected value of type Integer",
        ],
    ),
    Case(
        "a number with members",
        with_state(Type="Wait", Seconds={"str": 1}, End=True),
        [f"{SCHEMA} /States/X/Seconds: Expected value of type Integer"],
    ),
    Case(
        "too long a timeout",
        with_state(Type="Task", Resource=LAMBDA, End=True, TimeoutSeconds=100_000_000),
        [f"{SCHEMA} /States/X/TimeoutSeconds: Maximum value is 99999999"],
    ),
    Case(
        "a percentage above all",
        with_state(
            Type="Map",
            End=True,
            ToleratedFailurePercentage=101,
            ItemProcessor={"StartAt": "I", "States": {"I": END}},
        ),
        [f"{SCHEMA} /States/X/ToleratedFailurePercentage: Maximum value is 100.0"],
    ),
    Case(
        "a bad retrier",
        with_state(
            Type="Task",
            Resource=LAMBDA,
            End=True,
            Retry=[{"ErrorEquals": []}, {"ErrorEquals": ["E"], "JitterStrategy": "HALF", "BackoffRate": 0.5}],
        ),
        [
            f"{SCHEMA} /States/X/Retry[0]/ErrorEquals: Value cannot be empty",
            f"{SCHEMA} /States/X/Retry[1]/BackoffRate: Minimum value is 1.0",
            f"{SCHEMA} /States/X/Retry[1]/JitterStrategy: Value should be one of the following: [NONE, FULL]",
        ],
    ),
    Case(
        "a catcher that leads nowhere",
        with_state(Type="Task", Resource=LAMBDA, End=True, Catch=[{}]),
        [f"{SCHEMA} /States/X/Catch[0]: These fields are required: [ErrorEquals, Next]"],
    ),
    Case(
        "retry what",
        with_state(Type="Task", Resource=LAMBDA, End=True, Retry={}),
        [f"{SCHEMA} /States/X/Retry: Expected value of type [ARRAY]"],
    ),
    Case(
        "end when",
        with_state(Type="Pass", End="yes"),
        [
            "MISSING_END_STATE: Workflow has no terminal state",
            f"{SCHEMA} /States/X/End: Expected value of type [BOOLEAN]",
        ],
    ),
    Case(
        "another version",
        with_state(**END) | {"Version": "2.0"},
        [f"{SCHEMA} /Version: Value should be one of the following: [1.0]"],
    ),
    Case(
        "no such language",
        with_state(**END) | {"QueryLanguage": "jsonata"},
        [f"{SCHEMA} /QueryLanguage: Value should be one of the following: [JSONPath, JSONata]"],
    ),
    Case(
        "a language by number",
        with_state(**END) | {"QueryLanguage": 5},
        [f"{SCHEMA} /QueryLanguage: Expected value of type [STRING]"],
    ),
    Case(
        "a language of a state",
        with_state(Type="Pass", End=True, QueryLanguage="foo", InputPath="$.a"),
        [
            f"{SCHEMA} /States/X/QueryLanguage: Value should be one of the following: [JSONPath, JSONata]",
            f"{SCHEMA} /States/X: The QueryLanguage is set to 'JSONata', "
            "but field 'InputPath' is only supported for the 'JSONPath' QueryLanguage",
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_mistakes(case: Case) -> None:
    assert sorted(map(str, errors(case.definition))) == sorted(case.expected)


def test_all_mistakes_are_told_at_once() -> None:
    definition = with_state(Type="Task", Retry=[{}], ResultPath="a", Next="Y")
    with pytest.raises(DefinitionError) as caught:
        parse(definition)
    assert caught.value.diagnostics == diagnose(definition)
    heading, *lines = str(caught.value).splitlines()
    assert heading == "The definition is not valid:"
    assert sorted(line.partition(":")[0] for line in lines) == [
        "MISSING_END_STATE",
        "MISSING_TRANSITION_TARGET at /States/X/Next",
        "SCHEMA_VALIDATION_FAILED at /States/X",
        "SCHEMA_VALIDATION_FAILED at /States/X/ResultPath",
        "SCHEMA_VALIDATION_FAILED at /States/X/Retry[0]",
    ]


def test_a_warning_is_no_error() -> None:
    definition = with_state(Type="Pass", Parameters={"a": "$.a"}, End=True)
    assert [each.severity for each in diagnose(definition)] == ["WARNING"]
    assert parse(definition).start_at == "X"


# --- what is no JSON --------------------------------------------------------------------------------------

TEXTS = [
    Case("nothing", "", ["MISSING_DESCRIPTION: The definition is empty"]),
    Case("blanks", b" \n ", ["MISSING_DESCRIPTION: The definition is empty"]),
    Case("null", "null", ["MISSING_DESCRIPTION: The definition is null"]),
    Case("a list", "[]", [f"{SCHEMA} /: Expected value of type [OBJECT]"]),
    Case("a number", "5", [f"{SCHEMA} /: Expected value of type [OBJECT]"]),
    Case(
        "a syntax error",
        '{\n  "StartAt": x\n}',
        ["INVALID_JSON_DESCRIPTION: Expecting value at line 2, column 14"],
    ),
    Case("NaN", '{"a": NaN}', ["INVALID_JSON_DESCRIPTION: NaN is no JSON number"]),
    Case("too big a number", '{"a": 1e999}', ["INVALID_JSON_DESCRIPTION: 1e999 is no JSON number"]),
    Case("a set", {"a": {1}}, ["INVALID_JSON_DESCRIPTION: Object of type set is not JSON serializable"]),
    Case("deep text", '{"a":' * 100_000, ["TOO_DEEPLY_NESTED: The states are too deeply nested"]),
    Case(
        "deeper than allowed",
        '{"a":' * 201 + "1" + "}" * 201,
        ["TOO_DEEPLY_NESTED: The definition has more than 200 levels of JSON"],
    ),
    Case(
        "a state twice",
        '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}, "A": {"Type": "Succeed"}}}',
        ["DUPLICATE_STATE_NAME at /States/A: Duplicate State name: A"],
    ),
    Case(
        "a field twice",
        '{"StartAt": "A", "States": {"A": {"Type": "Succeed", "Comment": "a", "Comment": "b"}}}',
        [f"{SCHEMA} /States/A/Comment: Duplicate field 'Comment'"],
    ),
]


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case.id)
def test_texts(case: Case) -> None:
    assert [str(each) for each in diagnose(case.definition)] == case.expected


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\xff", b"\x80", '{"\\ud800": 1}', "[" + "9" * 5000 + "]"], ids=range(4)
)
def test_unreadable(text: str | bytes) -> None:
    [found] = diagnose(text)
    assert (found.code, found.location) == ("INVALID_JSON_DESCRIPTION", None)


def test_a_dict_that_contains_itself() -> None:
    circle: dict[str, Json] = {"StartAt": "A"}
    circle["States"] = circle
    [found] = diagnose(circle)
    assert found.code in ("INVALID_JSON_DESCRIPTION", "TOO_DEEPLY_NESTED")


# --- anything ---------------------------------------------------------------------------------------------

NAMES = st.sampled_from(sorted(set().union(*FIELDS.values()) | {"Iterator", "X", "Work", "And"}))
KEYS = st.text(st.characters(codec="utf-8", exclude_characters="/[]"), max_size=5)
"""Without what separates the steps of a location, which ``resolves`` takes apart again."""
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["Task", "Map", "Choice", "JSONata", "$.a", "{% 1 %}", "States.ALL", "X", LAMBDA])
)
JSON = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(NAMES | KEYS, values, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_any_json_is_diagnosed(value: Json) -> None:
    assert errors({"StartAt": value, "States": value})
    assert errors(json.dumps(value))


@settings(deadline=None)
@given(st.text() | st.binary())
def test_any_text_is_diagnosed(text: str | bytes) -> None:
    assert errors(text)


@settings(deadline=None)
@given(st.dictionaries(NAMES, JSON))
def test_any_state_is_diagnosed(state: dict[str, Json]) -> None:
    definition = with_state(**state)
    if not errors(definition):
        assert parse(definition).start_at == "X"


def containers(value: Json) -> list[Json]:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [value] if isinstance(value, dict | list) and value else []
    return found + [inner for member in members for inner in containers(member)]


def resolves(location: str, document: Json) -> bool:
    """Whether a location is one of the document, or of a member that the document lacks."""
    here, steps = document, re.findall(r"/([^/\[]*)|\[(\d+)\]", location if location != "/" else "")
    for number, (name, index) in enumerate(steps):
        last = number == len(steps) - 1
        if index:
            here = here[int(index)]
        elif isinstance(here, dict) and name in here:
            here = here[name]
        else:
            return last and isinstance(here, dict)
    return True


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_definition_is_parsed_or_has_an_error_in_place(data: st.DataObject) -> None:
    definition = copy.deepcopy(RICH)
    container = data.draw(st.sampled_from(containers(definition)))
    keys = list(container) if isinstance(container, dict) else range(len(container))
    key = data.draw(st.sampled_from(keys))
    match data.draw(st.sampled_from(["remove", "replace", "rename", "insert"])):
        case "remove":
            del container[key]
        case "replace":
            container[key] = data.draw(JSON)
        case "rename" if isinstance(container, dict):
            container[data.draw(NAMES)] = container.pop(key)
        case _ if isinstance(container, dict):
            container[data.draw(NAMES)] = data.draw(JSON)
        case _:
            container.append(data.draw(JSON))
    if found := errors(definition):
        assert all(each.location is None or resolves(each.location, definition) for each in found)
        with pytest.raises(DefinitionError):
            parse(definition)
    else:
        assert parse(definition).model_dump()
