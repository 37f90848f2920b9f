"""The models: names, defaults, types and ranges."""

from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from nbflow.language import model
from nbflow.language.values import ABSENT, Json


@dataclass(frozen=True)
class Case:
    id: str
    kind: type[model.Node]
    fields: dict[str, Json]


TASK = {"Type": "Task", "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:work"}
WAIT = {"Type": "Wait"}
MAP = {"Type": "Map", "ItemProcessor": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}}
RETRIER = {"ErrorEquals": ["States.ALL"]}

VALID = [
    Case("seconds as a number", model.Wait, WAIT | {"Seconds": 0}),
    Case("seconds as an expression", model.Wait, WAIT | {"Seconds": "{% 1 %}"}),
    Case("the longest wait", model.Wait, WAIT | {"Seconds": 99_999_999}),
    Case("any concurrency", model.Map, MAP | {"MaxConcurrency": 2**63}),
    Case("whole percentage", model.Map, MAP | {"ToleratedFailurePercentage": 100}),
    Case("part of a percentage", model.Map, MAP | {"ToleratedFailurePercentage": 0.5}),
    Case("retry at once", model.Retrier, RETRIER | {"IntervalSeconds": 0}),
    Case("whole backoff", model.Retrier, RETRIER | {"BackoffRate": 1}),
    Case("null paths", model.Task, TASK | {"InputPath": None, "ResultPath": None, "OutputPath": None}),
]

INVALID = [
    Case("a boolean is no number", model.Wait, WAIT | {"Seconds": True}),
    Case("a fraction is no integer", model.Wait, WAIT | {"Seconds": 1.0}),
    Case("a negative wait", model.Wait, WAIT | {"Seconds": -1}),
    Case("too long a wait", model.Wait, WAIT | {"Seconds": 100_000_000}),
    Case("no timeout at all", model.Task, TASK | {"TimeoutSeconds": 0}),
    Case("a negative count", model.Map, MAP | {"ToleratedFailureCount": -1}),
    Case("more than all", model.Map, MAP | {"ToleratedFailurePercentage": 100.5}),
    Case("a shrinking backoff", model.Retrier, RETRIER | {"BackoffRate": 0.9}),
    Case("a backoff in quotes", model.Retrier, RETRIER | {"BackoffRate": "2"}),
    Case("no error names", model.Retrier, {"ErrorEquals": []}),
    Case("an unknown strategy", model.Retrier, RETRIER | {"JitterStrategy": "HALF"}),
    Case("an unknown field", model.Wait, WAIT | {"Minutes": 1}),
    Case("a Python name", model.Wait, WAIT | {"seconds": 1}),
    Case("no states", model.Branch, {"StartAt": "A", "States": {}}),
]


@pytest.mark.parametrize("case", VALID, ids=lambda case: case.id)
def test_accepts(case: Case) -> None:
    assert case.kind.model_validate(case.fields).model_dump(by_alias=True, exclude_unset=True).keys() >= set(
        case.fields
    )


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case.id)
def test_rejects(case: Case) -> None:
    with pytest.raises(ValidationError):
        case.kind.model_validate(case.fields)


def test_defaults_are_those_of_the_specification() -> None:
    retrier = model.Retrier.model_validate(RETRIER)
    assert (retrier.interval_seconds, retrier.max_attempts, retrier.backoff_rate) == (1, 3, 2.0)
    task = model.Task.model_validate(TASK)
    assert (task.input_path, task.result_path, task.output_path) == ("$", "$", "$")
    assert (task.parameters, task.output, task.retry, task.catch) == (ABSENT, ABSENT, [], [])
    assert not task.jsonata


def test_null_is_a_value() -> None:
    state = model.Pass.model_validate({"Type": "Pass", "Result": None, "End": True})
    assert state.result is None


def test_each_type_has_its_own_model() -> None:
    machine = model.StateMachine.model_validate(
        {
            "StartAt": "Pass",
            "States": {
                "Pass": {"Type": "Pass", "Next": "Fail"},
                "Fail": {"Type": "Fail", "QueryLanguage": "JSONata"},
            },
        }
    )
    assert isinstance(machine.states["Pass"], model.Pass)
    assert isinstance(machine.states["Fail"], model.Fail)
    assert machine.states["Fail"].jsonata


def test_models_are_frozen() -> None:
    task = model.Task.model_validate(TASK)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(task, "resource", "another")  # noqa: B010 - mypy knows that it cannot be assigned
