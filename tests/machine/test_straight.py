"""What goes straight ahead comes where a machine would."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, facts, orders
from nbflow.machine.context import LIMITS, MAP_RUN
from nbflow.machine.straight import Dice, Straight
from tests.machine.definitions import machines
from tests.machine.driver import ACTIVITY, CALLBACK, CONTEXT, TASK

Answer = Callable[[int], Json]

TASK_STATE: dict[str, Json] = {"Type": "Task", "Resource": TASK}
CHILD: dict[str, Json] = {**CONTEXT, MAP_RUN: "arn:run"}


class Both:
    """An execution that goes straight ahead as far as it can, and a machine that is told the same."""

    def __init__(
        self,
        definition: dict[str, Json],
        input: Json = None,
        *,
        answer: Answer = lambda number: {"answer": number},
        context: dict[str, Json] = CHILD,
        tasks: int = 100,
    ) -> None:
        parsed, start, dice = parse(definition), facts.Start(input, context), Dice(random.Random(0))
        self.straight = Straight(parsed, dice, start, 1000.0)
        self.ordered: list[orders.RunTask] = []
        while self.straight.order is not None and len(self.ordered) < tasks:
            self.ordered.append(self.straight.order)
            self.straight.answer(answer(len(self.ordered)), 1000.0 + len(self.ordered))
        dice.rewind()
        self.machine = Machine.of(parsed, dice)
        self.owed = self.machine.step(start, 1000.0).orders
        for number, order in enumerate(self.ordered, 1):
            assert [order] == [owed for owed in self.owed if isinstance(owed, orders.RunTask)]
            told = facts.TaskSucceeded(order.attempt, answer(number))
            self.owed = self.machine.step(told, 1000.0 + number).orders

    @property
    def ended(self) -> Json:
        """The output, which is the machine's, too."""
        assert self.straight.succeeded
        assert self.machine.run.status == "SUCCEEDED"
        assert self.straight.output == self.machine.run.output
        return self.straight.output


def states(**states: Json) -> dict[str, Json]:
    return {"StartAt": next(iter(states)), "States": states}


def test_tasks_one_after_the_other() -> None:
    both = Both(
        states(A={**TASK_STATE, "Next": "B"}, B={**TASK_STATE, "ResultPath": "$.more", "End": True}), 1
    )
    assert [order.arguments for order in both.ordered] == [1, {"answer": 1}]
    assert both.ended == {"answer": 1, "more": {"answer": 2}}


def test_what_lies_between_them() -> None:
    both = Both(
        states(
            A={
                "Type": "Pass",
                "Parameters": {"id.$": "States.UUID()", "at.$": "$$.State.EnteredTime"},
                "Next": "B",
            },
            B={**TASK_STATE, "Assign": {"id.$": "$.answer"}, "ResultPath": "$.a", "Next": "C"},
            C={"Type": "Choice", "Choices": [{"Variable": "$id", "NumericEquals": 1, "Next": "D"}]},
            D={**TASK_STATE, "QueryLanguage": "JSONata", "Arguments": "{% $random() %}", "Next": "E"},
            E={"Type": "Succeed"},
        )
    )
    assert both.ended == {"answer": 2}


def test_a_context_object_of_its_own() -> None:
    context = {"Type": "Pass", "Parameters": {"all.$": "$$"}, "Next": "B"}
    both = Both(states(A={**TASK_STATE, "Next": "P"}, P=context, B={**TASK_STATE, "End": True}), [1])
    assert both.ordered[1].arguments["all"]["State"] == {
        "Name": "P",
        "EnteredTime": "1970-01-01T00:16:41.000Z",
    }
    assert both.ended == {"answer": 2}


