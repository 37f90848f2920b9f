"""Conditions as SQL: what :mod:`nbflow.store.where` says, asked of a database.

A dialect says how it looks into JSON (:data:`DIALECTS`); what the comparisons are is said once, for all of them. A
condition is true or false in SQL, too: NULL, which is neither, is made false where it arises. Paths and literals are
bound parameters, never part of the statement.

Every row that the other filters leave is read, and its JSON parsed: that is about 1.5 µs a row (docs/decisions/0007).
"""

import json
from collections.abc import Callable
from decimal import Decimal
from functools import reduce
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Numeric,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, JSONPATH

from nbflow.store import schema
from nbflow.store.where import (
    DOCUMENTS,
    All,
    Compare,
    Condition,
    Exists,
    Like,
    Not,
    Operator,
    Path,
    Scalar,
    Some,
    Step,
)

_Sql: TypeAlias = ColumnElement[Any]
_True: TypeAlias = ColumnElement[bool]


class Place(NamedTuple):
    """What is at a path, in SQL. Each is NULL or false where the path leads nowhere."""

    exists: _True
    constant: Callable[[str], _True]
    """Whether it is ``true``, ``false`` or ``null``."""
    is_number: _True
    number: _Sql
    is_string: _True
    string: _Sql
    may_hold: Callable[[str], _True]
    """Cheaper than all these, and true of each row whose document holds this text (of harmless characters)."""


class Dialect(NamedTuple):
    """How a database looks into JSON text, and how it compares."""

    place: Callable[[_Sql, tuple[Step, ...]], Place]
    number: Callable[[float], _Sql]
    """A number as a parameter."""
    string: Callable[[_Sql], _Sql]
    """The string such that ``<`` compares code points."""
    like: Callable[[_Sql, tuple[str | None, ...]], _True]


