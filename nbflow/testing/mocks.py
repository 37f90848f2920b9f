"""What a test says that Task states give.

A mock is what all attempts at a state give, or a list of what each gives, or the mocked response of a MockConfigFile:
``{"0": {"Throw": {"Error": "Declined"}}, "1-3": {"Return": {"paid": True}}}``. What an attempt gives is

- a value: its result, of which DataFrames and other objects become references, as with any task;
- an exception, or a class of exceptions: it fails as a function that raises it would;
- a callable: it is called with the attempt's arguments, and returns or raises any of these. An AssertionError is the
  test's own, and not the attempt's;
- :class:`Return`, :class:`Throw`, :class:`After` or :data:`NEVER`.

The mock of a Map state with an ItemReader is the list of the items that it reads (or a Throw: it cannot read them).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.language.sites import did_you_mean
from nbflow.language.validate import all_states
from nbflow.testing import mock_config
from nbflow.testing.mock_config import Response


class MockError(NbflowError):
    """A mock is missing, does not fit the definition, or has no answer: says for which state, and what to write."""


@dataclass(frozen=True, slots=True)
class Return:
    """The attempt succeeds with this value, whatever it is: ``Return([1, 2])``, where a list is one item an attempt."""

    value: object


@dataclass(frozen=True, slots=True)
class Throw:
    """The attempt fails with exactly this error name and cause.

    An exception is reported as a worker does it: by the first of its classes that Retry or Catch lists, and with its
    traceback in the cause.
    """

    error: str | None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class After:
    """The attempt takes so many seconds of virtual time, and then gives ``answer``."""

    seconds: float
    answer: object


class Never:
    """The type of :data:`NEVER`."""

    def __repr__(self) -> str:
        return "NEVER"


NEVER: Final = Never()
"""The attempt never ends by itself: a timeout, a heartbeat that stays away, or a sibling's failure has to end it."""


Answers: TypeAlias = Callable[[int], Any]
"""What the attempt of this number (from 0) at a state gives. Raises MockError if that is not said."""


def answers(state: str, mock: object) -> Answers:
    """What the attempts at a state give. Raises MockConfigError for a mocked response that is none."""
    if isinstance(mock, list):
        return lambda number: _listed(state, mock, number)
    if _is_response(mock):
        return scripted(state, mock_config.responses_of(mock, f"mocks[{state!r}]"))
    return lambda number: mock


def _listed(state: str, mocks: list[object], number: int) -> object:
    if number >= len(mocks):
        raise _too_short(state, f"the list has {len(mocks)} answers, one an attempt", number)
    return mocks[number]


_ATTEMPTS: Final = re.compile(r"\d+(-\d+)?")


def _is_response(mock: object) -> bool:
    """Whether it is a mocked response of a MockConfigFile, and not an object that is the task's result."""
    return (
        isinstance(mock, dict)
        and bool(mock)
        and all(isinstance(key, str) and _ATTEMPTS.fullmatch(key) for key in mock)
        and all(isinstance(each, dict) and each.keys() & {"Return", "Throw"} for each in mock.values())
    )


def scripted(state: str, responses: tuple[Response, ...]) -> Answers:
    """What the attempts give by a MockConfigFile."""

    def answer(number: int) -> object:
        for response in responses:
            if response.first <= number <= response.last:
                if response.error is None:
                    return Return(response.output)
                return Throw(response.error, response.cause)
        raise _too_short(state, "no range of its keys holds it", number)

    return answer


def _too_short(state: str, why: str, number: int) -> MockError:
    return MockError(
        f"the mock of state {state!r} has no answer to attempt {number} (they count from 0): {why}. Give it another "
        "answer, or one value for all attempts"
    )


# --- of a whole machine

Mocks: TypeAlias = Mapping[str, object]
"""What is said of each state, by its name."""


def script(
    machine: model.StateMachine, mocks: Mapping[str, object] | str | Path | None, case: str | None, name: str
) -> dict[str, Answers]:
    """What the Task states give, by state; those that do their real work are not in it.

    ``mocks`` may be a MockConfigFile; then ``case`` is one of its test cases of the machine ``name``. Raises MockError
    or MockConfigError.
    """
    given: Mapping[str, object] = {}
    if isinstance(mocks, str | Path):
        found = _of_case(mock_config.read(Path(mocks)), Path(mocks), case, name)
    elif case is not None:
        raise MockError(f"case={case!r} is one of a MockConfigFile: give the file's path as mocks")
    else:
        given = mocks or {}
        found = {state: answers(state, mock) for state, mock in given.items()}
    states = {place.rpartition("/States/")[2]: state for place, state in all_states(machine)}
    for name in found:
        state = states.get(name)
        if state is None:
            raise MockError(f"there is no state {name!r} to mock{hint(name, states)}")
        if isinstance(state, model.Map) and state.item_reader is not None:
            mock = given.get(name)
            if isinstance(mock, list):
                found[name] = partial(_always, Return(mock))
        elif state.type != "Task":
            raise MockError(
                f"state {name!r} is a {state.type} state: only Task states are mocked, and Maps with an ItemReader"
            )
    return found


def _always(answer: object, number: int) -> object:
    return answer


def _of_case(
    config: mock_config.MockConfig, path: Path, case: str | None, machine: str
) -> dict[str, Answers]:
    """The test case's answers; of the only machine in the file, if none has this name."""
    cases = config.cases.get(machine)
    if cases is None and len(config.cases) == 1:
        [cases] = config.cases.values()
    if cases is None:
        known = ", ".join(map(repr, config.cases)) or "none"
        raise MockError(f"{path} has no state machine {machine!r} (name=…), but {known}")
    if case is None or case not in cases:
        known = ", ".join(map(repr, cases)) or "none"
        what = (
            "say which test case of the file to play" if case is None else f"there is no test case {case!r}"
        )
        raise MockError(f"{path}: {what} (case=…); it has {known}")
    return {state: scripted(state, config.responses[name]) for state, name in cases[case].items()}


def hint(name: str, known: Iterable[str]) -> str:
    """The likeliest of the names, in parentheses, or nothing."""
    found = did_you_mean(name, known)
    return f" ({found})" if found else ""
