"""Tasks that others do: activity workers ask for them, and whoever holds a task's token reports how it went."""

from concurrent.futures import Future
from typing import Final

from nbflow.language.values import Json
from nbflow.machine import facts, tokens
from nbflow.service.activities import activity_of
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.parameters import read_json
from nbflow.store.rows import Settled, TokenRow

POLL_SECONDS: Final = 60.0
"""How long a worker waits for a task (AWS, GetActivityTask)."""


def get_activity_task(
    desk: Desk, activity_arn: str, *, worker_name: str | None = None, gone: Future[None] | None = None
) -> dict[str, Json]:
    """AWS, GetActivityTask: the oldest task that waits, or the next one within 60 seconds, or nothing.

    A task is given to one worker only. ``gone`` is done when nobody waits for the answer any more. Raises ApiError
    InvalidArn or ActivityDoesNotExist.
    """
    activity = activity_of(desk, activity_arn)
    row = desk.engine.workers.take(activity.arn, worker_name, POLL_SECONDS, gone)
    if row is None:
        return {}
    desk.engine.heed()
    return {"taskToken": row.token, "input": row.input}


def send_task_success(desk: Desk, task_token: str, output: str) -> dict[str, Json]:
    """AWS, SendTaskSuccess. When it returns, the result is recorded, and will not be replaced.

    Raises ApiError InvalidToken, InvalidOutput (it is no JSON), TaskDoesNotExist or TaskTimedOut (somebody else has
    ended the task, its time is over, or its execution has ended).
    """
    open_task(desk, task_token)
    value, wrong = read_json(output)
    if wrong is not None:
        raise ApiError("InvalidOutput", f"Invalid Output: '{wrong}'")
    return _settle(desk, task_token, facts.TaskSucceeded(0, value))


def send_task_failure(
    desk: Desk, task_token: str, *, error: str | None = None, cause: str | None = None
) -> dict[str, Json]:
    """AWS, SendTaskFailure. Raises ApiError InvalidToken, TaskDoesNotExist or TaskTimedOut."""
    open_task(desk, task_token)
    return _settle(desk, task_token, facts.TaskFailed(0, error, cause))


def send_task_heartbeat(desk: Desk, task_token: str) -> dict[str, Json]:
    """AWS, SendTaskHeartbeat. Raises ApiError InvalidToken, TaskDoesNotExist or TaskTimedOut."""
    open_task(desk, task_token)
    if not desk.store.beat(task_token, desk.engine.now()):
        raise _timed_out()
    return {}


def _settle(desk: Desk, token: str, fact: facts.Fact) -> dict[str, Json]:
    if not desk.store.settle(Settled(token, facts.encode(fact))):
        raise _timed_out()
    desk.engine.heed()
    return {}


def open_task(desk: Desk, token: str) -> TokenRow:
    """The task of this token, if it has not ended. Raises ApiError InvalidToken, TaskDoesNotExist or TaskTimedOut."""
    row = desk.store.token(token)
    if row is None and not tokens.is_token(token):
        raise ApiError("InvalidToken", "Invalid Token: 'Invalid token'")
    if row is None:
        raise ApiError(
            "TaskDoesNotExist",
            "Task Does Not Exist: 'Task does not exist'",
            "it is of another store",
        )
    if row.state != "open":
        raise _timed_out()
    return row


def _timed_out() -> ApiError:
    return ApiError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
