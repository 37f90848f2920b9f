"""Choice rules."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language import choice
from nbflow.language.model import Choice
from nbflow.language.values import Failure, Json
from tests.language.support import cause, scope

EARLY, LATE = "2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z"


def choose(*rules: dict[str, Json], input: Json = None, jsonata: bool = False, **variables: Json) -> Any:
    language = "JSONata" if jsonata else "JSONPath"
    state = Choice.model_validate({"Type": "Choice", "QueryLanguage": language, "Choices": list(rules)})
    return choice.choose(state, scope(input, variables))


def holds(value: Json, **rule: Json) -> bool:
    """Whether a rule about ``$.value`` holds."""
    chosen = choose(
        {"Variable": "$.value", **rule, "Next": "Yes"}, input={"value": value, "other": rule.get("_")}
    )
    assert not isinstance(chosen, Failure)
    return chosen is not None


ORDERS = [
    # order, of a smaller and a greater, of two equal, of a greater and a smaller
    ("Equals", False, True, False),
    ("LessThan", True, False, False),
    ("LessThanEquals", True, True, False),
    ("GreaterThan", False, False, True),
    ("GreaterThanEquals", False, True, True),
]
PAIRS: list[tuple[str, Json, Json]] = [
    ("String", "A", "AB"),
    ("String", "", " "),
    ("Numeric", 1, 1.5),
    ("Numeric", -(2**60), -(2**60) + 1),
    ("Timestamp", EARLY, LATE),
    ("Timestamp", "2024-01-01T01:00:00+02:00", EARLY),
    ("Timestamp", "2024-01-01T00:00:00.000000001Z", "2024-01-01T00:00:00.000000002Z"),
]


@pytest.mark.parametrize(("order", "smaller", "equal", "greater"), ORDERS)
@pytest.mark.parametrize(("type_", "low", "high"), PAIRS)
def test_comparisons(
    order: str, smaller: bool, equal: bool, greater: bool, type_: str, low: Json, high: Json
) -> None:
    expected = [(low, high, smaller), (low, low, equal), (high, high, equal), (high, low, greater)]
    for value, operand, outcome in expected:
        literal = {"Variable": "$.a", type_ + order: operand, "Next": "Yes"}
        path = {"Variable": "$.a", type_ + order + "Path": "$.b", "Next": "Yes"}
        assert (choose(literal, input={"a": value}) is not None) is outcome
        assert (choose(path, input={"a": value, "b": operand}) is not None) is outcome


@pytest.mark.parametrize("operand", [True, False])
def test_booleans(operand: bool) -> None:
    assert holds(operand, BooleanEquals=operand)
    assert not holds(not operand, BooleanEquals=operand)
    assert not holds(int(operand), BooleanEquals=operand)


OPERANDS: dict[str, Json] = {"String": "1", "Numeric": 1, "Boolean": True, "Timestamp": EARLY}
SAMPLES: list[Json] = [None, True, 1, 1.0, "1", EARLY, [], [1], {}, {"a": 1}]


def _is(type_: str, value: Json) -> bool:
    return {
        "String": isinstance(value, str),
        "Numeric": isinstance(value, int | float) and not isinstance(value, bool),
        "Boolean": isinstance(value, bool),
        "Timestamp": bool(value == EARLY),
    }[type_]


@pytest.mark.parametrize(
    "name", [name for name in choice.OPERATORS if re.match("String|Num|Bool|Time", name)]
)
@pytest.mark.parametrize("value", SAMPLES, ids=repr)
def test_a_value_of_another_type_passes_no_comparison(name: str, value: Json) -> None:
    type_ = next(type_ for type_ in OPERANDS if name.startswith(type_))
    if not _is(type_, value):
        operand = "$.operand" if name.endswith("Path") else OPERANDS[type_]
        rule = {"Variable": "$.value", name: operand, "Next": "Yes"}
        assert choose(rule, input={"value": value, "operand": OPERANDS[type_]}) is None


@pytest.mark.parametrize("value", SAMPLES, ids=repr)
def test_types(value: Json) -> None:
    outcomes = {f"Is{type_}": _is(type_, value) for type_ in OPERANDS}
    outcomes |= {"IsNull": value is None, "IsPresent": True}
    for name, outcome in outcomes.items():
        assert holds(value, **{name: True}) is outcome
        assert holds(value, **{name: False}) is not outcome


def test_presence() -> None:
    assert choose({"Variable": "$.no", "IsPresent": True, "Next": "Yes"}, input={}) is None
    assert choose({"Variable": "$.no", "IsPresent": False, "Next": "Yes"}, input={}) is not None
    assert choose({"Variable": "$no", "IsPresent": False, "Next": "Yes"}) is not None
    assert choose({"Variable": "$v.k", "IsPresent": True, "Next": "Yes"}, v={"k": None}) is not None


TIMESTAMPS = [
    ("2012-10-09T19:00:55Z", True),
    ("2012-10-09T19:00:55.123456789012Z", True),
    ("2012-10-09T19:00:55+01:00", True),
    ("0001-01-01T00:00:00+23:59", True),
    ("2012-10-09T19:00:55", False),
    ("2012-10-09t19:00:55Z", False),
    ("2012-10-09T19:00:55z", False),
    ("2012-10-09 19:00:55Z", False),
    ("2012-13-09T19:00:55Z", False),
    ("2012-10-09T25:00:55Z", False),
    ("2012-10-09", False),
    ("2012-10-09T19:00:55.Z", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "expected"), TIMESTAMPS)
def test_timestamps(text: str, expected: bool) -> None:
    assert holds(text, IsTimestamp=True) is expected
    assert holds(text, TimestampLessThan="9999-12-31T23:59:59-23:59") is expected


MATCHES = [
    ("log-*.txt", "log-1.txt", True),
    ("log-*.txt", "log-.txt", True),
    ("log-*.txt", "log.txt", False),
    ("*", "", True),
    ("", "", True),
    ("", "a", False),
    ("a*a", "a", False),
    ("*b*d*", "abcde", True),
    ("*d*b*", "abcde", False),
    (r"a\*b", "a*b", True),
    (r"a\*b", "axb", False),
    (r"a\\*", "a\\b", True),
    ("a.c", "abc", False),
    ("*\n*", "a\nb", True),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), MATCHES)
def test_string_matches(pattern: str, text: str, expected: bool) -> None:
    assert holds(text, StringMatches=pattern) is expected


@given(
    text=st.text("ab*\\", max_size=8), parts=st.lists(st.text("ab*\\", max_size=3), min_size=1, max_size=4)
)
def test_string_matches_is_its_regular_expression(text: str, parts: list[str]) -> None:
    pattern = "*".join(part.replace("\\", "\\\\").replace("*", "\\*") for part in parts)
    expression = ".*".join(map(re.escape, parts))
    assert choice.matches(text, pattern) is (re.fullmatch(expression, text, re.DOTALL) is not None)


def test_many_stars_take_no_long_time() -> None:
    assert not choice.matches("a" * 100_000, "*a" * 200 + "*b")


YES: dict[str, Json] = {"Variable": "$", "IsPresent": True}
NO: dict[str, Json] = {"Variable": "$", "IsPresent": False}
WRONG: dict[str, Json] = {"Variable": "$.no", "IsNull": True}


@dataclass(frozen=True)
class Combined:
    id: str
    rule: dict[str, Json]
    expected: bool | None


COMBINED = [
    Combined("and", {"And": [YES, YES]}, True),
    Combined("and, one false", {"And": [YES, NO]}, False),
    Combined("and of one", {"And": [YES]}, True),
    Combined("and stops at false", {"And": [NO, WRONG]}, False),
    Combined("and fails", {"And": [YES, WRONG]}, None),
    Combined("or", {"Or": [NO, YES]}, True),
    Combined("or, none true", {"Or": [NO, NO]}, False),
    Combined("or stops at true", {"Or": [YES, WRONG]}, True),
    Combined("or fails", {"Or": [WRONG, YES]}, None),
    Combined("not", {"Not": NO}, True),
    Combined("not true", {"Not": YES}, False),
    Combined("not fails", {"Not": WRONG}, None),
    Combined("nested", {"Not": {"And": [{"Or": [NO, YES]}, {"Not": YES}]}}, True),
    Combined("fields before it", {"Comment": "c", "Next": "Yes", "And": [{"Comment": "d", **YES}]}, True),
]


@pytest.mark.parametrize("case", COMBINED, ids=lambda case: case.id)
def test_combined(case: Combined) -> None:
    chosen = choose({**case.rule, "Next": "Yes"}, input=1)
    if case.expected is None:
        assert isinstance(chosen, Failure)
    else:
        assert (chosen is not None) is case.expected


def test_the_first_rule_that_holds_is_chosen() -> None:
    rules: list[dict[str, Json]] = [
        {"Variable": "$v", "NumericEquals": 1, "Next": "A"},
        {"Variable": "$v", "NumericLessThanPath": "$w", "Next": "B", "Assign": {"x": 1}},
        {"Variable": "$v", "IsNumeric": True, "Next": "C"},
    ]
    assert choose(*rules, v=2, w=3) == rules[1]
    assert choose(*rules, v=2, w=0) == rules[2]
    assert choose(*rules, v="2", w=0) is None


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"Variable": "$.no", "StringEquals": "a"}, "$.no"),
        ({"Variable": "$.a", "StringEqualsPath": "$.no"}, "$.no"),
        ({"Variable": "$no", "IsNull": True}, "$no"),
    ],
)
def test_a_path_that_finds_nothing(rule: dict[str, Json], path: str) -> None:
    chosen = choose({**rule, "Next": "Yes"}, input={"a": "b"})
    expected = f"Invalid path '{path}': The choice state's condition path references an invalid value."
    assert chosen == Failure("States.Runtime", expected)


def test_conditions() -> None:
    rules: list[dict[str, Json]] = [
        {"Condition": "{% $states.input.type = 'Public' and $v > 1 %}", "Next": "A"},
        {"Condition": False, "Next": "B"},
        {"Condition": True, "Next": "C"},
    ]
    assert choose(*rules, input={"type": "Public"}, jsonata=True, v=2) == rules[0]
    assert choose(*rules, input={"type": "Public"}, jsonata=True, v=0) == rules[2]
    assert choose(rules[1], jsonata=True) is None


def test_a_condition_must_be_boolean() -> None:
    false, number = {"Condition": False, "Next": "A"}, {"Condition": "{% 1 %}", "Next": "B"}
    failure = choose(false, number, jsonata=True)
    assert failure.location == "Choices[1]/Condition"
    expected = "returned an unexpected result type. Expected 'boolean', but was 'number' for value: 1"
    assert cause(failure).endswith(expected)


def test_a_failed_condition_is_located() -> None:
    failure = choose({"Condition": "{% $no %}", "Next": "A"}, jsonata=True)
    assert failure.location == "Choices[0]/Condition"


@dataclass(frozen=True)
class Checked:
    id: str
    rule: dict[str, Json]
    expected: list[tuple[str, str]]


GOOD_PATHS: list[dict[str, Json]] = [
    {"Variable": "$.a", "StringEquals": "x", "Next": "A", "Comment": "c", "Assign": {"x": 1}},
    {"Variable": "$$.State.Name", "StringMatches": "*", "Next": "A"},
    {"Variable": "$v", "TimestampLessThan": EARLY, "Next": "A"},
    {"Variable": "$.a", "NumericEqualsPath": "$.b[0]", "Next": "A"},
    {"Not": {"And": [{"Variable": "$.a", "IsNull": False, "Comment": "c"}]}, "Next": "A"},
]

BAD_PATHS = [
    Checked("no Next", {"Variable": "$.a", "IsNull": True}, [("", "These fields are required: [Next]")]),
    Checked(
        "Next is no text",
        {"Variable": "$.a", "IsNull": True, "Next": 5},
        [("/Next", "Expected value of type String")],
    ),
    Checked(
        "no operator",
        {"Variable": "$.a", "Next": "A"},
        [("", "A rule needs a comparison operator, such as StringEquals, or And, Or or Not")],
    ),
    Checked(
        "two operators",
        {"Variable": "$.a", "IsNull": True, "IsPresent": True, "Next": "A"},
        [("", "There should only be one of the following fields: [IsNull, IsPresent]")],
    ),
    Checked(
        "unknown field",
        {"Variable": "$.a", "IsNull": True, "StringEqual": "x", "Next": "A"},
        [("", "Field 'StringEqual' is not supported")],
    ),
    Checked("no Variable", {"IsNull": True, "Next": "A"}, [("", "These fields are required: [Variable]")]),
    Checked(
        "Variable beside And",
        {"Variable": "$.a", "And": [YES], "Next": "A"},
        [("", "Field 'Variable' is not supported")],
    ),
    Checked(
        "Variable is no path",
        {"Variable": "a", "IsNull": True, "Next": "A"},
        [("/Variable", "Value is not a Reference Path: Reference path didn't start with '$': 'a'")],
    ),
    Checked(
        "path operand",
        {"Variable": "$.a", "StringEqualsPath": 5, "Next": "A"},
        [("/StringEqualsPath", "Expected value of type String")],
    ),
    Checked(
        "operand types",
        {"Variable": "$.a", "NumericEquals": True, "Next": "A"},
        [("/NumericEquals", "Expected value of type Numeric")],
    ),
    Checked(
        "flag",
        {"Variable": "$.a", "IsNull": "yes", "Next": "A"},
        [("/IsNull", "Expected value of type Boolean")],
    ),
    Checked(
        "timestamp",
        {"Variable": "$.a", "TimestampEquals": "2024-01-01", "Next": "A"},
        [("/TimestampEquals", "String does not match RFC3339 timestamp")],
    ),
    Checked("empty And", {"And": [], "Next": "A"}, [("/And", "Expected a non-empty array of rules")]),
    Checked("And of no array", {"And": YES, "Next": "A"}, [("/And", "Expected a non-empty array of rules")]),
    Checked("And of texts", {"And": ["x"], "Next": "A"}, [("/And[0]", "Expected value of type Object")]),
    Checked("Not of an array", {"Not": [YES], "Next": "A"}, [("/Not", "Expected value of type Object")]),
    Checked(
        "Next inside",
        {"Or": [YES, {"Not": {**YES, "Next": "B"}}], "Next": "A"},
        [("/Or[1]/Not", "Field 'Next' is not supported")],
    ),
    Checked(
        "wrong inside",
        {"Or": [{"Variable": "$.a", "IsNull": 1}], "Next": "A"},
        [("/Or[0]/IsNull", "Expected value of type Boolean")],
    ),
]

BAD_CONDITIONS = [
    Checked("no Condition", {"Next": "A"}, [("", "These fields are required: [Condition]")]),
    Checked(
        "a text",
        {"Condition": "true", "Next": "A"},
        [("/Condition", "Expected a JSONata expression {% … %} or a boolean")],
    ),
    Checked(
        "syntax",
        {"Condition": "{% 1 + %}", "Next": "A"},
        [("/Condition", "Unexpected end of expression (position 3)")],
    ),
    Checked(
        "fields of JSONPath",
        {"Condition": True, "Variable": "$.a", "Next": "A"},
        [("", "Field 'Variable' is not supported")],
    ),
]


@pytest.mark.parametrize("rule", GOOD_PATHS, ids=str)
def test_check_accepts_paths(rule: dict[str, Json]) -> None:
    assert choice.check_rule(rule, jsonata=False, top=True) == []


@pytest.mark.parametrize("case", BAD_PATHS, ids=lambda case: case.id)
def test_check_refuses_paths(case: Checked) -> None:
    assert choice.check_rule(case.rule, jsonata=False, top=True) == case.expected


@pytest.mark.parametrize("condition", ["{% $v = 1 %}", True, False])
def test_check_accepts_conditions(condition: Json) -> None:
    rule = {"Condition": condition, "Next": "A", "Output": {}, "Assign": {}, "Comment": "c"}
    assert choice.check_rule(rule, jsonata=True, top=True) == []


@pytest.mark.parametrize("case", BAD_CONDITIONS, ids=lambda case: case.id)
def test_check_refuses_conditions(case: Checked) -> None:
    assert choice.check_rule(case.rule, jsonata=True, top=True) == case.expected


def test_there_are_all_operators() -> None:
    assert len(choice.OPERATORS) == 2 * (3 * 5 + 1) + 1 + 6
