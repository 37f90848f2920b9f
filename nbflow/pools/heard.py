"""What tasks on Dask's workers say while they run, on its way through the scheduler to whoever waits for them.

It is an event of Dask's under a topic of the pool's own: of any cluster, and only while its client is connected. The
scheduler keeps the last thousand events of a topic; so a message is short, and there are five a second from a worker
at most, however many tasks it runs and whatever they print (:mod:`nbflow.tasks.heard`).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from weakref import ref

from nbflow.tasks.heard import Hear, Heard, Progress

MOST_TEXT: Final = 8_000
"""Characters in a message, of all its tasks together."""


@dataclass(frozen=True)
class _Teller:
    """On a worker: sends what is heard. Equal for all chunks of a pool, so that their tasks are told of together."""

    worker: Any
    topic: str

    def __call__(self, said: Sequence[Heard]) -> None:
        room = MOST_TEXT // len(said)
        with suppress(Exception):  # the worker is closing: the outcomes will not arrive either
            message = [self.worker.address, *(_spelt(heard, room) for heard in said)]
            self.worker.log_event(self.topic, message)


def teller(worker: Any, topic: str) -> Hear:
    """What passes on what the tasks on a Dask worker say."""
    return _Teller(worker, topic)


def _spelt(heard: Heard, room: int) -> list[Any]:
    """As msgpack takes it, and no longer than there is room for."""
    printed = heard.printed[-room:]
    start = heard.start + len(heard.printed) - len(printed)
    progress = None if heard.progress is None else list(heard.progress)
    return [heard.execution, heard.attempt, start, printed, progress]


class Ears:
    """On the side of the pool: hears what arrives under ``topic``."""

    def __init__(self, topic: str, hear: Hear | None) -> None:
        self.topic = topic if hear is not None else ""
        """Empty: nobody listens, and nothing need be sent."""
        self._hear = hear
        self._client: Callable[[], Any] = lambda: None

    def listen_to(self, client: Any) -> None:
        """Hear what comes from this client's cluster from now on. Cheap, if it is the same as before."""
        if self._hear is not None and self._client() is not client:
            self.close()
            client.subscribe_topic(self.topic, self._take)
            self._client = ref(client)

    def lost(self) -> None:
        """The scheduler has gone, and forgotten who listens: the same client has to ask again."""
        self._client = lambda: None

    def close(self) -> None:
        """Listen no longer."""
        client = self._client()
        if client is not None:
            with suppress(Exception):  # it is closed, and does not hear anything any more
                client.unsubscribe_topic(self.topic)
        self._client = lambda: None

    def _take(self, event: tuple[float, Sequence[Any]]) -> None:
        """An event, on the client's own thread."""
        assert self._hear is not None
        worker, *said = event[1]
        self._hear([_read(worker, *fields) for fields in said])


def _read(
    worker: str, execution: str, attempt: int, start: int, printed: str, progress: Sequence[Any] | None
) -> Heard:
    far = None if progress is None else Progress(*progress)
    return Heard(execution, attempt, start, printed, far, worker)
