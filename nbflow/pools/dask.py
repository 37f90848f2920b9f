"""What is inside Map and Parallel runs on Dask.

A round trip through the scheduler costs about ten milliseconds, so short jobs travel many to a Dask task. How long a job
of some code takes is learned from its first outcomes: until then only a few are sent, one by one (a month of data is a
Dask task of its own; ten thousand small items become some hundred tasks of about :data:`TARGET` seconds).

When a worker dies, the jobs of its task are sent again singly, so that only the culprit ends in ``Dask.KilledWorker``.

Two threads: one collects jobs into chunks and sends them (starting a cluster and pickling take time that the engine does
not have), one gathers finished chunks, all that are there at once.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nbflow.pools.cluster import Cluster
from nbflow.pools.port import Answer
from nbflow.tasks.job import Job, Outcome
from nbflow.tasks.perform import perform_all

TARGET: Final = 0.1
"""Seconds of work that a chunk of short jobs is made to hold."""

MOST_JOBS: Final = 200
"""Jobs in a chunk: beyond this, the round trip's share is small, and the outcomes of a chunk arrive together."""


@dataclass(slots=True)
class _Entry:
    job: Job
    answer: Answer
    alone: bool = False
    """Sent singly, after a worker died with it."""


@dataclass(slots=True)
class _Pace:
    """What is known about one task's code."""

    seconds: float | None = None
    """How long one job takes, about."""
    waiting: deque[_Entry] = field(default_factory=deque)
    under_way: int = 0
    """Jobs sent and not yet answered."""


