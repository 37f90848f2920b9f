"""What happens next: a running execution as data, and the pure functions over it.

The idea -------- An execution is a :class:`~nbflow.machine.run.Run`: a few numbers and its *frames*. A frame
is one thread of control: the run itself (frame 0), a branch of a Parallel state, an iteration of a Map state.
Three functions work on it:

``step(fact, now)`` **decides**
    A *fact* is something that happened in the world (:mod:`~nbflow.machine.facts`). A step reads the
    definition, evaluates expressions, and answers with *records* (what we remember,
    :mod:`~nbflow.machine.records`) and *orders* (what the world must now do, :mod:`~nbflow.machine.orders`).
    It is bounded: it ends when nothing can move, after 256 records, or after 64 MiB.

``evolve(record)`` **remembers**
    It is the only writer of the state. It evaluates no expression and knows no clock, so that folding the same records
    always gives the same state: this is crash recovery, and reading an old run, and following a live one.

``outstanding()`` **owes**
    The orders that the present state implies. What a step returned and what a restarted process finds are the same.

Frames never call frames. A handler (one short function per state type, :mod:`~nbflow.machine.states`) answers
``Done(output, next)``, ``Failure(error, cause)`` or ``None`` (waiting); one loop in
:mod:`~nbflow.machine.step` runs the *ready* frames until none is left. When a branch ends or fails, its
parent becomes ready, and takes it from there.

Ids
---
AWS numbers the events of a history 1, 2, 3, …. A record that AWS shows takes the next id; one that AWS does not show
(a retry's timer, a Parallel's branch) takes none. An attempt at a task is named by the event id of its TaskScheduled
record, and an answer that carries another name is dropped: late answers end there, and nowhere else.

Payloads are never stored twice: a record says ``origin`` where its payload is one that the state holds already.

Redrive
-------
A frame that fails or is given up is *set aside* as it is (:mod:`~nbflow.machine.aside`), until the state around it is
left or tried again. An execution that has ended without success is so all that it takes to go on with it: one more
fact takes the run itself up again, and forks take up what they had lost, as they have room for it. What succeeded has
left its result with its parent, and is not done again.

Straight ahead
--------------
While an execution that lives in memory only has nothing but tasks that succeed, its records are of no use to anybody:
:mod:`~nbflow.machine.straight` asks the same handlers without them, and leaves whatever else happens to a machine.

Nothing here touches a clock, a loop, a thread, a socket, random numbers or a database; time is the ``now`` of
a step, and chance is a port (:class:`~nbflow.language.values.Chance`).
"""

from nbflow.machine.step import Machine, Step

__all__ = ["Machine", "Step"]
