"""What the actions check of their parameters, with AWS's errors, and how lists are cut into pages."""

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from nbflow.language import model
from nbflow.language.validate import DefinitionError, Diagnostic, parse
from nbflow.language.values import Json
from nbflow.service.errors import ApiError

DEFAULT_RESULTS: Final = 100
"""A page of a list where none, or 0, is asked for (AWS, ListExecutions, maxResults)."""

MOST_RESULTS: Final = 1000
"""The longest page."""


def check_input(text: str) -> Json:
    """The value of an execution's input. Raises ApiError InvalidExecutionInput that says where the text is wrong."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except json.JSONDecodeError as error:
        wrong = f"{error.msg} at line {error.lineno} column {error.colno}"
    except RecursionError:
        wrong = "it is nested too deeply"
    except ValueError as error:  # NaN, 1e999, or an integer of thousands of digits
        wrong = str(error)
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    raise ApiError(
        "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{wrong}'", f"it is {shown}"
    )


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no JSON number")
    return number


def check_definition(definition: str) -> model.StateMachine:
    """The model of a definition. Raises ApiError InvalidDefinition with every mistake."""
    try:
        return parse(definition)
    except DefinitionError as error:
        raise ApiError("InvalidDefinition", _in_aws_words(error.diagnostics)) from error


def _in_aws_words(diagnostics: Sequence[Diagnostic]) -> str:
    mistakes = [
        f"{d.code}: {d.message}" + (f" at {d.location}" if d.location else "")
        for d in diagnostics
        if d.severity == "ERROR"
    ]
    return f"Invalid State Machine Definition: '{', '.join(mistakes)}'"


def page(member: str, items: Sequence[Any], max_results: int, next_token: str | None) -> dict[str, Json]:
    """A page of a list that is all in memory; the token is where the next one begins."""
    start = 0 if next_token is None else number_of(next_token)
    end = start + limit_of(max_results)
    answer: dict[str, Json] = {member: list(items[start:end])}
    if end < len(items):
        answer["nextToken"] = str(end)
    return answer


def limit_of(max_results: int) -> int:
    """How many items a page may hold. Raises ApiError ValidationException."""
    if not 0 <= max_results <= MOST_RESULTS:
        bound = f"less than or equal to {MOST_RESULTS}" if max_results > 0 else "greater than or equal to 0"
        raise invalid("maxResults", max_results, f"Member must have value {bound}")
    return max_results or DEFAULT_RESULTS


def number_of(text: str) -> int:
    """What a nextToken stands for. Raises ApiError InvalidToken."""
    if not (text.isascii() and text.isdigit()):
        raise ApiError("InvalidToken", f"Invalid Token: '{text}'", "give the nextToken of an earlier answer")
    return int(text)


def invalid(member: str, value: object, constraint: str) -> ApiError:
    """AWS's words for a parameter out of its range."""
    return ApiError(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}",
    )
