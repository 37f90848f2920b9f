"""Times and ages as people give them: ``2026-01-31``, ``2026-01-31T12:00``, ``30d``."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from nbflow.errors import NbflowError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE: Final = re.compile(r"([0-9]{1,9})\s*([smhdw])")


def age(given: str | timedelta) -> float:
    """An age such as ``90s``, ``15m``, ``12h``, ``30d`` or ``4w``, in seconds. Raises NbflowError."""
    if isinstance(given, timedelta):
        return given.total_seconds()
    match = _AGE.fullmatch(given.strip())
    if match is None:
        raise NbflowError(f"{given!r} is no age: give a number with s, m, h, d or w, such as 12h or 30d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()


def moment(given: str | datetime, now: float) -> float:
    """A time in seconds since the epoch: a datetime, its ISO 8601 text, or an age (``2h``: so long before now).

    A time without a zone is UTC, as all times that are shown. Raises NbflowError.
    """
    if isinstance(given, str):
        if _AGE.fullmatch(given.strip()):
            return now - age(given)
        try:
            given = datetime.fromisoformat(given.strip())
        except ValueError as error:
            raise NbflowError(
                f"{given!r} is no time: give one such as 2026-01-31 or 2026-01-31T12:00 (UTC), or an age such as 2h"
            ) from error
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
