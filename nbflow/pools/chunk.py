"""What travels to a Dask worker and back: some jobs of one code, and their outcomes, as bytes.

Pickled here and not by Dask: the code is in it once, fields are plain tuples (a frozen dataclass with slots takes ten
times as long), and to the scheduler it is an opaque piece of data.
"""

import os
import pickle
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from nbflow.pools.heard import teller
from nbflow.pools.locality import look_again, make_room
from nbflow.tasks.capture import routed
from nbflow.tasks.child import plan
from nbflow.tasks.importing import importable_for
from nbflow.tasks.job import Job, Outcome
from nbflow.tasks.perform import perform
from nbflow.tasks.stopping import Key


def encode(jobs: Sequence[Job]) -> bytes:
    """Jobs of one code, at least one."""
    fields = [(j.execution, j.attempt, j.arguments, j.shelf, j.known, j.expected, j.directory) for j in jobs]
    return pickle.dumps((jobs[0].code, fields), pickle.HIGHEST_PROTOCOL)


def perform_chunk(chunk: bytes, expendable: bool = False, topic: str = "") -> bytes:
    """Do the jobs one after the other: the Dask task.

    ``expendable``: its process may be ended, if it has to stop. ``topic``: where what they say meanwhile is heard.
    """
    code, fields = pickle.loads(chunk)
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
            answers.append(
                (done.output, done.error, done.cause, done.artifacts, done.log, done.seconds, address)
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
        Outcome(job.execution, job.attempt, *fields)
        for job, fields in zip(jobs, pickle.loads(answers), strict=True)
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
