"""The event bus: panels, progress bars and loggers follow executions here, after each commit."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from nbflow.machine.records import Record

Listener: TypeAlias = Callable[[str, Sequence[Record]], None]
"""Called with an execution's ARN and the records that have just become durable: return soon.

Without records, something new is heard of its tasks (:mod:`nbflow.engine.hearing`). Records come in the engine's
thread, what is heard from any.
"""

_log = logging.getLogger(__name__)


class Bus:
    """Whoever listens hears of every execution of this engine."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Listen from now on. Returns the function that ends it."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def publish(self, execution: str, records: Sequence[Record]) -> None:
        """Tell all listeners. One that raises is logged, and neither stops the others nor the engine."""
        for listener in self._listeners:
            try:
                listener(execution, records)
            except Exception:  # noqa: BLE001  # a listener's mistake must not stop executions
                _log.exception("a listener failed on records of %s", execution)
