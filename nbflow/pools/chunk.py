"""What travels to a Dask worker and back: some jobs of one code, and their outcomes, as bytes.

Pickled here and not by Dask: the code is in it once, fields are plain tuples (a frozen dataclass with slots takes ten
times as long), and to the scheduler it is an opaque piece of data.

Of a large code, the content travels once or so to each worker, which keeps it: later chunks name it only. A worker that
does not have it (it has come since, or has forgotten it) says so, and the chunk is sent to it, or to another one, in
full.
"""

import os
import pickle
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any, Final

from nbflow.pools.heard import teller
from nbflow.pools.locality import look_again, make_room
from nbflow.tasks.capture import routed
from nbflow.tasks.child import Ending, plan
from nbflow.tasks.importing import importable_for
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.tasks.perform import perform
from nbflow.tasks.stopping import Key

LARGE: Final = 16 * 1024
"""Bytes of a code's content that are worth the risk of a second journey."""

MOST_KEPT: Final = 64 * 2**20
"""Bytes of contents that a worker keeps."""

LACKING: Final = b""
"""In place of the answers: the worker does not have the code's content."""


def encode(jobs: Sequence[Job], *, bare: bool = False) -> bytes:
    """Jobs of one code, at least one. ``bare``: without the code's content, if that is large."""
    fields = [
        (j.execution, j.attempt, j.arguments, j.shelf, j.known, j.expected, j.directory, j.enveloped)
        for j in jobs
    ]
    code = jobs[0].code
    if bare and is_large(code):
        code = replace(code, content=b"")
    return pickle.dumps((code, fields), pickle.HIGHEST_PROTOCOL)


def is_large(code: Code) -> bool:
    """Whether its content is to travel once only."""
    return len(code.content) >= LARGE


class _Contents:
    """The large contents that this worker has, by their hashes; those that were used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def complete(self, code: Code) -> Code | None:
        """The code with its content; None if that is not here."""
        with self._lock:
            if code.content:
                self._keep(code)
                return code
            if code.sha256 not in self._kept:
                return None
            self._kept.move_to_end(code.sha256)
            return replace(code, content=self._kept[code.sha256])

    def _keep(self, code: Code) -> None:
        if is_large(code) and code.sha256 not in self._kept:
            self._kept[code.sha256] = code.content
            self._size += len(code.content)
            while self._size > MOST_KEPT:
                self._size -= len(self._kept.popitem(last=False)[1])


_contents: Final = _Contents()


def perform_chunk(chunk: bytes, expendable: bool = False, topic: str = "") -> bytes:
    """Do the jobs one after the other: the Dask task.

    ``expendable``: its process may be ended, if it has to stop. ``topic``: where what they say meanwhile is heard.
    Answers the outcomes, or LACKING.
    """
    named, fields = pickle.loads(chunk)
    code = _contents.complete(named)
    if code is None:
        return LACKING
    jobs = [Job(execution, attempt, code, *rest) for execution, attempt, *rest in fields]
    worker = _worker()
    own = worker is not None and worker.nanny is not None
    keys = [(job.execution, job.attempt) for job in jobs]
    address = "" if worker is None else worker.address
    hear = teller(worker, topic) if worker is not None and topic else None
    answers, here = [], ""
    if worker is not None:
        make_room(worker)
    if code.kind == "express":
        plan(code.content)  # now: it is no item's time
    with routed(), nullcontext() if worker is None else _heeding(worker, keys, expendable):
        for job in jobs:
            if own and job.directory != here:
                with suppress(OSError):  # another machine may not have the folder
                    os.chdir(job.directory)
                importable_for([code], job.directory)
                here = job.directory
            done = perform(job, hear)
            ended = type(done.output) is Ending
            output = tuple(done.output) if ended else done.output  # a named one takes seven times as long
            answers.append(
                (ended, output, done.error, done.cause, done.artifacts, done.log, done.seconds, address)
            )
    if worker is not None:
        look_again(worker)
    return pickle.dumps(answers, pickle.HIGHEST_PROTOCOL)


def _heeding(worker: Any, keys: Sequence[Key], expendable: bool) -> AbstractContextManager[None]:
    from nbflow.pools.released import heeding  # Dask, which is not imported where it is not used

    return heeding(worker, keys, expendable=expendable)


def decode(jobs: Sequence[Job], answers: bytes) -> list[Outcome]:
    """The outcomes of the jobs."""
    return [
        Outcome(job.execution, job.attempt, Ending(*output) if ended else output, *fields)
        for job, (ended, output, *fields) in zip(jobs, pickle.loads(answers), strict=True)
    ]


def _worker() -> Any:
    """The Dask worker that this thread works for, if it does.

    One that a nanny looks after has a process that is nobody else's: there, tasks run in the directory of their
    starter. Without, it may be a thread of the user's own notebook.
    """
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:  # Dask's way to say that this is no worker
        return None
