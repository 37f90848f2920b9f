"""The data flow through a state: input → arguments → result → output, in JSONPath and in JSONata.

JSONPath (ASL, "Input and output processing"): InputPath, Parameters, [the work], ResultSelector, ResultPath,
OutputPath. JSONata: Arguments, [the work], Output. Assign is evaluated beside the output, and sees the
variables as they were.
"""

import math
from functools import cache
from typing import Final

from nbflow.language import model
from nbflow.language.jsonata import evaluate, is_expression
from nbflow.language.paths import compact, put, read
from nbflow.language.payload import fill
from nbflow.language.values import ABSENT, Failure, Json
from nbflow.machine.run import Frame
from nbflow.machine.turn import Done, Failed, Turn


def effective_input(turn: Turn, frame: Frame, state: model.State) -> Json | Failure:
    """The state's input after InputPath."""
    if state.jsonata or state.input_path == "$":
        return frame.data
    if state.input_path is None:
        return {}
    return read(state.input_path, turn.scope(frame, frame.data))


def arguments(turn: Turn, frame: Frame, state: model.Work) -> Json | Failure:
    """What a task, or each branch of a Parallel, is given."""
    if state.jsonata:
        if state.arguments is ABSENT:
            return frame.data
        return fill(state.arguments, turn.scope(frame, frame.data), jsonata=True, field="Arguments")
    return parameters(turn, frame, state, state.parameters)


def parameters(turn: Turn, frame: Frame, state: model.State, template: Json) -> Json | Failure:
    """JSONPath: the effective input, or the template (Parameters) filled in from it."""
    data = effective_input(turn, frame, state)
    if template is ABSENT or isinstance(data, Failure):
        return data
    return fill(template, turn.scope(frame, data), jsonata=False, field="Parameters")


def leave_work(turn: Turn, frame: Frame, state: model.Work, result: Json) -> Done | Failure:
    """A task, Parallel or Map has its result."""
    if state.jsonata:
        return leave_jsonata(turn, frame, state, result, {"result": result})
    if state.result_selector is not None:
        result = fill(state.result_selector, turn.scope(frame, result), jsonata=False, field="ResultSelector")
        if isinstance(result, Failure):
            return result
    return leave_with_result(turn, frame, state, state.result_path, result)


def leave_with_result(
    turn: Turn, frame: Frame, state: model.Step, result_path: str | None, result: Json
) -> Done | Failure:
    """JSONPath: combine the result with the state's raw input (ResultPath), then cut out the output (OutputPath)."""
    if result_path == "$":
        output = result
    elif result_path is None:
        output = frame.data
    else:
        output = put(frame.data, result_path, result)
        if isinstance(output, Failure):
            return output
    return leave_jsonpath(turn, frame, state, output, state.next, state.assign, seen=result)


def leave_jsonpath(
    turn: Turn,
    frame: Frame,
    state: model.State,
    output: Json,
    next: str | None,
    assign: dict[str, Json] | None,
    seen: Json,
) -> Done | Failure:
    """OutputPath and Assign; ``seen`` is what ``$`` means in Assign."""
    assigned: Json = None
    if assign is not None:
        assigned = fill(assign, turn.scope(frame, seen), jsonata=False, field="Assign")
        if isinstance(assigned, Failure):
            return assigned
    if state.output_path != "$":
        output = {} if state.output_path is None else read(state.output_path, turn.scope(frame, output))
        if isinstance(output, Failure):
            return output
    return Done(output, next, assigned)


def leave_jsonata(
    turn: Turn, frame: Frame, state: model.Step, default: Json, extras: dict[str, Json]
) -> Done | Failure:
    """Output (or ``default``) and Assign, with ``extras`` in ``$states``."""
    return leave_by(turn, frame, state.output, state.assign, state.next, default, extras)


def leave_by(
    turn: Turn,
    frame: Frame,
    output: Json,
    assign: dict[str, Json] | None,
    next: str | None,
    default: Json,
    extras: dict[str, Json],
) -> Done | Failure:
    """JSONata: leave by the given Output and Assign (the state's, a Choice rule's, a Catch member's)."""
    if output is ABSENT and assign is None:
        return Done(default, next)
    scope = turn.scope(frame, frame.data, extras)
    assigned = None if assign is None else fill(assign, scope, jsonata=True, field="Assign")
    if isinstance(assigned, Failure):
        return assigned
    value = default if output is ABSENT else fill(output, scope, jsonata=True, field="Output")
    if isinstance(value, Failure):
        return value
    return Done(value, next, assigned)


