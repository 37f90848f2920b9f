"""Conditions on input and output: what they mean, what they say of mistakes, and the SQL that asks for them."""

import json
import operator
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from sqlalchemy.dialects import postgresql

from nbflow.store import schema, search
from nbflow.store.port import Store
from nbflow.store.rows import Append, ExecutionRow
from nbflow.store.sql import open_store
from nbflow.store.where import (
    MOST_TERMS,
    All,
    Compare,
    Condition,
    Exists,
    Like,
    Not,
    Path,
    Some,
    WhereError,
    parse,
)

ABSENT: Final = object()
ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# --- what a condition means, in Python


def kind(value: object) -> str:
    if value is ABSENT:
        return "absent"
    return "number" if type(value) in (int, float) else type(value).__name__


def found(row: ExecutionRow, path: Path) -> Any:
    text = getattr(row, path.field)
    if text is None:
        return ABSENT
    value = json.loads(text) if path.field in ("input", "output") else text
    for step in path.steps:
        if not isinstance(value, dict if isinstance(step, str) else list):
            return ABSENT
        try:
            value = value[step]  # type: ignore[index]  # by a key or an index, as it should
        except (KeyError, IndexError):
            return ABSENT
    return value


def holds(condition: Condition, row: ExecutionRow) -> bool:
    match condition:
        case All(terms):
            return all(holds(term, row) for term in terms)
        case Some(terms):
            return any(holds(term, row) for term in terms)
        case Not(term):
            return not holds(term, row)
        case Exists(path):
            return found(row, path) is not ABSENT
        case Like(path, pattern):
            value = found(row, path)
            special = {"": ".*", None: "."}
            expression = "".join(
                special[part] if part in special else re.escape(str(part)) for part in pattern
            )
            return isinstance(value, str) and re.fullmatch(expression, value, re.S) is not None
        case Compare(path, order, literal):
            value = found(row, path)
            same = kind(value) == kind(literal)
            if order == "=":
                return same and value == literal
            if order == "!=":
                return value is not ABSENT and not (same and value == literal)
            return same and kind(value) in ("number", "str") and ORDERS[order](value, literal)


# --- some rows, and conditions on them

KEYS: Final = ("a", "b c", "größe", 'q"q', "back\\slash", "it's", "a.b", "0", "", "<&>", "[0]")
STRINGS: Final = (
    "",
    "a",
    "A",
    "eu",
    "größe",
    'q"',
    "\\",
    "50%",
    "a_b",
    "a*b",
    "[x]",
    "1",
    "true",
    "\U0001f600",
    "\n",
)
NUMBERS: Final = (0, 1, 1.0, -1, 1.5, 10, 2**53 + 1, 2**63 - 1, -(2**63), 1e20, 1e-7)

scalars = st.sampled_from([*STRINGS, *NUMBERS, True, False, None])
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
fields: st.SearchStrategy[Any] = st.sampled_from(["input", "output"])
paths = st.builds(
    Path,
    fields,
    st.lists(st.sampled_from([*KEYS, 0, 1, -1]), max_size=3).map(tuple),
) | st.builds(Path, st.sampled_from(["error", "cause", "status", "name"]))
compares = st.builds(Compare, paths, st.sampled_from(["=", "!="]), scalars) | st.builds(
    Compare, paths, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from([*STRINGS, *NUMBERS])
)
patterns = st.lists(st.sampled_from(["", None, *"aA%_*[]?\\e"]), max_size=4).map(tuple)
conditions: st.SearchStrategy[Condition] = st.recursive(
    compares | st.builds(Exists, paths) | st.builds(Like, paths, patterns),
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=2, max_size=3).map(lambda terms: All(tuple(terms)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda terms: Some(tuple(terms)))
    ),
    max_leaves=4,
)


def row(name: str, input: str, output: str | None = None, error: str | None = None) -> ExecutionRow:
    status = "RUNNING" if output is None else "SUCCEEDED"
    return ExecutionRow(f"arn:{name}", name, "arn:m", "", status, input, 1.0, output=output, error=error)


def fill(store: Store, rows: list[ExecutionRow]) -> None:
    store.append([Append(each.arn, 0, 1, 0.0, b"[]", opened=each) for each in rows])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A store whose SQL is asked about one row at a time."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}")
    yield store
    store.close()


