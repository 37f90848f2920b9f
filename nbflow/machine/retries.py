"""Retry and Catch: which member applies to an error, and how long to wait (ASL, "Errors")."""

from collections.abc import Mapping, Sequence
from typing import Final

from nbflow.language.model import Catcher, Retrier
from nbflow.language.values import Chance

TERMINAL: Final = "States.Runtime"
"""AWS: it "is not retriable, and will always cause the execution to fail".

(The same page says that States.ALL does not catch States.DataLimitExceeded either; the service does catch it.)
"""

TIMEOUT: Final = "States.Timeout"
HEARTBEAT: Final = "States.HeartbeatTimeout"
"""A heartbeat that stays away is a States.Timeout in the history; Retry and Catch may list it by this name."""

DATA_LIMIT: Final = "States.DataLimitExceeded"
"""A Parallel or Map that failed by this error starts over when it is redriven (AWS guide, "Redriving executions")."""


def matches(patterns: Sequence[str], error: str | None) -> bool:
    """Whether ErrorEquals covers the error; an error without a name is covered by States.ALL alone."""
    if error == TERMINAL:
        return False
    if error in patterns or "States.ALL" in patterns:
        return True
    if error == HEARTBEAT and TIMEOUT in patterns:
        return True
    return "States.TaskFailed" in patterns and error not in (None, TIMEOUT, HEARTBEAT)


def retry(
    retriers: Sequence[Retrier], error: str | None, counts: Mapping[int, int], chance: Chance
) -> tuple[int, float] | None:
    """The index of the first Retry member that covers the error, and the delay in seconds before the next attempt.

    ``counts`` are the retries so far, by index. None: there is no such member, or its attempts are used up.
    """
    for index, retrier in enumerate(retriers):
        if not matches(retrier.error_equals, error):
            continue
        count = counts.get(index, 0)
        if count >= retrier.max_attempts:
            return None
        return index, _delay(retrier, count, chance)
    return None


_LONGEST: Final = 31_622_400.0
"""A year: AWS's upper limit of MaxDelaySeconds. It also keeps a large BackoffRate from overflowing."""


def _delay(retrier: Retrier, count: int, chance: Chance) -> float:
    longest = min(_LONGEST, retrier.max_delay_seconds or _LONGEST)
    try:
        delay = min(longest, retrier.interval_seconds * retrier.backoff_rate**count)
    except OverflowError:
        delay = longest
    return delay * chance.random() if retrier.jitter_strategy == "FULL" else delay


def catcher(catchers: Sequence[Catcher], error: str | None) -> Catcher | None:
    """The first Catch member that covers the error."""
    return next((member for member in catchers if matches(member.error_equals, error)), None)
