"""Paths: reading, writing and checking them."""

import copy
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language import paths
from nbflow.language.values import Failure, Json, Scope
from tests.language.support import CONTEXT, cause, scope

DATA: Json = {
    "a": {"b": [1, {"c d": 2}], "it's": 3},
    "users": [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 17}],
    "null": None,
    "text": "abc",
    "x-y": 4,
}


@dataclass(frozen=True)
class Case:
    id: str
    path: str
    expected: Json


READS = [
    Case("the input", "$", DATA),
    Case("members and indices", "$.a.b[0]", 1),
    Case("quoted member", "$.a.b[1]['c d']", 2),
    Case("double quotes", '$["a"]["b"][0]', 1),
    Case("escaped quote", r"$.a['it\'s']", 3),
    Case("name with a hyphen", "$.x-y", 4),
    Case("index from the end", "$.users[-1].name", "Bob"),
    Case("null is a value", "$.null", None),
    Case("the context object", "$$", CONTEXT),
    Case("a member of the context", "$$.State.Name", "Here"),
    Case("a variable", "$var", {"k": [5, 6]}),
    Case("inside a variable", "$var.k[1]", 6),
    Case("blanks in brackets", "$[ 'text' ]", "abc"),
    Case("wildcard", "$.users[*].name", ["Ada", "Bob"]),
    Case("slice", "$.users[0:1]", [DATA["users"][0]]),
    Case("filter", "$.users[?(@.age >= 18)].name", ["Ada"]),
    Case("filter without a hit", "$.users[?(@.age > 99)]", []),
    Case("descendants", "$..age", [36, 17]),
    Case("union of indices", "$.users[0,1].age", [36, 17]),
    Case("members as an object", "$.users[0]['name','age']", {"name": "Ada", "age": 36}),
    Case("wildcard in the context", "$$.Execution.Input.*", [1]),
    Case("wildcard in a variable", "$var.k[*]", [5, 6]),
    Case("indefinite in what is missing", "$.nothing.here[1:5].x", []),
    Case("wildcard over a text", "$.text[*]", []),
]

FAILS = [
    Case("missing leaf", "$.a.x", "Invalid path '$.a.x' : No results for path: $['a']['x']"),
    Case("missing on the way", "$.no.such", "Invalid path '$.no.such' : Missing property in path $['no']"),
    Case("index too big", "$.a.b[9]", "Invalid path '$.a.b[9]' : No results for path: $['a']['b'][9]"),
    Case(
        "index of a text",
        "$.text[0]",
        "Invalid path '$.text[0]' : Filter: [0] can only be applied to arrays. Current context is: \"abc\"",
    ),
    Case(
        "member of an array",
        "$.users.name",
        "Invalid path '$.users.name' : Expected to find an object with property ['name'] in path $['users'] "
        "but found 'array'.",
    ),
    Case("member of null", "$.null.x", "but found 'null'."),
    Case("unknown variable", "$nope", "Invalid path '$nope' : the variable is not defined"),
    Case("into an unknown variable", "$nope[0]", "Invalid path '$nope[0]' : the variable is not defined"),
    Case("search an unknown variable", "$nope[*]", "Invalid path '$nope[*]' : the variable is not defined"),
    Case("blanks in brackets", "$[ 'no' ]", "Invalid path '$[ 'no' ]' : No results for path: $['no']"),
    Case("no path", "a.b", "it must start with '$': 'a.b'"),
    Case("broken path", "$.a[", "at position 4 of '$.a['"),
    Case("two paths", "$.a | $.b", "it is more than one path: '$.a | $.b'"),
]


@pytest.fixture
def here() -> Scope:
    return scope(DATA, {"var": {"k": [5, 6]}})


@pytest.mark.parametrize("case", READS, ids=lambda case: case.id)
def test_read(case: Case, here: Scope) -> None:
    assert paths.read(case.path, here) == case.expected
    assert paths.check(case.path) is None


@pytest.mark.parametrize("case", FAILS, ids=lambda case: case.id)
def test_read_nothing(case: Case, here: Scope) -> None:
    value = paths.read(case.path, here)
    assert isinstance(value, Failure)
    assert value.error == "States.Runtime"
    assert case.expected in cause(value)


def test_the_field_and_the_input_are_named() -> None:
    value = paths.read("$.no.such", scope({"ä": [1.5, None]}), field="value.$")
    expected = "The JSONPath '$.no.such' specified for the field 'value.$' could not be found in the input"
    assert cause(value) == expected + " '{\"ä\":[1.5,null]}'"


def test_the_context_is_shown_for_its_paths() -> None:
    value = paths.read("$$.Nope", scope(1), field="value.$")
    assert cause(value).endswith(f"could not be found in the input '{paths.compact(CONTEXT)}'")


def test_the_input_is_shown_for_an_unknown_variable() -> None:
    assert cause(paths.read("$nope", scope(1), field="v.$")).endswith("could not be found in the input '1'")


