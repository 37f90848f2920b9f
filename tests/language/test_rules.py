"""What each object of a definition must keep: one line of the table is one mistake, or none."""

from dataclasses import dataclass

import pytest

from nbflow.language import rules
from nbflow.language.values import Json

LAMBDA = "arn:aws:states:::lambda:invoke"
SCHEMA = "SCHEMA_VALIDATION_FAILED"
ONLY_ONE = "There should only be one of the following fields"
JUST_ONE = "This object should have only one of the following fields"


@dataclass(frozen=True)
class Case:
    id: str
    state: dict[str, Json]
    """The state X of a machine …"""
    expected: list[tuple[str, str, str]]
    """… and what is said of it: code, location after /States/X, message."""
    machine: str = "JSONPath"


def task(**fields: Json) -> dict[str, Json]:
    return {"Type": "Task", "Resource": LAMBDA, "End": True, **fields}


def passing(**fields: Json) -> dict[str, Json]:
    return {"Type": "Pass", "End": True, **fields}


def each(**fields: Json) -> dict[str, Json]:
    processor = {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}


def wait(**fields: Json) -> dict[str, Json]:
    return {"Type": "Wait", "End": True, **fields}


def only(field: str, own: str, other: str) -> str:
    return (
        f"The QueryLanguage is set to '{own}', but field '{field}' is only supported "
        f"for the '{other}' QueryLanguage"
    )


NEXT_OR_END = [
    Case("next", {"Type": "Pass", "Next": "X"}, []),
    Case("end", passing(), []),
    Case("next, and no end", {"Type": "Pass", "Next": "X", "End": False}, []),
    Case(
        "next and end",
        passing(Next="X"),
        [(SCHEMA, "", f"{ONLY_ONE}: [Next, End]")],
    ),
    Case(
        "neither next nor end",
        {"Type": "Pass"},
        [(SCHEMA, "", f"{JUST_ONE}: [Next, End]")],
    ),
    Case(
        "end is false",
        {"Type": "Pass", "End": False},
        [(SCHEMA, "", f"{JUST_ONE}: [Next, End]")],
    ),
    Case("succeed needs neither", {"Type": "Succeed"}, []),
    Case("null is no target", {"Type": "Pass", "Next": None}, [(SCHEMA, "/Next", "Value cannot be null")]),
]

EXCLUSIVE = [
    Case(
        "wait for nothing",
        wait(),
        [
            (
                SCHEMA,
                "",
                f"{JUST_ONE}: [SecondsPath, Seconds, TimestampPath, Timestamp]",
            )
        ],
    ),
    Case(
        "wait for two things",
        wait(Seconds=1, TimestampPath="$.t"),
        [
            (
                SCHEMA,
                "",
                f"{ONLY_ONE}: [SecondsPath, Seconds, TimestampPath, Timestamp]",
            )
        ],
    ),
    Case(
        "a timeout and a path to it",
        task(TimeoutSeconds=2, TimeoutSecondsPath="$.t"),
        [
            (
                SCHEMA,
                "",
                f"{ONLY_ONE}: [TimeoutSeconds, TimeoutSecondsPath]",
            )
        ],
    ),
    Case(
        "a number of items and a path to it",
        each(ItemReader={"Resource": LAMBDA, "ReaderConfig": {"MaxItems": 1, "MaxItemsPath": "$.n"}}),
        [
            (
                SCHEMA,
                "/ItemReader/ReaderConfig",
                f"{ONLY_ONE}: [MaxItems, MaxItemsPath]",
            )
        ],
    ),
    Case(
        "an error and a path to it",
        {"Type": "Fail", "Error": "E", "ErrorPath": "$.e"},
        [(SCHEMA, "", f"{ONLY_ONE}: [Error, ErrorPath]")],
    ),
    Case(
        "no processor",
        {"Type": "Map", "End": True},
        [(SCHEMA, "", f"{JUST_ONE}: [ItemProcessor, Iterator]")],
    ),
    Case(
        "two processors",
        each(Iterator={"StartAt": "J", "States": {"J": {"Type": "Succeed"}}}),
        [(SCHEMA, "", f"{ONLY_ONE}: [ItemProcessor, Iterator]")],
    ),
    Case(
        "two selectors",
        each(ItemSelector={}, Parameters={}),
        [(SCHEMA, "", f"{ONLY_ONE}: [ItemSelector, Parameters]")],
    ),
    Case("a result and where it goes", passing(Result=1, ResultPath="$.r"), []),
]

