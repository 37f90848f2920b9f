"""Flows that live in a notebook, for those who are not in it: the shell, a script, a test."""

import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbflow.errors import NbflowError
from nbflow.tasks.importing import importable
from nbflow.tasks.notebook import read


def names_in(path: Path, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Run the notebook's code cells, in their order, until ``done`` is content with the names that they have defined.

    What the later cells would do is not done: a notebook that defines a flow and then starts it can be asked for the
    flow. The cells run in the ``__main__`` module of this process, whose working directory becomes the notebook's
    folder, as a kernel's is; what they print goes to standard error. Raises NbflowError if the file is no notebook, or
    a cell fails.
    """
    _, notebook = read(path)
    folder = path.resolve().parent
    os.chdir(folder)
    importable(str(folder))
    shell = InteractiveShell.instance()
    if not sys.stderr.isatty():
        shell.colors = "nocolor"
    shell.run_line_magic("load_ext", "nbflow")
    names: dict[str, Any] = shell.user_ns
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for number, source in enumerate(cells, 1):
        with redirect_stdout(sys.stderr):
            ran = shell.run_cell(source, silent=True)
        if ran.error_before_exec or ran.error_in_exec:  # the shell has printed the traceback
            raise NbflowError(f"{path}: code cell {number} failed, as shown above")
        if done(names):
            break
    return names
