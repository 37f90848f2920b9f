from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.results import ClientClosed, SchedulerGone, failures, is_deserted, results
from nbflow.tasks.job import Code, Job


class Client:
    """As Dask's: gathers all or raises."""

    def __init__(self, status: str = "running") -> None:
        self.status = status

    def gather(self, futures: list["Future"]) -> list[bytes]:
        return [future.result() for future in futures]


@dataclass(frozen=True, eq=False)
class Future:
    client: Client
    status: str
    result: Callable[[], bytes]
    reason: str = "unknown"

    @property
    def _state(self) -> Any:
        return SimpleNamespace(exception=SimpleNamespace(reason=self.reason))


def raises(error: BaseException) -> Callable[[], bytes]:
    def result() -> bytes:
        raise error

    return result


def closes(client: Client) -> Callable[[], bytes]:
    def result() -> bytes:
        client.status = "closed"
        raise RuntimeError("the loop is closed")

    return result


def test_each_future_has_its_result() -> None:
    one, other = Client(), Client()
    futures = [
        Future(one, "finished", lambda: b"a"),
        Future(other, "finished", lambda: b"b"),
        Future(one, "error", raises(ValueError("c"))),
        Future(one, "finished", lambda: b"d"),
        Future(one, "cancelled", raises(CancelledError("e"))),
    ]
    found = results(futures)
    assert [str(getattr(found[future], "args", found[future])) for future in futures] == [
        "b'a'",
        "b'b'",
        "('c',)",
        "b'd'",
        "('e',)",
    ]


def test_one_lost_result_does_not_spoil_the_others() -> None:
    client = Client()
    good, lost = (
        Future(client, "finished", lambda: b"a"),
        Future(client, "finished", raises(KeyError("lost"))),
    )
    found = results([good, lost])
    assert found[good] == b"a"
    assert isinstance(found[lost], KeyError)


@pytest.mark.parametrize("status", ["closing", "closed"])
def test_a_closed_client_is_not_asked(status: str) -> None:
    future = Future(Client(status), "pending", raises(AssertionError("asked")))
    assert isinstance(results([future])[future], ClientClosed)


def test_a_client_that_is_closed_just_now() -> None:
    client = Client()
    future = Future(client, "finished", closes(client))
    assert isinstance(results([future])[future], ClientClosed)


@pytest.mark.parametrize("reason", ["scheduler-connection-lost", "scheduler-restart"])
@pytest.mark.parametrize("status", ["connecting", "running", "closed"])
def test_what_the_scheduler_has_forgotten(status: str, reason: str) -> None:
    future = Future(Client(status), "cancelled", raises(CancelledError("x")), reason)
    assert isinstance(results([future])[future], SchedulerGone)


def test_what_was_sent_to_a_scheduler_that_is_gone_is_not_waited_for() -> None:
    future = Future(Client("connecting"), "pending", raises(AssertionError("it waits for the scheduler")))
    assert is_deserted(future)
    assert isinstance(results([future])[future], SchedulerGone)
    for other in (
        Future(Client("running"), "pending", bytes),
        Future(Client("connecting"), "finished", bytes),
    ):
        assert not is_deserted(other)


class KilledWorker(Exception):
    pass


class FutureCancelledError(Exception):
    pass


CAUSES = [
    (
        KilledWorker("4 workers {died}"),
        "the worker process died while it ran clean() on {'path': 'a.csv'} (killed",
        "4 workers {died}",
    ),
    (ClientClosed(), "the Dask client was closed before clean() had ended. Start", "again."),
    (FutureCancelledError("why"), "Dask was told to cancel clean().", "why"),
    (TypeError("{odd}"), "{odd}", "{odd}"),
]


@pytest.mark.parametrize(("error", "begin", "end"), CAUSES, ids=lambda value: type(value).__name__)
def test_how_people_are_told(error: Any, begin: str, end: str, shelf: Shelf) -> None:
    job = Job("execution", 7, Code("function", "clean", "0", b""), {"path": "a.csv"}, shelf)
    (outcome,) = failures([job], error)
    assert (outcome.execution, outcome.attempt, outcome.error) == (
        "execution",
        7,
        f"Dask.{type(error).__name__}",
    )
    assert outcome.cause is not None
    assert outcome.cause.startswith(begin)
    assert outcome.cause.endswith(end)
