"""Payload templates."""

import copy
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language import payload
from nbflow.language.values import Failure, Json
from tests.language.support import cause, scope

DATA: Json = {"a": 1, "b": {"c": [2, 3]}}


@dataclass(frozen=True)
class Case:
    id: str
    template: Json
    expected: Json


PATHS = [
    Case("path", {"x.$": "$.a"}, {"x": 1}),
    Case("context path", {"x.$": "$$.State.Name"}, {"x": "Here"}),
    Case("variable", {"x.$": "$v"}, {"x": 5}),
    Case("intrinsic function", {"x.$": "States.Format('{}', $.a)"}, {"x": "1"}),
    Case("members beside it", {"x": "$.a", "y.$": "$.a", "z": None}, {"x": "$.a", "y": 1, "z": None}),
    Case("nested objects", {"o": {"p": {"x.$": "$.b.c[1]"}}}, {"o": {"p": {"x": 3}}}),
    Case("in arrays", {"l": [{"x.$": "$.a"}, "$.a", [{"y.$": "$.a"}]]}, {"l": [{"x": 1}, "$.a", [{"y": 1}]]}),
    Case("an array", [{"x.$": "$.a"}], [{"x": 1}]),
    Case("only the ending", {".$": "$.a"}, {"": 1}),
    Case("JSONata is text", {"x": "{% $v %}"}, {"x": "{% $v %}"}),
]

EXPRESSIONS = [
    Case("expression", "{% $v %}", 5),
    Case("in objects and arrays", {"o": [1, {"x": "{% $v + 1 %}"}, ["{% $v %}"]]}, {"o": [1, {"x": 6}, [5]]}),
    Case("not quite expressions", [" {% $v %}", "$v", "{% $v"], [" {% $v %}", "$v", "{% $v"]),
    Case("paths are text", {"x.$": "$.a"}, {"x.$": "$.a"}),
    Case("null", {"x": "{% null %}"}, {"x": None}),
]


@pytest.mark.parametrize("case", PATHS, ids=lambda case: case.id)
def test_paths(case: Case) -> None:
    before = copy.deepcopy(case.template)
    assert (
        payload.fill(case.template, scope(DATA, {"v": 5}), jsonata=False, field="Parameters") == case.expected
    )
    assert case.template == before


@pytest.mark.parametrize("case", EXPRESSIONS, ids=lambda case: case.id)
def test_expressions(case: Case) -> None:
    before = copy.deepcopy(case.template)
    assert (
        payload.fill(case.template, scope(DATA, {"v": 5}), jsonata=True, field="Arguments") == case.expected
    )
    assert case.template == before


LITERALS: list[Json] = [None, 0, "text", [], {}, {"a": [1, {"b": "c"}]}]


@pytest.mark.parametrize("template", LITERALS, ids=repr)
@pytest.mark.parametrize("jsonata", [False, True])
def test_a_template_without_holes_is_itself(template: Json, jsonata: bool) -> None:
    assert payload.fill(template, scope(), jsonata=jsonata, field="Output") is template


@dataclass(frozen=True)
class Wrong:
    id: str
    template: Json
    expected: str


MISSING = [
    Wrong(
        "path",
        {"o": [{"x.$": "$.no"}]},
        "The JSONPath '$.no' specified for the field 'x.$' could not be found",
    ),
    Wrong(
        "function", {"x.$": "States.Array($.no)"}, "The function 'States.Array($.no)' had the following error"
    ),
    Wrong(
        "neither",
        {"x.$": "text"},
        "The value for the field 'x.$' must be a valid JSONPath or a valid intrinsic",
    ),
    Wrong(
        "no text", {"x.$": 5}, "The value for the field 'x.$' must be a valid JSONPath or a valid intrinsic"
    ),
    Wrong("in an array", [1, {"x.$": "$.no"}], "The JSONPath '$.no' specified for the field 'x.$'"),
]


@pytest.mark.parametrize("case", MISSING, ids=lambda case: case.id)
def test_a_path_that_finds_nothing(case: Wrong) -> None:
    value = payload.fill(case.template, scope(DATA), jsonata=False, field="Parameters")
    assert isinstance(value, Failure)
    assert value.error == "States.Runtime"
    assert cause(value).startswith(case.expected)


@pytest.mark.parametrize(
    ("template", "location"),
    [
        ("{% $no %}", "Arguments"),
        ({"bucket": "{% $no %}"}, "Arguments/bucket"),
        ({"a": {"b": ["{% $no %}"]}}, "Arguments/a/b[0]"),
        ([1, {"x": "{% $no %}"}], "Arguments[1]/x"),
    ],
)
def test_a_failed_expression_is_located(template: Json, location: str) -> None:
    value = payload.fill(template, scope(), jsonata=True, field="Arguments")
    assert isinstance(value, Failure)
    assert value.location == location
    assert f"specified for the field '{location}' returned nothing" in cause(value)


names = st.text("abc", min_size=1, max_size=3)
literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("$ab{%} ", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)


@given(template=literals)
def test_literals_stay_as_they_are(template: Json) -> None:
    assert payload.fill(template, scope(), jsonata=False, field="Parameters") is template


@given(template=literals, value=literals)
def test_what_a_hole_names_fills_it(template: Json, value: Json) -> None:
    filled = payload.fill({"t": template, "x.$": "$"}, scope(value), jsonata=False, field="Parameters")
    assert filled == {"t": template, "x": value}
