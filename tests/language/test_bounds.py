"""What keeps JSONata within bounds."""

import inspect

import pytest
from jsonata2py import JsonataCompilationError, JsonataEvaluationError, JsonataExpressionFactory, ParseError
from jsonata2py.runtime.values import JLambda, Preserved

from nbflow.language import bounds
from nbflow.language.values import Json

CALLS = {
    "array_of": "[$a, $b]",
    "concat": "$a & $b",
    "fn_append": "$append($a, $b)",
    "fn_join": "$join($a, $b)",
    "fn_pad": "$pad($a, $b)",
    "fn_replace": "$replace($a, $b, $c)",
    "fn_string": "$string($a)",
    "range_": "[$a..$b]",
    "range_flatten": "[1..2, $a]",
    "regex_value": "$match($a, /b/)",
}
"""For each runtime function that is bounded, an expression that is translated to a call of it."""


def test_the_library_still_calls_what_is_bounded() -> None:
    factory = JsonataExpressionFactory()
    assert CALLS.keys() == bounds._bounded_runtime().keys()
    for name, source in CALLS.items():
        assert name in factory.translate(source), name


def test_a_loaded_expression_calls_the_bounded_functions() -> None:
    expression = bounds.load("$a & $b")
    entry = inspect.getattr_static(expression, "_entry_point")
    for name, function in bounds._bounded_runtime().items():
        assert entry.__globals__[name] is function


def test_load_refuses_what_does_not_parse_or_is_too_deep() -> None:
    with pytest.raises(JsonataCompilationError):
        bounds.load("1 +")
    with pytest.raises(JsonataCompilationError, match="too deeply nested"):
        bounds.load("1" + "+1" * 5_000)


@pytest.mark.parametrize("source", ["$v@$i#$j", "$v@$i.a@$j.b@$k", "$v#$i.a#$j", "'@$i#$j@$k'", "$v@$i#$j.a"])
def test_bindings_are_accepted(source: str) -> None:
    assert bounds.parse(source) is not None


@pytest.mark.parametrize("source", ["$v@$i@$j@$k", "$v#$i /* a */ #$j\n@$k", "$v.a#$i#$j@$k#$l"])
def test_three_bindings_are_refused(source: str) -> None:
    with pytest.raises(ParseError, match="Three bindings"):
        bounds.parse(source)


def test_survey_tells_json_from_what_is_nearly_json() -> None:
    assert bounds.survey({"a": [1, 1.5, "x", None, True]}) == (True, True)
    assert bounds.survey([float("inf")]) == (True, False)
    assert bounds.survey({"a": Preserved([1])}) == (True, False)
    assert bounds.survey([JLambda(lambda value: value)]) == (False, False)


def test_plain_is_json() -> None:
    value = {"a": Preserved([1, float("nan"), float("-inf")]), "b": [{"c": float("inf")}]}
    plain = bounds.plain(value)
    assert plain == {"a": [1, "NaN", "-Infinity"], "b": [{"c": "Infinity"}]}
    assert type(plain["a"]) is list


def _nested(levels: int) -> Json:
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


def test_depth_is_bounded() -> None:
    assert bounds.survey(_nested(199)) == (True, True)
    with pytest.raises(JsonataEvaluationError) as raised:
        bounds.survey(_nested(200))
    assert raised.value.error_code == bounds.MEMORY


def test_size_is_counted_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_MAX_NODES", 1_000)
    shared: Json = 1
    for _ in range(60):
        shared = [shared, shared]
    with pytest.raises(JsonataEvaluationError):
        bounds.survey(shared)
    assert bounds.survey([[1] * 500]) == (True, True)