def leave_caught(turn: Turn, frame: Frame, catcher: model.Catcher, failed: Failed) -> Done | Failure:
    """A Catch member takes the error on: its ResultPath or Output, and its Assign (ASL, "Fallback states")."""
    error = {"Error": failed.error, "Cause": failed.cause}
    state = frame.current
    if state.jsonata:
        extras: dict[str, Json] = {"errorOutput": error}
        return leave_by(turn, frame, catcher.output, catcher.assign, catcher.next, error, extras)
    output: Json = error
    if catcher.result_path is None:
        output = frame.data
    elif catcher.result_path != "$":
        output = put(frame.data, catcher.result_path, error)
        if isinstance(output, Failure):
            return output
    assigned: Json = None
    if catcher.assign is not None:
        assigned = fill(catcher.assign, turn.scope(frame, error), jsonata=False, field="Assign")
        if isinstance(assigned, Failure):
            return assigned
    return Done(output, catcher.next, assigned)


_NUMBERS: Final[dict[str, tuple[float, float, str]]] = {
    "TimeoutSeconds": (1, 99_999_999, "TimeoutSeconds must be between 1 and 99999999."),
    "HeartbeatSeconds": (1, 99_999_999, "HeartbeatSeconds must be between 1 and 99999999."),
    "MaxConcurrency": (0, math.inf, "MaxConcurrency cannot be negative."),
    "ToleratedFailureCount": (0, math.inf, "ToleratedFailureCount cannot be negative."),
    "ToleratedFailurePercentage": (0, 100, "ToleratedFailurePercentage must be between 0 and 100."),
    "MaxItems": (0, math.inf, "MaxItems cannot be negative."),
    "MaxItemsPerBatch": (1, math.inf, "MaxItemsPerBatch must be positive."),
    "MaxInputBytesPerBatch": (1, math.inf, "MaxInputBytesPerBatch must be positive."),
}
"""The fields that :func:`number` reads: the least and the greatest value, and what is said of others."""


def number(turn: Turn, frame: Frame, state: model.State, name: str) -> int | float | Failure | None:
    """The value of a numeric field that may be a number, a JSONata string, or a path in the field ``<name>Path``.

    ``name`` is ASL's, and one of :data:`_NUMBERS`. Numbers in strings count, as they do for AWS.
    """
    plain, path = _attributes(name)
    value, at = getattr(state, plain), getattr(state, path)
    return None if value is at is None else computed(turn, frame, state, name, value, at)


def computed(
    turn: Turn, frame: Frame, state: model.State, name: str, value: Json, path: str | None
) -> int | float | Failure | None:
    """The same of a value and a path that stand in a part of the state, such as its ItemReader."""
    if value is path is None:
        return None
    whole = name != "ToleratedFailurePercentage"
    error = "States.QueryEvaluationError" if state.jsonata else "States.Runtime"
    location = name if state.jsonata else None
    if path is not None:
        value = read(path, turn.scope(frame, frame.data), field=f"{name}Path")
    elif is_expression(value):
        value = evaluate(value, turn.scope(frame, frame.data), location=name)
    if isinstance(value, Failure):
        return value
    parsed = _parse(value, whole)
    if parsed is None and path is not None:
        kind = "integer" if whole else "float"
        what = f'refers to value "{as_text(value)}" which is not a valid {kind}: {path}'
        return Failure(error, f"The {name}Path field {what}", location)
    if parsed is None:
        return Failure(error, f"The {name} field must be a number but was: {as_text(value)}", location)
    least, most, outside = _NUMBERS[name]
    return parsed if least <= parsed <= most else Failure(error, outside, location)


@cache
def _attributes(name: str) -> tuple[str, str]:
    plain = "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")
    return plain, plain + "_path"


def _parse(value: Json, whole: bool) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(parsed):
        return None
    if not whole:
        return parsed
    return int(parsed) if parsed == int(parsed) else None


def as_text(value: Json) -> str:
    """A value in a cause: a string as it is, anything else as compact JSON."""
    return value if isinstance(value, str) else compact(value)
