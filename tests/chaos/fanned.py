"""``python -m tests.chaos.fanned URL DASK KIND ITEMS SECONDS``: one Map over a Dask cluster that is being killed.

The process that has the engine; it ends well when the execution has.
"""

import json
import os
import sys
from typing import Any, Final

import nbflow as nf
from tests.chaos.samples import LAMBDA, PATIENT
from tests.chaos.tasks import mark

INLINE: Final = "inline"
EXPRESS: Final = "express"
_PROCESSORS: Final = {
    INLINE: {"Mode": "INLINE"},
    EXPRESS: {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
}


def definition(kind: str) -> dict[str, Any]:
    """A Map of ``mark`` over the numbers of its input."""
    fields = {name: f"$.{name[:-2]}" for name in ("number.$", "folder.$", "seconds.$")}
    one = {
        "Type": "Task",
        "Resource": f"{LAMBDA}mark",
        "Parameters": {**fields, "retry.$": "$$.State.RetryCount"},
        "Retry": PATIENT,
        "End": True,
    }
    state = {
        "Type": "Map",
        "ItemsPath": "$.numbers",
        "ItemSelector": {**fields, "number.$": "$$.Map.Item.Value"},
        "ItemProcessor": {
            "ProcessorConfig": _PROCESSORS[kind],
            "StartAt": "Mark",
            "States": {"Mark": one},
        },
        "End": True,
    }
    return {"StartAt": "Each", "States": {"Each": state}}


def main(url: str, dask: str, kind: str, items: int, seconds: float) -> None:
    nf.connect(url, dask=dask)
    machine = nf.StateMachine(definition(kind), name=kind, tasks={"mark": mark})
    given = {"numbers": list(range(items)), "folder": os.getcwd(), "seconds": seconds}
    found = machine.run(given)
    assert found == given["numbers"], json.dumps(found)
    nf.disconnect()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
