"""The expressions that become JSONata answer as Python does, whatever the values."""

import ast
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.authoring import kinds
from nbflow.authoring.kinds import ANY, ARRAY, BOOLEAN, COUNT, STRING, Kind
from nbflow.authoring.names import MISSING
from nbflow.authoring.typed import fold, render, template
from nbflow.language.jsonata import evaluate
from nbflow.language.payload import fill
from nbflow.language.values import Json
from tests.language.support import scope

NUMBER = Kind("number")
FRAME = Kind("frame")

NASTY: list[Json] = [
    None, True, False, 0, 1, -1, 1.0, -0.0, 0.5, 2, 2.0, 2**53, 2**53 + 1, 2**60, -(2**63), 2**64 - 1, 1e300,
    "", "a", "b", "A", "é", "😀", "\uffff", "1", "a\nb", '"', "{% 1 %}", [], [1], ["a"], [[]], [[1]], [None], [[1], 2],
    {}, {"a": 1}, {"a": [1]}, {"a": None},
]  # fmt: skip


class Variables:
    """Variables of known kinds, and Python's builtins."""

    def __init__(self, **kinds: Kind) -> None:
        self.kinds = kinds

    def kind(self, name: str) -> Kind | None:
        return self.kinds.get(name)

    def meaning(self, node: ast.expr) -> Any:
        return {"len": len, "LIMIT": 3, "NAME": "a"}.get(getattr(node, "id", ""), MISSING)


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def values_of(kind: Kind) -> list[Json]:
    return [value for value in NASTY if kind.name == "any" or kinds.of_value(value).name == kind.name]


def answer(text: str, values: dict[str, Json]) -> Json:
    """What the engine makes of an expression with holes."""
    return evaluate(f"{{% {text.replace(chr(0) + 'x' + chr(0), '$x').replace(chr(0) + 'y' + chr(0), '$y')} %}}",
                    scope(variables=values), location="Here")  # fmt: skip


def same(one: Json, other: Json) -> bool:
    return json.dumps(one) == json.dumps(other)


EQUAL = [
    f"x {operator} {literal}"
    for operator in ("==", "!=")
    for literal in ("'a'", "''", "'1'", "NAME", "'{% 1 %}'")
]
NUMBERS = ["0", "1", "2", "-1", "1.0", "0.5", "-0.0", "9007199254740991", "LIMIT"]
COMPARED = [f"x {operator} {number}" for operator in ("<", "<=", ">", ">=", "==", "!=") for number in NUMBERS]

