"""The panel's half in Python: what it follows, what it says, and what it does not let happen."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbflow.client.executions import Execution
from nbflow.drawing import style
from nbflow.errors import NbflowError
from nbflow.jupyter import details, live, panel, showing
from nbflow.jupyter.live import Followed, Following, Pump
from nbflow.jupyter.panel import Panel
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.store.port import StoreError
from tests.jupyter.runs import REPORT, Desk, scope, task

pytest_plugins = ("tests.jupyter.fixtures",)


def by_hand(work: Callable[[], None]) -> None:
    """In place of a thread: the test calls ``turn`` itself."""


@pytest.fixture
def following() -> Following:
    return Following(start=by_hand)


def listeners(desk: Desk) -> int:
    return len(desk.engine.bus._listeners)


def through(desk: Desk) -> None:
    """Answer all jobs of :data:`REPORT`, with an item that fails."""
    desk.finish([0, 1, 2])
    for n in range(3):
        desk.finish({"rows": n}, log=f"loading {n}\n", which=lambda job: job.code.name == "load")
    desk.finish(1.0)
    desk.finish(None, "ValueError", "no rows")
    desk.finish(2.0)
    desk.finish(3)
    desk.finish("worst")
    desk.finish("published")


# --- following


def test_a_run_is_followed_to_its_end(desk: Desk, following: Following) -> None:
    run = desk.start(REPORT)
    news: list[list[str]] = []
    following.listeners.append(lambda changed: news.append([each.board.status for each in changed]))
    following.add(run)
    assert news == [["RUNNING"]]
    assert listeners(desk) == 1
    assert following.turn() == 0.0  # nothing new
    through(desk)
    assert following.turn() is None  # and nothing to come
    assert news == [["RUNNING"], ["SUCCEEDED"]]
    assert following.ended
    assert listeners(desk) == 0


def test_a_run_that_has_ended_is_shown_as_it_ended(desk: Desk, following: Following) -> None:
    run = desk.start(REPORT)
    through(desk)
    assert following.add(run)
    assert following.ended
    assert listeners(desk) == 0
    assert not following.add(run)  # it is there


def test_a_run_that_is_redriven_is_followed_anew(desk: Desk, following: Following) -> None:
    run = desk.start(scope(List=task("list")))
    news: list[str] = []
    following.listeners.append(lambda changed: news.extend(each.board.status for each in changed))
    following.add(run)
    desk.finish(error="Boom")
    assert following.turn() is None
    assert following.runs[run.arn].live(0.0)["failed"] == "List"
    desk.redrive(run)
    assert following.add(run)
    assert not following.add(run)
    live = following.runs[run.arn].live(0.0)
    assert (live["status"], live["failed"], live["error"]) == ("RUNNING", "", "")
    assert live["states"]["List"]["status"] == "RUNNING"
    desk.finish([1])
    assert following.turn() is None
    assert news == ["RUNNING", "FAILED", "RUNNING", "SUCCEEDED"]
    assert listeners(desk) == 0


def test_a_second_run_that_has_ended_is_news_too(desk: Desk, following: Following) -> None:
    first, second = (desk.start(scope(List=task("list")), name=name) for name in ("first", "second"))
    desk.finish(1)
    desk.finish(2)
    news: list[list[str]] = []
    following.listeners.append(lambda changed: news.append([each.execution.name for each in changed]))
    following.add(first)
    following.add(second)
    assert not following.ended
    assert following.turn() is None
    assert news == [["first"], ["second"]]


def test_a_run_of_another_process_is_looked_at(desk: Desk, tmp_path: Path, following: Following) -> None:
    run = desk.start(scope(List=task("list")))
    other = Desk(tmp_path)
    following.add(Execution(run.arn, other))  # type: ignore[arg-type]
    assert not following._is_heard()
    assert not following.runs[run.arn].live(0.0)["here"]
    desk.store.hold(desk.engine._lease.row, 10.0)
    following.turn()
    assert not following.runs[run.arn].live(0.0)["interrupted"]
    desk.finish(1)
    assert following.turn() is None
    other.close()


def test_a_run_whose_process_is_no_more_is_said_to_be_interrupted(
    desk: Desk, tmp_path: Path, following: Following
) -> None:
    run = desk.start(scope(List=task("list")))
    other = Desk(tmp_path)
    panel = Panel(following)
    following.add(Execution(run.arn, other))  # type: ignore[arg-type]
    desk.engine.close()
    following.turn()
    assert panel.live[run.arn]["interrupted"]
    assert "RUNNING (interrupted)" in following.read(showing._static)[0]["text/plain"]
    assert panel.live[run.arn]["error"] == "", "nothing is missing here"
    other.close()


def test_what_is_missing_to_go_on_is_said(
    desk: Desk, tmp_path: Path, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = desk.start(scope(List=task("list")))
    other = Desk(tmp_path)
    panel = Panel(following)
    following.add(Execution(run.arn, other))  # type: ignore[arg-type]
    monkeypatch.setattr(other.service, "why_not_here", lambda row: "no module named 'prophet'")
    desk.engine.close()
    following.turn()
    assert panel.live[run.arn]["error"] == "no module named 'prophet'"
    other.close()


def test_one_that_is_asleep_here_goes_on_here(
    desk: Desk, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = desk.start(scope(List=task("list")))
    following.add(run)
    desk.store.put_to_sleep({run.arn: 2e9}, desk.engine.id)
    monkeypatch.setattr(desk.engine, "ended", lambda arn: None)
    following.turn()
    assert following.runs[run.arn].live(0.0)["here"]


def test_a_run_that_was_left_as_recorded_is_news(desk: Desk, following: Following) -> None:
    panel = Panel(following)
    run = desk.start(REPORT)
    following.add(run)
    assert panel.live[run.arn]["here"]
    desk.engine.close()
    following.turn()
    assert (panel.live[run.arn]["here"], panel.live[run.arn]["status"]) == (False, "RUNNING")


def test_a_store_that_fails_is_looked_at_again_with_a_word(
    desk: Desk,
    following: Following,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = desk.start(scope(List=task("list")))
    panel = Panel(following)
    following.add(run)

    def refuse(*_: object, **__: object) -> Iterator[object]:
        raise StoreError("The disk is away.")

    desk.finish(1)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(desk.store, "journal", refuse)
        assert following.turn() is not None
        assert following.turn() is not None
    assert [record.getMessage() for record in caplog.records] == ["The disk is away. It is looked at again."]
    assert (panel.problem, panel.live[run.arn]["status"]) == ("", "RUNNING")
    assert following.turn() is None
    assert panel.live[run.arn]["status"] == "SUCCEEDED"
    assert listeners(desk) == 0


def test_news_that_a_failing_store_has_cut_short_come_with_the_next_look(
    desk: Desk, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end has been read, and not why it failed."""
    run = desk.start(scope(List=task("list")))
    panel = Panel(following)
    following.add(run)
    run.stop("Enough")

    def refuse(arn: str) -> None:
        raise StoreError("The disk is away.")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "execution", refuse)
        assert following.turn() is not None
    assert panel.live[run.arn]["status"] == "RUNNING"
    assert following.turn() is None
    assert "Enough" in panel.live[run.arn]["error"]