class DaskPool:
    """Jobs on the cluster that ``cluster`` finds or starts."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._paces: defaultdict[str, _Pace] = defaultdict(_Pace)
        self._futures: dict[Any, list[_Entry]] = {}
        self._finished: deque[Any] = deque()
        self._condition = threading.Condition()
        self._dirty: set[str] = set()
        """Codes that may have chunks to send."""
        self._closed = False
        self._threads: list[threading.Thread] = []

    # --- the engine's side

    def submit(self, job: Job, answer: Answer) -> None:
        with self._condition:
            if not self._threads:
                self._threads = [
                    threading.Thread(target=loop, name=f"nbflow-dask-{name}", daemon=True)
                    for name, loop in (("send", self._send), ("gather", self._gather))
                ]
                for thread in self._threads:
                    thread.start()
            self._paces[job.code.sha256].waiting.append(_Entry(job, answer))
            self._dirty.add(job.code.sha256)
            self._condition.notify_all()

    def cancel(self, execution: str, attempt: int) -> bool:
        def wanted(entry: _Entry) -> bool:
            return entry.job.execution == execution and entry.job.attempt == attempt

        with self._condition:
            for pace in self._paces.values():
                for entry in pace.waiting:
                    if wanted(entry):
                        pace.waiting.remove(entry)
                        return True
            for future, entries in self._futures.items():
                if len(entries) == 1 and wanted(entries[0]) and future.status == "pending":
                    future.cancel()
                    del self._futures[future]
                    self._paces[entries[0].job.code.sha256].under_way -= 1
                    return True
        return False

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join(timeout=5)
        self._cluster.close()

    # --- sending

    def _send(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._dirty or self._closed)
                if self._closed:
                    return
            try:
                client = self._cluster.client()
                width = max(1, sum(client.nthreads().values()))
            except Exception as error:  # noqa: BLE001  # whatever goes wrong, the steps must hear of it
                self._refuse(error)
                continue
            with self._condition:
                chunks = [chunk for sha in self._dirty for chunk in self._chunks(self._paces[sha], width)]
                self._dirty.clear()
            for chunk in chunks:
                self._submit_chunk(client, chunk)

    def _chunks(self, pace: _Pace, width: int) -> list[list[_Entry]]:
        """Take from the waiting jobs what is to be sent now."""
        chunks: list[list[_Entry]] = []
        while pace.waiting:
            if pace.waiting[0].alone:
                size = 1
            elif pace.seconds is None:
                if pace.under_way >= 2 * width:
                    break  # wait for the first outcome
                size = 1
            else:
                fair = -(-(len(pace.waiting)) // width)
                size = max(1, min(MOST_JOBS, fair, int(TARGET / max(pace.seconds, 1e-6))))
            chunk = [pace.waiting.popleft() for _ in range(min(size, len(pace.waiting)))]
            pace.under_way += len(chunk)
            chunks.append(chunk)
        return chunks

    def _submit_chunk(self, client: Any, chunk: list[_Entry]) -> None:
        job = chunk[0].job
        try:
            future = client.submit(
                perform_all, [entry.job for entry in chunk], pure=False, key=_key(job, len(chunk))
            )
        except Exception as error:  # noqa: BLE001  # a closed client, a payload that Dask refuses
            self._answer_failed(chunk, _dask_error(error), str(error))
            return
        with self._condition:
            self._futures[future] = chunk
        future.add_done_callback(self._note_finished)

    def _refuse(self, error: Exception) -> None:
        """There is no cluster: every waiting job fails with the reason."""
        with self._condition:
            entries = [entry for pace in self._paces.values() for entry in pace.waiting]
            for pace in self._paces.values():
                pace.waiting.clear()
            self._dirty.clear()
        for entry in entries:
            entry.answer(_failure(entry.job, _dask_error(error), f"no Dask cluster could be used: {error}"))

    # --- gathering

    def _note_finished(self, future: Any) -> None:
        with self._condition:
            self._finished.append(future)
            self._condition.notify_all()

    def _gather(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._finished or self._closed)
                if self._closed:
                    return
                # A cancelled chunk has left `_futures` already; its job was given up.
                done = {f: self._futures.pop(f) for f in self._finished if f in self._futures}
                self._finished.clear()
            good = [future for future in done if future.status == "finished"]
            try:
                results = self._cluster.client().gather(good) if good else []
            except Exception:  # noqa: BLE001  # a worker vanished with results: sort them out one by one
                results, good = [], []
            for future, outcomes in zip(good, results, strict=True):
                self._answer_chunk(done.pop(future), outcomes)
            for future, chunk in done.items():
                self._failed_chunk(future, chunk)

    def _answer_chunk(self, chunk: list[_Entry], outcomes: Sequence[Outcome]) -> None:
        sha = chunk[0].job.code.sha256
        mean = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
        with self._condition:
            pace = self._paces[sha]
            pace.under_way -= len(chunk)
            # The mean of old and new: it follows a change of pace, and one slow job does not decide.
            pace.seconds = mean if pace.seconds is None else (pace.seconds + mean) / 2
            if pace.waiting:
                self._dirty.add(sha)
                self._condition.notify_all()
        for entry, outcome in zip(chunk, outcomes, strict=True):
            entry.answer(outcome)

    def _failed_chunk(self, future: Any, chunk: list[_Entry]) -> None:
        if len(chunk) > 1:
            with self._condition:
                pace = self._paces[chunk[0].job.code.sha256]
                pace.under_way -= len(chunk)
                pace.waiting.extendleft(_Entry(e.job, e.answer, alone=True) for e in reversed(chunk))
                self._dirty.add(chunk[0].job.code.sha256)
                self._condition.notify_all()
            return
        error = future.exception() if future.status == "error" else RuntimeError(f"Dask says {future.status}")
        self._answer_failed(chunk, _dask_error(error), _explain(error, chunk[0].job))

    def _answer_failed(self, chunk: list[_Entry], error: str, cause: str) -> None:
        sha = chunk[0].job.code.sha256
        with self._condition:
            self._paces[sha].under_way -= len(chunk)
            self._dirty.add(sha)
            self._condition.notify_all()
        for entry in chunk:
            entry.answer(_failure(entry.job, error, cause))


def _key(job: Job, jobs: int) -> str:
    """What Dask's dashboard shows: the task's name, then what makes it unique."""
    name = job.code.name if jobs == 1 else f"{job.code.name}×{jobs}"
    return f"{name}-{job.execution.rsplit(':', 1)[-1]}-{job.attempt}"


def _failure(job: Job, error: str, cause: str) -> Outcome:
    return Outcome(job.execution, job.attempt, error=error, cause=cause)


def _dask_error(error: BaseException) -> str:
    return f"Dask.{type(error).__name__}"


_WORKER_DIED: Final = (
    "the worker process died while it ran {name}() (killed by the system, out of memory, or os._exit; see the worker's "
    "log). Try less data at once, or fewer workers with more memory each. Dask says: {error}"
)


def _explain(error: BaseException, job: Job) -> str:
    if type(error).__name__ == "KilledWorker":
        return _WORKER_DIED.format(name=job.code.name, error=str(error).splitlines()[0])
    return f"{type(error).__name__}: {error}"
