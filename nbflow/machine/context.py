"""The context object: ``$$`` in JSONPath, ``$states.context`` in JSONata (AWS guide, "Context object")."""

from datetime import UTC, datetime
from typing import Final

from nbflow.language import model
from nbflow.language.values import Json
from nbflow.machine.run import Frame, Run

MAP_RUN: Final = "MapRun"
"""The member of what an execution is started with that says that it is a child of a Map Run: the run's ARN."""


LIMITS: Final = "Limits"
"""The member of what an execution is started with that says whose quotas hold for it: ``aws``, or nbflow's own."""


def timestamp(at: float) -> str:
    """Seconds since the epoch as AWS writes times: ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def context_object(
    run: Run, frame: Frame, item: tuple[int, Json] | None = None, token: str | None = None
) -> dict[str, Json]:
    """What the state of this frame sees.

    ``item`` is given for an ItemSelector: the index and value to select for. ``token`` is given for the arguments of a
    task that somebody outside ends.
    """
    state: dict[str, Json] = {"Name": frame.state, "EnteredTime": timestamp(frame.entered_at)}
    if isinstance(frame.current, model.Work):
        state["RetryCount"] = sum(frame.retries.values())
    execution = {
        **run.context.get("Execution", {}),
        "Input": run.input,
        "StartTime": timestamp(run.started_at),
    }
    if not run.context.get("Express"):  # an Express execution cannot be redriven
        execution["RedriveCount"] = run.redrives
    if run.redriven_at is not None:
        execution["RedriveTime"] = timestamp(run.redriven_at)
    context: dict[str, Json] = {
        "Execution": execution,
        "StateMachine": run.context.get("StateMachine", {}),
        "State": state,
    }
    if token is not None:
        context["Task"] = {"Token": token}
    item = item or _item(run, frame)
    if item is not None:
        context["Map"] = {"Item": {"Index": item[0], "Value": item[1]}}
    return context


def _item(run: Run, frame: Frame) -> tuple[int, Json] | None:
    """The item of the innermost Map iteration around the frame."""
    while frame.parent is not None:
        parent = run.frames[frame.parent]
        if isinstance(parent.current, model.Map):
            return frame.index, frame.item
        frame = parent
    return None
