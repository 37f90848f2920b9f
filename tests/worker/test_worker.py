"""The loop: what it asks, does, answers and says, against an API and a clock that the test plays."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

import nbflow as nf
from nbflow.worker.line import Given, Refused, TaskGone, Unreachable
from nbflow.worker.work import work_of
from nbflow.worker.worker import Worker, default_name

ARN = "arn:aws:states:us-east-1:000000000000:activity:a"
BEAT = 7.0
"""The heartbeat of these tests: by it, their pauses are told from the waiting for the API."""

SECONDS = 30
"""As long as a test waits for what must come."""


class Stage:
    """An API that answers by a script, and a clock that goes on when the test says so."""

    place = "at http://there"

    def __init__(self, *script: Any) -> None:
        self.script = deque(script)
        """What polls give: tasks, or exceptions. After it, a poll waits until it is hung up."""
        self.refusals: dict[str, deque[Exception]] = {}
        """What the other calls raise, by name; after that, they are heard."""
        self.heard: list[tuple[Any, ...]] = []
        self.words: list[str] = []
        self.pauses: list[float] = []
        self.waiting = threading.Semaphore(0)
        """Released by each poll that waits."""
        self.beat_due = threading.Semaphore(0)
        """Released by the test, for each heartbeat."""
        self.beaten = threading.Semaphore(0)
        """Released by each heartbeat that has been dealt with."""
        self._lock = threading.Lock()

    def poll(self, activity: str, worker: str, gone: "Future[None]") -> Given | None:
        with self._lock:
            self.heard.append(("poll", activity, worker))
            item = self.script.popleft() if self.script else None
        if isinstance(item, Exception):
            raise item
        if item is None:
            self.waiting.release()
            gone.result(SECONDS)
        return item

    def succeed(self, token: str, output: str) -> None:
        self._hear("succeed", token, output)

    def fail(self, token: str, error: str, cause: str) -> None:
        self._hear("fail", token, error, cause)

    def beat(self, token: str) -> None:
        self._hear("beat", token)

    def _hear(self, name: str, *told: str) -> None:
        refusals = self.refusals.get(name)
        if refusals:
            raise refusals.popleft()
        self.heard.append((name, *told))

    def pause(self, event: threading.Event, seconds: float) -> bool:
        if seconds != BEAT:
            self.pauses.append(seconds)
            return event.is_set()
        self.beaten.release()
        assert self.beat_due.acquire(timeout=SECONDS)
        return event.is_set()

    @property
    def answers(self) -> list[tuple[Any, ...]]:
        return [each for each in self.heard if each[0] in ("succeed", "fail")]


Make = Callable[..., Worker]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes and starts workers, and stops them after the test."""
    made: list[tuple[Worker, Stage]] = []

    def start(stage: Stage, function: Any = lambda input: input, **options: Any) -> Worker:
        given = {"name": "me", "heartbeat": None, "find": lambda: ARN, "tell": stage.words.append, **options}
        worker = Worker(stage, work=work_of(function), pause=stage.pause, **given).start()
        made.append((worker, stage))
        return worker

    yield start
    for worker, stage in made:
        stage.beat_due.release(100)
        worker.stop()


def idle(stage: Stage) -> None:
    """Wait until a poll waits: all that is before it in the script has been done."""
    assert stage.waiting.acquire(timeout=SECONDS)


def test_tasks_are_done_in_their_order(make: Make) -> None:
    stage = Stage(Given("t1", "1"), Given("t2", '{"a": 2}'))
    worker = make(stage, verbose=True)
    idle(stage)
    assert stage.answers == [("succeed", "t1", "1"), ("succeed", "t2", '{"a": 2}')]
    assert stage.heard[0] == ("poll", ARN, "me")
    assert (worker.done, worker.failed, worker.late, worker.busy) == (2, 0, 0, 0)
    assert stage.words == ["a task of a is done, in 0.0 s"] * 2
    assert repr(worker) == "<nbflow worker me of activity a at http://there: waiting; 2 done, 0 failed>"
    worker.stop()
    worker.wait()
    assert repr(worker) == "<nbflow worker me of activity a at http://there: stopped; 2 done, 0 failed>"


def test_a_failure_is_sent_and_said(make: Make) -> None:
    stage = Stage(Given("t", '"k"'))
    worker = make(stage, lambda key: {}[key])
    idle(stage)
    [(_, token, error, cause)] = stage.answers
    assert (token, error, json.loads(cause)["errorMessage"]) == ("t", "KeyError", "'k'")
    assert stage.words == ["a task of a failed after 0.0 s: KeyError"]
    assert (worker.done, worker.failed) == (0, 1)


