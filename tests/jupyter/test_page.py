"""The panel's script: what a reader sees and can do, in a page without JupyterLab."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from nbflow.client.executions import Execution
from nbflow.drawing import words
from nbflow.jupyter.live import Following
from nbflow.jupyter.panel import Panel
from nbflow.language.values import Json
from nbflow.tasks.heard import Progress
from nbflow.tasks.job import Job
from tests.jupyter.page import Front, hold
from tests.jupyter.runs import REPORT, TRACEBACK, Desk, scope, task

pytest_plugins = ("tests.jupyter.fixtures",)

Frontend = Callable[[Panel], Front]

MANY = scope(
    Each={
        "Type": "Map",
        "ItemProcessor": scope(Load=task("load", Next="Fit"), Fit=task("fit")),
        "ToleratedFailurePercentage": 100.0,
        "End": True,
    }
)


def panel_of(desk: Desk, *runs: Execution) -> Panel:
    following = Following(start=lambda work: None)
    panel = Panel(following, now=desk.clock.now)
    for run in runs:
        following.add(run)
    following.turn()
    return panel


def named(name: str) -> Callable[[Job], bool]:
    return lambda job: job.code.name == name


# --- words


def call(page: Page, function: str, *arguments: object) -> Any:
    return page.evaluate("([name, args]) => window.script[name](...args)", [function, list(arguments)])


@pytest.mark.parametrize(
    "seconds", [0.0, 0.004, 0.42, 0.99, 1.04, 59.9, 60.0, 125.4, 3600.0, 7384.0, 200_000.0]
)
def test_lengths_of_time_are_written_as_in_the_picture(page: Page, seconds: float) -> None:
    assert call(page, "elapsed", seconds) == words.duration(seconds)


STATE = {
    "status": "RUNNING",
    "entered": 10.0,
    "exited": None,
    "visits": 1,
    "running": 1,
    "succeeded": 0,
    "failed": 0,
    "total": 0,
    "done": 0,
    "items": "",
    "left": "",
}


@pytest.mark.parametrize(
    ("state", "note"),
    [
        ({"status": "", "entered": None}, ""),
        ({}, "2.5 s"),
        ({"status": "SUCCEEDED", "exited": 10.25}, "0.25 s"),
        ({"total": 12, "done": 7}, "7/12 · 2.5 s"),
        ({"total": 12, "done": 7, "left": "about 3 min left"}, "7/12 · 3 min left"),
        ({"far": {"done": 7, "total": 12, "text": "rows"}, "left": "about 5 s left"}, "7/12 · 5 s left"),
        ({"visits": 7, "running": 4, "failed": 1}, "3/7 · 1 ✗"),
        ({"status": "SUCCEEDED", "visits": 7, "running": 0, "exited": 12.0}, "7×"),
    ],
)
def test_the_note_of_a_state(page: Page, state: dict[str, Json], note: str) -> None:
    assert call(page, "note", {**STATE, **state}, 12.5) == note


@pytest.mark.parametrize(
    ("items", "start", "step", "found"),
    [
        ("sfsf", 1, 1, 3),
        ("sfsf", 3, 1, 1),
        ("sfsf", 3, -1, 1),
        ("sfsf", 0, -1, 3),
        ("sssf", 3, 1, 3),
        ("ssss", 0, 1, -1),
        ("", 0, 1, -1),
    ],
)
def test_the_next_failed_item(page: Page, items: str, start: int, step: int, found: int) -> None:
    assert call(page, "nextFailed", items, start, step) == found


def test_items_in_words(page: Page) -> None:
    assert call(page, "summary", "sssf r") == "6 items: 3 succeeded, 1 failed, 1 running, 1 not yet"


@pytest.mark.parametrize("count", [0, 1, 12, 500, 10_000, 100_000])
def test_all_cells_of_the_items_are_in_the_grid(page: Page, count: int) -> None:
    made = call(page, "grid", count, 400, 140)
    assert made["columns"] * made["rows"] >= count
    assert made["columns"] * made["size"] <= 400
    assert 4 <= made["size"] <= 14


# --- a run


def test_a_task_is_heard_while_it_runs(desk: Desk, front: Frontend, screenshots: Path) -> None:
    run = desk.start(scope(Load=task("load")))
    view = front(panel_of(desk, run))
    view.open("Load")
    expect(view.part("far")).to_have_count(0)
    worker = "tcp://10.0.0.7:41521"
    lines = "".join(f"part {number} of the file is loaded\n" for number in range(37))
    desk.say(lines, Progress(37, 1200, "rows"), worker=worker)
    view.update()
    view.answer()
    expect(view.state("Load").locator(".nbflow-note")).to_have_text("37/1,200 · 0.0 s")
    expect(view.part("printed")).to_have_text(lines)
    expect(view.part("far")).to_have_text("37/1,200 · rows")
    bar = view.part("bar")
    assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("37", "1200")
    expect(view.part("where")).to_have_text(f"on {worker}")
    desk.say("and more\n", Progress(38), start=len(lines), worker=worker)
    view.update()
    view.answer()
    expect(view.part("printed")).to_have_text(f"{lines}and more\n")
    expect(view.part("far")).to_have_text("38")
    desk.clock.advance_to(desk.clock.now() + 60.0)
    desk.say("", Progress(840, 1200, "rows"), start=len(lines) + 9, worker=worker)
    view.update()
    view.answer()
    expect(view.part("far")).to_have_text("840/1,200 · rows · about 25 s left")
    expect(view.state("Load").locator(".nbflow-note")).to_have_text("840/1,200 · 25 s left")
    view.page.screenshot(path=screenshots / "heard.png")
    desk.finish(7, log="done\n", seconds=3.0)
    view.update()
    view.answer()
    expect(view.part("printed")).to_have_text("done\n")
    expect(view.part("far")).to_have_count(0)
    expect(view.part("where")).to_have_text(re.compile("^queued .*, ran 0 s$"))


def test_the_children_of_a_map_run_are_heard_at_its_step(
    desk: Desk, front: Frontend, screenshots: Path
) -> None:
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    fits = {"Type": "Map", "ItemProcessor": {**scope(Fit=task("fit")), **config}, "End": True}
    run = desk.start(scope(Fits=fits), [*range(40)])
    view = front(panel_of(desk, run))
    view.open("Fits")
    for number in range(10):
        desk.say(f"reading item {number}\nfitted\n", Progress(1, 2))
        desk.finish(number, seconds=6.0)
    desk.say("reading item 10\n", Progress(120, 400, "epochs"))
    view.update()
    view.answer()
    lines = [f"[{number}] reading item {number}\n[{number}] fitted\n" for number in range(10)]
    expect(view.part("printed")).to_have_text("".join([*lines, "[10] reading item 10\n"]))
    expect(view.part("far")).to_have_text("10/40 · about 3 min left")
    expect(view.state("Fits").locator(".nbflow-note").first).to_have_text("10/40 · 3 min left")
    expect(view.part("mapitems")).to_have_count(0)
    expect(view.part("itemfar")).to_have_text(["[10]120/400 · epochs"])
    view.page.screenshot(path=screenshots / "map-run.png")


def test_a_run_is_seen_to_go_on(desk: Desk, front: Frontend, page: Page, screenshots: Path) -> None:
    run = desk.start(REPORT, {"year": 2013})
    view = front(panel_of(desk, run))
    expect(view.part("badge")).to_have_text("● running")
    expect(view.part("machine")).to_have_text("report")
    expect(view.state("List")).to_have_class("nbflow-state nbflow-RUNNING")
    expect(view.state("Fit")).to_have_class("nbflow-state")
    desk.finish(list(range(12)), log="12 months\n")
    for _ in range(8):
        desk.finish({"rows": 1})
    desk.finish(None, "KeyError", TRACEBACK, which=named("fit"))
    view.update()
    expect(view.state("List")).to_have_class("nbflow-state nbflow-SUCCEEDED")
    expect(view.state("List").locator(".nbflow-note")).to_have_text("0.50 s")
    expect(view.state("Each month").locator(".nbflow-note")).to_have_text("1/12 · 4.5 s")
    expect(view.state("Fit")).to_have_class("nbflow-state nbflow-FAILED")
    bar = view.state("Each month").locator(".nbflow-bar")
    width, done = (float(bar.get_attribute(name) or "") for name in ("data-width", "width"))
    assert done == pytest.approx(width / 12)
    taken = page.locator(".nbflow-edge.nbflow-taken")
    assert {
        (line.get_attribute("data-source"), line.get_attribute("data-target")) for line in taken.all()
    } == {
        ("", "List"),
        ("List", "Each month"),
        ("Load", "Fit"),
    }
    page.screenshot(path=screenshots / "running.png")


def test_a_failed_run_says_why_and_leads_there(
    desk: Desk, front: Frontend, page: Page, screenshots: Path
) -> None:
    run = desk.start(REPORT, {"year": 2013})
    view = front(panel_of(desk, run))
    desk.finish(list(range(12)))
    for _ in range(4):
        desk.finish({"rows": 1})
    for _ in range(4):
        desk.finish(None, "KeyError", TRACEBACK, which=named("fit"), log="fitting\n<b>no delay</b>\n")
    view.update()
    expect(view.part("badge")).to_have_text("✗ failed")
    expect(view.part("reason")).to_contain_text("failed in step")
    page.get_by_role("button", name="Show the failed step").click()
    view.answer()
    expect(view.part("pane")).to_be_visible()
    page.screenshot(path=screenshots / "failed.png")
    view.state("Fit").click()
    view.answer()
    expect(view.part("error")).to_have_text(
        "KeyError: no such column: 'delay'\n\nTraceback (most recent call last):\n"
        '  File "<cell 7>", line 3, in fit\n    return frame["delay"].mean()\nKeyError: \'delay\''
    )
    expect(view.part("error")).to_have_css("white-space-collapse", "preserve")
    expect(view.part("printed")).to_have_text("fitting\n<b>no delay</b>\n")
    expect(view.part("stop")).to_have_count(0)


def test_attempts_are_listed_with_the_one_to_come(desk: Desk, front: Frontend) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 10}]
    view = front(panel_of(desk, desk.start(scope(List=task("list", Retry=retry)))))
    desk.finish(None, "OSError", "down")
    view.update()
    expect(view.state("List")).to_have_class("nbflow-state nbflow-RETRYING")
    view.open("List")
    rows = view.page.locator(".nbp-attempts tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("OSError")
    expect(rows.nth(1)).to_contain_text("to come")


def test_the_pane_keeps_up_with_its_step(desk: Desk, front: Frontend) -> None:
    view = front(panel_of(desk, desk.start(scope(List=task("list")))))
    view.open("List")
    expect(view.page.locator(".nbp-pane .nbp-badge")).to_have_text("● running")
    desk.finish([1, 2])
    view.update()
    view.answer()
    expect(view.page.locator(".nbp-pane .nbp-badge")).to_have_text("✓ succeeded")
    expect(view.part("output")).to_have_text("[\n  1,\n  2\n]")
    assert view.questions() == []


def test_the_visits_of_a_loop_can_be_leafed_through(desk: Desk, front: Frontend) -> None:
    again = {
        "Type": "Choice",
        "Choices": [{"Variable": "$", "IsNumeric": True, "Next": "List"}],
        "Default": "End",
    }
    looping = scope(List=task("list", Next="Again"), Again=again, End={"Type": "Succeed"})
    view = front(panel_of(desk, desk.start(looping)))
    desk.finish(7)
    desk.finish("enough")
    view.update()
    view.open("List")
    expect(view.part("visits")).to_contain_text("visit 2 of 2")
    expect(view.part("output")).to_have_text('"enough"')
    view.page.get_by_role("button", name="earlier").click()
    assert view.answer()["visit"] == 0
    expect(view.part("output")).to_have_text("7")


# --- Maps


def test_an_item_is_chosen_and_shown(desk: Desk, front: Frontend, page: Page) -> None:
    view = front(panel_of(desk, desk.start(MANY, [0, 1, 2, 3])))
    for n in range(4):
        desk.finish({"rows": n})
    desk.finish("fitted")
    desk.finish(None, "ValueError", "first")
    desk.finish("fitted")
    desk.finish(None, "ValueError", "second")
    view.update()
    view.open("Each")
    expect(view.part("items")).to_have_attribute("aria-label", "4 items: 2 succeeded, 2 failed")
    page.get_by_role("button", name="next failed").click()
    assert view.answer()["items"] == {"Each": 1}
    expect(view.part("title")).to_have_text("Fit")
    expect(view.part("error")).to_contain_text("first")
    expect(view.state("Fit")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="next failed").click()
    view.answer()
    expect(view.part("error")).to_contain_text("second")
    page.get_by_label("item", exact=True).fill("2")
    page.keyboard.press("Enter")
    view.answer()
    expect(view.part("output")).to_have_text('"fitted"')
    view.part("items").click(position={"x": 3, "y": 3})
    assert view.answer()["items"] == {"Each": 0}
    view.open("Load")  # of the same item
    expect(view.part("output")).to_contain_text('"rows": 0')
    assert view.questions() == []
    view.open("Each")
    expect(view.part("title")).to_have_text("Each")


def test_ten_thousand_items(desk: Desk, front: Frontend, page: Page, screenshots: Path) -> None:
    run = desk.start(MANY, list(range(10_000)))
    panel = panel_of(desk, run)
    items = "".join(
        "f" if n % 997 == 5 else "s" if n < 7000 else "r" if n < 7040 else " " for n in range(10_000)
    )
    each = {**panel.live[run.arn]["states"]["Each"], "items": items, "done": 7000}
    panel.live = {run.arn: {**panel.live[run.arn], "states": {**panel.live[run.arn]["states"], "Each": each}}}
    view = front(panel)
    view.open("Each")
    label = "10,000 items: 6,992 succeeded, 11 failed, 40 running, 2,957 not yet"
    expect(view.part("items")).to_have_attribute("aria-label", label)
    page.screenshot(path=screenshots / "many.png")


# --- a kernel that is busy, or gone


def test_a_busy_kernel_is_called_so(desk: Desk, front: Frontend, page: Page) -> None:
    hold(page)
    view = front(panel_of(desk, desk.start(REPORT)))
    view.state("List").click()
    page.get_by_role("button", name="Stop").click()
    page.clock.run_for(1000)
    expect(view.part("word")).to_have_count(0)
    page.clock.run_for(1000)
    expect(view.part("word").nth(0)).to_contain_text("The kernel is busy with a cell")
    expect(view.part("word").nth(1)).to_contain_text("The kernel is busy with a cell")
    view.answer()
    expect(view.part("input")).to_have_text("{}")


def test_a_kernel_that_has_gone_is_called_so(desk: Desk, front: Frontend, page: Page) -> None:
    view = front(panel_of(desk, desk.start(REPORT)))
    page.evaluate("model.tell('comm_live_update')")
    expect(view.part("badge")).to_have_text("● running, when last heard of")
    expect(view.part("word")).to_contain_text('nf.resume("run-1")')
    expect(view.part("stop")).to_have_count(0)
    view.state("List").click()
    expect(page.locator(".nbp-pane .nbp-word")).to_contain_text("The kernel has gone")
    assert view.questions() == []
    desk.finish([])
    view.update()  # it was another one's connection: there are news
    expect(view.part("badge").first).to_have_text("● running")


def test_a_panel_from_a_saved_notebook_knows_that_there_is_no_kernel(
    desk: Desk, front: Frontend, page: Page
) -> None:
    view = front(panel_of(desk, desk.start(REPORT)))
    page.evaluate("document.body.firstChild.classList.add('jupyter-widgets-disconnected')")
    expect(view.part("badge")).to_have_text("● running, when last heard of")


def test_a_run_that_does_not_go_on_here_is_called_so(desk: Desk, front: Frontend) -> None:
    panel = panel_of(desk, desk.start(REPORT))
    view = front(panel)
    expect(view.part("word")).to_have_count(0)
    desk.engine.close()
    view.update()
    expect(view.part("word")).to_contain_text("It does not go on in this kernel")


def test_what_python_could_not_answer_is_said(
    desk: Desk, front: Frontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is away")

    monkeypatch.setattr("nbflow.jupyter.panel.details", broken)
    view = front(panel_of(desk, desk.start(REPORT)))
    view.open("List")
    expect(view.page.locator(".nbp-pane .nbp-word")).to_have_text("OSError: the disk is away")


def test_the_panels_own_trouble_is_said(desk: Desk, front: Frontend) -> None:
    panel = panel_of(desk, desk.start(REPORT))
    view = front(panel)
    panel.problem = "What comes now is not shown any more (no disk). The run goes on."
    view.update()
    expect(view.part("problem")).to_have_text(panel.problem)


# --- Stop


def test_stop_answers_at_once(desk: Desk, front: Frontend, page: Page) -> None:
    run = desk.start(REPORT)
    view = front(panel_of(desk, run))
    page.get_by_role("button", name="Stop").click()
    expect(view.part("stop")).to_have_text("stopping…")
    expect(view.part("stop")).to_be_disabled()
    assert [question["run"] for question in view.questions("stop")] == [run.arn]
    run.stop()
    view.update()
    expect(view.part("badge")).to_have_text("■ stopped")
    expect(view.part("reason")).to_have_count(0)
    expect(view.part("stop")).to_have_count(0)


def test_a_stop_that_fails_can_be_tried_again(
    desk: Desk, front: Frontend, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(arn: str, error: str | None, cause: str | None) -> None:
        raise OSError("the disk is away")

    monkeypatch.setattr(desk.service, "stop_execution", refuse)
    view = front(panel_of(desk, desk.start(REPORT)))
    page.get_by_role("button", name="Stop").click()
    view.answer("stop")
    expect(view.part("word")).to_have_text("OSError: the disk is away")
    expect(view.part("stop")).to_be_enabled()


# --- views


def test_several_runs_are_rows_and_the_latest_is_chosen(
    desk: Desk, front: Frontend, page: Page, screenshots: Path
) -> None:
    first = desk.start(scope(List=task("list")), name="first", machine="small")
    panel = panel_of(desk, first)
    view = front(panel)
    expect(view.state("List")).to_be_visible()
    panel._following.add(desk.start(REPORT, name="second"))
    view.update()
    expect(view.part("row")).to_have_count(2)
    expect(view.state("Each month")).to_be_visible()
    page.screenshot(path=screenshots / "rows.png")
    view.open("List")
    page.get_by_role("button", name="first").click()
    expect(view.state("Each month")).to_have_count(0)
    panel._following.add(desk.start(REPORT, name="third"))
    view.update()
    expect(view.part("row")).to_have_count(3)
    expect(view.part("chosen")).to_contain_text("first")  # what the reader has chosen stays


def test_a_second_view_shows_the_same(desk: Desk, front: Frontend, page: Page) -> None:
    view = front(panel_of(desk, desk.start(scope(List=task("list")))))
    desk.finish(1)
    view.update()
    page.evaluate("window.again()")
    expect(view.part("badge")).to_have_text(["✓ succeeded", "✓ succeeded"])
    view.state("List").nth(1).click()
    view.answer()
    expect(page.locator(".nbp-pane:visible")).to_have_count(1)


def test_everything_is_reached_by_the_keyboard(desk: Desk, front: Frontend, page: Page) -> None:
    view = front(panel_of(desk, desk.start(scope(List=task("list")))))
    page.keyboard.press("Tab")
    expect(view.part("choose")).to_be_focused()
    page.keyboard.press("Tab")
    expect(view.part("stop")).to_be_focused()
    view.state("List").focus()
    expect(view.state("List")).to_have_attribute("aria-label", "List: running")
    page.keyboard.press("Enter")
    view.answer()
    expect(view.part("pane")).to_be_visible()
    view.part("close").focus()
    page.keyboard.press("Escape")
    expect(view.part("pane")).to_have_count(0)
    expect(view.state("List")).to_be_focused()
    focusable = page.locator(".nbflow-panel :is(button, input, [tabindex])")
    assert focusable.count() == page.locator(".nbflow-panel [data-lm-suppress-shortcuts]").count()


def test_time_is_told_by_the_kernels_clock(desk: Desk, front: Frontend, page: Page) -> None:
    view = front(
        panel_of(desk, desk.start(REPORT))
    )  # in 2023, says the kernel; the page's clock is not there
    expect(view.part("time")).to_have_text("0.0 s")
    desk.turn(90.0)
    view.answer("ready")
    expect(view.part("time")).to_have_text("1 min 30 s")


def test_names_and_texts_are_never_markup(desk: Desk, front: Frontend, page: Page) -> None:
    name = """<img src=x onerror="document.title='hurt'">&'"""
    view = front(panel_of(desk, desk.start(scope(**{name: task("list")}), machine="m")))
    desk.finish(None, "<b>Error</b>", "<script>document.title='hurt'</script>")
    view.update()
    page.locator(".nbflow-state").click()
    view.answer()
    expect(view.part("title")).to_have_text(name)
    expect(view.part("error")).to_contain_text("<script>")
    assert page.title() != "hurt"
    assert page.locator(".nbflow-panel img").count() == 0


def test_a_closed_view_lets_go(desk: Desk, front: Frontend, page: Page) -> None:
    hold(page)
    front(panel_of(desk, desk.start(REPORT)))
    page.evaluate("window.closeView()")
    before = page.locator(".nbp-time").text_content()
    page.clock.run_for(2000)
    assert page.locator(".nbp-time").text_content() == before


def test_everything_that_travels_is_json(desk: Desk) -> None:
    panel = panel_of(desk, desk.start(REPORT))
    assert json.loads(json.dumps(panel.live))
    assert json.loads(json.dumps(panel.runs))