LANGUAGE = [
    Case(
        "JSONPath fields in JSONata",
        passing(InputPath="$.a", Result=1),
        [
            (SCHEMA, "", only("InputPath", "JSONata", "JSONPath")),
            (SCHEMA, "", only("Result", "JSONata", "JSONPath")),
        ],
        machine="JSONata",
    ),
    Case(
        "a number's path in JSONata",
        each(MaxConcurrencyPath="$.n"),
        [(SCHEMA, "", only("MaxConcurrencyPath", "JSONata", "JSONPath"))],
        machine="JSONata",
    ),
    Case(
        "JSONata fields in JSONPath",
        task(Arguments={}),
        [(SCHEMA, "", only("Arguments", "JSONPath", "JSONata"))],
    ),
    Case("items in JSONPath", each(Items=[1]), [(SCHEMA, "", only("Items", "JSONPath", "JSONata"))]),
    Case("a state of its own language", passing(QueryLanguage="JSONata", Output="{% 1 %}"), []),
    Case(
        "the language of a Map is not that of its states",
        each(
            QueryLanguage="JSONata",
            ItemProcessor={"StartAt": "I", "States": {"I": {"Type": "Pass", "Output": 1, "End": True}}},
        ),
        [(SCHEMA, "/ItemProcessor/States/I", only("Output", "JSONPath", "JSONata"))],
    ),
    Case(
        "no way back from JSONata",
        passing(QueryLanguage="JSONPath", Output="{% 1 %}"),
        [(SCHEMA, "", "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine")],
        machine="JSONata",
    ),
    Case("JSONPath within JSONPath", passing(QueryLanguage="JSONPath", InputPath="$.a"), []),
    Case(
        "in a catcher",
        task(QueryLanguage="JSONata", Catch=[{"ErrorEquals": ["E"], "Next": "X", "ResultPath": "$.e"}]),
        [(SCHEMA, "/Catch[0]", only("ResultPath", "JSONata", "JSONPath"))],
    ),
    Case(
        "in a writer",
        each(ResultWriter={"Resource": LAMBDA, "Arguments": {}}),
        [(SCHEMA, "/ResultWriter", only("Arguments", "JSONPath", "JSONata"))],
    ),
    Case(
        "a Map takes no arguments",
        each(QueryLanguage="JSONata", Arguments={}),
        [(SCHEMA, "", "Field 'Arguments' is not supported")],
    ),
    Case(
        "success assigns nothing",
        {"Type": "Succeed", "Assign": {}},
        [(SCHEMA, "", "Field 'Assign' is not supported")],
    ),
]

PATHS = [
    Case("paths", passing(InputPath="$.a[*].b", OutputPath="$$.Execution.Input", ResultPath="$.c['d']"), []),
    Case("a variable's path", wait(SecondsPath="$seconds"), []),
    Case("nothing at all", passing(InputPath=None, OutputPath=None, ResultPath=None), []),
    Case(
        "no path",
        passing(InputPath="a"),
        [(SCHEMA, "/InputPath", "Value must be a valid JSONPath.")],
    ),
    Case(
        "no end of a path",
        passing(OutputPath="$.a["),
        [(SCHEMA, "/OutputPath", "Value must be a valid JSONPath.")],
    ),
    Case(
        "a result in many places",
        passing(ResultPath="$.a[*]"),
        [(SCHEMA, "/ResultPath", "Value is not a Reference Path")],
    ),
    Case(
        "a result in the context",
        passing(ResultPath="$$.a"),
        [(SCHEMA, "/ResultPath", "Value is not a Reference Path")],
    ),
    Case(
        "a result in a variable",
        passing(ResultPath="$variable"),
        [(SCHEMA, "/ResultPath", "Value is not a Reference Path")],
    ),
    Case("items of the context", each(ItemsPath="$$.Execution.Input.items"), []),
    Case(
        "a number of the context",
        each(MaxConcurrencyPath="$$.Execution.Input.n"),
        [(SCHEMA, "/MaxConcurrencyPath", "Value is not a Reference Path")],
    ),
    Case(
        "a catcher's result",
        task(Catch=[{"ErrorEquals": ["E"], "Next": "X", "ResultPath": "error"}]),
        [(SCHEMA, "/Catch[0]/ResultPath", "Value is not a Reference Path")],
    ),
    Case("a cause that is computed", {"Type": "Fail", "CausePath": "States.Format('{}', $.why)"}, []),
    Case(
        "a cause that is not",
        {"Type": "Fail", "CausePath": "why"},
        [(SCHEMA, "/CausePath", "Value must be a valid JSONPath.")],
    ),
]

