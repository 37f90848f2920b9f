"""The attempts at Task states: what is mocked gives its answer, the rest is really done, in this thread."""

import os
from collections.abc import Mapping
from typing import Any, Final

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.artifacts.values import references, unpack
from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.machine import facts, orders
from nbflow.machine.run import Run
from nbflow.tasks.job import Code, Job
from nbflow.tasks.parsing import READER_FAILED
from nbflow.tasks.perform import perform
from nbflow.tasks.places import ItemsFailed
from nbflow.testing.mocks import After, Answers, MockError, Never, Return, Throw
from nbflow.testing.player import Answer

GIVER: Final = ""
"""The name under which a run's :class:`Giver` is bound: no task has it."""


class Giver:
    """The task of every mocked state: it gives what it has been told to.

    So a mock's value becomes a result, and an exception a failure, exactly as a task's.
    """

    def __init__(self) -> None:
        self.answer: Any = None

    def __call__(self, arguments: object) -> object:
        if _is_exception(self.answer):
            raise self.answer
        answer: object = self.answer
        return answer


class Work:
    """What has been tried in one run, and what does it."""

    def __init__(
        self,
        answers: Mapping[str, Answers],
        codes: Mapping[str, Code],
        giver: Giver,
        shelf: Shelf,
        known: dict[str, Artifact],
    ) -> None:
        self.calls: dict[str, list[Json]] = {}
        """The arguments of each attempt, by state."""
        self.logs: dict[str, list[str]] = {}
        """What the attempts printed, by state."""
        self.shelf = shelf
        self.known = known
        """The artifacts of the run, by hash."""
        self._answers = answers
        self._codes = codes
        self._giver = giver
        self._read: dict[str, int] = {}
        """How often a Map's items were read, by state."""

    def do(self, order: orders.RunTask, run: Run) -> Answer | None:
        """Do an attempt; None if it never ends. Raises MockError if nothing says how."""
        calls = self.calls.setdefault(order.state, [])
        calls.append(order.arguments)
        answers = self._answers.get(order.state)
        if answers is not None:
            return self._give(order, answers(len(calls) - 1))
        code = self._codes.get(name_of(order.resource) or order.resource)
        if code is None:
            raise _undone(order)
        return Answer(self._perform(order, code))

    def read(self, order: orders.RunMap) -> list[Json]:
        """The items of a Map whose ItemReader is mocked. Raises MockError if it is not, and ItemsFailed for a Throw."""
        answers = self._answers.get(order.name)
        if answers is None:
            raise MockError(
                f"state {order.name!r} reads its items, and nothing is read here. Write "
                f"run_machine(…, mocks={{{order.name!r}: [<its items>]}})"
            )
        number = self._read.get(order.name, 0)
        self._read[order.name] = number + 1
        mock = answers(number)
        if isinstance(mock, Throw):
            raise ItemsFailed(mock.error or READER_FAILED, mock.cause or "")
        items = mock.value if isinstance(mock, Return) else mock
        if not isinstance(items, list):
            raise MockError(
                f"the mock of Map state {order.name!r} is the list of the items that it reads, not {items!r:.80}"
            )
        found: list[Json] = items
        return found

    def _give(
        self, order: orders.RunTask, mock: Any, seconds: float = 0.0, *, called: bool = False
    ) -> Answer | None:
        """What the mock says, after so many seconds."""
        match mock:
            case Never():
                return None
            case After():
                return self._give(order, mock.answer, seconds + mock.seconds, called=called)
            case Throw():
                return Answer(facts.TaskFailed(order.attempt, mock.error, mock.cause), seconds)
        if callable(mock) and not called and not _is_exception(mock):
            return self._give(order, self._called(mock, order), seconds, called=True)
        self._giver.answer = mock.value if isinstance(mock, Return) else mock
        return Answer(self._perform(order, self._codes[GIVER]), seconds)

    def _called(self, mock: Any, order: orders.RunTask) -> object:
        """What a callable gives for these arguments: what it returns, or the exception that it raises."""
        try:
            return mock(unpack(order.arguments, self.known, self.shelf))
        except AssertionError:
            raise  # the test's: no Catch may hide it
        except Exception as error:  # noqa: BLE001  # whatever it raises is the attempt's failure
            return error

    def _perform(self, order: orders.RunTask, code: Code) -> facts.Fact:
        job = Job(
            execution="",
            attempt=order.attempt,
            code=code,
            arguments=order.arguments,
            shelf=self.shelf,
            known={sha: self.known[sha] for sha in references(order.arguments) if sha in self.known},
            expected=order.expected,
            directory=os.getcwd(),
        )
        outcome = perform(job)
        if outcome.error == KeyboardInterrupt.__name__:
            raise KeyboardInterrupt  # whoever pressed Ctrl-C means the test
        self.known.update((artifact.sha256, artifact) for artifact in outcome.artifacts)
        self.logs.setdefault(order.state, []).append(outcome.log)
        if outcome.error is not None:
            return facts.TaskFailed(order.attempt, outcome.error, outcome.cause)
        return facts.TaskSucceeded(order.attempt, outcome.output)


def _is_exception(mock: object) -> bool:
    return isinstance(mock, BaseException) or (isinstance(mock, type) and issubclass(mock, BaseException))


def name_of(resource: str) -> str | None:
    """``arn:aws:lambda:…:function:NAME`` (a version or alias may follow) → NAME; None of other resources."""
    parts = resource.split(":")
    return parts[6] if parts[2:3] == ["lambda"] and len(parts) > 6 else None


def _undone(order: orders.RunTask) -> MockError:
    name = name_of(order.resource)
    given = compact(order.arguments)
    given = given if len(given) <= 200 else f"{given[:200]}…"
    return MockError(
        f"state {order.state!r} is neither mocked nor bound, and was tried with {given}. Write "
        f"run_machine(…, mocks={{{order.state!r}: <its result>}})"
        + (f" or run_machine(…, tasks={{{name!r}: <a function>}})" if name else "")
    )
