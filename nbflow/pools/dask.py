"""What is inside Map and Parallel runs on Dask.

A round trip through the scheduler costs about ten milliseconds, so short jobs travel many to a Dask task. How long a
job of some code takes is learned from its first outcomes: until then only a few are sent, one by one (a month of data
is a Dask task of its own; ten thousand small items become some hundred tasks of a tenth of a second).

No more is sent than keeps the cluster busy. What waits here can be given up at once, and executions take turns.

When a worker dies, Dask suspects all that was assigned to it, not only what it ran. So the suspects are sent again,
each alone, before anything else: only the culprit ends in ``Dask.KilledWorker``. Alone means that nothing else is
under way. Heavy jobs would have to wait long for that; on a cluster of our own they are first sent to an idle worker
each, and the worker's heartbeat tells what it ran when it died.

Two threads: one finds or starts the cluster, collects jobs into chunks and sends them (that takes time that the engine
does not have), one gathers finished chunks, all that are there at once.
"""

import itertools
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple
from uuid import uuid4

from nbflow.pools.chunk import decode, encode, perform_chunk
from nbflow.pools.cluster import Cluster
from nbflow.pools.heard import Ears
from nbflow.pools.pace import chunk_sizes
from nbflow.pools.port import Answer
from nbflow.pools.results import failures, is_orphan, results
from nbflow.tasks.heard import Hear
from nbflow.tasks.job import Job, Outcome
from nbflow.tasks.stopping import Key, Stopped

IDLE_POLL: Final = 0.05
"""Seconds between looks for an idle worker, while suspects wait for one."""

HEAVY: Final = 2.0
"""Seconds: workers' heartbeats, at least one a second, show what they run."""

LOOK: Final = 1.0
"""Seconds between looks for futures whose client was closed: Dask may never call back for them."""

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
    waiting: OrderedDict[Key, _Entry] = field(default_factory=OrderedDict)
    """By execution and attempt."""
    under_way: int = 0
    """Jobs sent and not yet answered."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A chunk that has been sent."""

    entries: list[_Entry]
    alone: Literal["", "worker", "cluster"] = ""
    """Of a suspect, one job: where there must be nothing else."""
    given_up: set[Key] = field(default_factory=set)

    @property
    def keys(self) -> set[Key]:
        """Of its jobs, as in ``_Pace.waiting``."""
        return {(entry.job.execution, entry.job.attempt) for entry in self.entries}


