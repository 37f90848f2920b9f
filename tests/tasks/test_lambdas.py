"""``lambda:invoke``: which function is meant, and what its answer looks like (AWS guide, "Invoke Lambda")."""

from pathlib import Path

import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.language.values import Json
from nbflow.tasks.function import pin
from nbflow.tasks.job import Job
from nbflow.tasks.lambdas import enveloped, function_name
from nbflow.tasks.perform import perform

NAMES: list[tuple[Json, str]] = [
    ("clean", "clean"),
    ("clean:PROD", "clean"),
    ("clean:$LATEST", "clean"),
    ("000000000000:function:clean", "clean"),
    ("000000000000:function:clean:7", "clean"),
    ("arn:aws:lambda:us-east-1:000000000000:function:clean", "clean"),
    ("arn:aws-cn:lambda:cn-north-1:000000000000:function:clean:PROD", "clean"),
    ("", ""),
    (None, ""),
    (7, ""),
    (["clean"], ""),
]


@pytest.mark.parametrize(("given", "name"), NAMES)
def test_the_name_of_a_function(given: Json, name: str) -> None:
    assert function_name(given) == name


@pytest.mark.parametrize("payload", [None, 1, {"a": [1]}])
def test_an_answer_is_lambdas(payload: Json) -> None:
    assert enveloped(payload) == {
        "ExecutedVersion": "$LATEST",
        "Payload": payload,
        "SdkHttpMetadata": {"AllHttpHeaders": {}, "HttpHeaders": {}, "HttpStatusCode": 200},
        "SdkResponseMetadata": {"RequestId": ""},
        "StatusCode": 200,
    }


def test_a_job_that_is_enveloped(tmp_path: Path) -> None:
    code = pin(lambda data: {"got": data}, "f", keywords=False)
    job = Job("execution", 7, code, {"a": 1}, Shelf(str(tmp_path)), enveloped=True)
    assert perform(job).output == enveloped({"got": {"a": 1}})
    assert perform(job._replace(enveloped=False)).output == {"got": {"a": 1}}


def test_a_failure_is_not_enveloped(tmp_path: Path) -> None:
    code = pin(lambda data: 1 / data, "f", keywords=False)
    outcome = perform(Job("execution", 7, code, 0, Shelf(str(tmp_path)), enveloped=True))
    assert (outcome.output, outcome.error) == (None, "ZeroDivisionError")


def test_what_a_function_has_to_return_is_looked_at_inside(tmp_path: Path) -> None:
    from dataclasses import replace

    code = replace(pin(lambda data: data, "f", keywords=False), returns="number")
    job = Job("execution", 7, code, 5, Shelf(str(tmp_path)), enveloped=True)
    assert perform(job).output["Payload"] == 5
    assert perform(job._replace(arguments="five")).error == "nbflow.WrongResult"