def test_what_else_goes_wrong_ends_the_following_in_words(
    desk: Desk, following: Following, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = desk.start(scope(List=task("list")))
    panel = Panel(following)
    following.add(run)

    def stumble(arn: str, after: int) -> Iterator[object]:
        raise RuntimeError("a mistake")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(desk.store, "journal", stumble)
        assert following.turn() is None
    assert "a mistake" in panel.problem
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert listeners(desk) == 0
    desk.finish(1)
    assert run.status == "SUCCEEDED"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(looks=st.sets(st.integers(0, 12)))
def test_it_does_not_matter_when_one_looks(tmp_path_factory: pytest.TempPathFactory, looks: set[int]) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    run = desk.start(REPORT)
    watched, turns = Followed(run, lambda: None), 0

    class Watching:
        """Looks before some of the answers."""

        def __getattr__(self, name: str) -> Any:
            return getattr(desk, name)

        def finish(self, *output: Json, **how: Any) -> None:
            nonlocal turns
            turns += 1
            if turns in looks:
                watched.catch_up()
            desk.finish(*output, **how)

    through(Watching())  # type: ignore[arg-type]
    watched.catch_up()
    fresh = Followed(run, lambda: None)
    fresh.catch_up()
    assert watched.live(0.0) == fresh.live(0.0)
    assert watched.live(0.0)["status"] == "SUCCEEDED"
    desk.close()


@pytest.mark.parametrize(
    ("size", "rest"), [(0, 0.04), (2_000, 0.04), (10_000, 0.04), (100_000, 0.4), (1_000_000, 4.0)]
)
def test_the_more_there_is_to_say_the_longer_is_the_rest(size: int, rest: float) -> None:
    assert live.rest_after(size) == pytest.approx(rest)


def test_a_map_counts_for_its_items(desk: Desk) -> None:
    run = Followed(desk.start(REPORT), lambda: None)
    run.catch_up()
    before = run.size
    desk.finish(list(range(5_000)))
    run.catch_up()
    assert 5_000 <= run.size - before < 6_000
    assert run.size == pytest.approx(len(json.dumps(run.live(0.0))), rel=0.5)


# --- the pump


class Turns:
    """Turns of a pump, each of which the test lets happen."""

    def __init__(self, *rests: float | None) -> None:
        self._rests = iter(rests)
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self) -> float | None:
        self.begun.release()
        assert self.go.acquire(timeout=10)
        return next(self._rests)


