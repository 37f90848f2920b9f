"""The mock configuration of AWS Step Functions Local: scripted results for Task states, by test case.

::

    {"StateMachines": {"Orders": {"TestCases": {"Retry": {"Charge": "DeclinedOnce"}}}},
     "MockedResponses": {"DeclinedOnce": {"0": {"Throw": {"Error": "Declined", "Cause": "no funds"}},
                                          "1-3": {"Return": {"paid": true}}}}}

An execution that is started on ``<ARN of Orders>#Retry`` calls nothing for the state Charge: its first attempt in that
execution fails, the second to the fourth succeed; retries, loops and the iterations of a Map count on. A fifth fails
with States.Runtime, which no Retry or Catch sees, so that a script that is too short is noticed. A state that the test
case does not name does its real work (AWS guide, "Configuration file for mocked service integrations").
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.tasks.job import Outcome

Script: TypeAlias = Callable[[str], Outcome | None]
"""Called with the name of a state for each attempt at it: what comes of it, or None if the state is not scripted.

The outcome names no execution and no attempt: whoever asked knows.
"""


class MockConfigError(NbflowError):
    """A mock configuration is not what Step Functions Local reads: says where, and what to write."""


class Response(NamedTuple):
    """What a mocked response answers to the attempts ``first`` to ``last``."""

    first: int
    last: int
    output: Json
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class MockConfig:
    """All test cases of a configuration."""

    cases: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """machine → test case → state → name of a response"""
    responses: Mapping[str, tuple[Response, ...]] = field(default_factory=dict)

    def script(self, machine: str, case: str) -> Script:
        """The script of one execution; it counts the attempts. Raises KeyError if there is no such test case."""
        states = self.cases[machine][case]
        attempts: Counter[str] = Counter()

        def answer(state: str) -> Outcome | None:
            name = states.get(state)
            if name is None:
                return None
            number = attempts[state]
            attempts[state] += 1
            for response in self.responses[name]:
                if response.first <= number <= response.last:
                    return Outcome("", 0, response.output, response.error, response.cause)
            cause = f"The mocked response '{name}' of state '{state}' has no answer to attempt {number}."
            return Outcome("", 0, error="States.Runtime", cause=cause)

        return answer


def read(path: Path) -> MockConfig:
    """The configuration in a file. Raises MockConfigError, which names the file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MockConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise MockConfigError(f"{path} is no JSON: {error}") from error
    try:
        return parse(document)
    except MockConfigError as error:
        raise MockConfigError(f"{path}: {error}") from error


def parse(document: Json) -> MockConfig:
    """The configuration that a JSON value holds. Raises MockConfigError."""
    top = _object(document, "the configuration")
    responses = {
        name: responses_of(value, f"MockedResponses.{name}")
        for name, value in _object(top.get("MockedResponses", {}), "MockedResponses").items()
    }
    cases = {
        machine: _test_cases(value, f"StateMachines.{machine}", responses)
        for machine, value in _object(top.get("StateMachines", {}), "StateMachines").items()
    }
    return MockConfig(cases, responses)


def _test_cases(value: Json, place: str, responses: Mapping[str, object]) -> dict[str, dict[str, str]]:
    place += ".TestCases"
    cases = _object(_object(value, place).get("TestCases", {}), place)
    for case, states in cases.items():
        for state, name in _object(states, f"{place}.{case}").items():
            if name not in responses:
                raise MockConfigError(
                    f"{place}.{case}.{state}: there is no response {name!r} in MockedResponses"
                )
    return cases


_ATTEMPTS: Final = re.compile(r"(\d+)(?:-(\d+))?")


def responses_of(value: Json, place: str) -> tuple[Response, ...]:
    """The answers of one mocked response, in the order of the attempts. Raises MockConfigError at ``place``."""
    found = [_answer(key, each, f"{place}.{key}") for key, each in _object(value, place).items()]
    found.sort(key=lambda response: response.first)
    for one, two in pairwise(found):
        if two.first <= one.last:
            raise MockConfigError(f"{place}: attempt {two.first} is answered twice")
    return tuple(found)


def _answer(key: str, value: Json, place: str) -> Response:
    match = _ATTEMPTS.fullmatch(key)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise MockConfigError(
            f'{place}: give the number of an attempt, such as "0", or a range, such as "1-3"'
        )
    first, last = int(match[1]), int(match[2] or match[1])
    members = _object(value, place)
    if members.keys() == {"Return"}:
        return Response(first, last, members["Return"])
    if members.keys() != {"Throw"}:
        raise MockConfigError(f"{place}: give either Return or Throw")
    thrown = _object(members["Throw"], f"{place}.Throw")
    error, cause = thrown.get("Error"), thrown.get("Cause")
    if not isinstance(error, str) or not isinstance(cause, str | None):
        raise MockConfigError(f"{place}.Throw: give the texts Error and Cause")
    return Response(first, last, None, error, cause)


def _object(value: Json, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MockConfigError(f"{place} must be an object, not {json.dumps(value)[:80]}")
    return value
