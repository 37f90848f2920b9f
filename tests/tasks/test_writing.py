"""Writing results: the state's own output, and files by status beside their manifest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from nbflow.language.values import Json
from nbflow.tasks.places import ItemsFailed
from nbflow.tasks.writing import ChildResult, description, transformed, write_results
from tests.tasks.support import given

UUID = "ad9b5f27-090b-3ac6-9beb-243cd77144a7"
MAP_RUN = f"arn:aws:states:us-east-1:000000000000:mapRun:orders/Map:{UUID}"
FOLDER = "arn:aws:states:us-east-1:000000000000"
NOON = 1738670400.0


def child(name: str, status: str = "SUCCEEDED", output: Json = None, **more: Any) -> ChildResult:
    text = json.dumps(output) if status == "SUCCEEDED" else None
    times = {} if status == "PENDING" else {"start": NOON, "stop": NOON + 0.25}
    arn = f"{FOLDER}:execution:orders/Map:{name}"
    machine = f"{FOLDER}:stateMachine:orders/Map"
    return ChildResult(arn, name, machine, status, f'{{"item":"{name}"}}', text, **{**times, **more})


SOME = [
    child("a", output=[1, 2]),
    child("b", "FAILED", error="Oh", cause="no"),
    child("c", output={"é": 3}),
    child("d", "TIMED_OUT", error="States.Timeout"),
    child("e", "ABORTED"),
    child("f", "PENDING"),
]
FAILED = [description(SOME[1]), description(SOME[3]), description(SOME[4])]


# --- descriptions


def test_a_child_that_succeeded_as_aws_describes_it() -> None:
    assert description(child("n1", output=[1])) == {
        "ExecutionArn": f"{FOLDER}:execution:orders/Map:n1",
        "Input": '{"item":"n1"}',
        "InputDetails": {"Included": True},
        "Name": "n1",
        "Output": "[1]",
        "OutputDetails": {"Included": True},
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "StartDate": "2025-02-04T12:00:00.000Z",
        "StateMachineArn": f"{FOLDER}:stateMachine:orders/Map",
        "Status": "SUCCEEDED",
        "StopDate": "2025-02-04T12:00:00.250Z",
    }


def test_a_child_that_failed_has_its_error_and_no_output() -> None:
    described = description(child("n", "FAILED", error="Oh", cause="no", redrives=2))
    assert (described["Error"], described["Cause"], described["RedriveCount"]) == ("Oh", "no", 2)
    assert described["RedriveStatus"] == "REDRIVABLE"
    assert described.keys().isdisjoint({"Output", "RedriveStatusReason"})


def test_an_express_child_is_redriven_by_its_map_run() -> None:
    arn = f"{FOLDER}:express:orders/Map:n:1"
    failed = child("n", "FAILED")._replace(execution_arn=arn)
    assert description(failed)["RedriveStatus"] == "REDRIVABLE_BY_MAP_RUN"


def test_a_child_that_never_started_has_no_times() -> None:
    assert (
        description(child("n", "PENDING"))
        .keys()
        .isdisjoint({"StartDate", "StopDate", "RedriveStatus", "Error"})
    )


# --- as the output of the state


@pytest.mark.parametrize(
    ("config", "output"),
    [
        (None, [[1, 2], "x", None]),
        ({"OutputType": "JSONL"}, [[1, 2], "x", None]),
        ({"Transformation": "COMPACT"}, [[1, 2], "x", None]),
        ({"Transformation": "FLATTEN"}, [1, 2, "x", None]),
    ],
)
def test_transformed(config: Json, output: Json) -> None:
    assert transformed([child("a", output=[1, 2]), child("b", output="x"), child("c")], config) == output


def test_transformed_by_none_is_the_descriptions() -> None:
    assert transformed(iter(SOME), {"Transformation": "NONE"}) == [description(each) for each in SOME]


@pytest.mark.parametrize("name", ["COMPACT", "FLATTEN"])
def test_what_did_not_succeed_is_described_always(name: str) -> None:
    assert transformed(SOME[1:2], {"Transformation": name}) == [FAILED[0]]


def test_flattening_goes_one_level_deep() -> None:
    assert transformed(
        [child("a", output=[[1], []]), child("b", output=[])], {"Transformation": "FLATTEN"}
    ) == [[1], []]


def test_a_transformation_that_there_is_not_is_named() -> None:
    with pytest.raises(
        ItemsFailed, match='Transformation "FLAT" is not one of NONE, COMPACT, FLATTEN'
    ) as failed:
        transformed([], {"Transformation": "FLAT"})
    assert failed.value.error == "States.ResultWriterFailed"


# --- as files


def text_of(details: Json, s3: Any) -> str:
    """The content of what a manifest or a result names."""
    if "Uri" in details:
        with fsspec.open(details["Uri"], "r", encoding="utf-8") as file:
            text: str = file.read()
        return text
    return str(s3.get_object(Bucket=details["Bucket"], Key=details["Key"])["Body"].read().decode())


def test_results_in_s3(s3: Any, bucket: str) -> None:
    output = write_results({"Bucket": bucket, "Prefix": "jobs"}, None, MAP_RUN, iter(SOME), s3=s3)
    key = f"jobs/{UUID}"
    assert output == {
        "MapRunArn": MAP_RUN,
        "ResultWriterDetails": {"Bucket": bucket, "Key": f"{key}/manifest.json"},
    }
    manifest = json.loads(text_of(output["ResultWriterDetails"], s3))
    sizes = {found["Key"]: found["Size"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert manifest == {
        "DestinationBucket": bucket,
        "MapRunArn": MAP_RUN,
        "ResultFiles": {
            status: [{"Key": f"{key}/{status}_0.json", "Size": sizes[f"{key}/{status}_0.json"]}]
            for status in ("FAILED", "PENDING", "SUCCEEDED")
        },
    }

    def read(status: str) -> Json:
        return json.loads(text_of({"Bucket": bucket, "Key": f"{key}/{status}_0.json"}, s3))

    assert read("SUCCEEDED") == [description(SOME[0]), description(SOME[2])]
    assert read("FAILED") == FAILED
    assert read("PENDING") == [description(SOME[5])]
    assert len(sizes) == 4


@pytest.mark.parametrize(
    ("prefix", "key"),
    [({}, UUID), ({"Prefix": ""}, UUID), ({"Prefix": "a/b/"}, f"a/b/{UUID}"), ({"Prefix": "a"}, f"a/{UUID}")],
)
def test_prefixes(s3: Any, bucket: str, prefix: dict[str, Json], key: str) -> None:
    output = write_results(
        {"Bucket": bucket, **prefix}, None, MAP_RUN, SOME
    )  # the client by the AWS_* variables
    assert output["ResultWriterDetails"]["Key"] == f"{key}/manifest.json"
    assert len(s3.list_objects_v2(Bucket=bucket, Prefix=f"{key}/")["Contents"]) == 4


def test_an_s3_uri_is_a_bucket_and_a_prefix(s3: Any, bucket: str) -> None:
    output = write_results({"Uri": f"s3://{bucket}/jobs"}, None, MAP_RUN, [])
    assert output["ResultWriterDetails"] == {"Bucket": bucket, "Key": f"jobs/{UUID}/manifest.json"}


@pytest.mark.parametrize("where", ["{folder}/results", "{folder}/results/", "memory://{folder}/results"])
def test_results_in_files(tmp_path: Path, where: str) -> None:
    uri = where.format(folder=tmp_path)
    output = write_results({"Uri": uri}, {"Transformation": "COMPACT"}, MAP_RUN, SOME)
    folder = f"{uri.rstrip('/')}/{UUID}"
    assert output == {"MapRunArn": MAP_RUN, "ResultWriterDetails": {"Uri": f"{folder}/manifest.json"}}
    manifest = json.loads(text_of(output["ResultWriterDetails"], None))
    assert manifest["DestinationUri"] == folder
    [succeeded] = manifest["ResultFiles"]["SUCCEEDED"]
    text = text_of(succeeded, None)
    assert text == '[[1,2],{"é":3}]'
    assert succeeded == {"Uri": f"{folder}/SUCCEEDED_0.json", "Size": len(text.encode())}
    assert json.loads(text_of(manifest["ResultFiles"]["FAILED"][0], None)) == FAILED


def test_json_lines(tmp_path: Path) -> None:
    config = {"Transformation": "FLATTEN", "OutputType": "JSONL"}
    output = write_results({"Uri": str(tmp_path)}, config, MAP_RUN, SOME)
    manifest = json.loads(text_of(output["ResultWriterDetails"], None))
    assert [Path(each["Uri"]).name for files in manifest["ResultFiles"].values() for each in files] == [
        "FAILED_0.jsonl",
        "PENDING_0.jsonl",
        "SUCCEEDED_0.jsonl",
    ]
    assert text_of(manifest["ResultFiles"]["SUCCEEDED"][0], None) == '1\n2\n{"é":3}\n'


@pytest.mark.parametrize(("kind", "sizes"), [("JSON", [14, 14, 9]), ("JSONL", [13, 13, 8])])
def test_a_file_that_would_become_too_large_is_followed_by_another(
    tmp_path: Path, kind: str, sizes: Json
) -> None:
    results = [child(str(number), output="abcd") for number in range(5)]
    config = {"Transformation": "COMPACT", "OutputType": kind}
    limit = 15 if kind == "JSON" else 14  # two rows of 6 characters, and what is around them
    output = write_results({"Uri": str(tmp_path)}, config, MAP_RUN, results, largest=limit)
    files = json.loads(text_of(output["ResultWriterDetails"], None))["ResultFiles"]["SUCCEEDED"]
    assert [Path(each["Uri"]).stem for each in files] == ["SUCCEEDED_0", "SUCCEEDED_1", "SUCCEEDED_2"]
    assert all(each["Size"] == Path(each["Uri"]).stat().st_size <= limit for each in files)
    read = {"InputType": kind}
    items = given("s3:getObject", {"Uri": f"{tmp_path}/{UUID}/SUCCEEDED_*"}, read)
    assert list(items) == ["abcd"] * 5


def test_a_row_larger_than_a_file_is_alone_in_one(tmp_path: Path) -> None:
    results = [child(str(number), output="x" * 50) for number in range(2)]
    output = write_results(
        {"Uri": str(tmp_path)}, {"Transformation": "COMPACT"}, MAP_RUN, results, largest=10
    )
    files = json.loads(text_of(output["ResultWriterDetails"], None))["ResultFiles"]["SUCCEEDED"]
    assert [each["Size"] for each in files] == [54, 54]


def test_without_results_there_is_only_a_manifest(tmp_path: Path) -> None:
    write_results({"Uri": str(tmp_path)}, None, MAP_RUN, [])
    assert [path.name for path in (tmp_path / UUID).iterdir()] == ["manifest.json"]


def test_results_are_taken_one_by_one(tmp_path: Path) -> None:
    alive: set[int] = set()

    class Text(str):
        def __del__(self) -> None:
            alive.discard(id(self))

    def results() -> Iterator[ChildResult]:
        for _ in range(100):
            text = Text("[1]")
            alive.add(id(text))
            yield child("a")._replace(output=text)
            del text
            assert len(alive) <= 2

    write_results({"Uri": str(tmp_path)}, None, MAP_RUN, results())


def test_any_text_can_be_written_and_read_back(tmp_path: Path) -> None:
    results = [child("a", output=["\ud83d", "\n", "日本", 12345678901234567890123])]
    for kind in ("JSON", "JSONL"):
        config = {"Transformation": "COMPACT", "OutputType": kind}
        write_results({"Uri": str(tmp_path)}, config, MAP_RUN, results)
        items = given(
            "s3:getObject", {"Uri": f"{tmp_path}/{UUID}/SUCCEEDED_0.{kind.lower()}"}, {"InputType": kind}
        )
        assert list(items) == [["\ud83d", "\n", "日本", 12345678901234567890123]]


@pytest.mark.parametrize(
    ("parameters", "config", "said"),
    [
        (None, None, "ResultWriter: the parameters name no place: give Bucket and Prefix, or Uri"),
        ({"Uri": ""}, None, "the parameters name no place"),
        (
            {"Uri": "x"},
            {"Transformation": "ALL"},
            'Transformation "ALL" is not one of NONE, COMPACT, FLATTEN',
        ),
        ({"Uri": "x"}, {"Transformation": {}}, "Transformation {} is not one of NONE, COMPACT, FLATTEN"),
        ({"Uri": "x"}, {"OutputType": "CSV"}, 'OutputType "CSV" is not one of JSON, JSONL'),
        ({"Uri": "nope://x"}, None, "Protocol not known: nope"),
    ],
)
def test_what_cannot_be_written_says_why(parameters: Json, config: Json, said: str) -> None:
    with pytest.raises(ItemsFailed) as failed:
        write_results(parameters, config, MAP_RUN, SOME)
    assert failed.value.error == "States.ResultWriterFailed"
    assert said in failed.value.cause


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ItemsFailed, match=f"^States.ResultWriterFailed: {tmp_path}/file/{UUID}: "):
        write_results({"Uri": f"{tmp_path}/file"}, None, MAP_RUN, SOME)


def test_a_bucket_that_there_is_not(s3: Any) -> None:
    with pytest.raises(
        ItemsFailed, match=f"^States.ResultWriterFailed: s3://no-such-bucket/x/{UUID}: .*NoSuchBucket"
    ):
        write_results({"Bucket": "no-such-bucket", "Prefix": "x"}, None, MAP_RUN, SOME, s3=s3)
