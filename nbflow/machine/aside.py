"""Frames that fail or are given up: set aside, dropped, or taken up again by a redrive. A part of ``evolve``.

A frame that is set aside stays as it was, in ``run.lost``, until the state around it is left or tried again. So what a
redrive needs is there when an execution has ended, and nothing else is: what succeeded is in its parent's results.
"""

import heapq

from nbflow.language import model
from nbflow.machine.retries import DATA_LIMIT
from nbflow.machine.run import Fork, Frame, Run


def set_due(run: Run, frame: Frame, due: float | None) -> None:
    frame.due = due
    if due is not None:
        heapq.heappush(run.dues, (due, frame.id))


def refresh(run: Run, frame: Frame) -> None:
    """Put the frame among the ready ones, or take it from them."""
    phase, fork = frame.phase, frame.fork
    if phase == "READY" or (
        phase == "FORK" and fork is not None and (fork.pending or fork.room or fork.over)
    ):
        run.ready[frame.id] = None
    else:
        run.ready.pop(frame.id, None)


def set_aside(run: Run, frame: Frame) -> None:
    """The frame and all below it are over, and kept as they are; attempts under way are to be cancelled."""
    if frame.attempt is not None:
        del run.attempts[frame.attempt]
        run.cancelling[frame.attempt] = None
        frame.unfinished = frame.map_run
        frame.attempt = frame.arguments = frame.token = frame.map_run = None
        frame.started = frame.submitted = False
    run.ready.pop(frame.id, None)
    run.lost[frame.id] = run.frames.pop(frame.id)
    if frame.fork is not None:
        for id in (*frame.fork.live, *frame.fork.pending):
            if id in run.frames:
                set_aside(run, run.frames[id])


def drop_fork(run: Run, frame: Frame) -> None:
    """What ran in the frame's fork is of no use any more."""
    fork, frame.fork = frame.fork, None
    if fork is not None:
        for id in (*fork.live, *fork.pending, *fork.lost, *fork.again):
            if id in run.frames:
                set_aside(run, run.frames[id])
            drop_fork(run, run.lost.pop(id))


def take_up(run: Run, id: int, last: int) -> None:
    """A frame goes on where it was set aside; ``last`` is what its next event points back to.

    Its state is not entered again, unless it is a Fail state; a handler has to take an ENTERED one from there. The
    attempts of Retry count anew; a Wait ends when it would have ended (AWS guide, "Redriving executions").
    """
    frame = run.frames[id] = run.lost.pop(id)
    frame.last = last
    frame.retries = {}
    if frame.error == DATA_LIMIT:
        frame.result = frame.unfinished = None
        drop_fork(run, frame)
    frame.error = frame.cause = None
    if frame.phase == "WAITING":
        set_due(run, frame, frame.due)
        return
    frame.due = None
    if isinstance(frame.current, model.Fail):
        frame.phase = "READY"
    elif frame.fork is not None:
        frame.phase = "FORK"
        _take_up_fork(run, frame.fork, last)
    elif frame.phase != "READY":
        frame.phase = "ENTERED"
    refresh(run, frame)


def _take_up_fork(run: Run, fork: Fork, last: int) -> None:
    """Branches that failed or were given up wait for their turn; those that succeeded stay as they are."""
    ended = [id for id in fork.pending if run.lost[id].phase == "ENDED"]
    again = {*fork.live, *fork.pending, *fork.lost, *fork.again}.difference(ended)
    for id in ended:
        run.frames[id] = run.lost.pop(id)
    fork.pending, fork.live, fork.lost = ended, {}, []
    fork.again = sorted(again, key=lambda id: run.lost[id].index, reverse=True)
    fork.failed = 0
    fork.spawn_from = last
