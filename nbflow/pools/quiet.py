"""What Dask logs of workers that end on purpose: on a cluster of our own, the pool tells what is to be told.

A task that was given up is ended with its worker, or is under way when the cluster is closed. To Dask, both are
troubles; the steps themselves say what has become of them.
"""

import logging
from typing import Final

_EXPECTED: Final = {
    "distributed.worker.state_machine": "Async instruction for ",
    "distributed.scheduler": "Task %s marked as failed because ",
}
"""How the messages of each logger begin that are left out."""


class _Unexpected(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(_EXPECTED[record.name])


_unexpected: Final = _Unexpected()


def hush() -> None:
    """Leave these messages out in this process; once or many times is the same."""
    for name in _EXPECTED:
        logging.getLogger(name).addFilter(_unexpected)


def speak() -> None:
    """Log them again."""
    for name in _EXPECTED:
        logging.getLogger(name).removeFilter(_unexpected)
