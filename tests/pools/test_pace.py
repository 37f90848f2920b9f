from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.pools.pace import AHEAD, MOST_JOBS, TARGET, chunk_sizes


@dataclass(frozen=True)
class Case:
    id: str
    waiting: int
    under_way: int
    seconds: float | None
    width: int
    sizes: list[int]


SIZES = [
    Case("nothing waits", 0, 0, 0.1, 2, []),
    Case("pace unknown: a few, singly", 100, 0, None, 2, [1, 1, 1, 1]),
    Case("pace unknown: some are under way", 100, 3, None, 2, [1]),
    Case("pace unknown: enough are under way", 100, 4, None, 2, []),
    Case("pace unknown: fewer wait", 3, 0, None, 2, [1, 1, 1]),
    Case("ten thousand no-ops", 10_000, 0, 0.00001, 2, [1000] * 10),
    Case("no time at all", 1_000, 0, 0.0, 2, [500] * 2),
    Case("a hundred of a millisecond", 200, 0, 0.001, 2, [100, 100]),
    Case("few short ones: each thread its share", 11, 0, 0.001, 2, [6, 5]),
    Case("one", 1, 0, 0.001, 2, [1]),
    Case("ten milliseconds: no more than AHEAD", 1_000, 0, 0.01, 2, [10] * 10),
    Case("ten milliseconds: there is room for two", 1_000, 80, 0.01, 2, [10] * 2),
    Case("ten milliseconds: there is no room for ten", 1_000, 95, 0.01, 2, []),
    Case("ten milliseconds: the last ones", 3, 95, 0.01, 2, [2, 1]),
    Case("heavy: singly, and one in reserve", 100, 0, 5.0, 2, [1, 1, 1, 1]),
    Case("heavy: one has ended", 100, 3, 5.0, 2, [1]),
    Case("heavy: all is under way", 100, 4, 5.0, 2, []),
    Case("a wide cluster", 1_000, 0, 5.0, 64, [1] * 128),
]


@pytest.mark.parametrize("case", SIZES, ids=lambda case: case.id)
def test_how_jobs_are_put_into_chunks(case: Case) -> None:
    assert chunk_sizes(case.waiting, case.under_way, case.seconds, case.width) == case.sizes


@given(
    waiting=st.integers(0, 5_000),
    under_way=st.integers(0, 5_000),
    seconds=st.none() | st.floats(0, 1_000),
    width=st.integers(1, 100),
)
def test_chunks_are_never_too_many_nor_too_few(
    waiting: int, under_way: int, seconds: float | None, width: int
) -> None:
    sizes = chunk_sizes(waiting, under_way, seconds, width)
    assert sum(sizes) <= waiting
    assert all(1 <= size <= MOST_JOBS for size in sizes)
    if seconds is None:
        assert set(sizes) <= {1}
    else:
        assert all(size == 1 or size * seconds <= TARGET for size in sizes)
        ahead = (under_way + sum(sizes)) * seconds
        assert not sizes or under_way + sum(sizes) <= 2 * width or ahead <= AHEAD * width * 1.01
    if waiting and not under_way:
        assert sizes, "whoever waits is sent once the others have been answered"
