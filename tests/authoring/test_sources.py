"""Sources of items and places for results: what nf.map makes of them, and what they are as plain Python."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nbflow as nf
from nbflow.authoring.flow import FlowCode
from nbflow.authoring.source import FlowError
from nbflow.errors import NbflowError
from nbflow.language.validate import diagnose
from nbflow.language.values import Json
from tests.authoring.making import code

GET = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"

COLUMNS = ["id", "name"]
PLACE = Path("in") / "a.csv"


def the_map(made: FlowCode) -> Json:
    [state] = [state for state in made.definition["States"].values() if state["Type"] == "Map"]
    assert diagnose(made.definition) == []
    return state


# --- in a flow


@pytest.mark.parametrize(
    ("source", "resource", "config", "arguments"),
    [
        ("nf.csv('in/*.csv')", GET, {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}, {"Uri": "in/*.csv"}),
        (
            "nf.csv(place=PLACE, header=COLUMNS, delimiter='\\t', limit=5)",
            GET,
            {
                "InputType": "CSV",
                "CSVHeaderLocation": "GIVEN",
                "CSVHeaders": ["id", "name"],
                "CSVDelimiter": "TAB",
                "MaxItems": 5,
            },
            {"Uri": "in/a.csv"},
        ),
        (
            "nf.csv(x, header=('a', 'b'))",
            GET,
            {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"]},
            {"Uri": "{% $x %}"},
        ),
        ("nf.jsonl('s3://b/in/a.jsonl')", GET, {"InputType": "JSONL"}, {"Bucket": "b", "Key": "in/a.jsonl"}),
        ("nf.jsonl('s3://b/in/*.jsonl')", GET, {"InputType": "JSONL"}, {"Uri": "s3://b/in/*.jsonl"}),
        ("nf.json('{% a', pointer='/a')", GET, {"InputType": "JSON", "ItemsPointer": "/a"}, {"Uri": '{% "{% a" %}'}),
        ("nf.parquet(x, limit=xs)", GET, {"InputType": "PARQUET", "MaxItems": "{% $xs %}"}, {"Uri": "{% $x %}"}),
        ("nf.files('s3://b/in/')", LIST, None, {"Uri": "s3://b/in/"}),
        (
            "nf.sql(x, 'SELECT 1', {'year': xs, 'n': 1}, limit=2)",
            GET,
            {"InputType": "SQL", "MaxItems": 2},
            {"Uri": "{% $x %}", "Query": "SELECT 1", "Bind": {"year": "{% $xs %}", "n": 1}},
        ),
        ("nf.sql(x, xs, bind=x)", GET, {"InputType": "SQL"}, {"Uri": "{% $x %}", "Query": "{% $xs %}", "Bind": "{% $x %}"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("written", ["nf.map(f, {})", "[f(row) for row in {}]"])
def test_a_source_is_an_item_reader(
    written: str, source: str, resource: str, config: Json, arguments: Json
) -> None:
    made = code(f"def flow(x, xs): return {written.format(source)}", {"COLUMNS": COLUMNS, "PLACE": PLACE})
    state = the_map(made)
    about = {} if config is None else {"ReaderConfig": config}
    assert state["ItemReader"] == {"Resource": resource, "Arguments": arguments, **about}
    assert "Items" not in state
    assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    [selected] = state["ItemSelector"].values()
    member = ".Key" if resource == LIST else ""
    assert selected == f"{{% $states.context.Map.Item.Value{member} %}}"


def test_a_comprehension_over_a_source_reads_other_variables() -> None:
    state = the_map(code("def flow(k): return [g(row, y=k) for row in nf.csv('a.csv')]"))
    assert state["ItemSelector"] == {"row": "{% $states.context.Map.Item.Value %}", "k": "{% $k %}"}


def test_what_a_source_is_told_may_be_computed() -> None:
    made = code("def flow(day): return nf.map(f, nf.csv(f'{f(day)}-{day:02}.csv'), express=True)")
    names = list(made.definition["States"])
    assert len(names) == 4  # the flow's parameters, f(day), the text, and the Map
    state = the_map(made)
    assert state["ItemReader"]["Arguments"]["Uri"].startswith("{% $")
    assert state["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] == "EXPRESS"


def test_a_batch_is_the_tasks_argument() -> None:
    made = code("def flow(Items): return nf.map(f, Items, distributed=True, batch=100)")
    state = the_map(made)
    assert state["ItemBatcher"] == {"MaxItemsPerBatch": 100}
    assert state["ItemSelector"] == "{% $states.context.Map.Item.Value %}"
    [task] = state["ItemProcessor"]["States"].values()
    assert task["Arguments"] == {"x": "{% $states.input.Items %}"}


@pytest.mark.parametrize(
    ("place", "kind", "arguments"),
    [
        ("'out'", "JSONL", {"Uri": "out"}),
        ("x", "JSONL", {"Uri": "{% $x %}"}),
        ("PLACE", "JSONL", {"Uri": "in/a.csv"}),
        ("'s3://b/out'", "JSONL", {"Bucket": "b", "Prefix": "out"}),
        ("'s3://b'", "JSONL", {"Uri": "s3://b"}),
        ("nf.parquet('out')", "PARQUET", {"Uri": "out"}),
        ("nf.json(x)", "JSON", {"Uri": "{% $x %}"}),
        ("nf.jsonl('s3://b/out/')", "JSONL", {"Bucket": "b", "Prefix": "out/"}),
    ],
)
@pytest.mark.parametrize(("batch", "transformation"), [("", "COMPACT"), (", batch=2", "FLATTEN")])
def test_results_are_written(place: str, kind: str, arguments: Json, batch: str, transformation: str) -> None:
    text = f"def flow(x): return nf.map(f, [1], distributed=True, write_to={place}{batch})"
    assert the_map(code(text, {"PLACE": PLACE}))["ResultWriter"] == {
        "Resource": "arn:aws:states:::s3:putObject",
        "WriterConfig": {"Transformation": transformation, "OutputType": kind},
        "Arguments": arguments,
    }


def test_items_are_computed_before_the_place() -> None:
    made = code("def flow(x): return nf.map(f, range(x), distributed=True, write_to=f(x))")
    _, items, place, _ = made.definition["States"]
    assert (items, place) == ("range(x)", "f(x)")
    state = the_map(made)
    assert state["Items"] == f"{{% ${next(iter(made.definition['States'][items]['Assign']))} %}}"


@pytest.mark.parametrize("given", ["x", "f(x)", "frame(x)", "{'a': x}", "[x]"])
def test_a_value_is_mapped_over_where_it_is(given: str) -> None:
    def frame(x: Json) -> pd.DataFrame:
        return pd.DataFrame()

    made = code(f"def flow(x): return nf.map(f, {given}, distributed=True)", {"frame": nf.task(frame)})
    assert len(made.definition["States"]) == 2 + ("(" in given)
    items = the_map(made)["Items"]
    assert items in ({"a": "{% $x %}"}, ["{% $x %}"]) or items.startswith("{% $")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("range(3)", [0, 1, 2]),
        ("{n: 2 * n for n in [1, 2]}", {1: 2, 2: 4}),
        ("'ab'", ["a", "b"]),
        ("(x + n for n in [1])", [6]),
    ],
)
def test_what_python_computes_is_made_a_list(text: str, items: Json) -> None:
    made = code(f"def flow(x): return nf.map(f, {text}, distributed=True)")
    [name] = [name for name in made.tasks if name != "f"]
    task = made.tasks[name]
    assert isinstance(task, nf.Task)
    assert task(**({"x": 5} if "x" in text else {})) == items


def test_a_frame_that_python_computes_stays_one() -> None:
    made = code("def flow(x): return nf.map(f, x[x['a'] > 1], distributed=True)")
    [task] = [task for name, task in made.tasks.items() if name != "f"]
    assert isinstance(task, nf.Task)
    frame: Any = task(x=pd.DataFrame({"a": [1, 2]}))
    assert frame["a"].to_list() == [2]


MISTAKES = [
    ("nf.map(f, xs, batch=2)", "nf.map(batch=…) is for distributed=True"),
    ("nf.map(f, xs, write_to='out')", "nf.map(write_to=…) is for distributed=True"),
    ("nf.map(f, xs, distributed=True, batch=0)", "at least 1"),
    ("nf.map(f, xs, distributed=True, batch=x)", "written as such"),
    ("nf.map(f, xs, distributed=True, write_to=5)", "takes a folder or URL"),
    ("nf.map(f, xs, distributed=True, write_to=nf.csv('a'))", "not written by nf.csv"),
    ("nf.map(f, xs, distributed=True, write_to=nf.json('a', pointer=''))", "takes the place only"),
    ("nf.map(f, nf.csv('a'), distributed=False)", "leave out distributed=False"),
    ("nf.map(f, nf.csv())", "missing a required argument: 'place'"),
    ("nf.map(f, nf.csv(*xs))", "write each of them"),
    ("nf.map(f, nf.csv('a', **xs))", "write each of them"),
    ("nf.map(f, nf.csv('a', header=x))", "written as such, or a global"),
    ("nf.map(f, nf.csv('a', header=['a', x]))", "written as such, or a global"),
    ("nf.map(f, nf.csv('a', header='a'))", "a list of the columns' names"),
    ("nf.map(f, nf.csv('a', delimiter='::'))", "is one of ',', '|'"),
    ("nf.map(f, nf.csv('a', limit=0))", "limit= is a whole number of at least 1"),
    ("nf.map(f, nf.csv(''))", "nf.csv takes a text"),
    ("nf.map(f, nf.json('a', pointer='b'))", "is a JSON pointer"),
    ("[f(row) for row in nf.csv('a') if row]", "without a condition"),
    ("[f(a) for a, b in nf.csv('a')]", "by one name"),
    ("[g(a, b) for a in nf.csv('a') for b in xs]", "by one name"),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES, ids=[text for text, _ in MISTAKES])
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(FlowError) as raised:
        code(f"def flow(x, xs): return {text}")
    assert said in str(raised.value)


# --- as plain Python


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("id|name\n1|Ann\n2|Bob\n")
    Path("a.jsonl").write_text("1\n2\n3\n")
    Path("a.json").write_text('{"shop": {"a": 1, "b": 2}, "orders": [3, 4]}')
    pd.DataFrame({"n": [1, 2]}).to_parquet("a.parquet")
    with closing(sqlite3.connect("a.sqlite")) as database:
        database.executescript("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2), (3)")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "items"),
    [
        (nf.csv("*.csv", delimiter="|"), [{"id": "1", "name": "Ann"}, {"id": "2", "name": "Bob"}]),
        (nf.csv(Path("a.csv"), header=["x"], limit=1), [{"x": "id|name"}]),
        (nf.jsonl("a.jsonl", limit=2), [1, 2]),
        (nf.json("a.json", pointer="/orders"), [3, 4]),
        (nf.json("a.json", pointer="/shop"), [1, 2]),
        (nf.parquet("a.parquet"), [{"n": 1}, {"n": 2}]),
        (nf.sql("sqlite:///a.sqlite", "SELECT n FROM t WHERE n > :n", {"n": 1}), [{"n": 2}, {"n": 3}]),
    ],
)
def test_a_source_is_iterable(source: Any, items: Json, here: Path) -> None:
    assert list(source) == items
    assert list(source) == items
    assert nf.map(lambda item: item, source) == items


def test_files_are_addresses(here: Path) -> None:
    assert list(nf.files("a.j*")) == [str(here / "a.json"), str(here / "a.jsonl")]
    assert [Path(each).name for each in nf.files(".", limit=2)] == ["a.csv", "a.json"]


def test_the_items_of_a_value() -> None:
    def same(item: Any) -> Any:
        return item

    def name(row: dict[str, Any]) -> Any:
        return row["s"]

    frame = pd.DataFrame({"n": [1, 2], "s": ["a", None]})
    assert nf.map(name, frame, distributed=True) == ["a", None]
    assert nf.map(same, frame, distributed=True) == [{"n": 1, "s": "a"}, {"n": 2, "s": None}]
    assert nf.map(same, {"a": 1}, distributed=True) == [1]
    assert nf.map(same, range(2), distributed=True) == [0, 1]
    assert nf.map(same, {"a": 1}) == ["a"]


def test_batches_are_lists() -> None:
    assert nf.map(sum, range(5), distributed=True, batch=2) == [1, 5, 4]
    assert nf.map(sum, [], batch=2) == []
    with pytest.raises(NbflowError, match="at least 1"):
        nf.map(sum, [1], batch=0)


def test_results_are_written_by_executions_only() -> None:
    def unreached(item: object) -> None:
        raise AssertionError

    with pytest.raises(NbflowError, match=r"start the flow \(flow\.start"):
        nf.map(unreached, [1], write_to="out")


def test_the_words_are_nbflows() -> None:
    from nbflow.authoring import sources

    assert [nf.files, nf.csv, nf.jsonl, nf.json, nf.parquet, nf.sql] == list(sources.WORDS)
