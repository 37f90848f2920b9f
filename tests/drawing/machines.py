"""Machines to draw: some by hand, and a strategy for any."""

from itertools import cycle
from typing import Any, TypeAlias

from hypothesis import strategies as st

from nbflow.drawing.flow import every_state
from nbflow.language.validate import parse
from nbflow.language.values import Json
from tests.machine.driver import ACTIVITY, CALLBACK, TASK, Raised, Script

Definition: TypeAlias = dict[str, Json]


def work(next: str | None = None, **fields: Json) -> Definition:
    """A Task state."""
    return {"Type": "Task", "Resource": TASK, **({"End": True} if next is None else {"Next": next}), **fields}


def catch(target: str, *errors: str) -> list[Json]:
    return [{"ErrorEquals": list(errors or ("States.ALL",)), "Next": target}]


def scope(**states: Json) -> Definition:
    """A machine or branch that starts at its first state."""
    return {"StartAt": next(iter(states)), "States": dict(states)}


def chain(*names: str) -> Definition:
    following = [*names[1:], None]
    return {"StartAt": names[0], "States": {a: work(b) for a, b in zip(names, following, strict=True)}}


def mapped(inner: Definition, **fields: Json) -> Definition:
    return {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": inner, **fields}


def equals(value: int, target: str) -> Definition:
    return {"Variable": "$.n", "NumericEquals": value, "Next": target}


POLL = scope(
    **{
        "Submit": work("Wait"),
        "Wait": {"Type": "Wait", "Seconds": 30, "Next": "Look"},
        "Look": work("Complete?", Catch=catch("Failed")),
        "Complete?": {
            "Type": "Choice",
            "Choices": [equals(0, "Failed"), equals(1, "Done")],
            "Default": "Wait",
        },
        "Failed": {"Type": "Fail"},
        "Done": {"Type": "Succeed"},
    }
)
SIX = scope(
    **{
        "Kind?": {
            "Type": "Choice",
            "Choices": [equals(n, f"Do {n}") for n in range(6)],
            "Default": "Unknown",
        },
        **{f"Do {n}": work("Join") for n in range(6)},
        "Unknown": {"Type": "Fail"},
        "Join": work(),
    }
)
SAGA = scope(
    Flight=work("Hotel", Catch=catch("Sorry")),
    Hotel=work("Card", Catch=catch("Cancel flight")),
    Card=work("Tickets", Catch=[*catch("Other card", "Declined"), *catch("Cancel hotel")]),
    Tickets=work(),
    **{
        "Other card": work("Card"),
        "Cancel hotel": work("Cancel flight"),
        "Cancel flight": work("Sorry"),
        "Sorry": {"Type": "Fail"},
    },
)
HANDLER = scope(
    **{f"S{n}": work(f"S{n + 1}", Catch=catch("Handle")) for n in range(12)}, S12=work(), Handle=work("S12")
)
THIRTY = chain(*(f"S{n}" for n in range(30)))
NESTED = scope(
    Outer=mapped(
        scope(
            Both={
                "Type": "Parallel",
                "Branches": [scope(Inner=mapped(chain("A", "B"), End=True)), chain("P", "Q")],
                "End": True,
            }
        ),
        Next="Finish",
    ),
    Finish=work(),
)
LONG = "A name with many words, that takes two lines in a picture and is cut in the end,"
HOSTILE = chain(
    '<a b="c">&amp;\'',
    "</title><script>alert(1)</script>",
    "日本語の状態 ünïcode 🎉",
    "x" * 80,
    LONG[:80],
    "a\tb\nc\x00\x1b[31m\u202e",
    "a/States/b",
)
AGAIN = scope(
    A=work("B", Catch=catch("A")),
    B={"Type": "Choice", "Choices": [equals(1, "B"), equals(2, "A")], "Default": "C"},
    C=work(),
)

FLIGHTS = scope(
    **{
        "List months": work("Each month"),
        "Each month": mapped(chain("Monthly"), Next="Delays"),
        "Delays": {
            "Type": "Parallel",
            "Branches": [chain("By carrier"), chain("By hour and weather"), chain("By plane age")],
            "Next": "Measure quality",
        },
        "Measure quality": work("Good enough?"),
        "Good enough?": {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.quality.lost_share",
                    "NumericLessThanEqualsPath": "$.max_lost_share",
                    "Next": "Delay report",
                }
            ],
            "Default": "Too much lost",
        },
        "Too much lost": {"Type": "Fail", "Error": "TooMuchLost"},
        "Delay report": work("Done"),
        "Done": {"Type": "Succeed"},
    }
)