def test_as_many_at_once_as_were_asked_for(make: Make) -> None:
    barrier = threading.Barrier(3)

    def meet(_: object) -> None:
        barrier.wait(SECONDS)  # passes only if three are here at once

    stage = Stage(*[Given(f"t{number}", "1") for number in range(6)])
    worker = make(stage, meet, concurrency=3)
    for _ in range(3):
        idle(stage)
    assert worker.done == 6


def test_a_stop_takes_nothing_more_and_finishes_what_is_in_hand(make: Make) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(input: object) -> object:
        begun.set()
        assert go.wait(SECONDS)
        return input

    stage = Stage(Given("t1", "1"))
    worker = make(stage, slow, concurrency=2)
    idle(stage)  # the other lane
    assert begun.wait(SECONDS)
    worker.stop(wait=False)
    stage.script.append(Given("t2", "2"))
    assert "stopping, 1 at work" in repr(worker)
    go.set()
    worker.stop()
    assert stage.answers == [("succeed", "t1", "1")]
    assert len(stage.script) == 1


def test_a_block_stops_it_at_its_end(make: Make) -> None:
    stage = Stage()
    with make(stage) as worker:
        idle(stage)
    assert "stopped" in repr(worker)
    with pytest.raises(ZeroDivisionError), make(Stage()) as worker:
        raise ZeroDivisionError
    worker.wait()


def test_a_task_may_stop_its_own_worker(make: Make) -> None:
    stage, workers = Stage(Given("t", "1")), list[Worker]()
    ready = threading.Event()

    def last(input: object) -> object:
        assert ready.wait(SECONDS)
        workers[0].stop()
        return input

    workers.append(make(stage, last))
    ready.set()
    workers[0].wait()
    assert stage.answers == [("succeed", "t", "1")]


# --- heartbeats


def test_heartbeats_are_sent_while_the_function_works(make: Make) -> None:
    stage = Stage(Given("t", "1"))

    def slow(input: object) -> object:
        for _ in range(3):
            assert stage.beaten.acquire(timeout=SECONDS)
            stage.beat_due.release()
        assert stage.beaten.acquire(timeout=SECONDS)
        return input

    make(stage, slow, heartbeat=BEAT)
    idle(stage)
    assert [each for each in stage.heard if each[0] != "poll"] == [
        *[("beat", "t")] * 3,
        ("succeed", "t", "1"),
    ]


def test_the_result_of_a_task_that_has_ended_meanwhile_is_ignored(make: Make) -> None:
    stage = Stage(Given("t", "1"), Given("t2", "2"))
    stage.refusals["beat"] = deque([TaskGone("Task Timed Out")])
    told = threading.Event()

    def slow(input: object) -> object:
        if input == 1:
            stage.beat_due.release()
            assert told.wait(SECONDS)
        return input

    def tell(text: str) -> None:
        stage.words.append(text)
        told.set()

    worker = make(stage, slow, heartbeat=BEAT, tell=tell)
    idle(stage)
    assert stage.answers == [("succeed", "t2", "2")]
    assert stage.words == [
        "a task of a: it has been ended meanwhile (Task Timed Out); it is told to stop, and has no result"
    ]
    assert (worker.done, worker.late) == (1, 1)
    assert worker.numbers == "1 done, 0 failed, 1 too late"


def test_the_function_of_a_task_that_has_ended_meanwhile_is_told_to_stop(make: Make) -> None:
    stage = Stage(Given("t", "1"), Given("t2", "2"))
    stage.refusals["beat"] = deque([TaskGone("Task Timed Out")])
    stopped = []

    def spin(input: object) -> object:
        if input == 1:
            stage.beat_due.release()
            try:
                while True:
                    pass
            except KeyboardInterrupt:
                stopped.append(input)
                raise
        return input

    worker = make(stage, spin, heartbeat=BEAT)
    idle(stage)
    assert stopped == [1]
    assert stage.answers == [("succeed", "t2", "2")]
    assert (worker.done, worker.failed, worker.late) == (1, 0, 1)


