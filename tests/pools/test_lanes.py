from collections.abc import Callable
from dataclasses import replace

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.lanes import Entry, Lane, Lanes
from nbflow.tasks.job import Code, Job


def code(sha256: str, concurrency: int = 0, *, keywords: bool = False) -> Code:
    return Code("function", sha256, sha256, b"", keywords, concurrency=concurrency)


def add(lanes: Lanes, shelf: Shelf, *codes: Code) -> None:
    """A job of each; their attempts count from 0 on in each call."""
    for attempt, each in enumerate(codes):
        lanes.add(Entry(Job("execution", attempt, each, None, shelf), lambda outcome: None))


def order(lanes: Lanes, may_begin: Callable[[Lane], bool] = lambda lane: True) -> list[str]:
    """What begins, one job after the other, if nothing ends: the code's hash and the attempt."""
    begun = []
    while (lane := lanes.next(may_begin)) is not None:
        (entry,) = lane.take()
        begun.append(f"{lane.sha256}{entry.job.attempt}")
    return begun


def test_lanes_take_turns_and_jobs_of_a_lane_keep_their_order(shelf: Shelf) -> None:
    lanes = Lanes()
    add(lanes, shelf, *[code("a")] * 4, *[code("b")] * 2, code("c"))
    assert order(lanes) == ["a0", "b4", "c6", "a1", "b5", "a2", "a3"]
    add(lanes, shelf, code("b"), code("a"))
    assert order(lanes) == ["b0", "a1"], "a lane that had become empty"


def test_a_limit_holds_back_its_own_lane_only(shelf: Shelf) -> None:
    lanes = Lanes()
    add(lanes, shelf, *[code("a", 2)] * 4, *[code("b")] * 4)

    def fits(lane: Lane) -> bool:
        return lane.runs < lane.width(3)

    assert order(lanes, fits) == ["a0", "b4", "a1", "b5", "b6"]
    lanes["a"].over(1)
    assert order(lanes, fits) == ["a2"]
    lanes["a"].most = 0
    assert order(lanes, fits) == ["a3"]


def test_the_limit_is_that_of_the_code_that_came_last(shelf: Shelf) -> None:
    lanes = Lanes()
    add(lanes, shelf, code("a", 2))
    assert lanes["a"].most == 2
    lanes["a"].most = 5
    add(lanes, shelf, code("a", 2))
    assert lanes["a"].most == 5, "nothing new was said"
    add(lanes, shelf, code("a", 0))
    assert lanes["a"].most == 0
    lanes["b"].most = 7
    add(lanes, shelf, code("b"))
    assert lanes["b"].most == 7, "said before the first job came"


def test_a_run_holds_jobs_of_one_code(shelf: Shelf) -> None:
    """Of one content there may be several: with keywords or without, with other results."""
    lanes = Lanes()
    add(lanes, shelf, code("a"), code("a"), code("a", keywords=True), code("a"))
    lane = lanes["a"]
    assert [[entry.job.attempt for entry in lane.take(3)] for _ in range(3)] == [[0, 1], [2], [3]]
    assert (lane.under_way, lane.runs) == (4, 3)
    lane.over(2)
    assert (lane.under_way, lane.runs) == (2, 2)


def test_what_is_given_up_does_not_begin(shelf: Shelf) -> None:
    lanes = Lanes()
    add(lanes, shelf, code("a"), code("b"), code("b"))
    assert [lanes.give_up(("execution", attempt)) for attempt in (0, 0, 7, 2)] == [True, False, False, True]
    assert [lane.sha256 for lane in lanes.waiting()] == ["b"]
    assert order(lanes) == ["b1"]
    add(lanes, shelf, code("a"), code("c"))
    assert [entry.job.code.name for entry in lanes.clear()] == ["a", "c"]
    assert order(lanes) == []


def test_a_lane_can_rest(shelf: Shelf) -> None:
    lanes = Lanes()
    add(lanes, shelf, code("a"), code("a"))
    lanes["a"].most = -1
    assert not lanes["a"].free
    assert lanes["a"].width(3) == 0
    lanes["a"].most = 0
    assert lanes["a"].free


def test_the_pace_of_kin_is_known(shelf: Shelf) -> None:
    lanes = Lanes()
    one, other = (replace(code(name), kin="kin") for name in "ab")
    add(lanes, shelf, one)
    lanes.learn(lanes["a"], one, 4.0)
    lanes.learn(lanes["a"], one, 2.0)
    add(lanes, shelf, other, code("c"))
    assert [lanes[name].seconds for name in "abc"] == [3.0, 3.0, None]
