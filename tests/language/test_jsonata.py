"""JSONata: expressions, AWS's functions and AWS's words."""

import math
import threading
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.language import bounds, jsonata
from nbflow.language.values import Failure, Json, Scope
from tests.language.support import CONTEXT, cause, scope

DATA: Json = {
    "a": 1,
    "items": [{"n": 3}, {"n": 9}],
    "one": [1],
    "nil": None,
    "big": 2**60 + 1,
    "text": "abc",
    "and": {"in": 5},
}
VARIABLES: dict[str, Json] = {"v": 5, "list": [{"q": 1}], "none": []}


@dataclass(frozen=True)
class Case:
    id: str
    source: str
    expected: Json


VALUES = [
    Case("variable", "$v", 5),
    Case("list variable", "$list", [{"q": 1}]),
    Case("empty list", "$none", []),
    Case("a step over a list", "$list.q", 1),
    Case("input", "$states.input.a", 1),
    Case("null", "$states.input.nil", None),
    Case("a list of one", "$states.input.one", [1]),
    Case("steps over a list", "$states.input.items.n", [3, 9]),
    Case("an exact integer", "$states.input.big", 2**60 + 1),
    Case("names of operators", "$states.input.and.in", 5),
    Case("context", "$states.context.Execution.Id", "arn:run"),
    Case("context by function", "$lookup($states, 'context').State.Name", "Here"),
    Case("result", "$states.result.r", [7]),
    Case("all states", "$states", {"input": DATA, "context": CONTEXT, "result": {"r": [7]}}),
    Case("computed", "$sum($states.input.items.n) + $v", 17),
    Case("predicate", "$states.input.items[n > 5].n", 9),
    Case("assignment", "$x := 1", 1),
    Case("object", "{'a': [$v, null]}", {"a": [5, None]}),
    Case("nested arrays", "[[1, 2], [3]]", [[1, 2], [3]]),
    Case("regular expression", r"$contains('hello$world', /^hello\$/)", True),
    Case("comment", "/* five */ 5", 5),
    Case(
        "a transform leaves its input", "$states.input ~> |and|{'x': 1}|", {**DATA, "and": {"in": 5, "x": 1}}
    ),
    Case("infinity", "1/0", "Infinity"),
    Case("infinity inside", "[1/0, {'k': -1/0}]", ["Infinity", {"k": "-Infinity"}]),
    Case("partition", "$partition([1, 2, 3, 4, 5], 2)", [[1, 2], [3, 4], [5]]),
    Case("partition by a fraction", "$partition([1, 2, 3], 2.9)", [[1, 2], [3]]),
    Case("partition of one", "$partition([0], 3)", [[0]]),
    Case("range", "$range(0, 6, 2)", [0, 2, 4, 6]),
    Case("range of fractions", "$range(-1.7, 2, 1)", [-1, 0, 1, 2]),
    Case("range of one", "$range(1, 9, 9)", 1),
    Case("range downwards", "$range(3, 1, -1)", [3, 2, 1]),
    Case("hash", "$hash('input', 'SHA-1')", "140f86aae51ab9e1cda9b4254fe98a74eb54c1a1"),
    Case("seeded random", "$random(42)", 0.7275636800328681),
    Case("parse", "$parse('{\"a\": [1]}').a", [1]),
    Case("parse null", "$parse('null')", None),
    Case("now", "$now()", "2023-11-14T22:13:20.125Z"),
    Case("now by a picture", "$now('[Y]')", "2023"),
    Case("millis", "$millis()", 1_700_000_000_125),
    Case("time stands still", "$distinct($map([1, 2], function($x){ $millis() }))", [1_700_000_000_125]),
    Case("partition of a scalar", "$partition(7, 3)", [[7]]),
    Case("shuffle keeps all", "$sort($shuffle([3, 1, 2]))", [1, 2, 3]),
    Case("function as a value", "$count($map([1, 2], $uuid))", 2),
    Case(
        "longest text",
        "($f := function($s, $n){ $n = 0 ? $s : $f($s & $s, $n-1) }; $length($f('x', 22)))",
        2**22,
    ),
    Case("longest range", "$count([1..873782])", 873_782),
    Case("longest $range", "$count($range(1, 360145, 1))", 360_145),
]


@pytest.fixture(autouse=True)
def _small_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """What unfolds without end is noticed sooner."""
    monkeypatch.setattr(bounds, "_MAX_NODES", 100_000)


@pytest.fixture
def here() -> Scope:
    return scope(DATA, VARIABLES, result={"r": [7]})


@pytest.mark.parametrize("case", VALUES, ids=lambda case: case.id)
def test_value(case: Case, here: Scope) -> None:
    text = f"{{% {case.source} %}}"
    value = jsonata.evaluate(text, here, location="Output")
    assert value == case.expected
    assert type(value) is type(case.expected)
    assert jsonata.check(text) is None