def test_wakes_during_a_turn_are_one_turn_more() -> None:
    turns, ended = Turns(0.0, 0.0, None), threading.Event()

    def start(work: Callable[[], None]) -> None:
        def all_of_it() -> None:
            work()
            ended.set()

        threading.Thread(target=all_of_it, daemon=True).start()

    pump = Pump(turns, heard=lambda: True, start=start)
    pump.run()
    assert turns.begun.acquire(timeout=10)
    for _ in range(1000):
        pump.wake()
    turns.go.release()
    assert turns.begun.acquire(timeout=10)  # the thousand wakes
    turns.go.release()
    pump.wake()
    assert turns.begun.acquire(timeout=10)
    turns.go.release()
    assert ended.wait(10)  # nothing more to come
    assert not turns.begun.acquire(blocking=False)


def test_a_pump_that_has_ended_runs_again() -> None:
    works: list[Callable[[], None]] = []
    turns = iter([None, None, None])
    pump = Pump(lambda: next(turns), heard=lambda: True, start=works.append)
    pump.run()
    pump.run()
    assert len(works) == 1
    works[0]()
    pump.run()
    assert len(works) == 2
    works[1]()


def test_a_run_that_is_added_while_the_last_turn_goes_on_is_not_forgotten() -> None:
    works: list[Callable[[], None]] = []
    turned: list[int] = []

    def turn() -> None:
        turned.append(1)
        if len(turned) == 1:
            pump.run()

    pump = Pump(turn, heard=lambda: True, start=works.append)
    pump.run()
    works[0]()
    assert len(turned) == 2
    assert len(works) == 1


def test_a_closed_pump_ends() -> None:
    works: list[Callable[[], None]] = []
    pump = Pump(lambda: 1000.0, heard=lambda: True, start=works.append)
    pump.run()
    pump.close()
    works[0]()


# --- the traits


def test_the_traits_tell_everything(desk: Desk, following: Following) -> None:
    panel = Panel(following, now=desk.clock.now)
    run = desk.start(REPORT)
    following.add(run)
    [head] = panel.runs
    assert (head["run"], head["machine"], head["name"]) == (run.arn, "report", "run-1")
    assert head["origin"] == ""
    assert panel.pictures[head["picture"]].startswith("<svg ")
    through(desk)
    following.turn()
    shown = json.loads(json.dumps(panel.live[run.arn]))
    assert (shown["status"], shown["error"], shown["failed"]) == ("SUCCEEDED", "", "")
    assert shown["stopped"] - shown["started"] == pytest.approx(5.0)
    assert shown["states"]["Each month"]["items"] == "sfs"
    assert (shown["states"]["Each month"]["done"], shown["states"]["Each month"]["total"]) == (3, 3)
    assert shown["states"]["Fit"]["status"] == "FAILED"
    assert shown["states"]["Nothing"]["entered"] is None
    assert ["Enough?", "Publish"] in shown["taken"]