ENDS = {**TASK_STATE, "End": True}


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Wait", "Seconds": 1, "Next": "Z"},
        {"Type": "Fail", "Error": "Boom"},
        {"Type": "Pass", "InputPath": "$.missing", "Next": "Z"},
        {"Type": "Parallel", "Branches": [states(X=ENDS)], "Next": "Z"},
        {"Type": "Map", "ItemsPath": "$.list", "ItemProcessor": states(X=ENDS), "Next": "Z"},
        {"Type": "Task", "Resource": ACTIVITY, "Next": "Z"},
        {"Type": "Task", "Resource": CALLBACK, "Parameters": {"t.$": "$$.Task.Token"}, "Next": "Z"},
        {**TASK_STATE, "TimeoutSeconds": 1, "Next": "Z"},
        {**TASK_STATE, "HeartbeatSecondsPath": "$.answer", "Next": "Z"},
        {**TASK_STATE, "Parameters": {"x.$": "$.missing"}, "Next": "Z"},
        {**TASK_STATE, "Credentials": {"RoleArn": "arn:role"}, "Next": "Z"},
        {
            "Type": "Task",
            "Resource": "arn:aws:states:::apigateway:invoke",
            "Parameters": {"ApiEndpoint": "x", "Method": "GET", "Headers.$": "$"},
            "Next": "Z",
        },
    ],
    ids=lambda state: "-".join([state["Type"], *(name for name in state if name not in ("Type", "Next"))]),
)
def test_anything_else_is_for_a_machine(state: Json) -> None:
    rest = {"Z": {"Type": "Succeed"}} if "Next" in state else {}
    both = Both(states(A={**TASK_STATE, "Next": "S"}, S=state, **rest))
    assert len(both.ordered) == 1
    assert not both.straight.succeeded


def test_so_is_what_has_a_time_limit_or_quotas() -> None:
    assert Both({**states(A=ENDS), "TimeoutSeconds": 60}).ordered == []
    assert Both(states(A=ENDS), context={**CHILD, LIMITS: "aws"}).ordered == []


def test_so_is_what_may_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.machine.straight.MOST_STATES", 5)
    back: Json = {
        "Type": "Choice",
        "Choices": [{"Variable": "$", "IsNull": True, "Next": "A"}],
        "Default": "C",
    }
    again = states(A={"Type": "Pass", "Next": "B"}, B=back, C={"Type": "Succeed"})
    assert Both(again, 1).ended == 1
    assert not Both(again, None).straight.succeeded


FIELDS: list[dict[str, Json]] = [
    {},
    {"Parameters": {"in.$": "$", "id.$": "States.UUID()", "name.$": "$$.State.Name"}},
    {"ResultPath": "$.result"},
    {"ResultPath": None},
    {"OutputPath": "$.answer"},  # which is not always there
    {"Assign": {"x.$": "$", "drawn.$": "States.MathRandom(1, 1000)"}},
    {"QueryLanguage": "JSONata", "Output": {"r": "{% $random() %}", "in": "{% $states.input %}"}},
    {"QueryLanguage": "JSONata", "Assign": {"at": "{% $millis() %}"}},
]


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Json]:
    """Tasks and Pass states, one after the other."""
    kinds = draw(
        st.lists(
            st.tuples(st.sampled_from([TASK_STATE, {"Type": "Pass"}]), st.sampled_from(FIELDS)),
            min_size=1,
            max_size=6,
        )
    )
    drawn = {
        f"s{number}": {**state, **fields, "Next": f"s{number + 1}"}
        for number, (state, fields) in enumerate(kinds)
    }
    return states(**drawn, **{f"s{len(kinds)}": {"Type": "Succeed"}})


@pytest.mark.parametrize("drawing", [machines(), lines()], ids=["anything", "lines"])
@given(st.data(), st.integers(0, 6), st.booleans())
def test_what_is_ordered_is_what_a_machine_orders(
    drawing: st.SearchStrategy[Json], data: st.DataObject, tasks: int, in_map: bool
) -> None:
    """As far as it goes, and wherever it is left."""
    both = Both(data.draw(drawing), {"state": 1}, context=CHILD if in_map else CONTEXT, tasks=tasks)
    event("succeeded" if both.straight.succeeded else f"{len(both.ordered)} tasks")
    if both.straight.succeeded:
        assert both.ended == both.machine.run.output
    elif both.straight.order is not None:
        assert both.straight.order in both.owed


def test_chance_can_be_had_again() -> None:
    dice: Any = Dice(random.Random(0))
    first = [dice.random(), dice.getrandbits(128), dice.getrandbits(3)]
    dice.rewind()
    assert [dice.random(), dice.getrandbits(128), dice.getrandbits(3)] == first
    further = dice.random()
    assert further not in first
    for _ in itertools.repeat(None, 2):
        dice.rewind()
        assert [dice.random(), dice.getrandbits(128), dice.getrandbits(3), dice.random()] == [*first, further]