BAD_FIELD = "The value for the field '{}' must be a valid JSONPath or a valid intrinsic function call"
TEMPLATES = [
    Case("paths", passing(Parameters={"a.$": "$.a", "b.$": "$$.State.Name", "c.$": "$v", "d": 1}), []),
    Case("a call", passing(Parameters={"a.$": "States.Array($.a, 'b', 3)"}), []),
    Case("no path", passing(Parameters={"a.$": "a"}), [(SCHEMA, "/Parameters", BAD_FIELD.format("a.$"))]),
    Case("no string", passing(Parameters={"a.$": 1}), [(SCHEMA, "/Parameters", BAD_FIELD.format("a.$"))]),
    Case(
        "an illegal escape in a call",
        passing(Parameters={"a.$": 'States.StringToJson(\'{"text":"An \\"escaped\\""}\')'}),
        [(SCHEMA, "/Parameters", BAD_FIELD.format("a.$"))],
    ),
    Case(
        "deep within",
        passing(Parameters={"a": [{"b.$": "b"}, 1]}),
        [(SCHEMA, "/Parameters/a[0]", BAD_FIELD.format("b.$"))],
    ),
    Case(
        "in a selector",
        task(ResultSelector={"a.$": "a"}),
        [(SCHEMA, "/ResultSelector", BAD_FIELD.format("a.$"))],
    ),
    Case("in what is assigned", passing(Assign={"a.$": "a"}), [(SCHEMA, "/Assign", BAD_FIELD.format("a.$"))]),
    Case(
        "in a batch's input",
        each(ItemBatcher={"BatchInput": {"a.$": "a"}}),
        [(SCHEMA, "/ItemBatcher/BatchInput", BAD_FIELD.format("a.$"))],
    ),
    Case("a result is no template", passing(Result={"a": "{% ( %}"}), []),
    Case(
        "a forgotten dollar",
        passing(Parameters={"a": "$.a"}),
        [
            (
                "NO_DOLLAR",
                "/Parameters/a",
                "The value appears to be a JSONPath or an intrinsic function, but 'a' lacks '.$'",
            )
        ],
    ),
    Case("a price", passing(Parameters={"a": "$5"}), []),
    Case(
        "a forgotten Path",
        {"Type": "Fail", "Cause": "$.why"},
        [
            (
                "NO_PATH",
                "/Cause",
                "The value appears to be a path, but 'Cause' does not end with 'Path'",
            )
        ],
    ),
    Case(
        "a result does not change",
        passing(Result={"a.$": "$.a"}),
        [
            (
                "PASS_RESULT_IS_STATIC",
                "/Result",
                "The Result of a Pass state is static: paths in it are not evaluated",
            )
        ],
    ),
]

EXPRESSIONS = [
    Case("an expression", passing(Output={"a": ["{% $states.input.a %}"]}), [], machine="JSONata"),
    Case("a computed wait", wait(Seconds="{% 1 + 1 %}"), [], machine="JSONata"),
    Case("a comment is text", passing(Comment="{% ( %}"), [], machine="JSONata"),
    Case(
        "half an expression",
        passing(Output={"a": "{% 1"}),
        [(SCHEMA, "/Output/a", "JSONata string must start with {% and end with %}")],
        machine="JSONata",
    ),
    Case(
        "a number in words",
        wait(Seconds="soon"),
        [(SCHEMA, "/Seconds", "Expected value of type Integer")],
        machine="JSONata",
    ),
    Case(
        "an expression in JSONPath",
        wait(Seconds="{% 1 %}"),
        [(SCHEMA, "/Seconds", "Expected value of type Integer")],
    ),
]

VARIABLES = [
    Case("names", passing(Assign={"a": 1, "Größe_2": 2, "b.$": "$.b", "x" * 80: 3}), []),
    Case(
        "the reserved one",
        passing(Assign={"states": 1}),
        [("RESERVED_VARIABLE_NAME", "/Assign/states", "Cannot assign to reserved variable '$states'.")],
    ),
    Case(
        "no name",
        passing(Assign={"a-b": 1}),
        [
            (
                "INVALID_VARIABLE_NAME",
                "/Assign/a-b",
                "Invalid variable name 'a-b': the variable name contains invalid characters.",
            )
        ],
    ),
    Case(
        "JSONata has no suffix",
        passing(Assign={"a.$": 1}),
        [
            (
                "INVALID_VARIABLE_NAME",
                "/Assign/a.$",
                "Invalid variable name 'a.$': the variable name contains invalid characters.",
            )
        ],
        machine="JSONata",
    ),
    Case(
        "a long name in a catcher",
        task(Catch=[{"ErrorEquals": ["E"], "Next": "X", "Assign": {"x" * 81: 1}}]),
        [
            (
                "INVALID_VARIABLE_NAME",
                f"/Catch[0]/Assign/{'x' * 81}",
                f"Invalid variable name '{'x' * 81}': the variable name is too long.",
            )
        ],
    ),
]