def test_several_runs_each_keep_their_state(desk: Desk, following: Following) -> None:
    panel = Panel(following)
    first, second = (desk.start(scope(List=task("list")), name=name) for name in ("first", "second"))
    following.add(first)
    following.add(second)
    assert [head["name"] for head in panel.runs] == ["first"]  # others are told of together, in a while
    desk.finish(1)
    following.turn()
    assert len(panel.pictures) == 1
    assert [panel.live[run.arn]["status"] for run in (first, second)] == ["SUCCEEDED", "RUNNING"]
    assert [head["name"] for head in panel.runs] == ["first", "second"]
    assert listeners(desk) == 1


@pytest.mark.parametrize(
    ("how", "status", "error", "failed"),
    [
        ("fail", "FAILED", "failed in step 'List': ValueError: no rows", "List"),
        ("stop", "ABORTED", "", ""),
        ("explain", "ABORTED", "was stopped: Mistake: wrong year", ""),
    ],
)
def test_why_a_run_did_not_succeed(
    desk: Desk, following: Following, how: str, status: str, error: str, failed: str
) -> None:
    panel = Panel(following)
    run = desk.start(scope(List=task("list")))
    following.add(run)
    match how:
        case "fail":
            desk.finish(None, "ValueError", '{"errorMessage": "no rows", "stackTrace": ["a\\n", "b\\n"]}')
        case "stop":
            run.stop()
        case "explain":
            run.stop("Mistake", "wrong year")
    following.turn()
    shown = panel.live[run.arn]
    assert (shown["status"], shown["error"], shown["failed"]) == (status, error, failed)


@pytest.mark.parametrize("role", style.LIGHT)
def test_the_panel_has_every_colour_of_the_picture(role: str) -> None:
    """What it does not set would be for a light page, also where JupyterLab is dark."""
    assert f"--nbflow-{role}:" in str(Panel._css)


# --- questions


class Talk:
    """Questions to a panel, and what it answers."""

    def __init__(self, desk: Desk, definition: Json, input: Json = None) -> None:
        self.run = desk.start(definition, input)
        self.following = Following(start=by_hand)
        self.panel = Panel(self.following, now=desk.clock.now)
        self.following.add(self.run)
        self.answers: list[dict[str, Any]] = []
        self.panel.send = lambda content, buffers=None: self.answers.append(content)

    def say(self, **content: object) -> dict[str, Any] | None:
        self.following.turn()
        before = len(self.answers)
        self.panel._hear(self.panel, {"id": 7, "run": self.run.arn, **content}, [])
        return self.answers[-1] if len(self.answers) > before else None

    def ask(self, state: str, visit: int | None = None, **items: int) -> dict[str, Any]:
        answer = self.say(type="ask", state=state, items=items, visit=visit)
        assert answer is not None
        assert (answer["type"], answer["id"], answer["run"]) == ("details", 7, self.run.arn)
        return answer


EACH = scope(
    Each={
        "Type": "Map",
        "ItemProcessor": scope(Load=task("load", Next="Fit"), Fit=task("fit")),
        "ToleratedFailurePercentage": 100.0,
        "End": True,
    }
)


def test_a_step_in_detail(desk: Desk) -> None:
    retry = [{"ErrorEquals": ["OSError"], "IntervalSeconds": 1}]
    talk = Talk(desk, scope(List=task("list", Retry=retry)), {"year": 2013})
    running = talk.ask("List")
    assert (running["kind"], running["status"], running["input"]) == (
        "Task",
        "RUNNING",
        '{\n  "year": 2013\n}',
    )
    desk.finish(None, "OSError", "down", log="calling\n")
    waiting = talk.ask("List")
    assert waiting["retry"] == pytest.approx(desk.clock.now() + 1)
    assert waiting["error"] == "OSError: down"
    desk.turn(1.0)
    desk.finish(["a"], log="again\n")
    done = talk.ask("List")
    assert (done["status"], done["output"], done["error"]) == ("SUCCEEDED", '[\n  "a"\n]', "")
    assert done["printed"] == "calling\nagain\n"
    assert [attempt["error"] for attempt in done["attempts"]] == ["OSError", ""]
    assert json.loads(json.dumps(done)) == done