@settings(max_examples=300, deadline=None)
@given(
    input=documents,
    output=st.none() | documents.map(lambda value: (value,)),
    ascii=st.booleans(),
    condition=conditions,
)
def test_sql_means_what_the_condition_says(
    plain: Any, input: Any, output: Any, ascii: bool, condition: Condition
) -> None:
    text = None if output is None else json.dumps(output[0], ensure_ascii=not ascii)
    given_row = row("a", json.dumps(input, ensure_ascii=ascii), text, "States.Timeout" if ascii else None)
    table = schema.executions
    values = {
        name: getattr(given_row, name) for name in ("arn", "name", "machine_arn", "definition", "status")
    }
    values |= {name: getattr(given_row, name) for name in ("input", "output", "error", "started_at")}
    asked = select(search.sql(condition, "sqlite"), search.sql(Not(condition), "sqlite")).select_from(table)
    with plain._engine.connect() as connection:
        connection.execute(table.delete())
        connection.execute(table.insert().values(values))
        yes, no = connection.execute(asked).one()
    assert (bool(yes), bool(no)) == (holds(condition, given_row), not holds(condition, given_row))
    assert yes is not None
    assert no is not None


# --- the text


@dataclass(frozen=True)
class Said:
    text: str
    names: str
    """Of the rows below that it finds."""


ROWS: Final = [
    row("a", '{"region":"eu","n":1,"items":[{"sku":"x"},{"sku":"y"}]}', '{"total":12}'),
    row("b", '{"region":"us","n":"1","odd key":true}', '{"total":9.5}'),
    row("c", '{"region":null}', error="States.Timeout"),
    row("d", "[1,2,3]"),
]
SAID: Final = [
    Said("$.input.region = 'eu'", "a"),
    Said('$.input["region"] = "eu"', "a"),
    Said("$.input.region != 'eu'", "bc"),
    Said("not $.input.region = 'eu'", "bcd"),
    Said("$.input.region", "abc"),
    Said("exists($.input.region) and not exists($.output)", "c"),
    Said("$.input.region = null", "c"),
    Said("$.output.total > 10", "a"),
    Said("$.output.total >= 9.5 AND $.output.total < 1e1", "b"),
    Said("$.input.n = 1", "a"),
    Said("$.input.n = '1'", "b"),
    Said("$.input.n in (1, '1')", "ab"),
    Said("$.input['odd key'] = true", "b"),
    Said("$.input.items[-1].sku = 'y'", "a"),
    Said("$.input[0] = 1 or $.input.region like 'u_'", "bd"),
    Said("$.input.n = 1 or $.input.n = '1' and $.output.total > 10", "a"),
    Said("($.input.n = 1 or $.input.n = '1') and $.output.total < 10", "b"),
    Said("$.error like 'States.%'", "c"),
    Said("$.status = 'RUNNING' and $.name > 'c'", "d"),
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.text)
def test_what_is_found(store: Store, said: Said) -> None:
    fill(store, ROWS)
    assert "".join(each.name for each in store.executions(where=parse(said.text)))[::-1] == said.names


def test_beside_the_other_filters(store: Store) -> None:
    fill(store, ROWS)
    here = parse("$.input.region")
    assert [each.name for each in store.executions(where=here, status="RUNNING")] == ["c"]
    assert [each.name for each in store.executions(where=here, limit=2)] == ["c", "b"]
    last = store.executions(where=here, limit=2)[-1]
    assert [each.name for each in store.executions(where=here, before=last.id)] == ["a"]


def test_by_the_beginning_of_the_name(store: Store) -> None:
    fill(store, [row(name, "{}") for name in ("day-1", "day_2", "Day-3", "night")])
    assert [each.name for each in store.executions(name_prefix="day")] == ["day_2", "day-1"]
    assert [each.name for each in store.executions(name_prefix="day_")] == ["day_2"]


def test_by_the_time_of_the_start(store: Store) -> None:
    fill(store, [replace(row(f"{at}", "{}"), started_at=float(at)) for at in (1, 2, 3, 4)])
    assert [each.name for each in store.executions(started_after=2.0, started_before=4.0)] == ["3", "2"]


LISTS: Final[dict[str, dict[str, Any]]] = {
    "executions_listed_by_machine": {"machine_arn": "arn:m"},
    "executions_by_machine": {"machine_arn": "arn:m", "status": "FAILED"},
    "executions_listed_by_status": {"status": "FAILED"},
}


@pytest.mark.parametrize("index", LISTS)
def test_lists_are_read_from_an_index_in_their_order(plain: Any, index: str) -> None:
    asked = list[tuple[str, Any]]()
    listen = lambda *given: asked.append(given[2:4])  # noqa: E731
    event.listen(plain._engine, "before_cursor_execute", listen)
    plain.executions(children=False, **LISTS[index])
    event.remove(plain._engine, "before_cursor_execute", listen)
    [(statement, values)] = asked
    with plain._engine.connect() as connection:
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all())
    assert f"{index} (" in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN executions" not in plan


