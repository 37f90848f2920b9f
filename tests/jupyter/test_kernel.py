"""nbflow in a real kernel: what lands where, and what lasts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import nbflow as nf
from tests.jupyter.kernel import GATES, PRELUDE, Cell, Kernel, kernel_in

pytestmark = pytest.mark.timeout(180)


def ok(cell: Cell) -> Cell:
    assert cell.status == "ok", cell.error
    return cell


# --- cells as tasks


def test_a_cell_as_a_task(kernel: Kernel) -> None:
    ok(kernel.run("raw = [3, 1, 2]"))
    cell = ok(kernel.run("%%task clean\ntidy = sorted(raw)\nprint('here')\ntidy"))
    assert (cell.out, cell.value) == ("task clean(raw) → tidy\nhere\n", "[1, 2, 3]")
    assert ok(kernel.run("machine(clean).run(raw=[5, 4])")).value == "[4, 5]"


def test_new_code_counts_at_the_next_start(kernel: Kernel) -> None:
    cell = "%%task edited\nif gate:\n    import gates\n    gates.wait(gate)\nversion = {}"
    ok(kernel.run("gate = ''"))
    ok(kernel.run(cell.format(1)))
    ok(kernel.run("first = machine(edited).start(gate='edited')"))
    ok(kernel.run(cell.format(2)))
    ok(kernel.run("second = machine(edited).start(gate='')"))
    kernel.open("edited")
    assert ok(kernel.run("first.result(), second.result()")).value == "(1, 2)"


def test_a_failed_step_shows_the_cells_line(kernel: Kernel) -> None:
    ok(kernel.run("divisor = 1"))
    ok(kernel.run("\n%%task dividing\nquotient = 1\n\nquotient = quotient / divisor"))
    cell = kernel.run("machine(dividing).run(divisor=0)")
    assert cell.status == "error"
    assert "failed in step 'dividing': ZeroDivisionError: division by zero" in cell.error
    assert "line 5, in <module>\n    quotient = quotient / divisor\n" in cell.error
    assert "exec(" not in cell.error.partition("division by zero\n\n")[2], "no frame of our own"


def test_a_task_on_a_worker_takes_helpers_along(kernel: Kernel) -> None:
    ok(
        kernel.run(
            "import math\nfrom distributed import Client\ndask = Client(n_workers=1, threads_per_worker=1, dashboard_address=None)"
        )
    )
    ok(kernel.run("def half(x): return x / 2"))
    ok(kernel.run("x = 9"))
    ok(
        kernel.run(
            "%%task rooted --on dask\nimport os\ndisplay(x)\ny, where = math.sqrt(half(x)), os.getpid()"
        )
    )
    cell = ok(
        kernel.run(
            "run = machine(rooted).start(x=8)\n(y, where) = run.result()\nprint(y, where != os.getpid(), run['rooted'].log)"
        )
    )
    assert cell.out == "2.0 True 8\n\n"
    ok(kernel.run("dask.close()"))


def test_cells_in_a_flow(kernel: Kernel) -> None:
    ok(kernel.run("numbers, factor = [3, 1, 2], 2"))
    ok(kernel.run("%%task arranged\nordered = sorted(numbers)"))
    ok(kernel.run("%%task ends -o low,high\nlow, high = ordered[0] * factor, ordered[-1] * factor"))
    flow = "@nf.flow\ndef span(numbers: list):\n    low, high = ends(arranged(numbers), factor=10)\n    return high - low"
    ok(kernel.run(flow))
    assert ok(kernel.run("span.run(numbers=[5, 1, 4])")).value == "40"


# --- runs under cells


def test_a_run_is_shown_under_its_cell_once(kernel: Kernel) -> None:
    ok(kernel.run("@nf.task\ndef same(x): return x"))
    cell = ok(kernel.run("run = machine(same).start(x=1)\nrun"))
    assert [list(data) for data in cell.shown] == [
        ["application/vnd.jupyter.widget-view+json", "text/plain"],
        ["text/html", "text/plain"],
    ]
    assert cell.value == ""
    two = ok(kernel.run("a = machine(same).start(x=1)\nb = machine(same).start(x=2)\na.result(), b.result()"))
    assert len(two.shown) == 2, "one panel, and what is kept of it"
    later = ok(kernel.run("run"))
    assert len(later.shown) == 2, "another cell shows it again"


MENDED = "@nf.task\ndef mended(x): return x + 1\n"


@pytest.mark.parametrize("cells", [2, 1])
def test_a_run_is_mended_and_redriven(kernel: Kernel, cells: int) -> None:
    """With the code of the cell that was edited; it is shown under its cell, in one and the same cell once."""
    ok(kernel.run(MENDED.replace("return x + 1", "raise ValueError('not yet')")))
    ok(kernel.run("@nf.flow\ndef mending(x: int):\n    y = mended(x)\n    return y"))
    first, second = "run = mending.start(x=1).wait()\n", f"{MENDED}run.redrive().result()"
    if cells == 2:
        ok(kernel.run(first))
        cell = ok(kernel.run(second))
    else:
        cell = ok(kernel.run(first + second))
    assert cell.value == "2"
    assert len(cell.shown) == 2
    assert ok(kernel.run("len(run['mended'].attempts), run.redrives")).value == "(2, 1)"


GATED = "@nf.task\ndef gated(gate):\n    import gates\n    gates.wait(gate)\n    return gate"


def test_a_run_that_is_awaited_leaves_the_kernel_free(kernel: Kernel) -> None:
    ok(kernel.run(GATED))
    ok(
        kernel.run(
            "import asyncio\nrun = machine(gated).start(gate='free')\nloop = asyncio.get_running_loop()"
        )
    )
    cell = ok(kernel.run("loop.call_soon(gates.open_, 'free')\nawait run"))
    assert cell.value == "'free'"


# --- interrupts


@pytest.mark.parametrize("start", ["gated-1 run.result()", "gated-2 machine(gated).run(gate='gated-2')"])
def test_an_interrupt_ends_the_waiting_and_not_the_run(kernel: Kernel, start: str) -> None:
    gate, _, waiting = start.partition(" ")
    ok(kernel.run(GATED))
    if waiting == "run.result()":
        ok(kernel.run(f"run = machine(gated).start(gate={gate!r})"))
    cell = kernel.begin(waiting)
    kernel.until(lambda: "`await run` instead of run.result() leaves" in cell.err)
    kernel.interrupt()
    kernel.finish(cell)
    assert cell.status == "error"
    assert "stopped waiting for execution" in cell.error
    assert "Traceback" not in cell.error
    kernel.open(gate)
    assert ok(kernel.run("nf.executions('machine', limit=1)[0].result()")).value == repr(gate)


def test_an_interrupt_of_an_awaited_run(kernel: Kernel) -> None:
    ok(kernel.run(GATED))
    ok(kernel.run("run = machine(gated).start(gate='awaited')"))
    cell = kernel.begin("print('waiting', flush=True)\nawait run")
    kernel.until(lambda: cell.out == "waiting\n")
    kernel.interrupt()
    kernel.finish(cell)
    assert cell.status == "error"
    assert "stopped waiting for execution" in cell.error
    assert "Traceback" not in cell.error
    kernel.open("awaited")
    assert ok(kernel.run("await run")).value == "'awaited'"


# --- who printed what

PRINTING = """
@nf.task
def printing(gate):
    import gates, logging, sys, warnings
    print("step: begins")
    gates.wait(gate + "-begun")
    gates.wait(gate)
    print("step: a line")
    print("step: an error", file=sys.stderr)
    logging.getLogger("step").warning("step: a log line")
    logging.warning("step: another")
    warnings.warn("step: a warning at " + gate)
    sys.stderr.write("\\rstep: 50 %")
    sys.stderr.write("\\rstep: 100 %\\n")
    from IPython.display import display
    display("step: displayed")
    return 1
