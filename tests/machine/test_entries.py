"""Where a fork can begin, and that it begins there."""

import random

from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, facts
from nbflow.machine.entries import entries
from nbflow.machine.records import Entry, decode
from tests.machine.driver import CONTEXT, TASK, Driver, Raised

LOOP: Json = {
    "StartAt": "Count",
    "QueryLanguage": "JSONata",
    "States": {
        "Count": {"Type": "Pass", "Assign": {"n": "{% $exists($n) ? $n + 1 : 1 %}"}, "Next": "Work"},
        "Work": {"Type": "Task", "Resource": TASK, "Output": "{% [$states.result, $n] %}", "Next": "More"},
        "More": {"Type": "Choice", "Choices": [{"Condition": "{% $n < 3 %}", "Next": "Count"}], "Default": "Both"},
        "Both": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "In", "States": {"In": {"Type": "Pass", "Assign": {"n": 0}, "End": True}}}],
            "End": True,
        },
    },
}  # fmt: skip


def looped() -> Driver:
    return Driver(LOOP, {"Work": lambda number, arguments: number}).go({"a": 1})


def test_each_entry_of_the_top_level_has_its_input_and_its_variables() -> None:
    driver = looped()
    assert driver.run.status == "SUCCEEDED"
    found = list(entries(driver.definition, driver.records))
    assert [entry.state for entry in found] == ["Count", "Work", "More"] * 3 + ["Both"]
    works = [(entry.input, entry.variables) for entry in found if entry.state == "Work"]
    assert works == [({"a": 1}, {"n": 1}), ([0, 1], {"n": 2}), ([1, 2], {"n": 3})]
    assert found[0] == Entry("Count", {"a": 1})


def test_what_is_running_has_been_entered_and_what_is_to_come_has_not() -> None:
    driver = Driver(LOOP, {}).start()
    assert [entry.state for entry in entries(driver.definition, driver.records)] == ["Count", "Work"]


def forked(driver: Driver, entry: Entry) -> Driver:
    fork = Driver(LOOP, driver.tasks, crash=lambda: True)
    fork.step(facts.Start({"a": 1}, CONTEXT, entry))
    return fork.settle()


def test_a_fork_begins_at_the_entry_and_ends_as_the_original_did() -> None:
    driver = looped()
    for entry in entries(driver.definition, driver.records):
        fork = forked(driver, entry)
        assert fork.run.status == "SUCCEEDED"
        assert fork.run.input == {"a": 1}
        assert fork.events[0]["executionStartedEventDetails"]["input"] == '{"a":1}'
        assert fork.story[1].startswith("2<0 ")
        assert fork.events[1]["stateEnteredEventDetails"]["name"] == entry.state
        assert next(entries(fork.definition, fork.records)) == entry


def test_a_fork_can_be_forked_and_redriven() -> None:
    def shaky(number: int, arguments: Json) -> Json:
        if number == 0:
            raise Raised("Boom")
        return number

    fork = Driver(LOOP, {"Work": shaky})
    fork.step(facts.Start({}, CONTEXT, Entry("Work", "data", {"n": 3})))
    assert fork.settle().run.status == "FAILED"
    assert list(entries(fork.definition, fork.records)) == [Entry("Work", "data", {"n": 3})]
    assert fork.redrive().run.output == [[1, 3]]


def test_a_start_from_before_there_were_forks_begins_at_the_beginning() -> None:
    [started] = decode(b'[{"type":"ExecutionStarted","at":1.0,"input":{"a":1},"context":{}}]')
    machine = Machine.rebuilt(parse(LOOP), random.Random(0), [[started]])
    frame = machine.run.frames[0]
    assert (frame.state, frame.data, frame.variables) == ("Count", {"a": 1}, {})