@dataclass(frozen=True)
class Mistake:
    text: str
    place: int
    """The character, counted from 1."""
    message: str


MISTAKES: Final = [
    Mistake("", 1, "an empty condition; expected a path such as"),
    Mistake("region = 'eu'", 1, "expected a path such as $.input.region, exists(…), not, or ("),
    Mistake("$.region = 'eu'", 1, "begins with one of $.input, $.output, $.error, $.cause, $.status, $.name"),
    Mistake("$.input.region == 'eu'", 17, "equal is written ="),
    Mistake("$.input.region = eu", 18, "expected a number, a string in quotes, true, false or null"),
    Mistake("$.input.region = 'eu", 18, "this string is not closed"),
    Mistake('$.input.n = 1 and $.output > "a', 30, "this string is not closed"),
    Mistake("$.input.region = '\\x'", 18, "the string has a wrong escape"),
    Mistake("$.input.region = '\\u0000'", 18, "cannot look for the character NUL"),
    Mistake("$.input.region = '\\ud800'", 18, "the string has a wrong escape"),
    Mistake("$.input.n < true", 13, "true, false and null have no order"),
    Mistake("$.input.n = 1e999", 13, "the number is too large"),
    Mistake("$.input.n = 01", 13, "expected a number"),
    Mistake("$.input.n in ()", 15, "expected a number"),
    Mistake("$.input.n in (1", 16, "expected , or )"),
    Mistake("$.input.n like 1", 16, "expected a string in quotes"),
    Mistake("$.input.n = 1 $.input.m", 15, "expected and, or, or the end"),
    Mistake("($.input.n", 11, "expected and, or, or )"),
    Mistake("$.input[*] = 1", 8, "expected = != < <= > >=, in (…), like '…', and, or, or the end"),
    Mistake("$.error.name = 1", 1, "$.error is a text: there is nothing within it"),
    Mistake("not " * 60 + "$.input", 201, "more than 50 levels"),
    Mistake(f"$.input.n in ({'1,' * MOST_TERMS}1)", 415, f"more than {MOST_TERMS} comparisons"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.text[:30])
def test_a_mistake_is_shown_in_its_place(mistake: Mistake) -> None:
    with pytest.raises(WhereError) as caught:
        parse(mistake.text)
    message, shown, caret = str(caught.value).split("\n")
    assert f"at character {mistake.place}:" in message
    assert mistake.message in message
    assert shown == f"  {mistake.text}"
    assert caret.index("^") - 2 == mistake.place - 1


@settings(max_examples=300, deadline=None)
@given(st.text("$.inputa=<>!'\"[]()0123456789-eE,\\ %ornt") | st.text())
def test_every_text_is_read_or_refused(text: str) -> None:
    with suppress(WhereError):
        parse(text)


def test_the_longest_condition_can_be_asked(store: Store) -> None:
    fill(store, ROWS)
    terms = " or ".join(f"not $.input.n != {n}" for n in range(MOST_TERMS))
    assert len(store.executions(where=parse(terms))) == 3


# --- other databases


def asked(text: str) -> str:
    """As PostgreSQL is asked, with the parameters written out."""
    made = search.sql(parse(text), "postgresql")
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    written = str(made.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return written.replace("executions.", "").replace("\n", " ")


def found_by(path: str) -> str:
    readable = "CAST(CASE WHEN (input NOT LIKE '%%\\\\u0000%%') THEN input END AS JSONB)"
    return f"jsonb_path_query_first({readable}, CAST('{path}' AS JSONPATH), CAST('{{}}' AS JSONB), true)"


def case(term: str) -> str:
    return f"CASE WHEN ({term}) THEN true ELSE false END"


def test_postgresql_is_asked_by_jsonpath() -> None:
    there = found_by('strict $."größe"[last - 0]')
    assert asked("$.input['größe'][-1]") == case(f"{there} IS NOT NULL")
    text = f"({there} #>> CAST('{{}}' AS TEXT[]))"
    string = f"jsonb_typeof({there}) = 'string'"
    assert asked("$.input['größe'][-1] < 'x'") == case(f"({text} COLLATE \"C\") < 'x' AND {string}")
    assert asked("$.input['größe'][-1] = null") == case(f"{there} = CAST('null' AS JSONB)")


def test_postgresql_looks_at_texts_as_they_are() -> None:
    equal = case("(error COLLATE \"C\") = 'E' AND error IS NOT NULL")
    assert asked("not $.error = 'E'") == f"NOT {equal}"
    like = "error IS NOT NULL AND error LIKE '5\\%%_%%' ESCAPE '\\'"
    assert asked("$.error like '5\\\\%_%'") == case(like)
