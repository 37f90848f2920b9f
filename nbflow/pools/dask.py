"""What is inside Map and Parallel runs on Dask.

A round trip through the scheduler costs about ten milliseconds, so short jobs travel many to a Dask task. How long a
job of some code takes is learned from its first outcomes: until then only a few are sent, one by one (a month of data
is a Dask task of its own; ten thousand small items become some hundred tasks of about :data:`TARGET` seconds).

No more is sent than keeps the cluster busy. What waits here can be given up at once, and executions take turns.

When a worker dies, Dask suspects all that was assigned to it, not only what it ran. So the suspects are sent again,
each alone to an idle worker, and nothing else meanwhile: only the culprit ends in ``Dask.KilledWorker``.

Two threads: one finds or starts the cluster, collects jobs into chunks and sends them (that takes time that the engine
does not have), one gathers finished chunks, all that are there at once.
"""

import itertools
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import uuid4

from nbflow.pools.chunk import decode, encode, perform_chunk
from nbflow.pools.cluster import Cluster
from nbflow.pools.port import Answer
from nbflow.tasks.job import Job, Outcome

TARGET: Final = 0.1
"""Seconds of work that a chunk of short jobs is made to hold."""

MOST_JOBS: Final = 200
"""Jobs in a chunk: beyond this, the round trip's share is small, and the outcomes of a chunk arrive together."""

AHEAD: Final = 0.5
"""Seconds of work that is sent ahead for each of the cluster's threads."""

IDLE_POLL: Final = 0.05
"""Seconds between looks for an idle worker, while suspects wait for one."""