_COMPARE: Final[dict[Operator, Callable[[_Sql, _Sql], _True]]] = {
    "=": lambda left, right: left == right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def sql(condition: Condition, dialect: str) -> _True:
    """The condition on ``executions``, for the database whose SQLAlchemy dialect has this name."""
    return _sql(condition, DIALECTS[dialect])


def _sql(condition: Condition, dialect: Dialect) -> _True:
    match condition:
        case All(terms):
            return and_(*(_sql(term, dialect) for term in terms))
        case Some(terms):
            return or_(*(_sql(term, dialect) for term in terms))
        case Not(term):
            return not_(_sql(term, dialect))
        case Exists(path):
            return _two_valued(_place(path, dialect).exists)
        case Like(path, pattern):
            place = _place(path, dialect)
            return _two_valued(and_(place.is_string, dialect.like(place.string, pattern)))
        case Compare(path, "!=", value):
            place = _place(path, dialect)
            equal = _two_valued(_compared(place, "=", value, dialect))
            return _two_valued(and_(place.exists, not_(equal)))
        case Compare(path, operator, value):
            return _two_valued(_compared(_place(path, dialect), operator, value, dialect))


def _two_valued(term: _True) -> _True:
    """CASE, not coalesce: SQLite then stops at the first false part of an AND. What is rarer comes first."""
    return case((term, true()), else_=false())


def _compared(place: Place, operator: Operator, value: Scalar, dialect: Dialect) -> _True:
    compare = _COMPARE[operator]
    if value is None or isinstance(value, bool):
        word = json.dumps(value)
        return and_(place.may_hold(word), place.constant(word))
    if isinstance(value, str):
        equal = compare(dialect.string(place.string), literal(value, Text))
        sifted = [place.may_hold(f'{value}"')] if operator == "=" and _is_plain(value) else []
        return and_(*sifted, equal, place.is_string)
    return and_(compare(place.number, dialect.number(value)), place.is_number)


def _is_plain(value: str) -> bool:
    """Whether JSON writes it as it is, or else with a backslash somewhere."""
    return json.dumps(value, ensure_ascii=False) == f'"{value}"'


def _place(path: Path, dialect: Dialect) -> Place:
    column = schema.executions.c[path.field]
    return dialect.place(column, path.steps) if path.field in DOCUMENTS else _text(column)


def _text(column: _Sql) -> Place:
    there = column.is_not(None)
    return Place(there, lambda _: false(), false(), literal(0), there, column, lambda _: true())


# --- SQLite


def _sqlite_place(document: _Sql, steps: tuple[Step, ...]) -> Place:
    """By json_type and json_extract, which share one parse of a document within a statement."""
    whole: _Sql = document
    at = "$"
    kind: _Sql
    value: _Sql
    kind, value = func.json_type(whole, at), func.json_extract(whole, at)
    for step in steps:
        if _has_path(step):
            at += _sqlite_step(step)
            kind, value = func.json_type(whole, at), func.json_extract(whole, at)
        else:
            each = func.json_each(whole, at).table_valued("key", "value", "type")
            of_key = select(each.c.value).where(each.c.key == step).limit(1)
            kind, value = of_key.with_only_columns(each.c.type).scalar_subquery(), of_key.scalar_subquery()
            inner = of_key.where(each.c.type.in_(("object", "array")))  # the only values that are JSON
            whole, at = inner.scalar_subquery(), "$"
    return Place(
        kind.is_not(None),
        lambda word: kind == word,
        kind.in_(("integer", "real")),
        value,
        kind == "text",
        value,
        lambda text: or_(document.op("GLOB")(_glob(("", *text, ""))), document.op("GLOB")("*\\*")),
    )


def _has_path(step: Step) -> bool:
    """Whether a path of SQLite's finds the key: old versions compare it with how the document happens to write it.

    So a key that one program writes as it is and another with an escape is compared by json_each, which reads it.
    """
    return isinstance(step, int) or (
        step.isascii() and step.isprintable() and not set(step) & set("\"\\/<>&'")
    )


def _sqlite_step(step: Step) -> str:
    if isinstance(step, str):
        return f'."{step}"'
    return f"[{step}]" if step >= 0 else f"[#{step}]"


def _glob(pattern: tuple[str | None, ...]) -> str:
    """SQLite's LIKE takes a for A; its GLOB does not."""
    special = {"": "*", None: "?"}
    return "".join(
        special[part] if part in special else f"[{part}]" if part in ("*", "?", "[") else str(part)
        for part in pattern
    )


# --- PostgreSQL


def _postgresql_place(document: _Sql, steps: tuple[Step, ...]) -> Place:
    """By jsonb; a document that holds the character NUL has no jsonb, and is as if it were not there."""
    readable = case((document.not_like("%\\\\u0000%"), document))
    path = reduce(lambda at, step: at + _postgresql_step(step), steps, "strict $")
    found = func.jsonb_path_query_first(
        cast(readable, JSONB), cast(literal(path, Text), JSONPATH), cast(literal("{}", Text), JSONB), true()
    )
    kind, text = func.jsonb_typeof(found), found.op("#>>")(cast(literal("{}", Text), ARRAY(Text)))
    return Place(
        found.is_not(None),
        lambda word: found == cast(literal(word, Text), JSONB),
        kind == "number",
        case((kind == "number", cast(text, Numeric))),
        kind == "string",
        text,
        lambda _: true(),
    )


def _postgresql_step(step: Step) -> str:
    if isinstance(step, str):
        return f".{json.dumps(step, ensure_ascii=False)}"
    return f"[{step}]" if step >= 0 else f"[last - {-step - 1}]"


def _like(pattern: tuple[str | None, ...]) -> str:
    special = {"": "%", None: "_"}
    return "".join(
        special[part] if part in special else f"\\{part}" if part in ("%", "_", "\\") else str(part)
        for part in pattern
    )


DIALECTS: Final = {
    "sqlite": Dialect(
        place=_sqlite_place,
        number=literal,
        string=lambda string: string,
        like=lambda string, pattern: string.op("GLOB")(_glob(pattern)),
    ),
    "postgresql": Dialect(
        place=_postgresql_place,
        number=lambda value: literal(Decimal(repr(value)), Numeric),
        string=lambda string: string.collate("C"),
        like=lambda string, pattern: string.like(_like(pattern), escape="\\"),
    ),
}
