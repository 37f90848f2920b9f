"""What is inside Map and Parallel runs on Dask.

A round trip through the scheduler costs about ten milliseconds, so short jobs travel many to a Dask task. How long a
job of some code takes is learned from its first outcomes: until then only a few are sent, one by one (a month of data
is a Dask task of its own; ten thousand small items become some hundred tasks of a tenth of a second).

No more is sent than keeps the cluster busy. What waits here can be given up at once, and executions take turns.

When a worker dies, Dask suspects all that was assigned to it, not only what it ran. So the suspects are sent again,
each alone, before anything else: only the culprit ends in ``Dask.KilledWorker``. Alone means that nothing else is
under way. Heavy jobs would have to wait long for that; on a cluster of our own they are first sent to an idle worker
each, and the worker's heartbeat tells what it ran when it died.

When a scheduler is gone, or restarted, it has forgotten what it had. What has been answered is in the store; the rest
is sent again, when there is a scheduler.

Two threads: one finds or starts the cluster, collects jobs into chunks and sends them (that takes time that the engine
does not have), one gathers finished chunks, all that are there at once.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import uuid4
from weakref import WeakSet

from nbflow.pools.chunk import encode, is_large, perform_chunk
from nbflow.pools.cluster import PATIENCE, Cluster, SchedulerLost, ask
from nbflow.pools.flights import Flight, chunks_of, decoded, is_culprit, tell, where_alone
from nbflow.pools.heard import Ears
from nbflow.pools.lanes import Entry, Lanes
from nbflow.pools.locality import Locality
from nbflow.pools.pace import AHEAD, DEMAND
from nbflow.pools.port import Answer
from nbflow.pools.results import (
    ClientClosed,
    Lacking,
    SchedulerGone,
    failures,
    is_deserted,
    is_orphan,
    results,
)
from nbflow.pools.width import NoResource, Widths, may_grow, missing
from nbflow.tasks.heard import Hear
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.tasks.stopping import Key, Stopped

IDLE_POLL: Final = 0.05
"""Seconds between looks for an idle worker, while suspects wait for one."""

LOOK: Final = 1.0
"""Seconds between looks for futures whose client was closed or has lost its scheduler (Dask may never call back for
them), and, while jobs wait, for workers that have come."""

REST: Final = 0.25
"""Seconds between looks for a scheduler that is gone."""

CLOSING: Final = 10.0
"""Seconds that ``close`` waits for the cluster to stop; at exit it is stopped anyway."""


class DaskPool:
    """Jobs on the cluster that ``cluster`` finds or starts.

    ``say`` is called with what people should know, ``hear`` is told what the jobs say while they run.
    """

    def __init__(
        self, cluster: Cluster, say: Callable[[str], None] = lambda text: None, hear: Hear | None = None
    ) -> None:
        self._cluster = cluster
        self._say = say
        self._said: set[str] = set()
        self._inbox: deque[Entry] = deque()
        """What has been submitted since somebody looked."""
        self._called = False
        """Somebody will look."""
        self._lanes = Lanes()
        self._dirty: set[str] = set()
        """Codes that may have chunks to send."""
        self._suspects: deque[Flight] = deque()
        self._flights: dict[Any, Flight] = {}
        """By Dask's future."""
        self._sent: dict[Key, Any] = {}
        """The future that does a job."""
        self._carried: set[str] = set()
        """Large codes that workers have, or some of them."""
        self._finished: deque[Any] = deque()
        self._locality = Locality()
        self._deserted: WeakSet[Any] = WeakSet()
        """Clients whose scheduler was gone for a time: Dask may close them in the end."""
        self._condition = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._token = uuid4().hex[:8]
        self._ears = Ears(f"nbflow-{self._token}", hear)
        self._numbers = itertools.count()

    # --- the engine's side

    def submit(self, job: Job, answer: Answer) -> None:
        """Thousands come at once: only the first of them waits for the lock."""
        self._inbox.append(Entry(job, answer))
        if self._called:
            return  # whoever has been called for the first, takes in all
        with self._condition:
            if self._closed:
                self._inbox.clear()
                return
            if not self._threads:
                self._start_threads()
            self._called = True
            self._condition.notify_all()

    def _take_in(self) -> None:
        """What has been submitted. First, nobody is called any more: who comes now, calls again."""
        self._called = False
        while self._inbox:
            self._dirty.add(self._lanes.add(self._inbox.popleft()).sha256)

    def limit(self, sha256: str, most: int) -> None:
        with self._condition:
            self._take_in()  # the code of the first job may say another limit
            self._lanes[sha256].most = most
            self._look_at(sha256)

    def _look_at(self, sha256: str) -> None:
        """The code may have chunks to send now."""
        if sha256 not in self._dirty:
            self._dirty.add(sha256)
            self._condition.notify_all()

    def cancel(self, execution: str, attempt: int) -> bool:
        """A job that has not been sent is given up; a chunk, when nobody wants any of its jobs any more."""
        key = (execution, attempt)
        with self._condition:
            self._take_in()
            if self._lanes.give_up(key):
                return True
            for flight in self._suspects:
                if key in flight.keys:
                    self._suspects.remove(flight)
                    return True
            future = self._sent.get(key)
            if future is None or future.done():
                return False
            flight = self._flights[future]
            flight.given_up.add(key)
            if len(flight.given_up) < len(flight.keys):
                return False
            self._forget(future)
            future.release()  # does not wait; Dask does not begin it, and its worker tells it to stop
        others = [entry for entry in flight.entries if entry.key != key]
        tell(others, failures([entry.job for entry in others], Stopped()))
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
        since: float | None = None  # when the scheduler was first found to be gone
        while self._something_to_send():
            try:
                client = self._cluster.client()
                self._ears.listen_to(client)
                if self._in_quarantine():
                    self._send_suspect(client)
                else:
                    self._send_chunks(client)
                since = None
            except (SchedulerLost, OSError) as error:  # OSError: it goes while it is asked
                since = time.monotonic() if since is None else since
                if time.monotonic() - since < PATIENCE:
                    self._rest()
                else:
                    since = None
                    self._cluster.give_up()
                    self._refuse(error)
            except Exception as error:  # noqa: BLE001  # whatever goes wrong, the steps must hear of it
                self._refuse(error)
        self._ears.close()
        self._cluster.close()

    def _rest(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._closed, REST)

    def _something_to_send(self) -> bool:
        """Wait for it. False: the pool is closed."""
        with self._condition:
            if self._in_quarantine():
                self._condition.wait(IDLE_POLL)
            while not self._condition.wait_for(
                lambda: self._inbox or self._dirty or self._suspects or self._closed, self._glance()
            ):
                self._dirty.update(lane.sha256 for lane in self._lanes.waiting() if lane.free)
            self._take_in()
            return not self._closed

    def _glance(self) -> float | None:
        """Seconds until it is looked whether workers have come: long jobs may not land for hours."""
        return LOOK if any(lane.free for lane in self._lanes.waiting()) else None

    def _in_quarantine(self) -> bool:
        """Whether only suspects are sent, or nothing."""
        return bool(self._suspects) or any(flight.alone == "cluster" for flight in self._flights.values())

    def _send_chunks(self, client: Any) -> None:
        with self._condition:
            codes = {sha: lane.code for sha in self._dirty if (lane := self._lanes[sha]).waiting}
            self._dirty.clear()
        widths = Widths(client)
        chunks: list[list[list[Entry]]] = []
        for sha, code in codes.items():
            width = widths.of(code.resources)
            if not width and code.resources:
                self._miss(client, code)
            with self._condition:
                chunks.append(chunks_of(self._lanes[sha], width, DEMAND if may_grow(client) else AHEAD))
        for turn in itertools.zip_longest(*chunks):
            for chunk in filter(None, turn):
                self._launch(client, Flight(chunk))

    def _miss(self, client: Any, code: Code) -> None:
        """No worker has what the code needs. One may come, unless the cluster is our own."""
        words = missing(code.name, code.resources)
        if self._cluster.is_own(client):
            with self._condition:
                entries = self._lanes[code.sha256].clear()
            words = f"{words}, and this process connects to its scheduler: nf.connect(dask='tcp://…')"
            tell(entries, failures([entry.job for entry in entries], NoResource(words)))
        elif words not in self._said:
            self._said.add(words)
            self._say(f"{words} (waiting for one)")

    def _send_suspect(self, client: Any) -> None:
        """One, when its place is empty.

        An idle worker gets it, since Dask chooses the emptiest. But first all that is under way must have its place, or
        that worker might be about to get something else; and results must have been fetched, or the suspect might take
        them with it. (To say which worker would be a trap: Dask never reconsiders a task whose worker has vanished.)
        """
        processing = ask(client, "processing")
        placed = {key for keys in processing.values() for key in keys}
        widths = Widths(client)
        with self._condition:
            needy = [f for f in self._flights if self._flights[f].resources and f.key not in placed]
            if not self._suspects:
                return
        for future in needy:
            self._take_back(future, widths)
        with self._condition:
            if not self._suspects or not self._suspects[0].lane(self._lanes).free:
                return
            alone = {self._suspects[0].alone, *(flight.alone for flight in self._flights.values())}
            settled = all(future.key in placed for future in self._flights)
            if self._flights and ("cluster" in alone or not settled or all(processing.values())):
                return
            flight = self._suspects.popleft()
            flight.lane(self._lanes).begun(1)
        self._launch(client, flight)

    def _take_back(self, future: Any, widths: Widths) -> None:
        """What no worker can do now must not keep suspects waiting: it waits here meanwhile."""
        flight = self._flights.get(future)
        if flight is None or future.done() or widths.of(flight.resources):
            return
        with self._condition:
            if self._forget(future) is not None:
                self._put_back(flight)
        future.release()

    def _launch(self, client: Any, flight: Flight) -> None:
        jobs = [entry.job for entry in flight.entries]
        if not (
            flight.alone or flight.resources
        ):  # where other workers may do as well, Dask forgets the resources
            with self._condition:
                flight.wish = self._locality.wish(jobs)
        there = {"workers": [flight.wish], "allow_other_workers": True} if flight.wish else {}
        try:
            expendable = self._cluster.is_own(client)
            future = client.submit(
                perform_chunk,
                encode(jobs, bare=jobs[0].code.sha256 in self._carried),
                expendable,
                self._ears.topic,
                key=self._key(jobs),
                resources=dict(flight.resources) or None,
                **there,
            )
        except Exception as error:  # noqa: BLE001  # a closed client, a payload that Dask refuses
            with self._condition:
                flight.lane(self._lanes).over(len(jobs))
                self._locality.over(flight.wish)
            tell(flight.entries, failures(jobs, error))
            return
        with self._condition:
            self._flights[future] = flight
            self._sent.update(dict.fromkeys(flight.keys, future))
        future.add_done_callback(self._note_finished)

    def _key(self, jobs: Sequence[Job]) -> str:
        """Dask's dashboard shows what comes before the first dash; the rest makes it unique on a shared cluster.

        Of what comes before, the scheduler keeps statistics for ever: so the number of jobs comes last.
        """
        name = jobs[0].code.name.replace("-", "_")
        many = f"×{len(jobs)}" if len(jobs) > 1 else ""
        return f"{name}-{self._token}-{next(self._numbers)}{many}"

    def _refuse(self, error: Exception) -> None:
        """There is no cluster: every waiting job fails with the reason."""
        with self._condition:
            entries = self._lanes.clear()
            entries += [entry for flight in self._suspects for entry in flight.entries]
            self._suspects.clear()
            self._dirty.clear()
        tell(entries, failures([entry.job for entry in entries], error))

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
                stray = [future for future in self._flights if is_orphan(future) or is_deserted(future)]
                over = [*self._finished, *stray]
                done = {future: self._flights[future] for future in over if future in self._flights}
                self._finished.clear()  # what was given up is no flight any more
            found = results(list(done))
            for future in (
                found
            ):  # as long as it is wanted, Dask does it again if the worker that holds its result dies
                future.release()
            for future, result in found.items():
                self._land(future, decoded(done[future], result))

    def _land(self, future: Any, result: list[Outcome] | BaseException) -> None:
        with self._condition:
            flight = self._forget(future)
            if flight is None:
                return  # the pool was closed in the meantime
            entries = flight.entries
            if type(result).__name__ == "KilledWorker":
                self._locality.gone(result.last_worker.address)  # type: ignore[union-attr]
            code = entries[0].job.code
            if isinstance(result, Lacking):
                self._carried.discard(code.sha256)
            elif is_large(code) and not isinstance(result, BaseException):
                self._carried.add(code.sha256)
            if isinstance(result, BaseException):
                if self._send_again(future, flight, result):
                    entries, result = flight.unwanted, Stopped()
                result = failures([entry.job for entry in entries], result)
            else:
                self._note_pace(flight, result)
                self._locality.note([entry.job for entry in entries], result)
        tell(entries, result)

    def _send_again(self, future: Any, flight: Flight, error: BaseException) -> bool:
        """Whether the flight goes out once more, without what was given up. Else the error is its jobs'."""
        if isinstance(error, SchedulerGone):
            self._deserted.add(future.client)
            self._ears.lost()
            self._put_back(flight)
        elif isinstance(error, ClientClosed):
            if self._cluster.is_users(future.client) and future.client not in self._deserted:
                return False
            self._put_back(flight)
        elif isinstance(error, Lacking):
            self._put_back(flight)
        elif type(error).__name__ == "KilledWorker" and not is_culprit(future, flight, error):
            alone = where_alone(flight, error, flight.lane(self._lanes).seconds)
            self._suspects.extend(Flight([entry], alone) for entry in flight.wanted)
        else:
            return False
        return True

    def _put_back(self, flight: Flight) -> None:
        """To where it was: before what waits."""
        if flight.alone:
            self._suspects.extendleft([Flight([entry], flight.alone) for entry in flight.wanted])
            return
        flight.lane(self._lanes).put_back(flight.wanted)

    def _forget(self, future: Any) -> Flight | None:
        """A flight is over: there is room for the next."""
        flight = self._flights.pop(future, None)
        if flight is not None:
            for key in flight.keys:
                self._sent.pop(key, None)
            lane = flight.lane(self._lanes)
            lane.over(len(flight.entries))
            self._locality.over(flight.wish)
            self._look_at(lane.sha256)
        return flight

    def _note_pace(self, flight: Flight, outcomes: Sequence[Outcome]) -> None:
        seconds = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
        self._lanes.learn(flight.lane(self._lanes), flight.entries[0].job.code, seconds)