def chunk_sizes(waiting: int, under_way: int, seconds: float | None, width: int) -> list[int]:
    """How many jobs of one code go into each of the chunks that are sent now.

    ``waiting`` and ``under_way`` count its jobs, ``seconds`` is how long one takes (None: not known yet), ``width`` is
    the number of the cluster's threads. Two jobs a thread are always sent: an adaptive cluster grows by what waits
    there.
    """
    if seconds is None:
        return [1] * min(waiting, max(0, 2 * width - under_way))
    seconds = max(seconds, 1e-6)
    size = max(1, min(MOST_JOBS, -(-waiting // width), int(TARGET / seconds)))
    room = max(2 * width, int(AHEAD * width / seconds)) - under_way
    sizes: list[int] = []
    while waiting and room >= (size := min(size, waiting)):
        sizes.append(size)
        waiting -= size
        room -= size
    return sizes


CLOSING: Final = 10.0
"""Seconds that ``close`` waits for the cluster to stop; at exit it is stopped anyway."""


class _Entry(NamedTuple):
    job: Job
    answer: Answer


@dataclass(slots=True)
class _Pace:
    """What is known about one task's code."""

    seconds: float | None = None
    """How long one job takes, about."""
    waiting: OrderedDict[tuple[str, int], _Entry] = field(default_factory=OrderedDict)
    """By execution and attempt."""
    under_way: int = 0
    """Jobs sent and not yet answered."""


class _Flight(NamedTuple):
    """A chunk that has been sent."""

    entries: list[_Entry]
    worker: str | None = None
    """The address of the worker to which it was sent alone, as a suspect."""
    suspect: bool = False


class DaskPool:
    """Jobs on the cluster that ``cluster`` finds or starts."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._paces: defaultdict[str, _Pace] = defaultdict(_Pace)
        """By the code's hash."""
        self._dirty: set[str] = set()
        """Codes that may have chunks to send."""
        self._suspects: deque[_Entry] = deque()
        self._flights: dict[Any, _Flight] = {}
        """By Dask's future."""
        self._finished: deque[Any] = deque()
        self._condition = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._token = uuid4().hex[:8]
        self._numbers = itertools.count()

    # --- the engine's side

    def submit(self, job: Job, answer: Answer) -> None:
        with self._condition:
            if self._closed:
                return
            if not self._threads:
                self._start_threads()
            sha = job.code.sha256
            self._paces[sha].waiting[job.execution, job.attempt] = _Entry(job, answer)
            if sha not in self._dirty:
                self._dirty.add(sha)
                self._condition.notify_all()

    def cancel(self, execution: str, attempt: int) -> bool:
        """A job that waits, or was sent singly, is given up. Those of a chunk have so little to do that they go on."""
        key = (execution, attempt)
        with self._condition:
            for pace in self._paces.values():
                if pace.waiting.pop(key, None):
                    return True
            for entry in self._suspects:
                if (entry.job.execution, entry.job.attempt) == key:
                    self._suspects.remove(entry)
                    return True
            for future, flight in self._flights.items():
                job = flight.entries[0].job
                if len(flight.entries) == 1 and (job.execution, job.attempt) == key and not future.done():
                    self._forget(future)
                    future.release()  # does not wait; Dask forgets the task, and does not begin it
                    return True
        return False

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            for future in self._flights:
                future.release()
            self._flights.clear()
        for thread in self._threads:
            thread.join(CLOSING)

    def _start_threads(self) -> None:
        for name, loop in (("send", self._send), ("gather", self._gather)):
            thread = threading.Thread(target=loop, name=f"nbflow-dask-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    # --- sending

    def _send(self) -> None:
        while self._something_to_send():
            try:
                client = self._cluster.client()
                if self._suspects:
                    self._send_suspects(client)
                else:
                    self._send_chunks(client)
            except Exception as error:  # noqa: BLE001  # whatever goes wrong, the steps must hear of it
                self._refuse(error)
        self._cluster.close()

    def _something_to_send(self) -> bool:
        """Wait for it. False: the pool is closed."""
        with self._condition:
            if self._suspects:
                self._condition.wait(IDLE_POLL)
            self._condition.wait_for(lambda: self._dirty or self._suspects or self._closed)
            return not self._closed

    def _send_chunks(self, client: Any) -> None:
        width = max(1, sum(client.nthreads().values()))
        chunks: list[list[_Entry]] = []
        with self._condition:
            for sha in self._dirty:
                pace = self._paces[sha]
                for size in chunk_sizes(len(pace.waiting), pace.under_way, pace.seconds, width):
                    chunks.append([pace.waiting.popitem(last=False)[1] for _ in range(size)])
                    pace.under_way += size
            self._dirty.clear()
        for chunk in chunks:
            self._launch(client, _Flight(chunk))

    def _send_suspects(self, client: Any) -> None:
        """Each alone to an idle worker; if there is none because nothing runs at all, one to whichever comes up."""
        idle = [worker for worker, keys in client.processing().items() if not keys]
        flights: list[_Flight] = []
        with self._condition:
            taken = {flight.worker for flight in self._flights.values()}
            places: list[str | None] = [worker for worker in idle if worker not in taken]
            if not places and not self._flights:
                places = [None]
            for worker in places[: len(self._suspects)]:
                entry = self._suspects.popleft()
                self._paces[entry.job.code.sha256].under_way += 1
                flights.append(_Flight([entry], worker, suspect=True))
        for flight in flights:
            self._launch(client, flight)

    def _launch(self, client: Any, flight: _Flight) -> None:
        jobs = [entry.job for entry in flight.entries]
        try:
            future = client.submit(
                perform_chunk,
                encode(jobs),
                key=self._key(jobs),
                workers=flight.worker,
                allow_other_workers=flight.worker is not None,  # should that worker vanish before it arrives
            )
        except Exception as error:  # noqa: BLE001  # a closed client, a payload that Dask refuses
            with self._condition:
                self._paces[jobs[0].code.sha256].under_way -= len(jobs)
            _answer(flight.entries, _failures(flight.entries, error))
            return
        with self._condition:
            self._flights[future] = flight
        future.add_done_callback(self._note_finished)

    def _key(self, jobs: Sequence[Job]) -> str:
        """Dask's dashboard shows what comes before the first dash; the rest makes it unique on a shared cluster."""
        name = jobs[0].code.name.replace("-", "_")
        many = f"×{len(jobs)}" if len(jobs) > 1 else ""
        return f"{name}{many}-{self._token}-{next(self._numbers)}"

    def _refuse(self, error: Exception) -> None:
        """There is no cluster: every waiting job fails with the reason."""
        with self._condition:
            entries = [entry for pace in self._paces.values() for entry in pace.waiting.values()]
            entries += self._suspects
            for pace in self._paces.values():
                pace.waiting.clear()
            self._suspects.clear()
            self._dirty.clear()
        _answer(entries, _failures(entries, error))

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
                # What was given up is no flight any more.
                done = {future: self._flights[future] for future in self._finished if future in self._flights}
                self._finished.clear()
            for future, result in _results(list(done)).items():
                self._land(future, _decoded(done[future], result))

    def _land(self, future: Any, result: list[Outcome] | BaseException) -> None:
        with self._condition:
            flight = self._forget(future)
            if flight is None:
                return  # the pool was closed in the meantime
            if isinstance(result, BaseException):
                if type(result).__name__ == "KilledWorker" and not flight.suspect:
                    self._suspects.extend(flight.entries)
                    return
                result = _failures(flight.entries, result)
            else:
                self._note_pace(flight, result)
        _answer(flight.entries, result)

    def _forget(self, future: Any) -> _Flight | None:
        """A flight is over: there is room for the next."""
        flight = self._flights.pop(future, None)
        if flight is not None:
            sha = flight.entries[0].job.code.sha256
            self._paces[sha].under_way -= len(flight.entries)
            self._dirty.add(sha)
            self._condition.notify_all()
        return flight

    def _note_pace(self, flight: _Flight, outcomes: Sequence[Outcome]) -> None:
        """The mean of old and new: it follows a change of pace, and one slow job does not decide."""
        pace = self._paces[flight.entries[0].job.code.sha256]
        mean = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
        pace.seconds = mean if pace.seconds is None else (pace.seconds + mean) / 2


def _results(futures: Sequence[Any]) -> dict[Any, bytes | BaseException]:
    """What each flight brought: in one round trip for each client, if all goes well."""
    results: dict[Any, bytes | BaseException] = {}
    by_client: defaultdict[Any, list[Any]] = defaultdict(list)
    for future in futures:
        if future.status == "finished":
            by_client[future.client].append(future)  # the active client may be another one by now
    for client, good in by_client.items():
        with suppress(
            Exception
        ):  # a worker vanished with some results, or the client was closed: one by one, below
            results.update(zip(good, client.gather(good), strict=True))
    return results | {future: _result(future) for future in futures if future not in results}


def _result(future: Any) -> bytes | BaseException:
    try:
        result: bytes = future.result()
    except (Exception, CancelledError) as error:  # noqa: BLE001  # whatever it is, the steps must hear of it
        return error
    return result


def _decoded(flight: _Flight, result: bytes | BaseException) -> list[Outcome] | BaseException:
    if isinstance(result, BaseException):
        return result
    try:
        return decode([entry.job for entry in flight.entries], result)
    except Exception as error:  # noqa: BLE001  # unpickling what a worker with other versions has made
        return error


def _answer(entries: Sequence[_Entry], outcomes: Sequence[Outcome]) -> None:
    for entry, outcome in zip(entries, outcomes, strict=True):
        entry.answer(outcome)


def _failures(entries: Sequence[_Entry], error: BaseException) -> list[Outcome]:
    """Something other than the task itself went wrong: the error is named after Dask's."""
    name = type(error).__name__
    return [
        Outcome(
            job.execution,
            job.attempt,
            error=f"Dask.{name}",
            cause=_CAUSES.get(name, "{error}").format(name=job.code.name, error=error),
        )
        for job, _ in entries
    ]


_CAUSES: Final = {
    "KilledWorker": (
        "the worker process died while it ran {name}() (killed by the system, out of memory, or os._exit; see the "
        "worker's log). Try less data at once, or fewer workers with more memory each. Dask says: {error}"
    ),
    "FutureCancelledError": (
        "the Dask client was closed or restarted before {name}() had ended. Start the execution again, with a client "
        "that stays open. Dask says: {error}"
    ),
}