def test_a_step_that_was_told_to_stop_says_so_until_it_has(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.pool, "cancel", lambda *_: False)  # as threads do
    talk = Talk(desk, scope(List=task("list")))
    talk.run.stop()
    assert talk.ask("List")["waits"] == "its task, which was told to stop"
    assert [step.name for step in talk.run.stopping] == ["List"]
    with monkeypatch.context() as killed:
        killed.setattr(desk.engine, "alive", lambda: set())
        assert talk.run.stopping == [], "it has ended with its process"
    desk.finish(["a"])
    assert talk.ask("List")["waits"] == ""
    assert talk.run.stopping == []


def test_a_step_that_waits_for_a_callback_says_so(desk: Desk) -> None:
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    asks = {**task("list"), "Resource": resource, "Parameters": {"FunctionName": "list"}}
    talk = Talk(desk, scope(Ask=asks))
    assert talk.ask("Ask")["waits"] == ""
    before = talk.panel.live[talk.run.arn]["states"]["Ask"]
    desk.finish({"told": True})
    assert talk.ask("Ask")["waits"] == "a callback"
    assert before["waits"] == ""
    assert talk.panel.live[talk.run.arn]["states"]["Ask"]["waits"] == "a callback", (
        "which is news to the panel"
    )


def test_a_step_that_was_not_entered(desk: Desk) -> None:
    answer = Talk(desk, REPORT).ask("Fit")
    assert (answer["kind"], answer["status"], answer["visits"], answer["path"]) == ("", "", 0, [])


def test_the_item_that_people_look_for_is_chosen(desk: Desk) -> None:
    talk = Talk(desk, EACH, [0, 1, 2, 3])
    assert talk.ask("Load")["path"] == [{"state": "Each", "item": 0, "items": "rrrr"}]
    for n in range(4):
        desk.finish({"rows": n})
    desk.finish("fitted")
    assert talk.ask("Fit")["path"][0]["item"] == 1  # it runs
    desk.finish("fitted")
    desk.finish(None, "ValueError", "no rows")
    failed = talk.ask("Fit")
    assert (failed["path"], failed["error"]) == (
        [{"state": "Each", "item": 2, "items": "ssfr"}],
        "ValueError: no rows",
    )
    assert talk.ask("Fit", Each=1)["output"] == '"fitted"'
    assert talk.ask("Fit", Each=99)["path"][0]["item"] == 2  # there is none


def test_an_item_of_a_map_leads_to_where_it_stopped(desk: Desk) -> None:
    talk = Talk(desk, EACH | {"QueryLanguage": "JSONPath"}, list(range(3)))
    assert (talk.ask("Each")["state"], talk.ask("Each")["path"][0]["item"]) == ("Each", None)
    desk.finish(None, "ValueError", "no rows")
    desk.finish({"rows": 1})
    assert [talk.ask("Each", Each=n)["state"] for n in range(3)] == ["Load", "Fit", "Load"]


def test_an_item_that_has_not_begun(desk: Desk) -> None:
    states = json.loads(json.dumps(EACH))
    states["States"]["Each"]["MaxConcurrency"] = 1
    answer = Talk(desk, states, [0, 1]).ask("Each", Each=1)
    assert (answer["state"], answer["kind"], answer["path"]) == (
        "Load",
        "",
        [{"state": "Each", "item": 1, "items": "r "}],
    )


NESTED = scope(
    Outer={
        "Type": "Map",
        "ItemProcessor": scope(
            Sides={
                "Type": "Parallel",
                "Branches": [
                    scope(Left={"Type": "Pass", "End": True}),
                    scope(Inner={"Type": "Map", "ItemProcessor": scope(Fit=task("fit")), "End": True}),
                ],
                "End": True,
            }
        ),
        "End": True,
    }
)