ALONE = "States.ALL must appear alone and at end of list"
ERRORS = [
    Case(
        "the wildcard at the end", task(Retry=[{"ErrorEquals": ["E"]}, {"ErrorEquals": ["States.ALL"]}]), []
    ),
    Case(
        "the wildcard too early",
        task(Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}]),
        [(SCHEMA, "/Retry[0]/ErrorEquals", ALONE)],
    ),
    Case(
        "the wildcard in company",
        task(Catch=[{"ErrorEquals": ["States.ALL", "E"], "Next": "X"}]),
        [(SCHEMA, "/Catch[0]/ErrorEquals", ALONE)],
    ),
]

SINGLE = [
    Case("a point in time", wait(Timestamp="2016-03-14T01:59:00Z"), []),
    Case("a point in time to the millisecond", wait(Timestamp="2016-03-14T01:59:00.123Z"), []),
    Case("a point in time in Paris", wait(Timestamp="2016-03-14T01:59:00+01:00"), []),
    Case("a computed point in time", wait(Timestamp="{% $now() %}"), [], machine="JSONata"),
    *(
        Case(
            f"no point in time: {text}",
            wait(Timestamp=text),
            [(SCHEMA, "/Timestamp", "String does not match RFC3339 timestamp")],
        )
        for text in (
            "2016-13-14T01:59:00Z",
            "2016-03-14T25:59:00Z",
            "2016-03-14T01:59:00",
            "14-03-2016T01:59:00Z",
        )
    ),
    Case(
        "no ARN",
        {"Type": "Task", "Resource": "work", "End": True},
        [(SCHEMA, "/Resource", "Value is not a valid resource ARN")],
    ),
    Case("a heartbeat in time", task(TimeoutSeconds=2, HeartbeatSeconds=1), []),
    Case(
        "a heartbeat too late",
        task(TimeoutSeconds=2, HeartbeatSeconds=2),
        [(SCHEMA, "/HeartbeatSeconds", "HeartbeatSeconds must be smaller than TimeoutSeconds")],
    ),
    Case("a role", task(Credentials={"RoleArn.$": "$.role"}), []),
    Case(
        "no role",
        task(Credentials={}),
        [(SCHEMA, "/Credentials", "The field 'RoleArn' is required but was missing")],
    ),
    Case(
        "a role for an activity",
        task(Resource="arn:aws:states:eu-west-1:123456789012:activity:a", Credentials={"RoleArn": "r"}),
        [(SCHEMA, "/Credentials", "The field 'Credentials' is not supported for activities")],
    ),
    *(
        Case(
            f"processor {config}",
            each(
                ItemProcessor={
                    "ProcessorConfig": config,
                    "StartAt": "I",
                    "States": {"I": {"Type": "Succeed"}},
                }
            ),
            [(SCHEMA, "/ItemProcessor/ProcessorConfig", message)] if message else [],
        )
        for config, message in (
            ({}, ""),
            ({"Mode": "INLINE"}, ""),
            ({"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, ""),
            ({"Mode": "DISTRIBUTED"}, "These fields are required: [ExecutionType]"),
            ({"Mode": "INLINE", "ExecutionType": "EXPRESS"}, "Field 'ExecutionType' is not supported"),
        )
    ),
]


def reading(resource: str = "getObject", given: Json = None, **config: Json) -> dict[str, Json]:
    parameters = {} if given is None else {"Parameters": given}
    reader = {"Resource": f"arn:aws:states:::s3:{resource}", "ReaderConfig": config, **parameters}
    return each(ItemReader=reader)


ASKING = {"Uri": "sqlite:///a", "Query.$": "$.query"}
READERS = [
    Case("what AWS reads", reading(InputType="CSV", Bucket=1, CSVHeaders=[]), []),
    Case("what AWS does not read", reading(InputType="XML"), []),
    Case("a query", reading(given=ASKING, InputType="SQL", **{"MaxItemsPath": "$.most"}), []),
    Case(
        "a query that is computed",
        each(
            ItemReader={
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "SQL"},
                "Arguments": "{% $states.input %}",
            }
        ),
        [],
        machine="JSONata",
    ),
    Case(
        "no query",
        reading(InputType="SQL"),
        [(SCHEMA, "/ItemReader/Parameters", "These fields are required: [Uri, Query]")],
    ),
    Case(
        "a query of a bucket",
        reading("listObjectsV2", {"Bucket": "b", "Query": "SELECT 1"}, InputType="SQL", ItemsPointer="/a"),
        [
            (SCHEMA, "/ItemReader/ReaderConfig", "Field 'ItemsPointer' is not supported with InputType SQL"),
            (
                SCHEMA,
                "/ItemReader/Resource",
                "InputType SQL needs the Resource arn:aws:states:::s3:getObject",
            ),
            (SCHEMA, "/ItemReader/Parameters", "These fields are required: [Uri]"),
        ],
    ),
]


def choosing(**fields: Json) -> dict[str, Json]:
    return {"Type": "Choice", "Choices": [{"Next": "X", **fields}]}


CHOICES = [
    Case("a comparison", choosing(Variable="$.a", IsNull=True, Assign={"a.$": "$.a"}), []),
    Case("a condition", choosing(Condition="{% $states.input.a %}", Output={"a": 1}), [], machine="JSONata"),
    Case(
        "a comparison of nothing",
        choosing(And=[{"IsNull": True}]),
        [(SCHEMA, "/Choices[0]/And[0]", "These fields are required: [Variable]")],
    ),
    Case(
        "a condition in JSONPath",
        choosing(Variable="$.a", IsNull=True, Condition="{% true %}"),
        [(SCHEMA, "/Choices[0]", only("Condition", "JSONPath", "JSONata"))],
    ),
    Case(
        "a variable in JSONata",
        choosing(Variable="$.a", Condition="{% true %}"),
        [(SCHEMA, "/Choices[0]", only("Variable", "JSONata", "JSONPath"))],
        machine="JSONata",
    ),
    Case(
        "an output in JSONPath",
        choosing(Variable="$.a", IsNull=True, Output=1),
        [(SCHEMA, "/Choices[0]", only("Output", "JSONPath", "JSONata"))],
    ),
    Case(
        "a condition on what is not there",
        choosing(Condition="{% phone = 1 %}"),
        [
            (
                "UNSUPPORTED_JSONATA_EXPRESSION",
                "/Choices[0]/Condition",
                "Reference to 'phone' at the top level is not supported.",
            )
        ],
        machine="JSONata",
    ),
    Case(
        "half a condition",
        choosing(Condition="{% true"),
        [(SCHEMA, "/Choices[0]/Condition", "JSONata string must start with {% and end with %}")],
        machine="JSONata",
    ),
    Case(
        "what is assigned",
        choosing(Variable="$.a", IsNull=True, Assign={"a.$": "a"}),
        [(SCHEMA, "/Choices[0]/Assign", BAD_FIELD.format("a.$"))],
    ),
]

CASES = (
    NEXT_OR_END
    + EXCLUSIVE
    + LANGUAGE
    + PATHS
    + TEMPLATES
    + EXPRESSIONS
    + VARIABLES
    + READERS
    + ERRORS
    + SINGLE
    + CHOICES
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_check(case: Case) -> None:
    definition = {"QueryLanguage": case.machine, "StartAt": "X", "States": {"X": case.state}}
    found = [(each.code, each.location, each.message) for each in rules.check(definition)]
    assert found == [(code, f"/States/X{place}", message) for code, place, message in case.expected]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("$states.input.a +", "INVALID_JSONATA_EXPRESSION"),
        ("[1,2", "INVALID_JSONATA_EXPRESSION"),
        ("phone", "UNSUPPORTED_JSONATA_EXPRESSION"),
        ("$$", "UNSUPPORTED_JSONATA_EXPRESSION"),
    ],
)
def test_an_expression_that_cannot_be_evaluated(expression: str, code: str) -> None:
    state = passing(Output={"a": [f"{{% {expression} %}}"]})
    [found] = rules.check({"QueryLanguage": "JSONata", "StartAt": "X", "States": {"X": state}})
    assert (found.code, found.location) == (code, "/States/X/Output/a[0]")
    assert found.message


def test_a_choice_rule_is_located_by_its_index() -> None:
    choices = [{"Variable": "$.a", "IsNull": True, "Next": "X"}, {"Variable": "$.a", "IsNull": True}]
    state = {"Type": "Choice", "Choices": choices}
    [found] = rules.check({"StartAt": "X", "States": {"X": state}})
    assert found.location == "/States/X/Choices[1]"


def test_what_is_wrong_with_a_path_is_a_hint() -> None:
    [found] = rules.check({"StartAt": "X", "States": {"X": passing(ResultPath="$$.a")}})
    assert found.hint
    assert found.hint in str(found)