def test_a_heartbeat_that_is_not_heard_is_followed_by_the_next(make: Make) -> None:
    stage = Stage(Given("t", "1"))
    stage.refusals["beat"] = deque([Unreachable("no route")])

    def slow(input: object) -> object:
        for _ in range(2):
            assert stage.beaten.acquire(timeout=SECONDS)
            stage.beat_due.release()
        assert stage.beaten.acquire(timeout=SECONDS)
        return input

    make(stage, slow, heartbeat=BEAT)
    idle(stage)
    assert [each[0] for each in stage.heard if each[0] != "poll"] == ["beat", "succeed"]
    assert stage.words == [
        "the API at http://there is not reachable (no route); trying again until it is",
        "the API at http://there is reachable again",
    ]


def test_a_result_that_comes_too_late_is_said(make: Make) -> None:
    stage = Stage(Given("t", "1"))
    stage.refusals["succeed"] = deque([TaskGone("Task Timed Out")])
    worker = make(stage)
    idle(stage)
    [word] = stage.words
    assert word.startswith("a task of a: the result came too late, and nobody has it (Task Timed Out); ")
    assert "every third of the state's HeartbeatSeconds" in word
    assert (worker.done, worker.late) == (0, 1)


# --- what goes wrong


def test_an_api_out_of_reach_is_tried_again_and_said_once(make: Make) -> None:
    lost = [Unreachable("refused")] * 7
    stage = Stage(*lost, Given("t", "1"))
    stage.refusals["succeed"] = deque([Unreachable("broken pipe"), Unreachable("refused")])
    make(stage)
    idle(stage)
    assert stage.pauses == [1, 2, 4, 8, 16, 30, 30, 1, 2]
    assert stage.answers == [("succeed", "t", "1")]
    assert [text.partition(" (")[0] for text in stage.words] == [
        "the API at http://there is not reachable",
        "the API at http://there is reachable again",
    ] * 2


def test_a_worker_may_begin_before_its_server(make: Make) -> None:
    answers = deque([Unreachable("refused"), Unreachable("refused")])

    def find() -> str:
        if answers:
            raise answers.popleft()
        return ARN

    stage = Stage()
    worker = make(stage, find=find)
    idle(stage)
    assert worker.activity == ARN
    assert stage.heard == [("poll", ARN, "me")]
    assert len(stage.words) == 2


def test_a_worker_out_of_reach_can_be_stopped(make: Make) -> None:
    def find() -> str:
        raise Unreachable("refused")

    stage = Stage()
    worker = make(stage, find=find)
    assert "of activity (not found yet) at http://there: out of reach" in repr(worker)
    worker.stop()
    worker.wait()


def test_what_is_refused_at_the_beginning_is_raised(make: Make) -> None:
    def find() -> str:
        raise Refused("there is no activity a")

    with pytest.raises(nf.NbflowError, match="there is no activity a"):
        make(Stage(), find=find)


def test_a_poll_that_is_refused_ends_the_worker_with_one_word(make: Make) -> None:
    stage = Stage(Refused("there is no activity a"), Refused("there is no activity a"))
    worker = make(stage, concurrency=2)
    with pytest.raises(nf.NbflowError, match="there is no activity a"):
        worker.wait()
    assert stage.words == ["the worker of a has ended: there is no activity a"]
    assert "stopped; 0 done, 0 failed; there is no activity a" in repr(worker)
    worker.stop()


def test_a_mistake_of_ours_ends_it_too(make: Make) -> None:
    worker = make(Stage(ValueError("?")))
    with pytest.raises(nf.NbflowError, match=r"ValueError: \?"):
        worker.wait()


def test_a_result_that_the_api_refuses_is_a_failure(make: Make) -> None:
    stage = Stage(Given("t", "1"))
    stage.refusals["succeed"] = deque([Refused("Invalid Output", "InvalidOutput")])
    worker = make(stage)
    idle(stage)
    assert stage.answers == [("fail", "t", "InvalidOutput", "Invalid Output")]
    assert worker.failed == 1


@pytest.mark.parametrize(
    "options",
    [{"concurrency": 0}, {"heartbeat": 0}, {"heartbeat": float("nan")}, {"heartbeat": float("inf")}],
)
def test_options_that_make_no_sense(make: Make, options: dict[str, Any]) -> None:
    with pytest.raises(nf.NbflowError, match=next(iter(options))):
        make(Stage(), **options)


def test_a_worker_is_named_by_its_place() -> None:
    host, _, pid = default_name().rpartition(":")
    assert host
    assert pid.isdigit()
    assert len(default_name()) <= 80
