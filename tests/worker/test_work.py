"""One task: what the function is given, and what becomes of what it returns or raises."""

import json
from typing import Any

import pandas as pd
import pytest

import nbflow as nf
from nbflow.tasks.perform import LONGEST_CAUSE
from nbflow.worker.work import LONGEST_OUTPUT, perform, work_of


@nf.task
def total(price: int, count: int = 1) -> int:
    return price * count


def same(input: Any) -> Any:
    return input


def failing(error: BaseException) -> Any:
    def fail(_: object) -> None:
        raise error

    return perform(work_of(fail), "1")


@pytest.mark.parametrize(
    ("function", "input", "output"),
    [
        (same, '{"a": [1, "é", null]}', '{"a": [1, "é", null]}'),
        (same, "12345678901234567890", "12345678901234567890"),
        (total, '{"price": 3, "count": 2}', "6"),
        (lambda _: (1, 2), "1", "[1, 2]"),
        (lambda _: pd.Series([1.5]).sum(), "1", "1.5"),
    ],
)
def test_a_result_is_json(function: Any, input: str, output: str) -> None:
    answer = perform(work_of(function), input)
    assert (answer.output, answer.error) == (output, None)


def test_a_failure_is_told_as_lambda_tells_it() -> None:
    answer = failing(LookupError("no price"))
    cause = json.loads(answer.cause)
    assert answer.error == "LookupError"
    assert (cause["errorMessage"], cause["errorType"]) == ("no price", "LookupError")
    assert "raise error" in "".join(cause["stackTrace"])
    assert "worker/work.py" not in "".join(cause["stackTrace"])


def test_a_failure_may_have_a_name_of_its_own() -> None:
    assert failing(nf.Fail("NoData", "nothing there"))[1:] == ("NoData", "nothing there")
    assert failing(SystemExit(3)).error == "SystemExit"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"rows": [pd.DataFrame()]}, "result['rows'][0] is a DataFrame, which JSON cannot hold. Return plain data"),
        ({1: "one"}, "result is a dict, which JSON cannot hold. Return plain data: numbers, texts, lists, and dicts with texts as keys"),
        ({"x": float("nan")}, "result['x'] is nan, which JSON does not have"),
        (object(), "result is an object, which JSON cannot hold"),
    ],
)  # fmt: skip
def test_a_result_that_json_cannot_hold_is_a_failure_that_says_so(result: Any, words: str) -> None:
    answer = perform(work_of(lambda _: result), "1")
    assert answer.error == "nbflow.NotJson"
    assert words in json.loads(answer.cause)["errorMessage"]


def test_a_result_is_as_large_as_the_api_takes() -> None:
    assert perform(work_of(lambda _: "x" * (LONGEST_OUTPUT - 2)), "1").error is None
    answer = perform(work_of(lambda _: "x" * LONGEST_OUTPUT), "1")
    assert answer.error == "States.DataLimitExceeded"
    assert "is JSON of 262,146 characters; the API takes 262,144" in answer.cause


@pytest.mark.parametrize(
    ("input", "words"),
    [
        ("[1]", "total() takes keyword arguments, but the state's input is the list [1]"),
        ('{"cost": 1}', "unexpected keyword argument 'cost'; the state's input gives it the names cost"),
    ],
)
def test_an_input_that_does_not_fit_says_how(input: str, words: str) -> None:
    answer = perform(work_of(total), input)
    assert answer.error == "TypeError"
    assert words in json.loads(answer.cause)["errorMessage"]


@pytest.mark.parametrize("wrong", [3, nf.notebook("a.ipynb")])
def test_only_functions_can_be_called(wrong: Any) -> None:
    with pytest.raises(nf.NbflowError, match=r"a worker calls a function or an nf\.task, not "):
        work_of(wrong)


def test_a_failure_that_utf_8_cannot_hold_is_spelt_out() -> None:
    """The API would refuse it, and a worker ends when it is refused an answer."""

    def work(_: Any) -> None:
        raise nf.Fail("no \ud800", "\udfff" * LONGEST_CAUSE)

    answer = perform(work_of(work), "1")
    assert answer.error == "no \\ud800"
    assert len(answer.cause) <= LONGEST_CAUSE
    answer.cause.encode()
