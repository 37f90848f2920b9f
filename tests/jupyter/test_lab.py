"""The panel where it lives: in JupyterLab, with a kernel."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.jupyter.lab import Lab, Server, page_of

pytest_plugins = ("tests.jupyter.fixtures",)

SETUP = """
import gates
import nbflow as nf

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:"

def fetch(input):
    import gates
    print("fetching", input)
    gates.wait("fetch")
    return {"rows": 3}

def fit(input):
    if input["rows"] == 3:
        raise ValueError("not enough rows\\nto fit a line")

machine = nf.StateMachine(
    {
        "StartAt": "Fetch",
        "States": {
            "Fetch": {"Type": "Task", "Resource": FUNCTION + "fetch", "Next": "Fit"},
            "Fit": {"Type": "Task", "Resource": FUNCTION + "fit", "End": True},
        },
    },
    name="report",
    tasks={"fetch": fetch, "fit": fit},
)
"""

START = "run = machine.start({'year': 2013})"
OPEN = "gates.opened['fetch'].set()"


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture
def lab(server: Server, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A notebook of the test's own, with its first two cells run."""
    name = f"{request.node.name}.ipynb"
    server.write(name, SETUP, START, OPEN)
    with page_of(browser) as page:
        lab = Lab(page, server, name).open()
        lab.run_all(0, 1)
        yield lab


def test_a_step_turns_green_and_a_failed_one_tells_why(lab: Lab, screenshots: Path) -> None:
    expect(lab.state("Fetch")).to_have_class("nbflow-state nbflow-RUNNING")
    lab.page.screenshot(path=screenshots / "lab-running.png")
    lab.run(2)
    expect(lab.state("Fetch")).to_have_class("nbflow-state nbflow-SUCCEEDED")
    expect(lab.part("badge")).to_have_text("✗ failed")
    lab.state("Fit").click()
    expect(lab.part("error")).to_contain_text("ValueError: not enough rows\nto fit a line")
    lab.state("Fetch").click()
    expect(lab.part("printed")).to_have_text("fetching {'year': 2013}\n")
    lab.state("Fetch").press("x")  # in JupyterLab's command mode, this cuts the cell
    expect(lab.part("pane")).to_be_visible()
    lab.page.screenshot(path=screenshots / "lab.png")
    lab.theme("JupyterLab Dark")
    lab.page.screenshot(path=screenshots / "lab-dark.png")
    lab.theme("JupyterLab Light")


def test_the_panel_answers_while_a_cell_blocks_the_kernel(
    server: Server, browser: Browser, screenshots: Path
) -> None:
    server.write("blocked.ipynb", SETUP, f"{START}\ngates.wait('end')", "run.status")
    with page_of(browser) as page:
        lab = Lab(page, server, "blocked.ipynb").open()
        lab.run(0)
        lab.begin(1)
        lab.state("Fetch").click()
        expect(lab.part("input")).to_contain_text("2013")
        page.get_by_role("button", name="Stop").click()
        expect(lab.part("badge").first).to_have_text("■ stopped")
        expect(lab.cell(1).locator(".jp-InputPrompt")).to_have_text("[*]:")
        page.screenshot(path=screenshots / "lab-blocked.png")


def test_a_page_reload_shows_the_truth(lab: Lab) -> None:
    lab.save()
    lab.page.reload()
    lab.ready()
    expect(lab.state("Fetch")).to_have_class("nbflow-state nbflow-RUNNING")
    lab.run(2)
    expect(lab.state("Fetch")).to_have_class("nbflow-state nbflow-SUCCEEDED")
    lab.page.reload()
    lab.ready()
    expect(lab.part("badge")).to_have_text("✗ failed")
    expect(lab.page.locator(".nbflow-static")).to_be_hidden()


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
def test_a_reopened_notebook_shows_the_end_without_a_kernel(
    lab: Lab, server: Server, screenshots: Path, trusted: bool
) -> None:
    lab.run(2)
    expect(lab.part("badge")).to_have_text("✗ failed")
    lab.wait_for_output(1, "FAILED")
    lab.save()
    lab.close_kernel()
    if not trusted:  # what it says was not computed here
        file = server.folder / lab.name
        file.write_text(file.read_text().replace("{'year': 2013}", "{'year': 2014}"))
    lab.open_without_kernel()
    static = lab.page.locator(".nbflow-static")
    expect(static).to_contain_text("FAILED")
    expect(static.locator("img")).to_be_visible()
    expect(static.locator("table")).to_contain_text("ValueError")
    expect(lab.page.get_by_text("Loading widget")).to_be_hidden()
    lab.page.screenshot(path=screenshots / f"lab-reopened-{'trusted' if trusted else 'untrusted'}.png")


def test_after_a_restart_the_panel_says_that_its_kernel_has_gone(lab: Lab) -> None:
    expect(lab.part("badge")).to_have_text("● running")
    lab.restart_kernel()
    expect(lab.part("badge")).to_have_text("● running, when last heard of")


def test_a_killed_kernels_run_goes_on_in_the_next_one(
    server: Server, browser: Browser, screenshots: Path
) -> None:
    """Without its cells: the new kernel has not defined the machine."""
    names = (
        "import nbflow as nf\nnf.connect();",
        "[run] = nf.resume('killed')",
        "import gates\ngates.opened['fetch'].set()",
    )
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    start = "run = machine.start({'year': 2013}, execution_name='killed')"
    server.write("killed.ipynb", SETUP, start, kill, *names)
    with page_of(browser) as page:
        lab = Lab(page, server, "killed.ipynb").open()
        lab.run_all(0, 1)
        expect(lab.state("Fetch")).to_have_class("nbflow-state nbflow-RUNNING")
        lab.begin(2)
        lab.wait_for_restart()
        lab.run(3)
        lab.wait_for_output(3, "interrupted (the process has ended)")
        lab.run(4)
        lab.page.screenshot(path=screenshots / "lab-resumed.png")
        expect(lab.state("Fetch").last).to_have_class("nbflow-state nbflow-RUNNING")
        lab.run(5)
        expect(lab.part("badge").last).to_have_text("✗ failed")
        lab.page.screenshot(path=screenshots / "lab-resumed-ended.png")
