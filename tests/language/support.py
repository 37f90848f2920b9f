"""What the tests of expressions share: a scope to evaluate in."""

from random import Random
from typing import Any

from nbflow.language.values import Failure, Json, Scope

CONTEXT: dict[str, Json] = {"Execution": {"Id": "arn:run", "Input": {"n": 1}}, "State": {"Name": "Here"}}


def scope(input: Json = None, variables: dict[str, Json] | None = None, **extras: Json) -> Scope:
    """A scope with a fixed context, time and seed."""
    return Scope(input, lambda: CONTEXT, variables or {}, 1_700_000_000.125, Random(7), extras)


def cause(value: Any) -> str:
    """The cause of a failure, which ``value`` must be."""
    assert isinstance(value, Failure)
    return str(value.cause)