class DaskPool:
    """Jobs on the cluster that ``cluster`` finds or starts. ``hear`` is told what they say while they run."""

    def __init__(self, cluster: Cluster, hear: Hear | None = None) -> None:
        self._cluster = cluster
        self._paces: defaultdict[str, _Pace] = defaultdict(_Pace)
        """By the code's hash."""
        self._dirty: set[str] = set()
        """Codes that may have chunks to send."""
        self._suspects: deque[_Flight] = deque()
        self._flights: dict[Any, _Flight] = {}
        """By Dask's future."""
        self._finished: deque[Any] = deque()
        self._condition = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._token = uuid4().hex[:8]
        self._ears = Ears(f"nbflow-{self._token}", hear)
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
        """A job that has not been sent is given up; a chunk, when nobody wants any of its jobs any more."""
        key = (execution, attempt)
        with self._condition:
            for pace in self._paces.values():
                if pace.waiting.pop(key, None):
                    return True
            for flight in self._suspects:
                if key in flight.keys:
                    self._suspects.remove(flight)
                    return True
            for future, flight in self._flights.items():
                if key in flight.keys and not future.done():
                    flight.given_up.add(key)
                    if flight.given_up < flight.keys:
                        return False
                    self._forget(future)
                    future.release()  # does not wait; Dask does not begin it, and its worker tells it to stop
                    break
            else:
                return False
        others = [entry for entry in flight.entries if (entry.job.execution, entry.job.attempt) != key]
        _answer(others, failures([entry.job for entry in others], Stopped()))
        return True

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
                self._ears.listen_to(client)
                if self._in_quarantine():
                    self._send_suspect(client)
                else:
                    self._send_chunks(client)
            except Exception as error:  # noqa: BLE001  # whatever goes wrong, the steps must hear of it
                self._refuse(error)
        self._ears.close()
        self._cluster.close()

    def _something_to_send(self) -> bool:
        """Wait for it. False: the pool is closed."""
        with self._condition:
            if self._in_quarantine():
                self._condition.wait(IDLE_POLL)
            self._condition.wait_for(lambda: self._dirty or self._suspects or self._closed)
            return not self._closed

    def _in_quarantine(self) -> bool:
        """Whether only suspects are sent, or nothing."""
        return bool(self._suspects) or any(flight.alone == "cluster" for flight in self._flights.values())

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

    def _send_suspect(self, client: Any) -> None:
        """One, when its place is empty.

        An idle worker gets it, since Dask chooses the emptiest. But first all that is under way must have its place, or
        that worker might be about to get something else; and results must have been fetched, or the suspect might take
        them with it. (To say which worker would be a trap: Dask never reconsiders a task whose worker has vanished.)
        """
        processing = client.processing()
        placed = {key for keys in processing.values() for key in keys}
        with self._condition:
            if not self._suspects:
                return
            alone = {self._suspects[0].alone, *(flight.alone for flight in self._flights.values())}
            settled = all(future.key in placed for future in self._flights)
            if self._flights and ("cluster" in alone or not settled or all(processing.values())):
                return
            flight = self._suspects.popleft()
            self._paces[flight.entries[0].job.code.sha256].under_way += 1
        self._launch(client, flight)

    def _launch(self, client: Any, flight: _Flight) -> None:
        jobs = [entry.job for entry in flight.entries]
        try:
            expendable = self._cluster.is_own(client)
            future = client.submit(
                perform_chunk, encode(jobs), expendable, self._ears.topic, key=self._key(jobs)
            )
        except Exception as error:  # noqa: BLE001  # a closed client, a payload that Dask refuses
            with self._condition:
                self._paces[jobs[0].code.sha256].under_way -= len(jobs)
            _answer(flight.entries, failures(jobs, error))
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
            entries += [entry for flight in self._suspects for entry in flight.entries]
            for pace in self._paces.values():
                pace.waiting.clear()
            self._suspects.clear()
            self._dirty.clear()
        _answer(entries, failures([entry.job for entry in entries], error))

    # --- gathering

    def _note_finished(self, future: Any) -> None:
        with self._condition:
            self._finished.append(future)
            self._condition.notify_all()

    def _gather(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._finished or self._closed, LOOK)
                if self._closed:
                    return
                self._cluster.keep_up()
                over = [*self._finished, *filter(is_orphan, self._flights)]
                done = {future: self._flights[future] for future in over if future in self._flights}
                self._finished.clear()  # what was given up is no flight any more
            for future, result in results(list(done)).items():
                self._land(future, _decoded(done[future], result))

    def _land(self, future: Any, result: list[Outcome] | BaseException) -> None:
        with self._condition:
            flight = self._forget(future)
            if flight is None:
                return  # the pool was closed in the meantime
            if isinstance(result, BaseException):
                if type(result).__name__ == "KilledWorker" and not _is_culprit(future, flight, result):
                    alone = _where_alone(
                        flight, result, self._paces[flight.entries[0].job.code.sha256].seconds
                    )
                    self._suspects.extend(_Flight([entry], alone) for entry in flight.entries)
                    return
                result = failures([entry.job for entry in flight.entries], result)
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


def _is_culprit(future: Any, flight: _Flight, killed: Any) -> bool:
    """Whether the job was alone when its worker died, or was what a worker of one thread ran for a while."""
    return flight.alone == "cluster" or (
        flight.alone == "worker" and future.key in killed.last_worker.executing
    )


def _where_alone(flight: _Flight, killed: Any, seconds: float | None) -> Literal["worker", "cluster"]:
    """Where a suspect must be alone next. ``seconds``: how long such a job takes, if known.

    Where a worker has several threads, or Dask itself tries again on another worker (on others' clusters it does so
    three times), an idle worker proves nothing.
    """
    one_try = killed.allowed_failures == 0 and killed.last_worker.nthreads == 1
    heavy = seconds is None or seconds > HEAVY
    return "worker" if one_try and heavy and not flight.alone else "cluster"


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
