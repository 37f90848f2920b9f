"""Widths, breaks, conditions and durations."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbflow.drawing import words
from nbflow.drawing.pace import Paces
from nbflow.language import model
from nbflow.language.validate import parse
from tests.drawing.machines import LONG, catch, scope, work


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"Condition": "{% $total.rows = 0 %}"}, "$total.rows = 0"),
        ({"Condition": "{% $a\n   and $b %}"}, "$a and $b"),
        ({"Condition": "{% $states.input %}"}, "true"),
        ({"Condition": True}, "true"),
        ({"Variable": "$.n", "NumericEquals": 3}, "n = 3"),
        ({"Variable": "$.n", "NumericLessThan": 0.5}, "n < 0.5"),
        ({"Variable": "$.n", "NumericGreaterThanEqualsPath": "$.most"}, "n ≥ most"),
        ({"Variable": "$.a.b[0]", "StringEquals": "x y"}, "a.b[0] = “x y”"),
        ({"Variable": "$.s", "StringMatches": "log-*.txt"}, "s matches “log-*.txt”"),
        ({"Variable": "$.b", "BooleanEquals": True}, "b = true"),
        ({"Variable": "$.b", "BooleanEqualsPath": "$$.State.Name"}, "b = $$.State.Name"),
        (
            {"Variable": "$.t", "TimestampLessThanEquals": "2030-01-01T00:00:00Z"},
            "t ≤ “2030-01-01T00:00:00Z”",
        ),
        ({"Variable": "$.x", "IsPresent": True}, "x is present"),
        ({"Variable": "$.x", "IsNull": False}, "x is not null"),
        ({"Variable": "$.x", "IsTimestamp": True}, "x is timestamp"),
        ({"Not": {"Variable": "$.x", "IsPresent": True}}, "not x is present"),
        (
            {"And": [{"Variable": "$.n", "NumericEquals": 1}, {"Or": [{"Variable": "$.m", "IsNull": True}]}]},
            "n = 1 and (m is null)",
        ),
    ],
)
def test_condition(rule: dict[str, Any], expected: str) -> None:
    assert words.condition(rule) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1.0, "0 s"),
        (0.0, "0 s"),
        (0.004, "0.00 s"),
        (0.034, "0.03 s"),
        (0.999, "1.0 s"),
        (8.24, "8.2 s"),
        (30, "30 s"),
        (59.96, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (8040.0, "2 h 14 min"),
        (300_000.0, "3 d 11 h"),
    ],
)
def test_duration(seconds: float, expected: str) -> None:
    assert words.duration(seconds) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Short", ["Short"]),
        ("a\nb   c", ["a b c"]),
        ("A name with many words, which takes two", ["A name with many words,", "which takes two"]),
        ("x" * 40, ["x" * 26, "x" * 14]),
        ("max(fits, key=lambda fit: fit['auc'])", ["max(fits, key=lambda fit:", "fit['auc'])"]),
    ],
)
def test_lines(name: str, expected: list[str]) -> None:
    assert words.lines(name) == expected


def test_a_long_name_is_cut() -> None:
    first, second = words.lines(LONG[:80])
    assert second.endswith("…")
    assert LONG.startswith(f"{first} {second[:-1]}")


@given(st.text(min_size=1, max_size=80))
def test_any_name_has_one_or_two_lines_that_fit(name: str) -> None:
    lines = words.lines(name)
    assert 1 <= len(lines) <= 2
    assert all(words.width_of(line) <= words.TITLE_WIDTH for line in lines)


@given(st.text(max_size=80), st.floats(20, 400))
@example("000`00", 37.0)
def test_what_is_cut_fits(text: str, width: float) -> None:
    kept = words.cut(text, width)
    assert words.width_of(kept, words.LABEL_SIZE) <= width
    assert kept == text or kept.endswith("…")


@pytest.mark.parametrize(("text", "expected"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🎉", 2), ("", 0)])
def test_columns(text: str, expected: int) -> None:
    assert words.columns(text) == expected


def test_characters_that_cannot_be_shown() -> None:
    assert words.plain("a\tb\n\x1b[31m\u202e日") == "a b �[31m�日"
    assert words.printable("a\tb\x00\x1b\ud800\ufffe🎉") == "a\tb����🎉"


def test_kind_of() -> None:
    machine = parse(
        scope(
            W={"Type": "Wait", "Seconds": 90, "Next": "U"},
            U={"Type": "Wait", "Timestamp": "2030-01-01T00:00:00Z", "Next": "S"},
            S={"Type": "Wait", "SecondsPath": "$.s", "Next": "T"},
            T=work("X", Catch=catch("X", "A", "B")),
            X={"Type": "Succeed"},
        )
    )
    kinds = {name: words.kind_of(state) for name, state in machine.states.items()}
    assert kinds == {"W": "Wait 1 min 30 s", "U": "Wait until", "S": "Wait", "T": "Task", "X": "Succeed"}


def test_caught() -> None:
    assert words.caught(model.Catcher(ErrorEquals=["A", "States.Timeout"], Next="X")) == "A, States.Timeout"
    assert words.caught(model.Catcher(ErrorEquals=["States.ALL"], Next="X")) == "any error"


@dataclass(frozen=True)
class Left:
    done: float
    total: float | None
    seconds: float
    expected: str


LEFT = [
    Left(10, 40, 60.0, "about 3 min left"),
    Left(5, 100, 5.0, "about 2 min left"),
    Left(50, 100, 7.0, "about 5 s left"),
    Left(99, 100, 500.0, "about 5 s left"),
    Left(50, 100, 28.0, "about 30 s left"),
    Left(50, 100, 57.4, "about 55 s left"),
    Left(50, 100, 57.6, "about 1 min left"),
    Left(50, 100, 3560.0, "about 59 min left"),
    Left(50, 100, 3580.0, "about 1 h left"),
    Left(50, 100, 8000.0, "about 2 h 10 min left"),
    Left(50, 100, 36000.0, "about 10 h left"),
    Left(50, 100, 47.9 * 3600, "about 2 d left"),
    Left(50, 100, 90 * 3600.0, "about 4 d left"),
    Left(10, 40, 4.9, ""),
    Left(4, 100, 60.0, ""),
    Left(0, 100, 60.0, ""),
    Left(100, 100, 60.0, ""),
    Left(101, 100, 60.0, ""),
    Left(0, 0, 60.0, ""),
    Left(10, None, 60.0, ""),
    Left(float("nan"), 40, 60.0, ""),
    Left(10, float("nan"), 60.0, ""),
    Left(10, float("inf"), 60.0, ""),
]


@pytest.mark.parametrize("case", LEFT, ids=str)
def test_the_time_that_is_left(case: Left) -> None:
    assert words.left(case.done, case.total, case.seconds) == case.expected


def test_a_pace_is_that_since_something_was_first_looked_at() -> None:
    paces = Paces()
    assert paces.left("a", 500, 1000, 100.0) == ""
    assert paces.left("a", 600, 1000, 110.0) == "about 40 s left", "what was done before does not count"
    assert paces.left("b", 600, 1000, 110.0) == ""
    assert paces.left("a", 0, 1000, 120.0) == "", "it has begun anew"
    assert paces.left("a", 500, 1000, 180.0) == "about 1 min left"
    assert paces.left("a", 500, None, 180.0) == ""
