"""Runs a compiled flow in process: the pure machine in virtual time, and its tasks called as workers call them."""

import copy
import json
import math
from typing import Any

from nbflow.authoring.flow import FlowCode
from nbflow.authoring.task import Notebook
from nbflow.errors import Fail, NbflowError
from nbflow.language.values import Json
from nbflow.machine import facts, orders
from tests.machine.driver import Driver


class Ended(Exception):
    """The execution failed, with this error and cause."""

    def __init__(self, error: str | None, cause: str | None) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause

    @property
    def message(self) -> str | None:
        """The exception's own message, where the cause is a worker's."""
        try:
            details = json.loads(self.cause or "")
        except ValueError:
            return self.cause
        return details["errorMessage"] if isinstance(details, dict) else self.cause


class NotJson(NbflowError):
    """As nbflow.NotJson: what a payload cannot hold."""


class WrongResult(NbflowError):
    """As the worker's: a result is not what the definition relies on."""


def run(code: FlowCode, input: Json = None) -> Json:
    """The output of an execution of the flow; raises Ended if it fails."""
    driver = _Driver(code).go({} if input is None else input)
    execution = driver.run
    assert execution.ended, f"the execution is {execution.status} and nothing is left to do"
    if execution.status != "SUCCEEDED":
        raise Ended(execution.error, execution.cause)
    return execution.output


class _Driver(Driver):
    def __init__(self, code: FlowCode) -> None:
        super().__init__(code.definition)
        self.code = code

    def answer(self, order: orders.RunTask) -> facts.Fact:
        name = order.resource.rpartition(":")[2]
        task = self.code.tasks[name]
        assert not isinstance(task, Notebook)
        try:
            output = normal(task.function(**copy.deepcopy(order.arguments)))
            _check(name, output, self.code.checks.get(name))
        except BaseException as raised:  # noqa: BLE001  # as the worker: whatever a task raises is its failure
            names = error_names(raised)
            # An nf.Fail is known by its class before it is by its own name: except KeyError is no nf.Fail("KeyError").
            known = [*names[1:], names[0]] if isinstance(raised, Fail) else names
            error = next((name for name in known if name in order.expected), names[0])
            cause = json.dumps({"errorMessage": str(raised), "errorType": names[0], "stackTrace": []})
            return facts.TaskFailed(order.attempt, error, cause)
        return facts.TaskSucceeded(order.attempt, output)


def error_names(raised: BaseException) -> list[str]:
    """The names that a Retry or Catch may know an exception by, its own first."""
    names = [
        f"nbflow.{kind.__name__}" if issubclass(kind, NbflowError) else kind.__name__
        for kind in type(raised).__mro__
    ]
    return [raised.error, *names] if isinstance(raised, Fail) else names


_KINDS: dict[str, Any] = {
    "number": (int, float),
    "string": str,
    "boolean": bool,
    "array": list,
    "dataframe": dict,
}


def _check(name: str, output: Json, expected: str | None) -> None:
    if expected is None:
        return
    kind, _, size = expected.rstrip("]").partition("[")
    right = isinstance(output, _KINDS[kind]) and (kind == "boolean" or not isinstance(output, bool))
    if not right or (size and len(output) != int(size)):
        raise WrongResult(f"{name}() returned {output!r}, which is no {expected}")


def normal(value: Any) -> Json:
    """The value as a payload holds it: tuples are lists; raises NotJson for what JSON has not."""
    if value is None or isinstance(value, bool | str):
        if isinstance(value, str):
            value.encode()
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise NotJson("an integer of more than 64 bits")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson(f"{value} is not in JSON")
        return float(value)
    if isinstance(value, list | tuple):
        return [normal(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: normal(item) for key, item in value.items()}
    raise NotJson(f"{type(value).__name__} would be a reference")