UNDEFINED = "returned nothing (undefined)."
UNSUPPORTED = "returned an unsupported result type."
THREW = "threw an error during evaluation"
MEMORY = f"{THREW}: Expression evaluation memory limit exceeded: Check for excessive memory usage"
STACK = f"{THREW}: Stack overflow error: Check for non-terminating recursive function. Consider rewriting as "
TIME = f"{THREW}: Expression evaluation timeout: Check for infinite loop"
LAUGH = "($f := function($s, $n){ $n = 0 ? $s : $f({'x': $s, 'y': $s}, $n-1) }; "

FAILURES = [
    Case("unknown variable", "$nope", UNDEFINED),
    Case("into an unknown variable", "$nope.x", UNDEFINED),
    Case("missing member", "$states.input.no", UNDEFINED),
    Case("member of a text", "$states.input.text.x", UNDEFINED),
    Case("no such state member", "$states.errorOutput", UNDEFINED),
    Case("no hit", "$states.input.items[n > 99]", UNDEFINED),
    Case("partition of nothing", "$partition([], 2)", UNDEFINED),
    Case("partition by zero", "$partition([1], 0)", UNDEFINED),
    Case("partition of the undefined", "$partition($nope, 2)", UNDEFINED),
    Case("range without a step", "$range(1, 2)", UNDEFINED),
    Case("range the other way", "$range(1, 2, -1)", UNDEFINED),
    Case("hash without an algorithm", "$hash('a')", UNDEFINED),
    Case("parse the undefined", "$parse($nope)", UNDEFINED),
    Case("shuffle the undefined", "$shuffle($nope)", UNDEFINED),
    Case("a function", "$f := function($x){ $x }", UNSUPPORTED),
    Case("a built-in", "$sum", UNSUPPORTED),
    Case("a function inside", "{'f': [function($x){ $x }]}", UNSUPPORTED),
    Case("eval", "$eval('1+1')", f"{THREW}. T1006: Attempted to invoke a non-function"),
    Case("eval, renamed", "($e := $eval; $e('1'))", f"{THREW}. T1006: Attempted to invoke a non-function"),
    Case("coded error", "$error('boom')", f"{THREW}. D3137: boom"),
    Case("error like a timeout", "$error('U1001 timeout')", f"{THREW}. D3137: U1001 timeout"),
    Case("operand", "'a' + 1", f"{THREW}. T2001: "),
    Case("argument type", "$hash(1, 'MD5')", f"{THREW}: Invalid arguments in $hash: expected a string"),
    Case("parse a number", "$parse(1)", f"{THREW}: Invalid arguments in $parse: expected a string"),
    Case("seed", "$random('a')", f"{THREW}: Invalid arguments in $random: expected a number"),
    Case(
        "partition by less",
        "$partition([1], -1)",
        f"{THREW}: Invalid arguments in $partition: the chunk size",
    ),
    Case(
        "range without progress",
        "$range(1, 2, 0)",
        f"{THREW}: Invalid arguments in $range: the step must not",
    ),
    Case(
        "unknown algorithm",
        "$hash('a', 'MD4')",
        f"{THREW}: Invalid arguments in $hash: the algorithm must be",
    ),
    Case(
        "parse what is no JSON", "$parse('nope')", f"{THREW}: Invalid arguments in $parse: the string is not"
    ),
    Case("syntax", "1 +", f"{THREW}. Unexpected end of expression"),
    Case("recursion", "($f := function($x){ 1 + $f($x) }; $f(1))", STACK),
    Case("endless tail call", "($f := function($x){ $f($x) }; $f(1))", STACK),
    Case("long range", "[1..873783]", MEMORY),
    Case("long range among others", "[1..1000000000, 7]", MEMORY),
    Case("long $range", "$range(1, 360146, 1)", MEMORY),
    Case("longer $range", "$range(1, 1000000000000, 1)", MEMORY),
    Case("long pad", "$pad('x', 2000000000)", MEMORY),
    Case(
        "text that doubles",
        "($f := function($s, $n){ $n = 0 ? $s : $f($s & $s, $n-1) }; $f('x', 23))",
        MEMORY,
    ),
    Case(
        "append",
        "($f := function($s, $n){ $n = 0 ? $s : $f($append($s, $s), $n-1) }; $f([1, 2], 30))",
        MEMORY,
    ),
    Case("array", "($f := function($s, $n){ $n = 0 ? $s : $f([$s, $s], $n-1) }; $f([1, 2], 30))", MEMORY),
    Case("join", "($f := function($s, $n){ $n = 0 ? $s : $f($join([$s, $s]), $n-1) }; $f('x', 30))", MEMORY),
    Case("join with much between", "$join($map([1..1000], $string), $pad('x', 100000))", MEMORY),
    Case("replace", "($a := $pad('x', 100000, 'x'); $replace($a, 'x', $a))", MEMORY),
    Case("a result that unfolds", LAUGH + "$f(1, 40))", MEMORY),
    Case("a text that unfolds", LAUGH + "$length($string($f(1, 40))))", MEMORY),
    Case("a join that unfolds", LAUGH + "$length('' & $f(1, 40)))", MEMORY),
    Case("a deep result", "($f := function($s, $n){ $n = 0 ? $s : $f([[$s]], $n-1) }; $f(1, 400))", MEMORY),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
def test_failure(case: Case, here: Scope) -> None:
    value = jsonata.evaluate(f"{{%{case.source}%}}", here, location="Arguments/x")
    assert isinstance(value, Failure)
    assert value.error == "States.QueryEvaluationError"
    assert value.location == "Arguments/x"
    beginning = f"The JSONata expression '{case.source}' specified for the field 'Arguments/x' "
    assert cause(value).startswith(beginning + case.expected)


@pytest.mark.parametrize(
    "source",
    [
        "$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab', /^(a|aa)+$/)",
        "$sum([1..873782].($sum([1..100])))",
    ],
    ids=["regular expression", "loop"],
)
def test_time_is_bounded(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_MAX_SECONDS", 0.05)
    monkeypatch.setattr(bounds, "_MAX_SEARCH", 0.05)
    unique = f"{source} /* so that it is compiled with these limits */"
    assert TIME in cause(jsonata.evaluate(f"{{% {unique} %}}", scope(), location="Output"))


@dataclass(frozen=True)
class Refused:
    id: str
    source: str
    expected: str


REFUSED = [
    Refused("end", "1 +", "Unexpected end of expression (position 3)"),
    Refused("nothing", "", "Unexpected end of expression (position 0)"),
    Refused("bracket", "$a[1,2)", 'Expected "]", got "," (position 4)'),
    Refused("parenthesis", "(1) + (2", 'Expected ")" before end of expression (position 8)'),
    Refused("stray parenthesis", "1) + (2", "Unexpected token ')' (position 1)"),
    Refused("stray after a changed built-in", "$now() ) + (1", "Unexpected token ')' (position 7)"),
    Refused("open text", '"abc', "Unterminated string literal (position 0)"),
    Refused("name", "phone", "Reference to 'phone' at the top level is not supported."),
    Refused("path", "order.id", "Reference to 'order' at the top level is not supported."),
    Refused("in an operand", "1 + total", "Reference to 'total' at the top level is not supported."),
    Refused("in an object", "{'x': [y]}", "Reference to 'y' at the top level is not supported."),
    Refused("in a condition", "true ? $v : x", "Reference to 'x' at the top level is not supported."),
    Refused(
        "in a function", "$map($v, function($x){ b })", "Reference to 'b' at the top level is not supported."
    ),
    Refused("the head of a predicate", "x[y = 1]", "Reference to 'x' at the top level is not supported."),
    Refused("context item", "$", "Reference to '$' at the top level is not supported."),
    Refused("root", "$$.a", "Reference to '$$' is not supported."),
    Refused("three bindings", "$v@$i#$j@$k", "Three bindings cannot follow each other (position 8)"),
    Refused("too long", "1" + " " * 40_000 + "+ 1", "The expression is longer than 32768 characters"),
    Refused("too many steps", "$a[0]" + ".b" * 3_000, "The expression has more than 2000 path steps"),
    Refused("nested parentheses", "(" * 3_000 + "1" + ")" * 3_000, "The expression is nested too deeply"),
    Refused("nested arrays", "[" * 3_000 + "]" * 3_000, "The expression is nested too deeply"),
    Refused("long sum", "1" + "+1" * 10_000, "expression is too deeply nested to compile"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_refused(case: Refused) -> None:
    message = jsonata.check(f"{{% {case.source} %}}")
    assert message is not None
    assert case.expected in message


@pytest.mark.parametrize(
    "source",
    [
        "$v.(b)",
        "$states.input.items[value > 3]",
        "$v^(x)",
        "$v{y: z}",
        "$v ~> |$|{'a': b}|",
        "$undefined",
        "$v.*",
        "($x := 1; function($y){ $x + $y }(2))",
    ],
)
def test_what_looks_at_a_value_is_accepted(source: str) -> None:
    assert jsonata.check(f"{{% {source} %}}") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{% 1 %}", True),
        ("{%%}", True),
        (" {% 1 %}", False),
        ("{% 1 %} ", False),
        ("{%}", False),
        ("{% 1", False),
        ("$v", False),
        (5, False),
        (None, False),
        (["{% 1 %}"], False),
    ],
)
def test_is_expression(value: Json, expected: bool) -> None:
    assert jsonata.is_expression(value) is expected


def test_mismatch() -> None:
    failure = jsonata.mismatch("{% $x %}", {"a": 1}, location="Items", expected="array")
    assert failure == Failure(
        "States.QueryEvaluationError",
        "The JSONata expression '$x' specified for the field 'Items' returned an unexpected result type. Expected "
        "'array', but was 'object' for value: {\"a\":1}",
        "Items",
    )


def test_a_variable_shadows_a_built_in_that_aws_changes() -> None:
    text = "{% $now & $random & $string($millis() > 0) %}"
    assert jsonata.evaluate(text, scope(None, {"now": "n", "random": 5}), location="x") == "n5true"
    without = jsonata.evaluate("{% $type($now) %}", scope(), location="x")
    assert without == "function"


def test_chance_comes_from_the_scope() -> None:
    text = "{% [$random(), $uuid(), $shuffle([1..9])] %}"
    first, second = (jsonata.evaluate(text, scope(), location="x") for _ in range(2))
    assert not isinstance(first, Failure)
    assert first == second
    assert sorted(first[2:]) == list(range(1, 10))


def test_the_context_is_made_only_if_it_is_mentioned() -> None:
    def made() -> dict[str, Json]:
        raise AssertionError("the context was made")

    here = Scope({"a": [1]}, made, {}, 0.0, scope().chance, {"result": 2})
    assert jsonata.evaluate("{% $states.input.a[0] + $states.result %}", here, location="x") == 3
    assert jsonata.evaluate("{% $states.input.a %}", here, location="x") == [1]
    with pytest.raises(AssertionError, match="the context was made"):
        jsonata.evaluate("{% $count($states.context) %}", here, location="x")


def test_threads_share_a_compiled_expression() -> None:
    answers: dict[int, set[Json]] = {number: set() for number in range(4)}

    def work(number: int) -> None:
        here = scope(None, {"n": number})
        text = "{% $sum($map([1..50], function($i){ $i + $n })) %}"
        for _ in range(20):
            answers[number].add(jsonata.evaluate(text, here, location="x"))

    threads = [threading.Thread(target=work, args=(number,)) for number in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: {1275 + 50 * number} for number in answers}


names = st.sampled_from(["a", "b", "c", "and"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)


@given(value=values, path=st.lists(names, max_size=3))
def test_looking_up_is_what_jsonata_does(value: Json, path: list[str]) -> None:
    source = ".".join(["$v", *path])
    looked_up = jsonata.evaluate(f"{{% {source} %}}", scope(None, {"v": value}), location="x")
    computed = jsonata.evaluate(f"{{% ({source}) %}}", scope(None, {"v": value}), location="x")
    if isinstance(looked_up, Failure):
        assert UNDEFINED in cause(looked_up)
        assert UNDEFINED in cause(computed)
    else:
        assert looked_up == computed


PARTS = [
    *[
        "$v",
        "$states.input",
        "$states.context",
        "$",
        "$$",
        "a",
        "`b c`",
        "1",
        "-2.5",
        "1e999",
        "'t'",
        "/[ab]+/",
        "null",
    ],
    *[
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ";",
        ":",
        "?",
        "??",
        "?:",
        ".",
        "..",
        ":=",
        "~>",
        "&",
        "+",
        "-",
        "*",
        "/",
        "%",
    ],
    *[
        "=",
        "!=",
        "<",
        ">",
        "and",
        "or",
        "in",
        "^",
        "|",
        "@$i",
        "#$j",
        "**",
        "function($x){",
        "$sum(",
        "$map(",
        "$sort(",
    ],
    *[
        "$string(",
        "$number(",
        "$split(",
        "$now(",
        "$random(",
        "$hash(",
        "$range(",
        "$partition(",
        "$parse(",
        "$eval(",
    ],
]


@settings(max_examples=300)
@given(parts=st.lists(st.sampled_from(PARTS), max_size=12), glue=st.sampled_from(["", " "]))
def test_any_text_gives_json_or_a_failure(parts: list[str], glue: str) -> None:
    text = "{%" + glue.join(parts) + "%}"
    value = jsonata.evaluate(text, scope({"a": [1, {"b c": "x"}]}, {"v": {"a": [1.5, True]}}), location="x")
    if not isinstance(value, Failure):
        assert _is_json(value)
    assert jsonata.check(text) is None or isinstance(jsonata.check(text), str)


def _is_json(value: Json) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(member) for name, member in value.items())
    if isinstance(value, list):
        return type(value) is list and all(map(_is_json, value))
    return value is None or isinstance(value, str | bool | int) or math.isfinite(value)
