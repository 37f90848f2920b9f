"""What travels to a Dask worker and back: some jobs of one code, and their outcomes, as bytes.

Pickled here and not by Dask: the code is in it once, fields are plain tuples (a frozen dataclass with slots takes ten
times as long), and to the scheduler it is an opaque piece of data.
"""

import os
import pickle
from collections.abc import Sequence
from contextlib import suppress

from nbflow.tasks.job import Job, Outcome
from nbflow.tasks.perform import perform


def encode(jobs: Sequence[Job]) -> bytes:
    """Jobs of one code, at least one."""
    fields = [(j.execution, j.attempt, j.arguments, j.shelf, j.known, j.expected, j.directory) for j in jobs]
    return pickle.dumps((jobs[0].code, fields), pickle.HIGHEST_PROTOCOL)


def perform_chunk(chunk: bytes) -> bytes:
    """Do the jobs one after the other: the Dask task."""
    code, jobs = pickle.loads(chunk)
    own = _has_own_process()
    answers, here = [], ""
    for execution, attempt, arguments, shelf, known, expected, directory in jobs:
        if own and directory != here:
            with suppress(OSError):  # another machine may not have the folder
                os.chdir(directory)
            here = directory
        done = perform(Job(execution, attempt, code, arguments, shelf, known, expected, directory))
        answers.append((done.output, done.error, done.cause, done.artifacts, done.log, done.seconds))
    return pickle.dumps(answers, pickle.HIGHEST_PROTOCOL)


def decode(jobs: Sequence[Job], answers: bytes) -> list[Outcome]:
    """The outcomes of the jobs."""
    return [
        Outcome(job.execution, job.attempt, *fields)
        for job, fields in zip(jobs, pickle.loads(answers), strict=True)
    ]


def _has_own_process() -> bool:
    """Whether this is a worker whose process is nobody else's: there, tasks run in the directory of their starter.

    A worker that a nanny looks after has one. Without, it may be a thread of the user's own notebook.
    """
    from distributed import get_worker

    try:
        return get_worker().nanny is not None
    except ValueError:  # Dask's way to say that this is no worker
        return False