def test_the_way_to_a_state_leads_through_maps_and_parallels(desk: Desk) -> None:
    talk = Talk(desk, NESTED, [[0, 1], [2, 3, 4]])
    answer = talk.ask("Fit", Outer=1, Inner=2)
    assert answer["path"] == [
        {"state": "Outer", "item": 1, "items": "rr"},
        {"state": "Inner", "item": 2, "items": "rrr"},
    ]
    assert answer["input"] == "4"
    assert talk.ask("Left")["status"] == "SUCCEEDED"
    assert details.ways(parse(json.dumps(NESTED)))["Fit"] == (("Outer", None), ("Sides", 1), ("Inner", None))


@pytest.mark.parametrize(
    ("visit", "output"), [(None, "3"), (0, "1"), (1, "2"), (2, "3"), (9, "3"), (-4, "1")]
)
def test_the_visits_of_a_loop(desk: Desk, visit: int | None, output: str) -> None:
    again = {
        "Type": "Choice",
        "Choices": [{"Variable": "$", "NumericLessThan": 3, "Next": "List"}],
        "Default": "End",
    }
    talk = Talk(desk, scope(List=task("list", Next="Again"), Again=again, End={"Type": "Succeed"}))
    for n in range(1, 4):
        desk.finish(n)
    answer = talk.ask("List", visit)
    assert (answer["output"], answer["visits"]) == (output, 3)


def test_a_greeting_is_answered_with_the_time(desk: Desk) -> None:
    assert Talk(desk, REPORT).say(type="ready") == {"type": "hello", "now": desk.clock.now()}


def test_stop_stops(desk: Desk) -> None:
    talk = Talk(desk, REPORT)
    assert talk.say(type="stop") is None
    assert talk.run.status == "ABORTED"


@pytest.mark.parametrize(
    "content",
    [{"type": "ask", "state": "Nobody", "items": {}, "visit": None}, {"type": "stop", "run": "arn:x"}, {}],
)
def test_what_cannot_be_answered_is_said(desk: Desk, content: dict[str, object]) -> None:
    answer = Talk(desk, REPORT).say(**content)
    assert answer is not None
    assert (answer["type"], answer["id"]) == ("trouble", 7)
    assert answer["text"]


def test_what_the_panel_says_is_not_part_of_a_cell() -> None:
    """Else ipykernel gives the answers of the front end to the shell that the cell blocks."""
    kernel = SimpleNamespace(session="session", get_parent=lambda: {"header": {"msg_id": "1"}})
    comm = SimpleNamespace(kernel=kernel, _reply_subshell_id=None)
    panel._let_questions_through(comm)
    assert comm.kernel.get_parent() == {}
    assert comm.kernel.session == "session"
    assert not hasattr(comm, "_reply_subshell_id")
    panel._let_questions_through(SimpleNamespace())  # a comm of another kernel


# --- texts


@pytest.mark.parametrize(
    ("value", "begins", "cut"),
    [
        ({"a": [1, "ü"]}, '{\n  "a": [\n    1,\n    "ü"\n  ]\n}', False),
        ("x" * 50_000, '"xxx', True),
        (list(range(50_000)), "[\n  0,\n", True),
        ("\ud800", '"\\ud800"', False),
    ],
)
def test_json_is_shown_and_cut(value: Json, begins: str, cut: bool) -> None:
    text = details.shown(value)
    assert text.startswith(begins)
    assert ("cut off here" in text) is cut
    assert len(text) < details.MOST_TEXT + 100


def test_a_long_log_shows_its_end(desk: Desk) -> None:
    talk = Talk(desk, scope(List=task("list")))
    desk.finish(1, log="begin" + "." * 30_000 + "end")
    printed = talk.ask("List")["printed"]
    assert printed.endswith("end")
    assert printed.startswith("… 10,008 characters before this are not shown\n")


# --- under a cell


