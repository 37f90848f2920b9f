"""How late the panel is, in a real JupyterLab: from ``start`` to its first paint, and from an event to its paint.

Kernel and browser run on this machine, so that their clocks are one. A paint is over when a task that was queued in an
animation frame runs.
"""

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.jupyter.lab import Lab, Server, page_of
from tests.jupyter.page import ARGUMENTS, chromium

EVENTS = 40
STARTS = 6

MACHINE = f"""
import json, time
import nbflow as nf

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:"

def work(input):
    import time
    time.sleep(0.15)  # apart from each other: a burst is told of together

names = [f"S{{n}}" for n in range({EVENTS})]
states = {{
    name: {{"Type": "Task", "Resource": FUNCTION + "work", "Next": after}}
    for name, after in zip(names, names[1:] + ["Done"])
}}
states["Done"] = {{"Type": "Succeed"}}
long = nf.StateMachine({{"StartAt": "S0", "States": states}}, name="long", tasks={{"work": work}})
short = nf.StateMachine({{"StartAt": "W", "States": {{"W": {{"Type": "Wait", "Seconds": 3600, "End": True}}}}}})
"""
START = "begun = time.time()\nrun = short.start()\nprint(json.dumps(begun))"
LISTEN = """
from nbflow.machine.records import StateExited

told = {}
bus = nf.connect().engine.bus
forget = bus.subscribe(
    lambda arn, records: told.update((r.name, time.time()) for r in records if isinstance(r, StateExited))
)
"""
RUN = "long.start().wait()"
TOLD = "print(json.dumps(told))"

OBSERVE = """
() => {
  window.painted = {};
  const note = (what) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => (window.painted[what] ??= Date.now() / 1000);
    channel.port2.postMessage(null);
  });
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      if (target.classList?.contains("nbflow-SUCCEEDED") && target.dataset.state) note(target.dataset.state);
    }
    if (document.querySelector(".nbflow-panel .nbflow-state")) note("panel");
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
}
"""


def measure(say: Callable[[str, str, float, tuple[str, float]], None]) -> None:
    """``say`` prints a figure: what, the figure, its value, the aim."""
    with notebook() as lab:
        lab.run(0)
        first = [first_paint(lab, 1 + n) for n in range(STARTS)]
        say(
            "start to the panel's first paint, the kernel's first",
            f"{first[0] * 1000:.0f} ms",
            first[0],
            ("<=", 0.35),
        )
        usual = statistics.median(first[1:])
        say("start to the panel's first paint, later", f"{usual * 1000:.0f} ms", usual, ("<=", 0.35))
        lab.run_all(STARTS + 1, STARTS + 2, STARTS + 3)
        lab.page.wait_for_function(
            f"Object.keys(window.painted).filter(n => n[0] === 'S').length === {EVENTS}"
        )
        told, painted = printed(lab, STARTS + 3), lab.page.evaluate("window.painted")
        late = sorted(painted[name] - at for name, at in told.items() if name.startswith("S"))
        middle, last = statistics.median(late), late[-1]
        say(f"an event to its paint, median of {EVENTS}", f"{middle * 1000:.0f} ms", middle, ("<=", 0.05))
        say(f"an event to its paint, the latest of {EVENTS}", f"{last * 1000:.0f} ms", last, ("<=", 0.25))


def first_paint(lab: Lab, number: int) -> float:
    """Seconds from ``start`` to the paint of the panel."""
    lab.page.evaluate("() => document.querySelectorAll('.nbflow-panel').forEach(panel => panel.remove())")
    lab.page.evaluate(OBSERVE)
    lab.run(number)
    lab.page.wait_for_function("window.painted.panel")
    seconds: float = lab.page.evaluate("window.painted.panel") - printed(lab, number)
    return seconds


def printed(lab: Lab, number: int) -> Any:
    """What a cell printed, as JSON."""
    return json.loads(
        lab.cell(number).locator('[data-mime-type="application/vnd.jupyter.stdout"]').inner_text()
    )


@contextmanager
def notebook() -> Iterator[Lab]:
    """The benchmark's notebook, open in a JupyterLab of its own."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        stack.callback(browser.close)
        server = Server(Path(folder))
        stack.callback(server.close)
        server.write("panel.ipynb", MACHINE, *[START] * STARTS, LISTEN, RUN, TOLD)
        page = stack.enter_context(page_of(browser))
        page.set_default_timeout(60_000)
        yield Lab(page, server, "panel.ipynb").open()
