"""The mock configuration of Step Functions Local (AWS guide, "Configuration file for mocked service integrations")."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.testing.mock_config import MockConfigError, parse, read

DECLINED: Json = {"Throw": {"Error": "Declined", "Cause": "no funds"}}
CONFIG: Json = {
    "StateMachines": {"Orders": {"TestCases": {"Retry": {"Charge": "R", "Ship": "S"}, "Nothing": {}}}},
    "MockedResponses": {
        "R": {"0": DECLINED, "1-2": {"Return": {"paid": True}}},
        "S": {"0": {"Return": None}},
    },
}


def test_each_attempt_at_a_state_takes_the_next_answer() -> None:
    answer = parse(CONFIG).script("Orders", "Retry")
    first, second, third, fourth = (answer("Charge") for _ in range(4))
    assert first is not None
    assert (first.error, first.cause) == ("Declined", "no funds")
    assert second == third
    assert second is not None
    assert (second.output, second.error) == ({"paid": True}, None)
    assert fourth is not None
    assert fourth.error == "States.Runtime"
    assert fourth.cause == "The mocked response 'R' of state 'Charge' has no answer to attempt 3."


def test_states_count_for_themselves_and_so_do_executions() -> None:
    config = parse(CONFIG)
    one, two = config.script("Orders", "Retry"), config.script("Orders", "Retry")
    for answer in (one, two):
        charged, shipped = answer("Charge"), answer("Ship")
        assert charged is not None
        assert shipped is not None
        assert (charged.error, shipped.error, shipped.output) == ("Declined", None, None)


def test_other_states_do_their_real_work() -> None:
    assert parse(CONFIG).script("Orders", "Retry")("Pack") is None
    assert parse(CONFIG).script("Orders", "Nothing")("Charge") is None


@pytest.mark.parametrize(("machine", "case"), [("Orders", "None"), ("None", "Retry")])
def test_a_case_that_there_is_not(machine: str, case: str) -> None:
    with pytest.raises(KeyError):
        parse(CONFIG).script(machine, case)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.randoms())
def test_ranges_in_any_order_answer_every_attempt_once(lengths: list[int], dice: object) -> None:
    responses, first = {}, 0
    for number, length in enumerate(lengths):
        key = str(first) if length == 1 else f"{first}-{first + length - 1}"
        responses[key] = {"Return": number}
        first += length
    keys = list(responses)
    dice.shuffle(keys)  # type: ignore[attr-defined]
    config = {
        "StateMachines": {"M": {"TestCases": {"C": {"S": "R"}}}},
        "MockedResponses": {"R": {key: responses[key] for key in keys}},
    }
    answer = parse(config).script("M", "C")
    expected = [number for number, length in enumerate(lengths) for _ in range(length)]
    assert [outcome.output for _ in range(first) if (outcome := answer("S"))] == expected
    too_many = answer("S")
    assert too_many is not None
    assert too_many.error == "States.Runtime"


@dataclass(frozen=True)
class Bad:
    id: str
    responses: Json
    message: str


BAD = [
    Bad("no object", [], "MockedResponses must be an object, not []"),
    Bad("no answers", {"R": 1}, "MockedResponses.R must be an object, not 1"),
    Bad(
        "key",
        {"R": {"first": DECLINED}},
        'MockedResponses.R.first: give the number of an attempt, such as "0"',
    ),
    Bad("backwards", {"R": {"3-1": DECLINED}}, "MockedResponses.R.3-1: give the number of an attempt"),
    Bad("twice", {"R": {"0-2": DECLINED, "2": DECLINED}}, "MockedResponses.R: attempt 2 is answered twice"),
    Bad("neither", {"R": {"0": {}}}, "MockedResponses.R.0: give either Return or Throw"),
    Bad("both", {"R": {"0": {"Return": 1, **DECLINED}}}, "MockedResponses.R.0: give either Return or Throw"),
    Bad(
        "no error", {"R": {"0": {"Throw": {"Cause": "c"}}}}, "MockedResponses.R.0.Throw: give the texts Error"
    ),
    Bad("no response", {}, "StateMachines.M.TestCases.C.S: there is no response 'R' in MockedResponses"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_mistakes_say_where_and_what_to_write(case: Bad) -> None:
    machines = {"M": {"TestCases": {"C": {"S": "R"}}}}
    with pytest.raises(MockConfigError) as caught:
        parse({"StateMachines": machines, "MockedResponses": case.responses})
    assert str(caught.value).startswith(case.message)


def test_a_file_is_read_and_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "MockConfigFile.json"
    with pytest.raises(MockConfigError, match=r"MockConfigFile.json cannot be read: No such file"):
        read(path)
    path.write_text("{")
    with pytest.raises(MockConfigError, match=r"MockConfigFile.json is no JSON"):
        read(path)
    path.write_text("[]")
    with pytest.raises(MockConfigError, match=r"MockConfigFile.json: the configuration must be an object"):
        read(path)
    path.write_text(json.dumps(CONFIG))
    assert read(path) == parse(CONFIG)
