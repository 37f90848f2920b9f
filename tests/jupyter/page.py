"""The panel's script in headless Chromium, with a model that the test holds in its hand.

:class:`Front` is a page with a view of a panel. What Python writes into the panel's traits is brought to it by
:meth:`Front.update`, what the page asks is answered by :meth:`Front.answer`: a kernel that answers when the test wants.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route

from nbflow.jupyter.panel import Panel

ROOM = Path(__file__).parents[2] / "nbflow" / "jupyter"

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

MODEL = """
import widget, * as script from "./panel.js";

class Model {
  constructor(traits) { this.traits = traits; this.listeners = []; this.sent = []; this.closed = false; }
  get(name) { return this.traits[name]; }
  on(name, callback) { this.listeners.push([name, callback]); }
  off() {}
  send(message) { this.sent.push(message); }
  tell(name, ...about) { for (const [heard, callback] of this.listeners) if (heard === name) callback(...about); }
  set(traits) {
    Object.assign(this.traits, traits);
    for (const name of Object.keys(traits)) this.tell(`change:${name}`);
  }
}

window.script = script;
window.view = (traits) => {
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  window.model = new Model(traits);
  window.closeView = widget.render({ model: window.model, el });
};
window.again = () => {
  const el = document.createElement("div");
  document.body.append(el);
  widget.render({ model: window.model, el });
};
window.ready = true;
"""

SITE = "http://panel.test/"


def chromium() -> str:
    """Where Chromium is. Without it, the test is skipped; in CI it fails."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        why = "there is no Chromium (on Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return found


def hold(page: Page) -> None:
    """Stop all clocks of the page, timers and animation frames too: they go on by ``page.clock.run_for``."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)


def serve(page: Page) -> None:
    """Load the panel's script and style into an empty page."""
    files = {
        "": (
            "text/html",
            '<!doctype html><link rel="stylesheet" href="panel.css"><script type="module" src="m.js"></script>',
        ),
        "m.js": ("text/javascript", MODEL),
        "panel.js": ("text/javascript", (ROOM / "panel.js").read_text()),
        "panel.css": ("text/css", (ROOM / "panel.css").read_text()),
        "favicon.ico": ("image/png", ""),
    }

    def answer(route: Route) -> None:
        kind, body = files[route.request.url.removeprefix(SITE)]
        route.fulfill(body=body, content_type=kind)

    page.set_default_timeout(10_000)
    page.route(SITE + "**", answer)
    page.goto(SITE)
    page.wait_for_function("window.ready")


class Front:
    """A view of a panel in a page."""

    def __init__(self, page: Page, panel: Panel) -> None:
        self.page = page
        self.panel = panel
        self._heard = 0
        panel.send = self._deliver
        page.evaluate("traits => window.view(traits)", self._traits())

    def _traits(self) -> dict[str, Any]:
        return {name: getattr(self.panel, name) for name in ("live", "pictures", "runs", "problem")}

    def _deliver(self, content: object, buffers: object = None) -> None:
        self.page.evaluate("message => window.model.tell('msg:custom', message)", content)

    def update(self) -> None:
        """Let the panel look for what is new, and bring its traits to the page."""
        self.panel._following.turn()
        self.page.evaluate("traits => window.model.set(traits)", self._traits())

    def questions(self, kind: str = "ask") -> list[dict[str, Any]]:
        """What the page has asked and nobody has answered."""
        sent: list[dict[str, Any]] = self.page.evaluate("window.model.sent")
        return [message for message in sent[self._heard :] if message["type"] == kind]

    def answer(self, kind: str = "ask") -> dict[str, Any]:
        """Wait until the page asks something of this kind; answer all that it has asked. Returns the last one."""
        wanted = "([from, kind]) => window.model.sent.slice(from).some(message => message.type === kind)"
        self.page.wait_for_function(wanted, arg=[self._heard, kind])
        sent: list[dict[str, Any]] = self.page.evaluate("window.model.sent")
        asked, self._heard = sent[self._heard :], len(sent)
        for message in asked:
            self.panel._hear(self.panel, message, [])
        return [message for message in asked if message["type"] == kind][-1]

    def state(self, name: str) -> Locator:
        """The box of a state in the graph."""
        return self.page.locator(f'.nbp-graph .nbflow-state[data-state="{name}"]')

    def open(self, name: str) -> None:
        """Click a state, and answer what the page then asks."""
        self.state(name).locator(".nbflow-title").first.click()  # in the middle of a Map are its states
        self.answer()

    def part(self, name: str) -> Locator:
        """A part of the panel, by its class."""
        return self.page.locator(f".nbp-{name}:visible")