class Cell:
    """A kernel whose cells the test begins, and what was displayed in them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.request: dict[str, Any] = {}
        self.outputs: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.kernel = self
        self._number = 0
        self.begin()
        patch.setattr(showing, "get_ipython", lambda: self)
        patch.setattr(showing, "_put", lambda bundle, **how: self.outputs.append((bundle, how)))
        patch.setattr(showing, "_latest", None)
        patch.setattr(showing, "_open", set())

    def begin(self, attended: bool = True) -> None:
        self._number += 1
        self.request = {"header": {"msg_id": str(self._number)}, "content": {"allow_stdin": attended}}

    def get_parent(self) -> dict[str, Any]:
        return self.request

    def kinds(self) -> list[tuple[str, bool]]:
        """What was displayed, and whether it was in place of something displayed before."""
        return [(next(iter(bundle)), bool(how.get("update"))) for bundle, how in self.outputs]


WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    yield Cell(monkeypatch)
    for shown in list(showing._open):
        shown.following.let_go()


def test_a_cell_has_one_panel_and_keeps_a_picture(desk: Desk, cell: Cell) -> None:
    first = desk.start(scope(List=task("list")), name="first")
    showing.show_started(first)
    assert cell.kinds() == [(WIDGET, False), ("text/html", False)]
    panel, static = cell.outputs
    assert panel[0]["text/plain"] == ""
    assert "first" in static[0]["text/plain"]
    assert "List" in static[0]["text/plain"]
    showing.show(first)  # the last expression of the cell
    assert len(cell.outputs) == 2
    showing.show_started(desk.start(scope(List=task("list")), name="second"))
    assert cell.kinds() == [
        (WIDGET, False),
        ("text/html", False),
    ]  # a row more; the picture follows in a while
    cell.begin()
    showing.show(first)
    assert cell.kinds()[2:] == [(WIDGET, False), ("text/html", False)]


def test_what_is_kept_shows_the_end(desk: Desk, cell: Cell) -> None:
    run = desk.start(scope(List=task("list")))
    showing.show_started(run)
    assert "RUNNING" in cell.outputs[-1][0]["text/html"]
    desk.finish(None, "ValueError", "<no rows>")
    showing.settle(10)
    bundle, how = cell.outputs[-1]
    assert how == {"display_id": cell.outputs[1][1]["display_id"], "update": True}
    assert "FAILED" in bundle["text/html"]
    assert "failed in step &#x27;List&#x27;: ValueError: &lt;no rows&gt;" in bundle["text/html"]
    assert '<div class="nbflow-static">' in bundle["text/html"]
    showing.settle(0)


def test_settling_does_not_wait_for_what_goes_on(desk: Desk, cell: Cell) -> None:
    showing.show_started(desk.start(scope(List=task("list"))))
    showing.settle(1000)


def test_where_nobody_looks_there_is_no_panel(desk: Desk, cell: Cell) -> None:
    cell.begin(attended=False)
    showing.show_started(desk.start(scope(List=task("list"))))
    desk.finish(1)
    showing.settle(10)
    assert cell.kinds() == [("text/html", False), ("text/html", True)]


def test_many_runs_of_a_cell_have_a_line_each(desk: Desk, cell: Cell) -> None:
    for n in range(showing.MOST_PICTURES + 2):
        showing.show_started(desk.start(scope(List=task("list")), name=f"run-{n}"))
    desk.finish(1)
    showing.settle(10)
    page = cell.outputs[-1][0]["text/html"]
    assert page.count("<img ") == showing.MOST_PICTURES
    assert all(f"run-{n}" in page for n in range(showing.MOST_PICTURES + 2))


def test_outside_a_kernel_nothing_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "get_ipython", lambda: None)
    run = desk.start(scope(List=task("list")))
    showing.show_started(run)
    assert listeners(desk) == 0
    with pytest.raises(NbflowError, match="nbflow show run-1"):
        showing.show(run)


def test_a_start_is_not_harmed_by_its_picture(
    desk: Desk, cell: Cell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(runs: Sequence[Followed]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(showing, "_static", broken)
    showing.show_started(desk.start(scope(List=task("list"))))
    assert "cannot be shown; it goes on" in caplog.text
