"""Choice rules: which way an execution goes on (ASL, "Choice State").

A JSONPath rule compares a value with another by the one operator that it names, or combines rules by And, Or
and Not. The operators are a table: a type, which says what values it compares and how they are read, times an
order. A value of another type passes no comparison, as on AWS: ``NumericEquals`` of a text is false.
"""

import operator
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from nbflow.language import jsonata as expressions
from nbflow.language import paths
from nbflow.language.model import Choice
from nbflow.language.values import Failure, Json, Scope

_RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def choose(state: Choice, scope: Scope) -> dict[str, Json] | Failure | None:
    """The first rule that holds, as it stands in the definition; None if none does (then Default is next).

    Fails with ``States.Runtime`` when a compared value is not there (except for IsPresent), and with
    ``States.QueryEvaluationError`` when a Condition fails or is no boolean.
    """
    for index, rule in enumerate(state.choices):
        holds = _condition(rule, scope, index) if state.jsonata else _holds(rule, scope)
        if isinstance(holds, Failure):
            return holds
        if holds:
            return rule
    return None


def instant(text: Json) -> tuple[datetime, int] | None:
    """A point in time as a comparable pair (to the second, and nanoseconds), or None.

    The text is ASL's profile of RFC 3339: with ``T``, ``Z`` in capitals or an offset, and any fraction (ASL,
    "Timestamps").
    """
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        second = datetime.fromisoformat(match[1] + match[3])
    except ValueError:
        return None
    return second, int((match[2] or "0")[:9].ljust(9, "0"))


def matches(text: str, pattern: str) -> bool:
    """Whether a text matches a pattern of StringMatches.

    A star is any text; after a backslash, a star or backslash is itself. No pattern takes exponential time.
    """
    first, *others = _literals(pattern)
    if not others:
        return text == first
    *middle, last = others
    end = len(text) - len(last)
    if not text.startswith(first) or not text.endswith(last) or end < len(first):
        return False
    at = len(first)
    for literal in middle:
        found = text.find(literal, at, end)
        if found < 0:
            return False
        at = found + len(literal)
    return True


def check_rule(rule: dict[str, Json], *, jsonata: bool, top: bool) -> list[tuple[str, str]]:
    """What is wrong with a rule: where in it (``/And[0]/Variable``; empty for the rule itself), and what.

    ``top`` rules say where to go next; those inside And, Or and Not do not. The contents of Assign and Output
    are not looked at.
    """
    return [*_check_top(rule)] * top + [*(_check_condition(rule) if jsonata else _check_rule(rule, top))]


def _condition(rule: dict[str, Json], scope: Scope, index: int) -> bool | Failure:
    condition, location = rule["Condition"], f"Choices[{index}]/Condition"
    value = condition
    if expressions.is_expression(condition):
        value = expressions.evaluate(condition, scope, location=location)
    if isinstance(value, bool | Failure):
        return value
    return expressions.mismatch(condition, value, location=location, expected="boolean")


def _holds(rule: dict[str, Json], scope: Scope) -> bool | Failure:
    for name, operand in rule.items():
        if name in _COMBINED:
            return _COMBINED[name](operand, scope)
        if name in OPERATORS:
            return _compare(rule["Variable"], OPERATORS[name], operand, scope)
    return False


def _decide(rules: list[dict[str, Json]], scope: Scope, decisive: bool) -> bool | Failure:
    """And and Or: the first rule with the decisive value decides, and no further rule is looked at."""
    for rule in rules:
        holds = _holds(rule, scope)
        if isinstance(holds, Failure) or holds is decisive:
            return holds
    return not decisive


def _not(rule: dict[str, Json], scope: Scope) -> bool | Failure:
    holds = _holds(rule, scope)
    return holds if isinstance(holds, Failure) else not holds


def _compare(path: str, comparison: "Operator", operand: Json, scope: Scope) -> bool | Failure:
    value = paths.read(path, scope)
    if isinstance(value, Failure):
        return operand is False if comparison.absent else _invalid(path)
    if comparison.operand == "Path":
        path, operand = operand, paths.read(operand, scope)
        if isinstance(operand, Failure):
            return _invalid(path)
    return comparison.compare(value, operand)


def _invalid(path: str) -> Failure:
    cause = f"Invalid path '{path}': The choice state's condition path references an invalid value."
    return Failure("States.Runtime", cause)


@lru_cache(1024)
def _literals(pattern: str) -> tuple[str, ...]:
    """The texts between the stars of a pattern, without their escapes."""
    literals, escaped = [""], False
    for char in pattern:
        if escaped or char not in "*\\":
            literals[-1] += char
            escaped = False
        elif char == "*":
            literals.append("")
        else:
            escaped = True
    return tuple(literals)


# The operators


class Operator(NamedTuple):
    """A row of the table of comparison operators."""

    compare: Callable[[Json, Json], bool]
    """Of the variable's value and the operand."""
    operand: str
    """What the operand is in the definition: String, Numeric, Boolean, Timestamp or Path."""
    absent: bool = False
    """Whether the variable may be absent (IsPresent)."""


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Json) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Json) -> bool | None:
    return value if isinstance(value, bool) else None


