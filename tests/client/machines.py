"""State machines that the tests of the Python door and of the shell run."""

from typing import Any

import nbflow as nf
from nbflow.language.values import Json

LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"


def task(name: str, **fields: Json) -> Json:
    return {
        "Type": "Task",
        "Resource": LAMBDA + name,
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


def one(function: Any, name: str = "one", **fields: Json) -> nf.StateMachine:
    """A machine with the one Task state ``Work``."""
    named = getattr(function, "name", None) or function.__name__
    states = {"Work": task(named, **fields)}
    return nf.StateMachine({"StartAt": "Work", "States": states}, name=name, tasks={named: function})


def waiting(name: str = "waiting") -> nf.StateMachine:
    """A machine that waits for an hour."""
    wait = {"Type": "Wait", "Seconds": 3600, "End": True}
    return nf.StateMachine({"StartAt": "Wait", "States": {"Wait": wait}}, name=name)


def each(processor: Json, function: Any, **fields: Json) -> nf.StateMachine:
    """A machine with a Map state ``Each`` over its input."""
    state = {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}
    return nf.StateMachine(
        {"StartAt": "Each", "States": {"Each": state}}, name="each", tasks={function.__name__: function}
    )


def gated(input: Any) -> Any:
    """Waits at the gate that its input names."""
    from tests.client.gates import GATES

    GATES.wait(input["gate"])
    return input


def raising(input: Any) -> None:
    raise ValueError(f"no good: {input}")


def parallel(*branches: Json, **fields: Json) -> Json:
    return {"Type": "Parallel", "Branches": list(branches), "End": True, **fields}


def branch(name: str, state: Json) -> Json:
    return {"StartAt": name, "States": {name: state}}
