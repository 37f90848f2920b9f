"""Reading items: every format and every front, as AWS documents or was recorded to do it."""

import datetime
import gzip
import io
import json
import random
import re
import sys
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.machine.distributed import Item
from nbflow.tasks import parsing
from nbflow.tasks.places import ItemsFailed, s3_access
from nbflow.tasks.reading import read_items
from tests.tasks.support import given

GET = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"

Read = Callable[..., list[Json]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The items in a file of this content."""

    def reading(content: str | bytes, input_type: str, **config: Json) -> list[Json]:
        path = tmp_path / "data"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(given(GET, {"Uri": str(path)}, {"InputType": input_type, **config}))

    return reading


def cause_of(parameters: Json, config: Json, resource: str = GET, **options: Any) -> str:
    with pytest.raises(ItemsFailed) as failed:
        list(given(resource, parameters, config, **options))
    assert failed.value.error == "States.ItemReaderFailed"
    return failed.value.cause


# --- CSV


def test_a_row_is_an_object_of_strings(read: Read) -> None:
    assert read("id,name\n1,Ann\n2,true\n", "CSV", CSVHeaderLocation="FIRST_ROW") == [
        {"id": "1", "name": "Ann"},
        {"id": "2", "name": "true"},
    ]


def test_the_header_can_be_given(read: Read) -> None:
    given = read("1,Ann\n", "CSV", CSVHeaderLocation="GIVEN", CSVHeaders=["id", "name"])
    assert given == [{"id": "1", "name": "Ann"}]


@pytest.mark.parametrize(
    ("row", "item"),
    [
        ("1", {"a": "1", "b": "", "c": ""}),
        ("1,2,3,4,5", {"a": "1", "b": "2", "c": "3"}),
        (",,,", {"a": "", "b": "", "c": ""}),
        ("  ", {"a": "  ", "b": "", "c": ""}),
        (" x , y,", {"a": " x ", "b": " y", "c": ""}),
        ("'q',null,NaN", {"a": "'q'", "b": "null", "c": "NaN"}),
        ('"1","2","3"', {"a": "1", "b": "2", "c": "3"}),
        ('"a,b","","c"', {"a": "a,b", "b": "", "c": "c"}),
        ('1, "a, b",3', {"a": "1", "b": "a, b", "c": "3"}),
        ('"two\nlines","x","y\n\nz"', {"a": "two\nlines", "b": "x", "c": "y\n\nz"}),
        ('"say ""hi""","""",""""""', {"a": 'say "hi"', "b": '"', "c": '""'}),
        ('{""k"":""v""},x', {"a": '{"k":"v"}', "b": "x", "c": ""}),
        ('in"si"de,b,c', {"a": 'in"si"de', "b": "b", "c": "c"}),
        (r"C:\\Program Files\\App.exe,C:\dir,\,", {"a": r"C:\Program Files\App.exe", "b": "C:dir", "c": ","}),
        (r'"say \"hi\"","a\\b",c\q', {"a": 'say "hi"', "b": r"a\b", "c": "cq"}),
    ],
)
def test_fields(read: Read, row: str, item: Json) -> None:
    assert read(f"a,b,c\n{row}\n", "CSV") == [item]


def test_the_example_of_the_aws_guide(read: Read) -> None:
    text = 'abc,123,"commas, a quote (""), and a newline (\n)",{""MyKey"":""MyValue""},"[1,2,3]"\n'
    [item] = read(text, "CSV", CSVHeaderLocation="GIVEN", CSVHeaders=list("vwxyz"))
    assert list(item.values()) == [
        "abc",
        "123",
        'commas, a quote ("), and a newline (\n)',
        '{"MyKey":"MyValue"}',
        "[1,2,3]",
    ]


@pytest.mark.parametrize(
    ("name", "sign"), [("COMMA", ","), ("PIPE", "|"), ("SEMICOLON", ";"), ("SPACE", " "), ("TAB", "\t")]
)
def test_delimiters(read: Read, name: str, sign: str) -> None:
    text = sign.join("ab") + "\n" + sign.join(["1", f'"2{sign}"']) + "\n" + sign.join(["3", f"4\\{sign}"])
    assert read(text, "CSV", CSVDelimiter=name) == [{"a": "1", "b": f"2{sign}"}, {"a": "3", "b": f"4{sign}"}]


def test_an_unknown_delimiter_is_named(read: Read) -> None:
    with pytest.raises(ItemsFailed, match='CSVDelimiter "COLON" is not one of COMMA, PIPE'):
        read("a\n", "CSV", CSVDelimiter="COLON")


@pytest.mark.parametrize("text", ["a,b\r\n1,2\r\n", "\ufeffa,b\n1,2", "a,b\n\n1,2\n\n\n", "\na,b\n1,2\n"])
def test_line_ends_marks_and_empty_lines_make_no_difference(read: Read, text: str) -> None:
    assert read(text, "CSV") == [{"a": "1", "b": "2"}]


def test_a_file_without_rows_has_no_items(read: Read) -> None:
    assert read("", "CSV") == []
    assert read("a,b\n", "CSV") == []


def test_an_empty_name_is_a_name_and_of_equal_names_the_last_counts(read: Read) -> None:
    assert read("a,,a\n1,2,3\n", "CSV") == [{"a": "3", "": "2"}]


def test_what_pandas_writes_is_what_is_read(read: Read) -> None:
    frame = pd.DataFrame({"text": ['a"b', "c,d", "e\nf", "", " i"], "number": range(5)})
    expected = frame.astype({"number": str}).to_dict("records")
    assert read(frame.to_csv(index=False), "CSV") == expected
    assert read(frame.to_csv(index=False, sep="\t", quoting=1), "CSV", CSVDelimiter="TAB") == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('a\n1\n"never\nends\n', "the quoted field that begins in line 3 never ends"),
        (b"a\nb\n\xff\n", "line 3 is not UTF-8"),
    ],
)
def test_a_broken_file_says_where(read: Read, content: str | bytes, said: str) -> None:
    with pytest.raises(ItemsFailed, match=f"/data: {said}"):
        read(content, "CSV")


def test_a_given_header_has_to_be_given(read: Read) -> None:
    with pytest.raises(ItemsFailed, match="CSVHeaders is not an array"):
        read("1,2\n", "CSV", CSVHeaderLocation="GIVEN")


@pytest.mark.parametrize("content", ["x" * 200, 'a\n"' + "x\n" * 100])
def test_no_item_grows_without_bounds(read: Read, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "LARGEST_ITEM", 64)
    with pytest.raises(ItemsFailed, match="is longer than 64 bytes"):
        read(content, "CSV")


# --- JSON


def test_the_elements_of_an_array(read: Read) -> None:
    assert read('[1, "a", null, {"b": [2.5]}, [3]]', "JSON") == [1, "a", None, {"b": [2.5]}, [3]]
    assert read("\ufeff[]", "JSON") == []


@pytest.mark.parametrize("text", ['{"a": [1]}', "5", '"text"', "null"])
def test_what_is_no_array_cannot_be_iterated(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    cause = cause_of({"Uri": f"{tmp_path}/x.json"}, {"InputType": "JSON"})
    assert cause == "Attempting to map over non-iterable node."


@pytest.mark.parametrize(
    ("pointer", "items"),
    [
        ("/inventory/featured", [1, 2]),
        ("/list/1", [3]),
        ("/a~1b/m~0n", [4]),
        ("/", [5]),
        ("/pairs", [{"Key": "k1", "Value": 1}, {"Key": "k2", "Value": {"x": 2}}]),
    ],
)
def test_items_pointer(read: Read, pointer: str, items: list[Json]) -> None:
    value = {"inventory": {"featured": [1, 2]}, "list": [0, [3]], "a/b": {"m~n": [4]}, "": [5]}
    value["pairs"] = {"k1": 1, "k2": {"x": 2}}
    assert read(json.dumps(value), "JSON", ItemsPointer=pointer) == items


def test_the_empty_pointer_is_the_whole(read: Read) -> None:
    assert read("[1]", "JSON", ItemsPointer="") == [1]
    assert read('{"a": 1}', "JSON", ItemsPointer="") == [{"Key": "a", "Value": 1}]


@pytest.mark.parametrize(
    ("pointer", "said"),
    [
        ("/a/c", 'ItemsPointer "/a/c" leads nowhere: there is no "c"'),
        ("/l/2", 'there is no "2"'),
        ("/l/-1", 'there is no "-1"'),
        ("/l/00", 'there is no "00"'),
        ("a", 'ItemsPointer "a" is not a JSON pointer'),
        ("/n", "Attempting to map over non-iterable node."),
        (5, "ItemsPointer 5 is not a JSON pointer"),
    ],
)
def test_a_pointer_that_leads_nowhere(read: Read, pointer: Json, said: str) -> None:
    with pytest.raises(ItemsFailed, match=said):
        read('{"a": {"b": []}, "l": [[], []], "n": 1}', "JSON", ItemsPointer=pointer)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[1,\n 2,\n x]', "the file is not JSON: Expecting value: line 3"),
        (b"", "the file is not JSON"),
        (b"[NaN]", "NaN is no JSON number"),
        (b"[1e999]", "1e999 is no JSON number"),
        (b'["\xff"]', "the file is not UTF-8"),
        (b"[" * 100_000, "the file is nested too deeply"),
    ],
)  # fmt: skip
def test_malformed_json_says_where(read: Read, content: bytes, said: str) -> None:
    with pytest.raises(ItemsFailed, match=said):
        read(content, "JSON")


def test_numbers_and_characters_are_exact(read: Read) -> None:
    assert read('[12345678901234567890123, 1.0, "\\ud83d", "é"]', "JSON") == [
        12345678901234567890123,
        1.0,
        "\ud83d",
        "é",
    ]


# --- JSON Lines


def test_a_value_a_line(read: Read) -> None:
    assert read('{"a": 1}\r\n\n[2]\n  \n"x"', "JSONL") == [{"a": 1}, [2], "x"]


def test_a_malformed_line_has_a_number_and_those_before_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n\n{"a": }\n')
    items = given(GET, {"Uri": f"{tmp_path}/x.jsonl"}, {"InputType": "JSONL"})
    assert next(items) == {"a": 1}
    with pytest.raises(ItemsFailed, match=r"x\.jsonl: line 3 is not JSON: Expecting value"):
        next(items)


def test_what_pandas_writes_as_lines_is_read(read: Read) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert read(frame.to_json(orient="records", lines=True), "JSONL") == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": None},
    ]


# --- Parquet


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "zstd"])
def test_a_row_is_an_object(tmp_path: Path, compression: Any) -> None:
    frame = pd.DataFrame({"id": range(3000), "name": ["é"] * 3000, "share": [0.5] * 3000})
    frame.to_parquet(tmp_path / "x", compression=compression, index=False, row_group_size=1000)
    items = list(given(GET, {"Uri": f"{tmp_path}/x"}, {"InputType": "PARQUET"}))
    assert items == frame.to_dict("records")


def test_what_json_has_not_is_written_out(tmp_path: Path) -> None:
    noon = datetime.datetime(2025, 2, 4, 12, tzinfo=datetime.UTC)
    row: dict[str, Any] = {
        "date": datetime.date(2025, 2, 4),
        "aware": noon,
        "naive": noon.replace(tzinfo=None),
        "time": datetime.time(12, 30),
        "span": datetime.timedelta(minutes=1.5),
        "price": Decimal("12.50"),
        "count": Decimal("12.00"),
        "text": b"abc",
        "bytes": b"\xff\x00",
        "nan": float("nan"),
        "nothing": None,
        "nested": {"list": [1, float("inf")], "dates": [datetime.date(2025, 1, 1)]},
        "flag": True,
    }
    pyarrow.parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "x")
    [item] = given(GET, {"Uri": f"{tmp_path}/x"}, {"InputType": "PARQUET"})
    assert item == {
        "date": "2025-02-04",
        "aware": "2025-02-04T12:00:00Z",
        "naive": "2025-02-04T12:00:00",
        "time": "12:30:00",
        "span": 90.0,
        "price": 12.5,
        "count": 12,
        "text": "abc",
        "bytes": "/wA=",
        "nan": None,
        "nothing": None,
        "nested": {"list": [1, None], "dates": ["2025-01-01"]},
        "flag": True,
    }
    json.dumps(item, allow_nan=False)


def test_what_is_not_parquet_says_so(read: Read) -> None:
    with pytest.raises(ItemsFailed, match="/data: not a Parquet file that can be read"):
        read("a,b\n1,2\n", "PARQUET")


# --- compression


def _zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, "zstd", asbytes=True)
    return packed


@pytest.mark.parametrize("pack", [gzip.compress, _zstd])
def test_compressed_text(read: Read, pack: Callable[[bytes], bytes]) -> None:
    text = "".join(f"{number},é\n" for number in range(100_000)).encode()
    assert len(read(b"".join([pack(b"id,x\n"), pack(text)]), "CSV")) == 100_000  # what `cat a.gz b.gz` makes
    assert read(pack(b'{"a": 1}\n{"a": 2}\n'), "JSONL") == [{"a": 1}, {"a": 2}]
    assert read(pack(b"[1, 2]"), "JSON") == [1, 2]


@pytest.mark.parametrize("pack", [gzip.compress, _zstd])
def test_half_of_a_compressed_file_fails(read: Read, pack: Callable[[bytes], bytes]) -> None:
    text = "".join(f"{random.Random(n).random()}\n" for n in range(20_000)).encode()
    packed = pack(text)
    with pytest.raises(ItemsFailed, match="/data: "):
        read(packed[: len(packed) // 2], "CSV", CSVHeaderLocation="GIVEN", CSVHeaders=["a"])


# --- files


def test_a_glob_reads_file_after_file(tmp_path: Path) -> None:
    for name, text in {"b.csv": "x\n2\n", "a.csv": "x\n1\n", "c.txt": "x\n3\n"}.items():
        (tmp_path / name).write_text(text)
    assert list(given(GET, {"Uri": f"{tmp_path}/*.csv"}, {"InputType": "CSV"})) == [
        {"x": "1"},
        {"x": "2"},
    ]
    (tmp_path / "[1].csv").write_text("x\n9\n")
    assert list(given(GET, {"Uri": f"{tmp_path}/[1].csv"}, {"InputType": "CSV"})) == [{"x": "9"}]


def test_any_url_that_fsspec_knows(tmp_path: Path) -> None:
    import fsspec

    with fsspec.open("memory://reading/x.jsonl", "wb") as file:
        file.write(b"1\n2\n")
    assert list(given(GET, {"Uri": "memory://reading/x.jsonl"}, {"InputType": "JSONL"})) == [1, 2]
    [item] = given(LIST, {"Uri": "memory://reading"}, None)
    assert (item["Key"], item["Size"]) == ("memory:///reading/x.jsonl", 4)
    (tmp_path / "y.json").write_text("[3]")
    assert list(given(GET, {"Uri": f"file://{tmp_path}/y.json"}, {"InputType": "JSON"})) == [3]


def test_a_folder_is_listed_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.jsonl", "a.jsonl", "sub/c.jsonl"):
        (tmp_path / name).write_text(f'"{name}"\n')
    items = list(given(LIST, {"Uri": str(tmp_path)}, None))
    assert [item["Key"] for item in items] == [
        f"{tmp_path}/{name}" for name in ("a.jsonl", "b.jsonl", "sub/c.jsonl")
    ]
    assert items[0] == {
        "Key": f"{tmp_path}/a.jsonl",
        "Size": 10,
        "LastModified": int((tmp_path / "a.jsonl").stat().st_mtime),
    }
    config = {"InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN"}
    assert list(given(LIST, {"Uri": str(tmp_path)}, config)) == ["a.jsonl", "b.jsonl", "sub/c.jsonl"]
    assert list(given(LIST, {"Uri": f"{tmp_path}/*.jsonl"}, config)) == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("resource", "uri", "said"),
    [
        (GET, "/nowhere/x.csv", "/nowhere/x.csv: .*No such file"),
        (GET, "/nowhere/*.csv", r"/nowhere/\*.csv: no file matches"),
        (LIST, "/nowhere", "/nowhere: there is no such folder"),
        (GET, "nope://x", "nope://x: Protocol not known: nope"),
        (GET, "gs://bucket/x", "gs://bucket/x: Please install gcsfs"),
        (GET, "", "the parameters name no place: give Bucket and Key, or Uri"),
        (LIST, None, "the parameters name no place: give Bucket and Prefix, or Uri"),
    ],
)
def test_what_is_not_there_is_named(resource: str, uri: str | None, said: str) -> None:
    assert re.search(said, cause_of({"Uri": uri}, {"InputType": "CSV"}, resource))


# --- limits, settings


@pytest.mark.parametrize(("most", "number"), [(2, 2), (2.0, 2), (5, 3), (100_000_001, 3)])
def test_max_items(read: Read, most: float, number: int) -> None:
    assert len(read("x\n1\n2\n3\n", "CSV", MaxItems=most)) == number


def test_nothing_behind_the_last_item_is_looked_at(read: Read) -> None:
    assert read("1\n2\nbroken", "JSONL", MaxItems=2) == [1, 2]


@pytest.mark.parametrize(
    ("resource", "config", "said"),
    [
        (GET, {"InputType": "XML"}, 'InputType "XML" is not one of CSV, JSON, JSONL, PARQUET'),
        (GET, None, "InputType null is not one of"),
        ("arn:aws:states:::dynamodb:scan", {}, "not by arn:aws:states:::dynamodb:scan"),
        (LIST, {"Transformation": "LOAD"}, 'Transformation "LOAD" is not one of NONE, LOAD_AND_FLATTEN'),
        (LIST, {"Transformation": "LOAD_AND_FLATTEN"}, "InputType null is not one of"),
        (GET, {"InputType": ["CSV"]}, 'InputType ["CSV"] is not one of CSV'),
        (GET, {"ManifestType": []}, "ManifestType [] is not one of ATHENA_DATA"),
        (GET, {"InputType": "CSV", "CSVDelimiter": {}}, "CSVDelimiter {} is not one of COMMA"),
        (GET, {"ManifestType": "X"}, 'ManifestType "X" is not one of ATHENA_DATA, S3_INVENTORY'),
        (
            GET,
            {"ManifestType": "ATHENA_DATA", "InputType": "JSON"},
            "needs an InputType of CSV, JSONL, PARQUET",
        ),
    ],
)
def test_a_setting_that_there_is_not_is_named(tmp_path: Path, resource: str, config: Json, said: str) -> None:
    (tmp_path / "x").write_text("[]")
    assert said in cause_of({"Uri": str(tmp_path if resource == LIST else tmp_path / "x")}, config, resource)


def test_a_failure_is_one_of_ours_and_nothing_is_opened_before_the_first_item() -> None:
    items = given(GET, {"Uri": "/nowhere"}, {"InputType": "CSV"})
    with pytest.raises(NbflowError, match=r"^States\.ItemReaderFailed: /nowhere: "):
        next(items)


# --- S3


def test_an_object_in_s3(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/x.csv", Body=b"id,name\n1,Ann\n")
    where, config = {"Bucket": bucket, "Key": "a/x.csv"}, {"InputType": "CSV"}
    assert list(given(GET, where, config, s3=s3)) == [{"id": "1", "name": "Ann"}]
    assert list(given(GET, where, config)) == [{"id": "1", "name": "Ann"}]  # by the AWS_* variables
    assert list(given(GET, {"Uri": f"s3://{bucket}/a/x.csv"}, config)) == [{"id": "1", "name": "Ann"}]


def test_a_version_of_an_object(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="x", Body=b"[1]")["VersionId"]
    s3.put_object(Bucket=bucket, Key="x", Body=b"[2]")
    where = {"Bucket": bucket, "Key": "x", "VersionId": old}
    assert list(given(GET, where, {"InputType": "JSON"}, s3=s3)) == [1]


@pytest.mark.parametrize(
    ("key", "pack", "encoding"),
    [("x.jsonl.gz", gzip.compress, ""), ("x.jsonl", gzip.compress, "gzip"), ("x.jsonl.zstd", _zstd, ""), ("x", _zstd, "zstd")],
)  # fmt: skip
def test_compressed_objects(
    s3: Any, bucket: str, key: str, pack: Callable[[bytes], bytes], encoding: str
) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=pack(b'{"a": 1}\n'), ContentEncoding=encoding)
    items = given(GET, {"Bucket": bucket, "Key": key}, {"InputType": "JSONL"}, s3=s3)
    assert list(items) == [{"a": 1}]


def test_parquet_in_s3(s3: Any, bucket: str) -> None:
    content = io.BytesIO()
    pd.DataFrame({"a": [1, 2]}).to_parquet(content)
    s3.put_object(Bucket=bucket, Key="x.parquet", Body=content.getvalue())
    items = given(GET, {"Bucket": bucket, "Key": "x.parquet"}, {"InputType": "PARQUET"}, s3=s3)
    assert list(items) == [{"a": 1}, {"a": 2}]


def test_parquet_in_s3_is_read_where_it_is_needed(s3: Any, bucket: str) -> None:
    content = io.BytesIO()
    frame = pd.DataFrame({"a": range(400_000), "b": [f"{n * 7919:x}" for n in range(400_000)]})
    frame.to_parquet(content, row_group_size=50_000, compression=None)
    s3.put_object(Bucket=bucket, Key="x.parquet", Body=content.getvalue())
    read = 0

    def count(http_response: Any, **_: object) -> None:
        nonlocal read
        read += int(http_response.headers["Content-Length"])

    s3.meta.events.register("after-call.s3.GetObject", count)
    with closing(
        read_items(GET, {"Uri": f"s3://{bucket}/x.parquet"}, {"InputType": "PARQUET"}, s3=s3)
    ) as items:
        assert next(items) == Item({"a": 0, "b": "0"}, f"s3://{bucket}/x.parquet")
    assert 0 < read < len(content.getvalue()) * 0.8
    assert list(
        given(GET, {"Bucket": bucket, "Key": "x.parquet"}, {"InputType": "PARQUET"}, s3=s3)
    ) == frame.to_dict("records")


def test_a_glob_in_s3(s3: Any, bucket: str) -> None:
    for key in ("in/a.jsonl", "in/b.jsonl", "in/b.txt", "in/deep/c.jsonl"):
        s3.put_object(Bucket=bucket, Key=key, Body=f'"{key}"\n'.encode())
    read = {"InputType": "JSONL"}
    assert list(given(GET, {"Uri": f"s3://{bucket}/in/*.jsonl"}, read)) == ["in/a.jsonl", "in/b.jsonl"]
    assert list(given(GET, {"Uri": f"s3://{bucket}/in/**/*.jsonl"}, read))[-1] == "in/deep/c.jsonl"
    assert "no file matches" in cause_of({"Uri": f"s3://{bucket}/out/*"}, read)


def test_items_know_their_source_and_their_name(tmp_path: Path, s3: Any, bucket: str) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"at": {"a": 1}}')
    assert list(read_items(GET, {"Uri": str(path)}, {"InputType": "JSON", "ItemsPointer": "/at"})) == [
        Item(1, str(path), "a")
    ]
    s3.put_object(Bucket=bucket, Key="k", Body=b"[1]")
    [item] = read_items(GET, {"Bucket": bucket, "Key": "k"}, {"InputType": "JSON"}, s3=s3)
    assert item == Item(1, f"s3://{bucket}/k")
    [item] = read_items(LIST, {"Bucket": bucket, "Prefix": "k"}, None, s3=s3)
    assert item.source == f"s3://{bucket}"


def test_a_listing_is_paged_and_described_as_by_aws(s3: Any, bucket: str) -> None:
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"in/{number}.txt", Body=b"x" * number)
    s3.put_object(Bucket=bucket, Key="other", Body=b"")
    items = list(given(LIST, {"Bucket": bucket, "Prefix": "in/", "MaxKeys": 2}, None, s3=s3))
    assert [item["Key"] for item in items] == [f"in/{number}.txt" for number in range(5)]
    about = s3.head_object(Bucket=bucket, Key="in/3.txt")
    assert items[3] == {
        "Etag": about["ETag"],
        "Key": "in/3.txt",
        "LastModified": int(about["LastModified"].timestamp()),
        "Size": 3,
        "StorageClass": "STANDARD",
    }
    named = {**items[3], "Key": f"s3://{bucket}/in/3.txt"}  # what any reader of addresses can open
    assert list(given(LIST, {"Uri": f"s3://{bucket}/in/3"}, None)) == [named]
    assert list(given(LIST, {"Uri": f"s3://{bucket}/i*/[3].t?t"}, None)) == [named]
    assert list(given(LIST, {"Bucket": bucket, "Prefix": "none/"}, None, s3=s3)) == []


def test_all_listed_objects_can_be_read_as_one(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="in/", Body=b"")  # the console's folder
    s3.put_object(Bucket=bucket, Key="in/1.csv", Body=b"x\n1\n2\n")
    s3.put_object(Bucket=bucket, Key="in/2.csv.gz", Body=gzip.compress(b"x\n3\n"))
    config = {"InputType": "CSV", "Transformation": "LOAD_AND_FLATTEN"}
    items = given(LIST, {"Bucket": bucket, "Prefix": "in/"}, config, s3=s3)
    assert [item["x"] for item in items] == ["1", "2", "3"]
    s3.put_object(Bucket=bucket, Key="in/3.json", Body=b"{}")
    config["InputType"] = "JSONL"
    cause = cause_of({"Bucket": bucket, "Prefix": "in/1"}, config, LIST, s3=s3)
    assert cause.startswith(f"s3://{bucket}/in/1.csv: line 1 is not JSON")


@pytest.mark.parametrize("config", [{"InputType": "MANIFEST"}, {"ManifestType": "S3_INVENTORY"}])
def test_an_inventory_lists_objects(s3: Any, bucket: str, config: Json, tmp_path: Path) -> None:
    rows = f'"{bucket}","csv/","0","2022-11-16T00:27:19.000Z"\n"{bucket}","csv/a%2Cb","9","2022-11-16T00:29:32.000Z"\n'
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{bucket}",
        "version": "2016-11-30",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, LastModifiedDate",
        "files": [{"key": "data/1.csv.gz", "size": 1}, {"key": "data/2.csv.gz", "size": 1}],
    }
    s3.put_object(Bucket=bucket, Key="manifest.json", Body=json.dumps(manifest).encode())
    s3.put_object(Bucket=bucket, Key="data/1.csv.gz", Body=gzip.compress(rows.encode()))
    s3.put_object(Bucket=bucket, Key="data/2.csv.gz", Body=gzip.compress(b'"b","k","1","d"\n'))
    items = list(given(GET, {"Bucket": bucket, "Key": "manifest.json"}, config, s3=s3))
    assert items[1:] == [
        {"Bucket": bucket, "Key": "csv/a%2Cb", "Size": "9", "LastModifiedDate": "2022-11-16T00:29:32.000Z"},
        {"Bucket": "b", "Key": "k", "Size": "1", "LastModifiedDate": "d"},
    ]
    (tmp_path / "m.json").write_text(json.dumps(manifest))
    assert list(given(GET, {"Uri": f"{tmp_path}/m.json"}, config)) == items


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"a": 1}, "not the manifest.json of an S3 inventory"),
        ([], "not the manifest.json of an S3 inventory"),
        (
            {"destinationBucket": "b", "fileSchema": "s", "files": [], "fileFormat": "ORC"},
            "the inventory is in ORC",
        ),
    ],
)
def test_what_is_no_inventory(tmp_path: Path, manifest: Json, said: str) -> None:
    (tmp_path / "m.json").write_text(json.dumps(manifest))
    assert said in cause_of({"Uri": f"{tmp_path}/m.json"}, {"InputType": "MANIFEST"})


@pytest.mark.parametrize("kind", ["CSV", "JSONL", "PARQUET"])
def test_what_athena_unloads(s3: Any, bucket: str, kind: str) -> None:
    frame = pd.DataFrame({"a": ["1", "2"]})
    parquet = io.BytesIO()
    frame.to_parquet(parquet)
    content = {
        "CSV": gzip.compress(b"1\n2\n"),
        "JSONL": gzip.compress(frame.to_json(orient="records", lines=True).encode()),
        "PARQUET": parquet.getvalue(),
    }
    for name in ("20250101_x", "20250101_y"):
        s3.put_object(Bucket=bucket, Key=f"out/{name}", Body=content[kind])
    lines = f"s3://{bucket}/out/20250101_x\ns3://{bucket}/out/20250101_y\n"
    s3.put_object(Bucket=bucket, Key="q-manifest.csv", Body=lines.encode())
    config = {
        "ManifestType": "ATHENA_DATA",
        "InputType": kind,
        "CSVHeaderLocation": "GIVEN",
        "CSVHeaders": ["a"],
    }
    items = given(GET, {"Bucket": bucket, "Key": "q-manifest.csv"}, config, s3=s3)
    assert list(items) == [{"a": "1"}, {"a": "2"}] * 2


def test_what_s3_refuses_is_said_with_the_place(s3: Any, bucket: str) -> None:
    csv = {"InputType": "CSV"}
    assert cause_of({"Bucket": bucket, "Key": "x"}, csv, s3=s3) == (
        f"s3://{bucket}/x: The specified key does not exist. (Service: S3, Status Code: 404, Error Code: NoSuchKey)"
    )
    assert "Error Code: NoSuchBucket" in cause_of({"Bucket": "nowhere-at-all", "Key": "x"}, csv, s3=s3)
    assert "Error Code: NoSuchBucket" in cause_of({"Bucket": "nowhere-at-all"}, None, LIST, s3=s3)
    assert 'Missing required parameter in input: "Key"' in cause_of({"Bucket": bucket}, csv, s3=s3)
    assert f"s3://{bucket}/x: " in cause_of({"Bucket": bucket, "Key": "x", "Colour": 1}, csv, s3=s3)


def test_without_boto3_the_cause_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    cause = cause_of({"Bucket": "b", "Key": "k"}, {"InputType": "CSV"})
    assert cause == "s3://b/k: S3 needs boto3, which is not installed here: pip install nbflow[aws]"


def test_one_client_is_made_and_closed(s3: Any) -> None:
    with s3_access() as client:
        assert client() is client()
    with s3_access(s3) as given:
        assert given() is s3


# --- streaming


class _Body(io.RawIOBase):
    """A body without an end, which counts what was read of it."""

    def __init__(self, line: bytes) -> None:
        self.line, self.taken, self.shut = line, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = (self.line * (len(buffer) // len(self.line) + 1))[
            : len(buffer) // len(self.line) * len(self.line)
        ]
        buffer[: len(chunk)] = chunk
        self.taken += len(chunk)
        return len(chunk)

    def close(self) -> None:
        self.shut = True
        super().close()


@pytest.mark.parametrize(("kind", "line"), [("CSV", b"a,b\n"), ("JSONL", b'"b"\n')])
def test_text_is_not_read_ahead_of_its_items_and_closed_with_them(kind: str, line: bytes) -> None:
    class S3:
        def get_object(self, **parameters: Json) -> dict[str, IO[bytes]]:
            return {"Body": body}  # type: ignore[dict-item]

    body = _Body(line)
    items: Any = given(GET, {"Bucket": "b", "Key": "k"}, {"InputType": kind}, s3=S3())
    for _ in range(1000):
        next(items)
    assert body.taken <= 2**19
    items.close()
    assert body.shut


def test_a_listing_asks_for_a_page_when_its_items_are_needed() -> None:
    pages: list[int] = []

    class S3:
        def get_paginator(self, name: str) -> "S3":
            assert name == "list_objects_v2"
            return self

        def paginate(self, **parameters: Json) -> Any:
            found = {"Key": "k", "ETag": "e", "Size": 1, "LastModified": datetime.datetime.now(datetime.UTC)}
            for number in range(1000):
                pages.append(number)
                yield {"Contents": [found, found]}

    items = given(LIST, {"Bucket": "b"}, {"MaxItems": 3}, s3=S3())
    assert len(list(items)) == 3
    assert pages == [0, 1]
