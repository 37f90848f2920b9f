"""Transitions, names and labels."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language import graph
from nbflow.language.values import Json

END: Json = {"Type": "Pass", "End": True}
TASK = "arn:aws:states:::lambda:invoke"


def to(name: str) -> Json:
    return {"Type": "Pass", "Next": name}


def scope(start: str, **states: Json) -> dict[str, Json]:
    return {"StartAt": start, "States": states}


def each(processor: Json, **fields: Json) -> Json:
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}


@dataclass(frozen=True)
class Case:
    id: str
    definition: dict[str, Json]
    expected: list[str]


CASES = [
    Case("one state", scope("A", A=END), []),
    Case(
        "a loop with a way out",
        scope("A", A={"Type": "Choice", "Default": "A", "Choices": [{"Next": "B"}]}, B=END),
        [],
    ),
    Case("ends with Succeed", scope("A", A={"Type": "Succeed"}), []),
    Case("ends with Fail", scope("A", A={"Type": "Fail"}), []),
    Case(
        "no such Next",
        scope("A", A={"Type": "Task", "Next": "X", "Catch": [{"Next": "Z"}]}, Z=END),
        ["MISSING_TRANSITION_TARGET at /States/A/Next: Missing 'Next' target: X"],
    ),
    Case(
        "no such Default",
        scope("A", A={"Type": "Choice", "Default": "X", "Choices": [{"Next": "Z"}]}, Z=END),
        ["MISSING_TRANSITION_TARGET at /States/A/Default: Missing 'Next' target: X"],
    ),
    Case(
        "no such choice",
        scope("A", A={"Type": "Choice", "Default": "Z", "Choices": [{"Next": "Z"}, {"Next": "X"}]}, Z=END),
        ["MISSING_TRANSITION_TARGET at /States/A/Choices[1]/Next: Missing 'Next' target: X"],
    ),
    Case(
        "no such catcher",
        scope("A", A={"Type": "Task", "End": True, "Catch": [{"Next": "X"}]}),
        ["MISSING_TRANSITION_TARGET at /States/A/Catch[0]/Next: Missing 'Next' target: X"],
    ),
    Case(
        "a misspelt name is hinted at",
        scope("Begin", Begin=to("Finsh"), Finish=END),
        [
            "MISSING_TRANSITION_TARGET at /States/Begin/Next: "
            "Missing 'Next' target: Finsh (did you mean 'Finish'?)",
            'MISSING_TRANSITION_TARGET at /States/Finish: State "Finish" is not reachable.',
        ],
    ),
    Case(
        "no such start",
        scope("X", A=END),
        [
            "MISSING_TRANSITION_TARGET at /StartAt: Missing 'Next' target: X",
            'MISSING_TRANSITION_TARGET at /States/A: State "A" is not reachable.',
        ],
    ),
    Case("no start at all is another mistake", {"States": {"A": END}}, []),
    Case("no end", scope("A", A=to("B"), B=to("A")), ["MISSING_END_STATE: Workflow has no terminal state"]),
    Case(
        "no end hides what cannot be reached",
        scope("A", A=to("A"), B=to("A")),
        ["MISSING_END_STATE: Workflow has no terminal state"],
    ),
    Case(
        "no end comes after a missing target",
        scope("A", A=to("X")),
        [
            "MISSING_TRANSITION_TARGET at /States/A/Next: Missing 'Next' target: X",
            "MISSING_END_STATE: Workflow has no terminal state",
        ],
    ),
    Case(
        "an end that is not reached",
        scope("A", A=to("B"), B=to("A"), C=END),
        ['MISSING_TRANSITION_TARGET at /States/C: State "C" is not reachable.'],
    ),
    Case("an item may run in circles", scope("M", M=each(scope("A", A=to("A")))), []),
    Case(
        "a transition out of its scope",
        scope("M", M=each(scope("A", A=to("Z"))), Z=END),
        [
            'MISSING_TRANSITION_TARGET at /States/Z: State "Z" is not reachable.',
            "MISSING_TRANSITION_TARGET at /States/M/ItemProcessor/States/A/Next: Missing 'Next' target: Z",
        ],
    ),
    Case(
        "inside a branch",
        scope(
            "P",
            P={"Type": "Parallel", "End": True, "Branches": [scope("A", A=END), scope("B", B=END, C=END)]},
        ),
        ['MISSING_TRANSITION_TARGET at /States/P/Branches[1]/States/C: State "C" is not reachable.'],
    ),
    Case(
        "inside an Iterator",
        scope("M", M={"Type": "Map", "End": True, "Iterator": scope("X", A=END)}),
        [
            "MISSING_TRANSITION_TARGET at /States/M/Iterator/StartAt: Missing 'Next' target: X",
            'MISSING_TRANSITION_TARGET at /States/M/Iterator/States/A: State "A" is not reachable.',
        ],
    ),
    Case(
        "the same name in two branches",
        scope("P", P={"Type": "Parallel", "End": True, "Branches": [scope("A", A=END), scope("A", A=END)]}),
        ["DUPLICATE_STATE_NAME at /States/P/Branches[1]/States/A: Duplicate State name: A"],
    ),
    Case(
        "the same name inside and outside",
        scope("A", A=each(scope("A", A=END))),
        ["DUPLICATE_STATE_NAME at /States/A/ItemProcessor/States/A: Duplicate State name: A"],
    ),
    Case("80 characters", scope("x" * 80, **{"x" * 80: END}), []),
    Case(
        "81 characters",
        scope("x" * 81, **{"x" * 81: END}),
        [
            f"INVALID_STATE_NAME at /States/{'x' * 81}: "
            "The state name exceeds the 80-character limit allowed by the service"
        ],
    ),
    Case(
        "an empty name",
        scope("", **{"": END}),
        ["INVALID_STATE_NAME at /States/: The state name cannot be empty"],
    ),
    Case("a name with a slash", scope("A/B", **{"A/B": to("C/D"), "C/D": END}), []),
    Case(
        "a long label",
        scope("M", M=each(scope("A", A=END), Label="l" * 41)),
        [
            "INVALID_LABEL_NAME at /States/M/Label: "
            "The label exceeds the 40-character limit allowed by the service"
        ],
    ),
    Case(
        "the same label twice",
        scope("M", M=each(scope("N", N=each(scope("A", A=END), Label="one")), Label="one")),
        [
            "DUPLICATE_LABEL_NAME at /States/M/ItemProcessor/States/N/Label: Duplicate Label name: one",
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_check(case: Case) -> None:
    assert [str(found) for found in graph.check(case.definition)] == case.expected


@given(st.dictionaries(st.sampled_from("ABCDEF"), st.sampled_from("ABCDEF"), min_size=1))
def test_a_state_is_unreachable_or_on_the_way_from_the_start(targets: dict[str, str]) -> None:
    """Where every state has one successor, following them visits exactly the reachable states."""
    start = min(targets)
    states: dict[str, Json] = {name: to(target) for name, target in targets.items()} | {"Z": END}
    visited: set[str] = set()
    here = start
    while here in states and here not in visited:
        visited.add(here)
        here = states[here].get("Next", "")
    lost = {found.location for found in graph.check(scope(start, **states)) if "reachable" in found.message}
    assert lost == {f"/States/{name}" for name in states.keys() - visited}
