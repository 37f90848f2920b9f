"""What a server deletes by itself: ``nbflow server --retain 90d``, once at its start and then every hour."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nbflow.client.connection import Connection
from nbflow.client.housekeeping import tidy
from nbflow.errors import NbflowError
from nbflow.service.when import age

PERIOD: Final = 3600.0
"""Seconds from one time to the next."""

_log = logging.getLogger(__name__)


class _EndedError(Exception):
    """The server ends: what has not been deleted yet stays until the next time."""


def check(retain: str | None) -> None:
    """Raises NbflowError for what is no age."""
    if retain is not None:
        age(retain)


@contextmanager
def kept(connection: Connection, retain: str | None, count: int | None) -> Iterator[None]:
    """Delete what is older than ``retain``, and what is beyond the ``count`` newest of its machine, in the block."""
    if retain is None and count is None:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(
        target=keep_house, args=(connection, retain, count, ended), name="nbflow-retention", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()  # a transaction is short


def keep_house(connection: Connection, retain: str | None, count: int | None, ended: threading.Event) -> None:
    """Delete, wait, and again, until ``ended``. What the store refuses waits for the next time, with a word."""

    def rest(seconds: float) -> None:
        if ended.wait(seconds):
            raise _EndedError

    while True:
        try:
            tidy(connection, retain, count, rest=rest)
        except _EndedError:
            return
        except NbflowError as error:
            _log.warning("%s Old executions stay until the next hour.", error)
        if ended.wait(PERIOD):
            return