_COMBINED: Final[dict[str, Callable[[Json, Scope], bool | Failure]]] = {
    "And": lambda rules, scope: _decide(rules, scope, False),
    "Or": lambda rules, scope: _decide(rules, scope, True),
    "Not": _not,
}
_TYPES: Final[dict[str, Callable[[Json], Any]]] = {
    "String": _text,
    "Numeric": _number,
    "Boolean": _boolean,
    "Timestamp": instant,
}
"""How a value of each type is read; None stands for a value of another type."""
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}


def _typed(type_: str, order: Callable[[Any, Any], bool]) -> Callable[[Json, Json], bool]:
    """A comparison that no value of another type passes."""
    read = _TYPES[type_]

    def compare(value: Json, operand: Json) -> bool:
        left, right = read(value), read(operand)
        return left is not None and right is not None and order(left, right)

    return compare


def _test(holds: Callable[[Json], bool]) -> Operator:
    return Operator(lambda value, expected: holds(value) is expected, "Boolean")


def _comparisons() -> Iterator[tuple[str, Operator]]:
    for type_ in _TYPES:
        for name, order in _ORDERS.items():
            if type_ != "Boolean" or name == "Equals":
                compare = _typed(type_, order)
                yield f"{type_}{name}", Operator(compare, type_)
                yield f"{type_}{name}Path", Operator(compare, "Path")


OPERATORS: Final[dict[str, Operator]] = {
    **dict(_comparisons()),
    "StringMatches": Operator(_typed("String", matches), "String"),
    "IsNull": _test(lambda value: value is None),
    "IsPresent": Operator(lambda _, expected: expected is True, "Boolean", absent=True),
    "IsNumeric": _test(lambda value: _number(value) is not None),
    "IsString": _test(lambda value: isinstance(value, str)),
    "IsBoolean": _test(lambda value: isinstance(value, bool)),
    "IsTimestamp": _test(lambda value: instant(value) is not None),
}
"""The comparison operators of ASL, "Data-test expression"."""


# What the validator asks


def _check_top(rule: dict[str, Json]) -> Iterator[tuple[str, str]]:
    if "Next" not in rule:
        yield "", "These fields are required: [Next]"
    elif not isinstance(rule["Next"], str):
        yield "/Next", "Expected value of type String"


def _unsupported(rule: dict[str, Json], supported: set[str]) -> Iterator[tuple[str, str]]:
    return (("", f"Field '{name}' is not supported") for name in rule if name not in supported)


def _check_condition(rule: dict[str, Json]) -> Iterator[tuple[str, str]]:
    """A JSONata rule: its Condition is an expression, or simply true or false."""
    yield from _unsupported(rule, {"Condition", "Next", "Assign", "Output", "Comment"})
    if "Condition" not in rule:
        yield "", "These fields are required: [Condition]"
        return
    condition = rule["Condition"]
    if expressions.is_expression(condition):
        if wrong := expressions.check(condition):
            yield "/Condition", wrong
    elif not isinstance(condition, bool):
        yield "/Condition", "Expected a JSONata expression {% … %} or a boolean"


def _check_rule(rule: dict[str, Json], top: bool) -> Iterator[tuple[str, str]]:
    """A JSONPath rule: one comparison with its Variable, or one of And, Or and Not."""
    named = [name for name in rule if name in OPERATORS or name in _COMBINED]
    others = {"Next", "Assign", "Output"} if top else set()  # Output is refused as a field of JSONata
    variable = set() if _COMBINED.keys() & named else {"Variable"}
    yield from _unsupported(rule, {"Comment", *others, *variable, *named})
    if not named:
        yield "", "A rule needs a comparison operator, such as StringEquals, or And, Or or Not"
    if len(named) > 1:
        yield "", f"There should only be one of the following fields: [{', '.join(named)}]"
    for name in named[:1]:
        if name in _COMBINED:
            yield from _check_combined(name, rule[name])
        else:
            yield from _check_comparison(rule, name)


def _check_combined(name: str, rules: Json) -> Iterator[tuple[str, str]]:
    if name != "Not" and not (isinstance(rules, list) and rules):
        yield f"/{name}", "Expected a non-empty array of rules"
        return
    members = [("", rules)] if name == "Not" else [(f"[{index}]", rule) for index, rule in enumerate(rules)]
    for place, rule in members:
        if not isinstance(rule, dict):
            yield f"/{name}{place}", "Expected value of type Object"
        else:
            for pointer, message in _check_rule(rule, top=False):
                yield f"/{name}{place}{pointer}", message


def _check_comparison(rule: dict[str, Json], name: str) -> Iterator[tuple[str, str]]:
    if "Variable" not in rule:
        yield "", "These fields are required: [Variable]"
    elif wrong := _check_operand("Path", rule["Variable"]):
        yield "/Variable", wrong
    if wrong := _check_operand(OPERATORS[name].operand, rule[name]):
        yield f"/{name}", wrong


def _check_operand(kind: str, value: Json) -> str | None:
    if kind == "Path":
        return paths.check_reference(value) if isinstance(value, str) else "Expected value of type String"
    if _TYPES[kind](value) is not None:
        return None
    return (
        f"Expected value of type {kind}" if kind != "Timestamp" else "String does not match RFC3339 timestamp"
    )