"""

STEP = ["begins", "a line", "an error", "a log line", "another", "a warning", "50 %", "100 %", "displayed"]


@pytest.mark.parametrize(
    ("name", "around"),
    [
        ("plain", "{}"),
        ("captured", "%%capture\n{}"),
        (
            "redirected",
            "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n    {}",
        ),
    ],
)
def test_what_a_step_prints_goes_to_its_log(kernel: Kernel, name: str, around: str) -> None:
    ok(kernel.run("import logging\nlogging.basicConfig(force=True)"))
    ok(kernel.run(PRINTING))
    starting = ok(kernel.run(around.format(f"run = machine(printing).start(gate={name!r})")))
    kernel.open(f"{name}-begun")
    other = kernel.begin("print('cell')\nprint(run.wait().status)\nprint('cell', flush=True)")
    kernel.until(lambda: other.out == "cell\n")
    kernel.open(name)
    ok(kernel.finish(other))
    assert other.out == "cell\nSUCCEEDED\ncell\n"
    assert (starting.out, starting.err, other.err) == ("", "", "")
    log = ok(kernel.run("print(run['printing'].log)")).out
    assert [word for word in STEP if f"step: {word}" not in log] == []


def test_two_steps_and_a_cell_print_at_once(kernel: Kernel) -> None:
    ok(
        kernel.run(
            "@nf.task\ndef counting(name):\n    import gates\n    gates.wait(name)\n    for i in range(200): print(name, i)"
        )
    )
    ok(kernel.run("runs = [machine(counting).start(name=n) for n in 'ab']"))
    cell = ok(
        kernel.run(
            "for n in 'ab': gates.open_(n)\nfor i in range(200): print('cell', i)\nfor run in runs: run.wait()"
        )
    )
    assert cell.out == "".join(f"cell {i}\n" for i in range(200))
    for index, name in enumerate("ab"):
        log = ok(kernel.run(f"print(runs[{index}]['counting'].log, end='')")).out
        assert log == "".join(f"{name} {i}\n" for i in range(200))


MAPPING = """
@nf.task
def squared(x): return x * x

state = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:squared", "End": True}
each = {"Type": "Map", "ItemProcessor": {"StartAt": "S", "States": {"S": state}}, "End": True}
mapping = nf.StateMachine({"StartAt": "M", "States": {"M": each}}, name="mapping", tasks={"squared": squared})
"""


def test_words_of_the_engine_land_under_the_cell_that_started_the_run(kernel: Kernel) -> None:
    ok(kernel.run(MAPPING))
    starting = ok(kernel.run("run = mapping.start([{'x': 2}, {'x': 3}])"))
    other = ok(kernel.run("print('other')"))
    kernel.until(lambda: "starting a Dask LocalCluster" in starting.err)
    awaiting = ok(kernel.run("await run"))
    assert awaiting.value == "[4, 9]"
    assert (other.err, awaiting.err) == ("", "")


# --- what lasts


@pytest.fixture
def own_kernel(tmp_path: Path) -> Iterator[Kernel]:
    with kernel_in(tmp_path) as kernel:
        yield kernel


def test_a_restart_leaves_runs_as_they_are_recorded(own_kernel: Kernel) -> None:
    kernel = own_kernel
    ok(kernel.run("@nf.task\ndef stuck(x):\n    import threading\n    threading.Event().wait()"))
    ok(kernel.run("@nf.task\ndef same(x): return x"))
    ok(kernel.run("done = machine(same, name='done').run(x=3)"))
    arn = ok(kernel.run("run = machine(stuck, name='stuck').start(x=1)\nprint(run.arn)")).out.strip()
    kernel.restart()
    ok(kernel.run("import nbflow as nf"))
    cell = ok(kernel.run(f"run = nf.execution({arn!r})\nprint(run.status, run.input)"))
    assert cell.out == "RUNNING {'x': 1}\n"
    assert ok(kernel.run("nf.executions('done')[0].result()")).value == "3"
    assert len(ok(kernel.run("run")).shown) == 2
    assert ok(kernel.run("run.stop()\nprint(run.status)")).out == "ABORTED\n"


def test_a_kernel_with_a_run_ends_at_once(own_kernel: Kernel, tmp_path: Path) -> None:
    ok(own_kernel.run("@nf.task\ndef stuck():\n    import threading\n    threading.Event().wait()"))
    arn = ok(own_kernel.run("run = machine(stuck).start()\nprint(run.arn)")).out.strip()
    own_kernel.end()
    nf.connect(f"sqlite:///{tmp_path / 'nbflow.sqlite'}")
    assert nf.execution(arn).status == "RUNNING"


# --- notebooks that nobody attends


def test_an_unattended_cell_waits_for_its_runs(kernel: Kernel) -> None:
    ok(kernel.run(GATED))
    cell = kernel.begin("run = machine(gated).start(gate='unattended')", attended=False)
    kernel.until(lambda: "nobody attends this notebook" in cell.err)
    assert not cell.idle
    kernel.open("unattended")
    ok(kernel.finish(cell))
    assert ok(kernel.run("run.status")).value == "'SUCCEEDED'"


def test_an_unattended_cell_says_what_failed(kernel: Kernel) -> None:
    ok(kernel.run(f"{GATED}\n@nf.task\ndef failing(gate): raise ValueError('no good')"))
    cell = kernel.begin(
        "run = machine(gated, failing, ResultPath=None).start(gate='failing')", attended=False
    )
    kernel.until(lambda: "nobody attends this notebook" in cell.err)
    kernel.open("failing")
    ok(kernel.finish(cell))
    assert "failed in step 'failing': ValueError: no good" in cell.err


LATER = """
from nbflow.client.connection import current
activity = current().service.call("CreateActivity", {"name": "later"})["activityArn"]
task = {"Type": "Task", "Resource": activity, "End": True}
asked = nf.StateMachine({"StartAt": "T", "States": {"T": task}}, name="asked")
"""


def test_an_unattended_cell_does_not_wait_for_what_a_later_cell_may_bring(kernel: Kernel) -> None:
    ok(kernel.run(LATER))
    cell = kernel.begin("run = asked.start(x=1)", attended=False)
    ok(kernel.finish(cell))
    assert "waits for somebody outside: the next cells go on" in cell.err
    ok(kernel.run("serving = nf.serve_activity('later', lambda given: given['x'] + 1)"))
    assert ok(kernel.run("run.result()")).value == "2"
    ok(kernel.run("serving.stop()"))


def test_an_unattended_cell_can_be_interrupted(kernel: Kernel) -> None:
    ok(kernel.run(GATED))
    cell = kernel.begin("run = machine(gated).start(gate='left')", attended=False)
    kernel.until(lambda: "nobody attends this notebook" in cell.err)
    kernel.interrupt()
    kernel.finish(cell)
    assert "what has not ended goes on as long as the kernel does" in cell.err
    kernel.open("left")
    assert ok(kernel.run("run.result()")).value == "'left'"


def test_a_notebook_run_by_nbclient_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBFLOW_URL", f"sqlite:///{tmp_path / 'nbflow.sqlite'}")
    (tmp_path / "gates.py").write_text(GATES, encoding="utf-8")
    last = "import threading\nrun = machine(gated).start(gate='last')\nthreading.Timer(0, gates.open_, ['last']).start()"
    notebook = new_notebook(cells=[new_code_cell(PRELUDE), new_code_cell(GATED), new_code_cell(last)])
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = notebook.cells[-1].outputs
    kept = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert len(kept) == 1
    assert "SUCCEEDED" in kept[0]
    nf.connect()
    assert nf.executions()[0].result() == "last"
