"""The states of the top level as they were entered: from where another execution can go on."""

from collections.abc import Iterable, Iterator

from nbflow.language import model
from nbflow.machine import records as r
from nbflow.machine.evolve import ROOT, evolve
from nbflow.machine.run import Run


def entries(definition: model.StateMachine, records: Iterable[r.Record]) -> Iterator[r.Entry]:
    """Each entry of a state of the top level, in their order: with its input and the variables of that moment."""
    run = Run(definition)
    for record in records:
        if type(record) is r.StateEntered and record.frame == ROOT:
            frame = run.frames[ROOT]
            yield r.Entry(frame.state, frame.data, frame.variables)
        evolve(run, record)
