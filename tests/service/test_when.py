"""Times and ages as people give them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from nbflow.errors import NbflowError
from nbflow.service.when import age, moment

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("12h", 43200),
        ("30d", 2592000),
        ("4w", 2419200),
        (timedelta(hours=1), 3600),
    ],
)
def test_ages(given: str | timedelta, seconds: float) -> None:
    assert age(given) == seconds


@pytest.mark.parametrize("given", ["", "30", "d", "1.5h", "-1d", "30 days", "1y"])
def test_what_is_no_age(given: str) -> None:
    with pytest.raises(NbflowError, match="is no age: give a number with s, m, h, d or w"):
        age(given)


@pytest.mark.parametrize(
    "given",
    [
        "2026-01-31T12:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T13:00+01:00",
        "1h",
        datetime(2026, 1, 31, 12),
        datetime(2026, 1, 31, 7, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_times(given: str | datetime) -> None:
    assert moment(given, NOON + 3600) == NOON


def test_a_day_begins_at_midnight() -> None:
    assert moment("2026-01-31", 0.0) == NOON - 12 * 3600


def test_what_is_no_time() -> None:
    with pytest.raises(NbflowError, match="'yesterday' is no time: give one such as 2026-01-31"):
        moment("yesterday", 0.0)
