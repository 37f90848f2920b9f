"""What the actions check of their parameters, with AWS's errors, and how lists are cut into pages."""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from nbflow.language.values import Json
from nbflow.service.errors import ApiError

DEFAULT_RESULTS: Final = 100
"""A page of a list where none, or 0, is asked for (AWS, ListExecutions, maxResults)."""

MOST_RESULTS: Final = 1000
"""The longest page."""


METADATA_ONLY: Final = "METADATA_ONLY"
"""The ``includedData`` of those who may not see definitions and payloads."""

STATUSES: Final = ("SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING")
"""What a list of executions can be filtered by, in the order in which AWS's servers name them."""


def check_input(text: str) -> Json:
    """The value of an execution's input. Raises ApiError InvalidExecutionInput that says where the text is wrong."""
    value, wrong = read_json(text)
    if wrong is None:
        return value
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    raise ApiError(
        "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{wrong}'", f"it is {shown}"
    )


def read_json(text: str) -> tuple[Json, str | None]:
    """The value of a JSON text, or what is wrong with it."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite), None
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at line {error.lineno} column {error.colno}"
    except RecursionError:
        return None, "it is nested too deeply"
    except ValueError as error:  # NaN, 1e999, or an integer of thousands of digits
        return None, str(error)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no JSON number")
    return number


# --- pages


def page(
    member: str, items: Sequence[Any], max_results: int, next_token: str | None, *, of: str = ""
) -> dict[str, Json]:
    """A page of a list that is all in memory; ``of`` is what else, beside ``member``, tells one list from another."""
    question = f"{member} {of}"
    start = 0 if next_token is None else read_token(next_token, question)
    end = start + limit_of(max_results)
    answer: dict[str, Json] = {member: list(items[start:end])}
    if end < len(items):
        answer["nextToken"] = make_token(end, question)
    return answer


def limit_of(max_results: int) -> int:
    """How many items a page may hold. Raises ApiError ValidationException."""
    if not 0 <= max_results <= MOST_RESULTS:
        bound = f"less than or equal to {MOST_RESULTS}" if max_results > 0 else "greater than or equal to 0"
        raise invalid(broken("maxResults", max_results, f"Member must have value {bound}"))
    return max_results or DEFAULT_RESULTS


def check_status(status: str) -> None:
    """Raises ApiError ValidationException for what is no status of an execution."""
    if status not in STATUSES:
        constraint = f"Member must satisfy enum value set: [{', '.join(STATUSES)}]"
        raise invalid(broken("statusFilter", status, constraint))


def broken(member: str, value: object, constraint: str) -> str:
    """What is wrong with one member, such as ``Value '' at 'name' failed to satisfy constraint: …``."""
    return f"Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"


def invalid(*wrong: str) -> ApiError:
    """AWS's words for parameters that break constraints, each given as :func:`broken` says it."""
    errors = "errors" if len(wrong) > 1 else "error"
    return ApiError("ValidationException", f"{len(wrong)} validation {errors} detected: {'; '.join(wrong)}")


def make_token(position: int, question: str) -> str:
    """A nextToken: where the next page begins, and a digest of what was asked, as an opaque text."""
    return base64.urlsafe_b64encode(f"{position}.{_digest(question)}".encode()).decode()


def read_token(token: str, question: str) -> int:
    """Where the page begins. Raises ApiError InvalidToken for what is no token, or one of another question."""
    try:
        position, _, asked = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(".")
    except (binascii.Error, ValueError):
        position = asked = ""
    if not (position.isascii() and position.isdigit() and asked == _digest(question)):
        raise ApiError(
            "InvalidToken", "Invalid Token: 'Invalid token'", "give the nextToken of an earlier answer"
        )
    return int(position)


def _digest(question: str) -> str:
    return sha256(question.encode()).hexdigest()[:16]


def without_none(members: dict[str, Json]) -> dict[str, Json]:
    """The members that have a value: AWS leaves the others out."""
    return {name: value for name, value in members.items() if value is not None}
