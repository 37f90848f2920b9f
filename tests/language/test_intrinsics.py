"""Intrinsic functions: parsing and evaluating calls."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language import intrinsics
from nbflow.language.values import Failure, Json
from tests.language.support import cause, scope

DATA: Json = {"name": "Ada", "n": 2, "items": [1, 2, 3], "rows": [{"k": "x, )"}, {"k": "y"}]}


@dataclass(frozen=True)
class Case:
    id: str
    text: str
    expected: Json


VALUES = [
    Case(
        "literals",
        "States.Array(1, -2.5, 1e3, 'x', true, false, null)",
        [1, -2.5, 1000.0, "x", True, False, None],
    ),
    Case("no arguments", "States.Array()", []),
    Case("blanks", " States.Array ( 1 , 2 ) ", [1, 2]),
    Case("a path", "States.Array($.name, $)", ["Ada", DATA]),
    Case("the context", "States.Array($$.State.Name)", ["Here"]),
    Case("a variable", "States.Array($v.k)", [5]),
    Case("a filter with commas", "States.Array($.rows[?(@.k == 'x, )')], 1)", [[{"k": "x, )"}], 1]),
    Case("nested", "States.ArrayGetItem(States.StringSplit('a-b', '-'), 1)", "b"),
    Case("escapes", r"States.Array('it\'s', '\{\}', '\\')", ["it's", "{}", "\\"]),
    Case("braces need no escape here", "States.StringToJson('{\"a\": 1}')", {"a": 1}),
    Case("format", "States.Format('Hello {}, {}', $.name, $.n)", "Hello Ada, 2"),
    Case("format escapes", r"States.Format('\{{}\} it\'s', 1)", "{1} it's"),
    Case("template from a path", "States.Format($v.template, 1)", "<1>"),
    Case("long integer", "States.Array(9223372036854775807)", [9223372036854775807]),
    Case("integer of no JSON", "States.Array(9223372036854775808)", [9.223372036854775808e18]),
]

FAILURES = [
    Case("wrong type", "States.MathAdd(1, 'a')", "Invalid arguments in States.MathAdd: expected a number"),
    Case("arity", "States.Hash('a')", "Invalid arguments in States.Hash: the number of arguments is 1"),
    Case("too many", "States.UUID(1)", "Invalid arguments in States.UUID: the number of arguments is 1"),
    Case(
        "inner call",
        "States.Array(States.ArrayLength(1))",
        "Invalid arguments in States.ArrayLength: expected an array, but got number",
    ),
]

MALFORMED = [
    Case("no call", "States.Array", "expected a function such as States.Format(…)"),
    Case("unknown", "States.Compare(1)", "there is no intrinsic function States.Compare"),
    Case("illegal escape", r"""States.Array('say \"hi\"')""", r"""found ''say \"hi\"'' at position 13"""),
    Case("trailing comma", "States.Array(1,)", "found ')' at position 15"),
    Case("no comma", "States.Array(1 2)", "expected ',' or ')', but found '2)' at position 15"),
    Case("open", "States.Array(1", "expected ',' or ')', but found the end"),
    Case("more after it", "States.Array(1) + 1", "expected the end, but found ' + 1' at position 15"),
    Case("bad path", "States.Array($.a[)", "Value is not a valid JSONPath"),
    Case("bad word", "States.Array(nil)", "expected a path, 'text', number"),
    Case("too deep", "States.Array(" * 11 + ")" * 11, "can be nested up to 10 deep"),
]


@pytest.mark.parametrize("case", VALUES, ids=lambda case: case.id)
def test_value(case: Case) -> None:
    here = scope(DATA, {"v": {"k": 5, "template": "<{}>"}})
    assert intrinsics.check(case.text) is None
    assert intrinsics.evaluate(case.text, here, field="f.$") == case.expected


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
def test_failure(case: Case) -> None:
    value = intrinsics.evaluate(case.text, scope(DATA), field="f.$")
    assert isinstance(value, Failure)
    assert value.error == "States.IntrinsicFailure"
    assert cause(value).startswith(f"The function '{case.text}' had the following error: {case.expected}")
    assert intrinsics.check(case.text) is None  # AWS, too, finds it when it runs


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.id)
def test_malformed(case: Case) -> None:
    message = intrinsics.check(case.text)
    assert message is not None
    assert case.expected in message
    value = intrinsics.evaluate(case.text, scope(), field="f.$")
    expected = "The value for the field 'f.$' must be a valid JSONPath or a valid intrinsic function call"
    assert cause(value) == f"{expected}: {message}"


def test_a_missing_argument_names_the_whole_call() -> None:
    text = "States.Array(States.Format('{}', $.nope))"
    value = intrinsics.evaluate(text, scope({"other": 1}), field="f.$")
    assert value == Failure(
        "States.Runtime",
        f"The function '{text}' had the following error: The JsonPath argument for the field '$.nope' could not be "
        "found in the input '{\"other\":1}'",
    )


def test_a_value_too_deep_for_a_function_is_a_failure() -> None:
    deep: Json = []
    for _ in range(5000):
        deep = [deep]
    value = intrinsics.evaluate("States.ArrayUnique($)", scope(deep), field="f.$")
    assert "nested too deeply" in cause(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("States.Array(1)", True), (" States.X(", True), ("States.Array", False), ("$.a", False)],
)
def test_is_call(text: str, expected: bool) -> None:
    assert intrinsics.is_call(text) is expected


literal = st.text(st.characters(codec="utf-8"), max_size=20)


@given(texts=st.lists(literal, max_size=4))
def test_any_text_can_be_quoted(texts: list[str]) -> None:
    quoted = [text.replace("\\", "\\\\").replace("'", r"\'") for text in texts]
    call = "States.Array(" + ", ".join(f"'{text}'" for text in quoted) + ")"
    assert intrinsics.evaluate(call, scope(), field="f.$") == texts


@given(text=st.text(st.sampled_from("States.Array(),'\\{}$.0-1e[]? "), max_size=30))
def test_any_text_is_a_call_or_refused(text: str) -> None:
    value = intrinsics.evaluate("States.Array(" + text, scope(DATA), field="f.$")
    if intrinsics.check("States.Array(" + text) is not None:
        assert isinstance(value, Failure)
