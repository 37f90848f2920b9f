"""Facts as text: what another process has said arrives as it was said."""

import msgspec
import pytest
from hypothesis import given

from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.records import Entry
from tests.machine.test_records import PAYLOADS, json_values

FACTS: list[facts.Fact] = [
    facts.Start({"a": 1}, {"Execution": {"Id": "x"}}),
    facts.Start({"a": 1}, {}, Entry("S", None, {"v": [1, "\ud800"]})),
    facts.TaskStarted(7, "worker"),
    facts.TaskStarted(7),
    facts.TaskSubmitted(7, {"MessageId": "1"}),
    facts.TaskFailed(7, None, None),
    facts.TaskFailed(7, "E", "why \ud800"),
    facts.TaskTimedOut(7, heartbeat=True),
    facts.Cancelled(7),
    facts.Tick(),
    facts.Continue(),
    facts.Stop(),
    facts.Stop("E", "C"),
    facts.Fail("E", "C"),
]


@pytest.mark.parametrize("fact", FACTS, ids=repr)
def test_every_fact_survives(fact: facts.Fact) -> None:
    assert facts.decode(facts.encode(fact)) == fact


@pytest.mark.parametrize("payload", PAYLOADS, ids=repr)
def test_every_payload_survives(payload: Json) -> None:
    text = facts.encode(facts.TaskSucceeded(1, payload))
    assert facts.decode(text) == facts.TaskSucceeded(1, payload)
    text.encode()  # a database takes it


@given(json_values)
def test_any_json_survives(payload: Json) -> None:
    for fact in (facts.TaskSucceeded(1, payload), facts.TaskSubmitted(1, payload)):
        assert facts.decode(facts.encode(fact)) == fact


def test_what_is_default_is_not_written() -> None:
    assert facts.encode(facts.Stop()) == '{"type":"Stop"}'
    assert facts.encode(facts.TaskTimedOut(3)) == '{"type":"TaskTimedOut","attempt":3}'


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"type":"Nope"}', '{"type":"Cancelled"}', '{"type":"\\u004eope"}']
)
def test_what_is_no_fact_is_an_error(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        facts.decode(text)