def test_no_path_leads_into_null() -> None:
    expected = "Unable to apply Path transformation to null or empty input."
    assert cause(paths.read("$.a", scope(None))) == expected
    assert paths.read("$", scope(None)) is None


def test_deep_descendants_fail_as_a_value() -> None:
    deep: Json = {}
    for _ in range(500):
        deep = {"a": deep}
    assert "recursion limit" in cause(paths.read("$..a", scope(deep)))


@dataclass(frozen=True)
class Put:
    id: str
    document: Json
    path: str
    expected: Json


PUTS = [
    Put("replace all", {"a": 1}, "$", 9),
    Put("new member", {"a": 1}, "$.b", {"a": 1, "b": 9}),
    Put("members on the way", {}, "$.a.b.c", {"a": {"b": {"c": 9}}}),
    Put("replace a member", {"a": {"b": 1, "c": 2}}, "$.a.b", {"a": {"b": 9, "c": 2}}),
    Put("element", {"a": [1, 2]}, "$.a[1]", {"a": [1, 9]}),
    Put("in an element", {"a": [{"b": 1}]}, "$.a[0].b", {"a": [{"b": 9}]}),
]
CONFLICTS = [
    Put("array input", [1], "$.x", 'Unable to apply step "x" to input [1]'),
    Put("scalar on the way", {"a": 1}, "$.a.b", 'Unable to apply step "b" to input {"a":1}'),
    Put("scalar further on", {"a": 1}, "$.a.b.c", 'Unable to apply step "b" to input {"a":1}'),
    Put("beyond the array", {"a": [1]}, "$.a[1]", 'Unable to apply step "1" to input {"a":[1]}'),
    Put("index in an object", {"a": {}}, "$.a[0].b", 'Unable to apply step "0" to input {"a":{}}'),
    Put("null input", None, "$.x", 'Unable to apply step "x" to input null'),
]


@pytest.mark.parametrize("case", PUTS, ids=lambda case: case.id)
def test_put(case: Put) -> None:
    before = copy.deepcopy(case.document)
    assert paths.put(case.document, case.path, 9) == case.expected
    assert case.document == before


@pytest.mark.parametrize("case", CONFLICTS, ids=lambda case: case.id)
def test_put_where_it_does_not_fit(case: Put) -> None:
    assert paths.put(case.document, case.path, 9) == Failure("States.ResultPathMatchFailure", case.expected)


@pytest.mark.parametrize("path", ["$$.a", "$name.a", "$.a[*]", "a"])
def test_put_goes_into_the_input_only(path: str) -> None:
    assert "is no Reference Path into the input" in cause(paths.put({}, path, 9))


def test_put_copies_only_what_it_changes() -> None:
    document = {"a": {"b": 1}, "big": [1, 2, 3]}
    result: Json = paths.put(document, "$.a.b", 2)
    assert result["big"] is document["big"]
    assert result["a"] is not document["a"]


names = st.text(st.characters(codec="utf-8", exclude_characters="'\\"), min_size=1, max_size=5)
steps = st.lists(names, min_size=1, max_size=4)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(document=st.dictionaries(names, json, max_size=3), path=steps, value=json)
def test_what_was_put_is_read(document: Json, path: list[str], value: Json) -> None:
    text = "$" + "".join(f"['{name}']" for name in path)
    before = copy.deepcopy(document)
    result = paths.put(document, text, value)
    assert document == before
    if not isinstance(result, Failure):
        assert paths.read(text, scope(result)) == value


@given(text=st.text(st.sampled_from("$.ab[]0'\"*?@()=,:- \\"), max_size=12) | st.text(max_size=8))
def test_any_text_is_read_or_refused(text: str) -> None:
    value = paths.read(text, scope(DATA))
    if paths.check(text) is not None:
        assert isinstance(value, Failure)
    assert (paths.check_reference(text) is None) == (paths.tokens(text) is not None)


@dataclass(frozen=True)
class Wrong:
    id: str
    path: str
    expected: str


WRONG = [
    Wrong("no root", "a.b", "Reference path didn't start with '$': 'a.b'"),
    Wrong("wildcard", "$.a[*].b", "found '[*].b' at position 3 of '$.a[*].b'"),
    Wrong("filter", "$.a[?(@.b)]", "found '[?(@.b)]' at position 3"),
    Wrong("descendants", "$..a", "found '..a' at position 1"),
    Wrong("open bracket", "$.a[0", "found '[0' at position 3"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_check_reference(case: Wrong) -> None:
    message = paths.check_reference(case.path)
    assert message is not None
    assert message.startswith("Value is not a Reference Path: ")
    assert case.expected in message


def test_a_combined_path_is_no_path() -> None:
    assert paths.check("$.a | $.b") == "Value is not a valid JSONPath: it is more than one path: '$.a | $.b'"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_kind(value: Json, kind: str) -> None:
    assert paths.kind(value) == kind