ALL: dict[str, Definition] = {
    "flights": FLIGHTS,
    "one": chain("Only"),
    "poll": POLL,
    "six": SIX,
    "saga": SAGA,
    "handler": HANDLER,
    "thirty": THIRTY,
    "nested": NESTED,
    "hostile": HOSTILE,
    "again": AGAIN,
}

RETRY: Json = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]


@st.composite
def definitions(draw: st.DrawFn, depth: int = 2, prefix: str = "") -> Definition:
    """Any machine: every state can be reached, the last one ends; loops, forks, joins and nested scopes."""
    count = draw(st.integers(1, 7 if depth == 2 else 3))
    names = [f"{prefix}{draw(st.sampled_from(['S', 'A longer name ', 'W' * 20]))}{n}" for n in range(count)]
    targets: dict[str, list[str]] = {name: [] for name in names}
    for at, name in enumerate(names[1:], 1):
        targets[draw(st.sampled_from(names[:at]))].append(name)
    for _ in range(draw(st.integers(0, 4))):
        if count > 1:
            targets[draw(st.sampled_from(names[:-1]))].append(draw(st.sampled_from(names)))
    return {
        "StartAt": names[0],
        "States": {name: draw(_state(name, to, depth)) for name, to in targets.items()},
    }


@st.composite
def _state(draw: st.DrawFn, name: str, targets: list[str], depth: int) -> Definition:
    if not targets:
        end: Definition = draw(st.sampled_from([{"Type": "Succeed"}, {"Type": "Fail"}, {"End": True}]))
        return {**draw(_working(name, depth)), **end} if "End" in end else end
    if len(targets) > 1 and draw(st.booleans()):
        rules: list[Json] = [equals(n, target) for n, target in enumerate(targets[1:])]
        return {"Type": "Choice", "Choices": rules, "Default": targets[0]}
    if len(targets) == 1 and draw(st.booleans()):
        simple: Definition = draw(st.sampled_from([{"Type": "Pass"}, {"Type": "Wait", "Seconds": 1}]))
        return {**simple, "Next": targets[0]}
    made: Definition = {**draw(_working(name, depth)), "Next": targets[0]}
    if targets[1:]:
        errors = [[f"E{n}"] for n in range(len(targets) - 2)] + [["States.ALL"]]
        made["Catch"] = [{"ErrorEquals": e, "Next": t} for e, t in zip(errors, targets[1:], strict=True)]
    return made


@st.composite
def _working(draw: st.DrawFn, name: str, depth: int) -> Definition:
    """A Task, Map or Parallel without what follows it."""
    kind = draw(st.sampled_from(["Task", "Map", "Parallel"] if depth else ["Task"]))
    retry: Definition = {"Retry": RETRY} if draw(st.booleans()) else {}
    if kind == "Task":
        resource = draw(st.sampled_from([TASK, TASK, ACTIVITY, CALLBACK]))
        return {"Type": "Task", "Resource": resource, **retry}
    if kind == "Map":
        tolerated: Definition = {"ToleratedFailureCount": 1} if draw(st.booleans()) else {}
        return {**mapped(draw(definitions(depth - 1, f"{name}."))), **retry, **tolerated}
    branches = [draw(definitions(depth - 1, f"{name}.{n}.")) for n in range(draw(st.integers(1, 3)))]
    return {"Type": "Parallel", "Branches": branches, **retry}


def scripts(definition: Definition, numbers: list[int]) -> dict[str, Script]:
    """Tasks for every state of a machine that answer, or fail, as the numbers say, over and over."""
    left = cycle(numbers)

    def script(call: int, arguments: Json) -> Json:
        number = next(left)
        if number > 4:
            raise Raised("Boom", "why")
        return answer(number)

    return {name: script for name, _ in every_state(parse(definition))}


def answer(number: int) -> dict[str, Any]:
    """What tasks return: it chooses a way, and has items for a Map."""
    inner = {"n": number, "items": [{"n": 0, "items": []}, {"n": 1, "items": []}]}
    return {"n": number, "items": [inner] * number}