RULES: list[tuple[str, dict[str, Kind]]] = [
    *((text, {"x": kind}) for text in EQUAL for kind in (ANY, STRING, NUMBER, BOOLEAN, ARRAY)),
    *((text, {"x": NUMBER}) for text in [*COMPARED, "0 <= x < 10", "5 > x", "-1 < x <= LIMIT != x"]),
    *((f"x {operator} {number}", {"x": kind})
      for operator in ("==", "!=") for number in NUMBERS for kind in (STRING, BOOLEAN, ARRAY, Kind("null"))),
    *((f"x {operator} y", {"x": STRING, "y": STRING}) for operator in ("<", "<=", ">", ">=", "==", "!=", "+")),
    *((text, {"x": ANY}) for text in ("x is None", "x is not None")),
    *((text, {"x": BOOLEAN, "y": BOOLEAN}) for text in (
        "x and y", "x or y", "not x", "not (x or not y)", "x and (y or x)", "x or y and not x", "x or True")),
    *((text, {"x": STRING, "y": STRING}) for text in (
        "x + 'é\\n\"' + y", "f'{x}'", "f'a{x}b{y!s}c'", "f'{{{x}}}' + y", "x + y == 'ab'", "x + 'b' < y")),
    ("not (x == 'a') and y < 2", {"x": ANY, "y": NUMBER}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "known"), RULES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_rule_answers_as_python_does(text: str, known: dict[str, Kind]) -> None:
    rendered = render(expression(text), Variables(**known))
    assert rendered is not None
    for combination in itertools.product(*(values_of(kind) for kind in known.values())):
        values = dict(zip(known, combination, strict=True))
        expected = eval(text, {"LIMIT": 3, "NAME": "a"}, values)
        assert same(answer(rendered.text, values), expected), values


# Python's own: each of these answers otherwise in JSONata for some value, or may.
NOT_TYPED: list[tuple[str, dict[str, Kind]]] = [
    ("x + 1", {"x": NUMBER}),
    ("x < y", {"x": NUMBER, "y": NUMBER}),
    ("x == y", {"x": NUMBER, "y": NUMBER}),
    ("x == 2**60", {"x": NUMBER}),
    ("x == 9007199254740992", {"x": NUMBER}),
    ("x == 1", {"x": ANY}),
    ("x == y", {"x": ANY, "y": ANY}),
    ("x == [1]", {"x": ANY}),
    ("x < 'a'", {"x": ANY}),
    ("x < 1", {"x": BOOLEAN}),
    ("x and y", {"x": ANY, "y": BOOLEAN}),
    ("not x", {"x": ARRAY}),
    ("x[0]", {"x": ARRAY}),
    ("x['a']", {"x": ANY}),
    ("x.a", {"x": ANY}),
    ("x in y", {"x": STRING, "y": STRING}),
    ("f'{x}'", {"x": NUMBER}),
    ("f'{x!r}'", {"x": STRING}),
    ("f'{x:>3}'", {"x": STRING}),
    ("len(x)", {"x": STRING}),
    ("len(x)", {"x": ARRAY}),
    ("x is True", {"x": ANY}),
    ("x is y", {"x": ANY, "y": ANY}),
    ("x == None", {"x": ANY}),
    ("str(x)", {"x": Kind("failure")}),
    ("x", {"x": Kind("failure")}),
    ("x * 2", {"x": STRING}),
    ("-x", {"x": NUMBER}),
]


@pytest.mark.parametrize(
    ("text", "known"), NOT_TYPED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_not_proven_stays_python(text: str, known: dict[str, Kind]) -> None:
    assert template(expression(text), Variables(**known)) is None


def test_a_promise_that_counts_is_told() -> None:
    promised = NUMBER.promised("task", "count")
    rendered = render(
        expression("x < 3 and 'a' != y"), Variables(x=promised, y=STRING.promised("task", "word"))
    )
    assert rendered is not None
    assert rendered.promises == promised.promises | STRING.promised("task", "word").promises
    named = template(expression("[x]"), Variables(x=promised))
    assert named is not None
    assert not named.promises, "a value that is passed on may be anything"


@pytest.mark.parametrize(
    "empty", [{"rows": 0, "columns": 2}, {"rows": 3, "columns": 0}, {"rows": 3, "columns": 2}]
)
def test_a_dataframe_is_answered_from_its_reference(empty: dict[str, int]) -> None:
    variables = Variables(x=FRAME.promised("task", "load"))
    for text, expected in (
        ("len(x)", empty["rows"]),
        ("len(x) > 2", empty["rows"] > 2),
        ("x.empty", 0 in empty.values()),
        ("not x.empty and len(x) == 3", 0 not in empty.values()),
    ):
        rendered = render(expression(text), variables)
        assert rendered is not None
        assert rendered.promises == variables.kinds["x"].promises
        assert answer(rendered.text, {"x": empty}) == expected
    shape = template(expression("x.shape"), variables)
    assert shape is not None
    assert shape.value == ["{% \0x\0.rows %}", "{% \0x\0.columns %}"]


def test_a_length_is_a_number_that_can_be_compared_with_any_other() -> None:
    assert render(expression("x < y"), Variables(x=NUMBER, y=COUNT)) is not None


def literals() -> Iterator[tuple[str, Json]]:
    for value in NASTY:
        yield repr(value), value
    yield "(1, 'a', [None])", [1, "a", [None]]
    yield "{'{% k %}': '{% v %}', 'x.$': '{%'}", {"{% k %}": "{% v %}", "x.$": "{%"}
    yield "-5", -5
    yield "-0.0", -0.0
    yield "LIMIT", 3


@pytest.mark.parametrize(("text", "value"), [*literals()], ids=lambda value: repr(value)[:30])
def test_a_literal_is_itself(text: str, value: Json) -> None:
    found = template(expression(text), Variables())
    assert found is not None
    loaded = json.loads(json.dumps(found.value))
    assert same(fill(loaded, scope(), jsonata=True, field="Output"), value)


@pytest.mark.parametrize(
    "text",
    [
        "2**64",
        str(2**64),
        "1e999",
        "-1e999",
        "'\\ud800'",
        "1j",
        "b'a'",
        "...",
        "{1: 2}",
        "{*x}",
        "[*x]",
        "{**x}",
    ],
)
def test_what_a_payload_cannot_hold_is_no_literal(text: str) -> None:
    assert template(expression(text), Variables(x=ANY)) is None


def test_folding_takes_exact_types_only() -> None:
    assert fold(expression("-True"), Variables()) is MISSING
    assert fold(expression("len"), Variables()) is MISSING


@given(st.text(), st.text())
def test_texts_are_joined_and_compared_as_in_python(x: str, y: str) -> None:
    variables = Variables(x=STRING, y=STRING)
    for text in (f"x + {y!r}", f"x < {y!r}", f"{x!r} == y", f"x != {x!r}"):
        rendered = render(expression(text), variables)
        if rendered is None:  # a lone surrogate
            assert any("\ud800" <= char <= "\udfff" for char in x + y)
        else:
            assert same(answer(rendered.text, {"x": x, "y": y}), eval(text, {}, {"x": x, "y": y}))
