"""A real JupyterLab with a real kernel, in headless Chromium."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import nbformat
from playwright.sync_api import Browser, Locator, Page

TOKEN: Final = "for-tests-only"

GATES: Final = """
import threading
from collections import defaultdict

reached, opened = defaultdict(threading.Event), defaultdict(threading.Event)


def wait(name):
    reached[name].set()
    assert opened[name].wait(60), f"nobody opened the gate {name}"
"""
"""A module beside the notebooks: a task waits at a gate until a later cell opens it."""

_UP: Final = re.compile(r"is running at")


class Server:
    """``jupyter lab`` on a port of this machine, with its files in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "notebooks"
        self.folder.mkdir()
        (self.folder / "gates.py").write_text(GATES)
        quiet = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
        quiet.mkdir(parents=True)
        (quiet / "notification.jupyterlab-settings").write_text(
            '{"fetchNews": "false", "checkForUpdates": false}'
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log: list[str] = []
        self._up = threading.Event()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
                f"--ServerApp.root_dir={self.folder}",
                f"--IdentityProvider.token={TOKEN}",
                "--LabApp.expose_app_in_browser=True",
                "--ServerApp.port_retries=0",
            ],
            env={
                **{name: value for name, value in os.environ.items() if name != "NBFLOW_URL"},
                "JUPYTER_CONFIG_DIR": str(folder / "config"),
                "JUPYTER_DATA_DIR": str(folder / "data"),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                "IPYTHONDIR": str(folder / "ipython"),
            },
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._up.wait(60):
            self.close()
            raise AssertionError("JupyterLab does not start:\n" + "".join(self._log))

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.append(line)
            if _UP.search(line):
                self._up.set()

    def write(self, name: str, *cells: str) -> None:
        """A notebook with these code cells."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, self.folder / name)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._reader.join(30)
        assert self._process.stderr is not None
        self._process.stderr.close()


class Lab:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page = page
        self.server = server
        self.name = name

    def open(self) -> "Lab":
        """Open it, with a kernel."""
        self.page.goto(f"{self.server.url}/doc/tree/{self.name}?token={TOKEN}&reset")
        return self.ready()

    def open_without_kernel(self) -> None:
        """Open it to read it."""
        self.page.goto(f"{self.server.url}/doc?token={TOKEN}&reset")
        self.page.wait_for_function("() => window.jupyterapp")
        self._do(
            "await app.restored; await app.commands.execute('docmanager:open',"
            "{path: argument, factory: 'Notebook', kernelPreference: {shouldStart: false}}); void 0",
            self.name,
        )
        self._wait_for_notebook()

    def ready(self) -> "Lab":
        """Wait until the notebook is there, and its kernel."""
        self._wait_for_notebook()
        self._do("await panel.sessionContext.ready; await panel.sessionContext.session.kernel.info")
        return self

    def _wait_for_notebook(self) -> None:
        self.page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.context?.isReady")

    def run(self, number: int) -> None:
        """Run a cell (from 0) and wait until it has ended."""
        self.begin(number)
        self._do("await window.running")

    def begin(self, number: int) -> None:
        """Let a cell begin."""
        self._do(
            "panel.content.activeCellIndex = argument; panel.content.deselectAll();"
            "window.running = app.commands.execute('notebook:run-cell'); void 0",
            number,
        )

    def run_all(self, *numbers: int) -> None:
        for number in numbers:
            self.run(number)

    def save(self) -> None:
        self._do("await panel.context.save()")

    def restart_kernel(self) -> None:
        self._do("await panel.sessionContext.restartKernel()")

    def wait_for_restart(self) -> None:
        """Wait until a kernel that died has been followed by another one."""
        dialog = self.page.locator(".jp-Dialog", has_text="will restart automatically")
        dialog.get_by_role("button", name="Ok").click()
        self.ready()

    def theme(self, name: str) -> None:
        """Change the theme, and wait for it."""
        self._do("await app.commands.execute('apputils:change-theme', {theme: argument})", name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def wait_for_output(self, number: int, text: str) -> None:
        """Wait until the outputs of a cell, as they will be saved, contain a text. (They may not be visible.)"""
        self.page.wait_for_function(
            "([number, text]) => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model"
            ".sharedModel.cells[number].outputs).includes(text)",
            arg=[number, text],
        )

    def close_kernel(self) -> None:
        self._do("await panel.sessionContext.shutdown()")

    def _do(self, script: str, argument: Any = None) -> Any:
        head = "const app = window.jupyterapp, panel = app.shell.currentWidget;"
        return self.page.evaluate(f"async argument => {{ {head} {script} }}", argument)

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def state(self, name: str) -> Locator:
        """The box of a state in a panel's graph."""
        return self.page.locator(f'.nbp-graph .nbflow-state[data-state="{name}"]')

    def part(self, name: str) -> Locator:
        """A part of the panel, by its class."""
        return self.page.locator(f".nbp-{name}:visible")


@contextmanager
def page_of(browser: Browser) -> Iterator[Page]:
    """A page with settings and cookies of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    try:
        yield context.new_page()
    finally:
        context.close()
