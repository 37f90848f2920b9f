"""A real kernel, spoken to as a notebook's page does; and what it answers, by the cell to which it belongs."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any, Final

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE: Final = 60
"""Seconds for a message that must come."""

GATES: Final = """
import os
from contextlib import suppress
from pathlib import Path

def path(name):
    found = Path(__file__).with_name(name + ".gate")
    with suppress(FileExistsError):
        os.mkfifo(found)
    return found

def wait(name):
    path(name).open().close()  # a pipe is opened when somebody opens its other end

def open_(name):
    path(name).open("w").close()
"""
"""The module ``gates`` of the kernel's folder: a task waits at a gate until the gate is opened, here or in the kernel.

Whoever opens it waits until the task is there.
"""

PRELUDE: Final = """
import gates
import nbflow as nf

def machine(*tasks, name="machine", **fields):
    '''One Task state after the other.'''
    states = {}
    for task, after in zip(tasks, [*tasks[1:], None]):
        states[task.name] = {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-east-1:000000000000:function:" + task.name,
            **({"End": True} if after is None else {"Next": after.name}),
            **fields,
        }
    definition = {"StartAt": tasks[0].name, "States": states}
    return nf.StateMachine(definition, name=name, tasks={task.name: task for task in tasks})
"""


@dataclass
class Cell:
    """One execution of a cell, and what has come of it so far."""

    id: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    reply: dict[str, Any] | None = None

    @property
    def status(self) -> str:
        """ok or error."""
        return "" if self.reply is None else str(self.reply["status"])

    def stream(self, name: str) -> str:
        """What it printed on stdout or stderr."""
        return "".join(text["text"] for text in self._contents("stream") if text["name"] == name)

    @property
    def out(self) -> str:
        return self.stream("stdout")

    @property
    def err(self) -> str:
        return self.stream("stderr")

    @property
    def value(self) -> str:
        """The text of its last expression."""
        return "".join(content["data"]["text/plain"] for content in self._contents("execute_result"))

    @property
    def shown(self) -> list[dict[str, Any]]:
        """What it displays, by media type; without renewals."""
        return [content["data"] for content in self._contents("display_data")]

    @property
    def error(self) -> str:
        """The traceback, without colours."""
        return "\n".join(_plain("\n".join(content["traceback"])) for content in self._contents("error"))

    @property
    def idle(self) -> bool:
        return any(content["execution_state"] == "idle" for content in self._contents("status"))

    def _contents(self, kind: str) -> Iterator[dict[str, Any]]:
        return (message["content"] for message in self.messages if message["msg_type"] == kind)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class Kernel:
    """A kernel and its client."""

    def __init__(self, folder: Path) -> None:
        (folder / "gates.py").write_text(GATES, encoding="utf-8")
        self._folder = folder
        self._manager = KernelManager(connection_file=str(folder / "kernel.json"))
        env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_KERNELS}
        env |= {"NBFLOW_URL": f"sqlite:///{folder / 'nbflow.sqlite'}", "IPYTHONDIR": str(folder / "ipython")}
        self._manager.start_kernel(cwd=str(folder), env=env)
        self.cells: dict[str, Cell] = defaultdict(lambda: Cell(""))
        self._connect()

    def _connect(self) -> None:
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def begin(self, code: str, *, attended: bool = True) -> Cell:
        """Send a cell. ``attended``: by somebody who could answer questions."""
        cell = Cell(self._client.execute(code, allow_stdin=attended))
        self.cells[cell.id] = cell
        return cell

    def finish(self, cell: Cell) -> Cell:
        """Wait until the cell has ended, and all that it has said is here."""
        self.until(lambda: cell.idle)
        while cell.reply is None:
            message = self._client.get_shell_msg(timeout=PATIENCE)
            other = self.cells.get(message["parent_header"]["msg_id"])
            if other is not None:
                other.reply = message["content"]
        return cell

    def run(self, code: str, *, attended: bool = True) -> Cell:
        return self.finish(self.begin(code, attended=attended))

    def until(self, condition: Callable[[], object]) -> None:
        """Read what the kernel says until the condition holds."""
        while not condition():
            try:
                message = self._client.get_iopub_msg(timeout=PATIENCE)
            except Empty:
                said = [(cell.out, cell.err) for cell in self.cells.values()]
                raise AssertionError(f"the kernel said nothing more; it has said {said[-3:]}") from None
            parent = message["parent_header"].get("msg_id", "")
            self.cells.setdefault(parent, Cell(parent)).messages.append(message)

    def open(self, gate: str) -> None:
        """Wait until a task is at the gate, and let it through."""
        path = self._folder / f"{gate}.gate"
        with suppress(FileExistsError):
            os.mkfifo(path)
        path.open("w").close()

    def interrupt(self) -> None:
        """The notebook's Stop button."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """The notebook's Restart button."""
        self._client.stop_channels()
        self._manager.restart_kernel(now=False)
        self._connect()

    def end(self) -> int:
        """Ask the kernel to end, and do nothing more about it. Its exit code."""
        self._client.shutdown()
        provisioner: Any = self._manager.provisioner
        code: int = provisioner.process.wait(PATIENCE)
        return code

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


_NOT_FOR_KERNELS: Final = {"PYTEST_CURRENT_TEST", "PYTHONWARNINGS", "NBFLOW_URL"}


@contextmanager
def kernel_in(folder: Path) -> Iterator[Kernel]:
    """A kernel with this working directory, in which nbflow has been imported."""
    kernel = Kernel(folder)
    try:
        begun = kernel.run(PRELUDE)
        assert begun.status == "ok", begun.error
        yield kernel
    finally:
        kernel.close()
