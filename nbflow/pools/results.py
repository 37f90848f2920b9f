"""What came of chunks that were sent: their bytes, or why there are none, and how people are told."""

import reprlib
from asyncio import CancelledError
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from nbflow.errors import NbflowError
from nbflow.tasks.job import Job, Outcome


class ClientClosed(NbflowError):
    """The user's Dask client was closed while jobs were under way."""


class SchedulerGone(NbflowError):
    """The scheduler that had the jobs is gone, or was restarted, and has forgotten them."""


class Lacking(NbflowError):
    """The worker does not have the code, whose content had been sent before."""


_FORGOTTEN: Final = ("scheduler-connection-lost", "scheduler-restart")
"""Dask's reasons for futures that it cancels by itself."""


def results(futures: Sequence[Any]) -> dict[Any, bytes | BaseException]:
    """What each of Dask's futures brought: in one round trip for each client, if all goes well."""
    found: dict[Any, bytes | BaseException] = {}
    by_client: defaultdict[Any, list[Any]] = defaultdict(list)
    for future in futures:
        if future.status == "finished" and not is_orphan(future):
            by_client[future.client].append(future)  # the active client may be another one by now
    for client, good in by_client.items():
        # Fails if a worker vanished with some results, or the client is being closed: then one by one, below.
        with suppress(Exception):
            found.update(zip(good, client.gather(good), strict=True))
    missing = [future for future in futures if future not in found]
    return found | {future: _result(future) for future in missing}


def is_orphan(future: Any) -> bool:
    """Whether its client is closed. Dask may never call back for such a future, or it raises whatever comes."""
    return future.client.status in ("closing", "closed")


def is_deserted(future: Any) -> bool:
    """Whether its client has lost the scheduler. Dask cancels what the scheduler had; what has been submitted since,
    waits for it to come back."""
    return bool(future.client.status == "connecting" and future.status == "pending")


def _result(future: Any) -> bytes | BaseException:
    if is_deserted(future):
        return SchedulerGone()
    if is_orphan(future):
        return _forgotten(future) or ClientClosed()
    try:
        result: bytes = future.result()
    except (Exception, CancelledError) as error:  # noqa: BLE001  # whatever it is, the steps must hear of it
        if type(error).__name__ == "KilledWorker":
            _look_into(future.client, error)
        return _forgotten(future) or (ClientClosed(str(error)) if is_orphan(future) else error)
    return result


def _forgotten(future: Any) -> SchedulerGone | None:
    if future.status != "cancelled":
        return None
    reason = getattr(future._state.exception, "reason", None)  # its ``exception()`` asks the client
    return SchedulerGone(reason) if reason in _FORGOTTEN else None


def _look_into(client: Any, killed: Any) -> None:
    """A nanny that ends its worker for the memory that it takes says so; that becomes a note of the error."""
    with suppress(Exception):  # the cluster goes, too
        for _, event in client.get_events("worker-restart-memory"):
            if event["worker"] == killed.last_worker.address:
                limit = killed.last_worker.memory_limit / 2**20
                killed.add_note(
                    f"it took {event['rss'] / 2**20:,.0f} MiB of memory, and is allowed {limit:,.0f} MiB"
                )


def _why(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", []) or [
        "killed by the system, out of memory, a native crash, or os._exit"
    ]


def _shown(job: Job) -> str:
    return reprlib.repr(job.arguments)


def failures(jobs: Sequence[Job], error: BaseException) -> list[Outcome]:
    """Something other than the task itself went wrong: the error is named after Dask's."""
    name = type(error).__name__
    return [
        Outcome(
            job.execution,
            job.attempt,
            error=f"Dask.{name}",
            cause=_CAUSES.get(name, "{error}").format(
                name=job.code.name, item=_shown(job), why="; ".join(_why(error)), error=error
            ),
        )
        for job in jobs
    ]


_CAUSES: Final = {
    "KilledWorker": (
        "the worker process died while it ran {name}() on {item} ({why}; see the worker's log). Try less "
        "data at once, or fewer workers with more memory each. Dask says: {error}"
    ),
    "ClientClosed": "the Dask client was closed before {name}() had ended. Start the execution again.",
    "FutureCancelledError": "Dask was told to cancel {name}(). Dask says: {error}",
    "SchedulerLost": "{name}() had not ended: {error}",
}
