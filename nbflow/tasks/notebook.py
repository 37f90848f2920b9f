"""Notebook tasks: a notebook is run by papermill's engine with the state's input as its parameters.

The executed copy is an artifact of the run, also when a cell fails. Parameters that are references arrive in the
notebook as live objects (a DataFrame as a DataFrame): the injected cell loads them from the shelf.

The kernel is always the running interpreter, whatever the notebook's metadata or ``PATH`` say: the notebook sees the
packages that the other tasks see. What it writes to its own standard error (warnings, a crash) goes to a file, from
which a dead kernel's last words are quoted.

``papermill.execute_notebook`` itself is not called: it changes the working directory of the process, which belongs to
the other threads too. A notebook that is told to stop has its kernel killed, with whatever that has started.
"""

import hashlib
import json
import keyword
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import IO, Any, Final
from uuid import uuid4

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.artifacts.values import reference, references
from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.tasks.capture import fresh_context
from nbflow.tasks.job import Code, Job
from nbflow.tasks.stopping import stop_by


class CellFailed(Exception):
    """A notebook was not executed to its end; what there is of it has been kept."""

    def __init__(self, error: str, message: str, traceback: list[str], executed: Artifact) -> None:
        super().__init__(message)
        self.error = error
        self.traceback = traceback
        self.executed = executed


# --- where the execution is started


def pin(path: Path, name: str) -> Code:
    """The notebook as it is now. Raises NbflowError if it is missing, is no notebook, or is not in Python."""
    try:
        content, _ = read(path)
    except NbflowError as error:
        raise NbflowError(f"task {name!r}: {error}") from error
    return Code("notebook", name, hashlib.sha256(content).hexdigest(), content, path=str(path.resolve()))


def read(path: Path) -> tuple[bytes, Any]:
    """A file, and the notebook in it. Raises NbflowError if it is missing, is no notebook, or is not in Python."""
    import nbformat

    try:
        content = path.read_bytes()
        notebook = _parsed(content)
    except FileNotFoundError as error:
        raise NbflowError(f"there is no notebook {path.absolute()}") from error
    except (OSError, ValueError, nbformat.ValidationError) as error:
        what = str(error).partition("\n")[0]  # a ValidationError goes on with the whole schema
        raise NbflowError(f"{path} cannot be read as a notebook: {what}") from error
    language = notebook["metadata"].get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise NbflowError(f"{path} is written in {language}; nbflow runs Python")
    return content, notebook


def _parsed(content: bytes) -> Any:
    """A valid ``NotebookNode`` of nbformat 4.5. Raises ValueError or nbformat.ValidationError."""
    import nbformat

    text = content.decode()
    if not text.lstrip().startswith("{"):
        raise ValueError("it is no JSON object")
    notebook = nbformat.reader.reads(text)
    old = notebook.get("nbformat") != 4
    if old:
        notebook = nbformat.convert(notebook, 4)
    notebook.nbformat_minor = max(5, notebook.nbformat_minor)  # 4.5 is 4.4 and an id for each cell
    seen: set[str] = set()
    for number, cell in enumerate(notebook.get("cells", ())):
        if old or cell.get("id") in {None, *seen}:  # nbformat would make random ones, and warn
            cell["id"] = f"cell-{number}"
        seen.add(cell["id"])
    nbformat.validate(notebook)
    return notebook


# --- where it is run


def run(job: Job) -> tuple[dict[str, Json], list[Artifact]]:
    """Run the notebook; the result is ``{"notebook": reference of the executed copy}``.

    Raises CellFailed when a cell does, or when the kernel dies.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.execute import PapermillExecutionError, raise_for_execution_errors

    parameters = job.arguments
    if not isinstance(parameters, dict):
        raise TypeError(
            f"notebook {job.code.name} takes its parameters from an object, not from {parameters!r:.60}"
        )
    notebook = _parametrised(job, parameters)
    ids = [cell.id for cell in notebook.cells]
    with tempfile.TemporaryDirectory(prefix="nbflow-") as folder:
        target = Path(folder) / _name(job)
        try:
            with open(Path(folder) / "kernel.log", "w+b") as log:
                try:
                    fresh_context().run(_execute, notebook, _directory(job), log)
                except DeadKernelError as error:
                    raise _kernel_died(
                        job, notebook, _last_words(log), _kept(notebook, target, job)
                    ) from error
            raise_for_execution_errors(notebook, str(target))
        except PapermillExecutionError as error:
            place = _place(job, ids[error.cell_index])  # papermill has inserted its banners by now
            raise _cell_raised(job, error, place, job.shelf.put_file(target, "notebook")) from error
        executed = _kept(notebook, target, job)
    return {"notebook": reference(executed)}, [executed]


def _execute(notebook: Any, directory: str, log: IO[bytes]) -> None:
    """Fill in the notebook's outputs. A cell that raises is the last to be run, and is not raised here."""
    from jupyter_core.utils import ensure_event_loop
    from papermill.engines import papermill_engines

    loop = ensure_event_loop()  # the one that nbclient will find, and leave open
    try:
        papermill_engines.execute_notebook_with_engine(
            "nbclient",
            notebook,
            "python3",
            progress_bar=False,
            kernel_manager_class=_kernel_manager(log),
            resources={"metadata": {"path": directory}},  # nbclient's name for the kernel's working directory
            stdout_file=sys.stdout,  # what cells print is the step's log, too
            stderr_file=sys.stderr,
        )
    finally:
        stop_by(None)
        if not loop.is_running():
            loop.close()


def _kernel_manager(log: IO[bytes]) -> type[Any]:
    """The class by which nbclient starts the running interpreter as a kernel that writes to ``log``."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class Kernel(AsyncKernelManager):
        # Not looked up by name: a "python3" in the user's Jupyter folder may be another interpreter. Level 40 is ERROR:
        # ipykernel warns at each start that loopback TCP is not encrypted.
        kernel_spec = KernelSpec(**get_kernel_dict(["--IPKernelApp.log_level=40"]))

        async def start_kernel(self, *args: Any, **options: Any) -> None:  # type: ignore[override]  # theirs is, too
            await super().start_kernel(*args, stdout=log, stderr=log, **options)
            provisioner: Any = self.provisioner  # the local one, which has a process
            stop_by(partial(_kill, provisioner.process))

    return Kernel


def _kill(kernel: Popen[bytes]) -> None:
    """Kill a kernel, and what its cells have started: it leads a process group. nbclient finds it dead."""
    if kernel.poll() is None:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(kernel.pid, signal.SIGKILL)
            else:
                kernel.kill()


def _directory(job: Job) -> str:
    """Beside the notebook, as in JupyterLab; in the starter's directory if that is gone."""
    beside = os.path.dirname(job.code.path)
    return beside if os.path.isdir(beside) else (job.directory or os.getcwd())


def _kept(notebook: Any, target: Path, job: Job) -> Artifact:
    target.write_text(
        json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8", errors="backslashreplace"
    )
    return job.shelf.put_file(target, "notebook")


# --- what went wrong


def _cell_raised(job: Job, error: Any, place: str, executed: Artifact) -> CellFailed:
    message = f"{place} raised {error.ename}: {error.evalue} — {_copy(job, executed)}"
    return CellFailed(error.ename, message, [_ANSI.sub("", line) for line in error.traceback], executed)


_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
"""IPython colours its tracebacks."""


def _kernel_died(job: Job, notebook: Any, words: str, executed: Artifact) -> CellFailed:
    begun = [cell.id for cell in notebook.cells if cell.metadata.papermill["start_time"]]
    where = _place(job, begun[-1]) if begun else f"the start of {_name(job)}"
    message = f"the kernel died in {where} (killed by the system, out of memory, or os._exit) — {_copy(job, executed)}"
    return CellFailed("nbflow.KernelDied", f"{message}\n{words}".rstrip(), [], executed)


_LAST_WORDS: Final = 2_000


def _last_words(log: IO[bytes]) -> str:
    """The end of what the kernel wrote to its standard error, such as faulthandler's report."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LAST_WORDS))
    return log.read().decode("utf-8", "replace")


def _name(job: Job) -> str:
    return Path(job.code.path).name or job.code.name


def _place(job: Job, cell_id: str) -> str:
    """The cell as people count it, in their own notebook."""
    ids = [cell.id for cell in _parsed(job.code.content).cells]
    cell = f"cell {ids.index(cell_id) + 1}" if cell_id in ids else "the injected parameters cell"
    return f"{cell} of {_name(job)}"


def _copy(job: Job, executed: Artifact) -> str:
    return f"the executed copy, up to that cell, is {job.shelf.path_of(executed)}"


# --- parameters


_INJECTED: Final = "injected-parameters"


def _tags(cell: Any) -> list[str]:
    tags: list[str] = cell["metadata"].get("tags", [])
    return tags


def _parametrised(job: Job, parameters: dict[str, Json]) -> Any:
    """The notebook with a cell of parameters, ready for papermill's engine.

    The cell goes after the first that is tagged ``parameters`` (papermill's convention), else to the top. Of a notebook
    that is itself an executed copy, the former parameters and the banners of a failure are left out.
    """
    from nbformat import from_dict
    from papermill.execute import remove_error_markers

    notebook = remove_error_markers(_parsed(job.code.content))
    notebook.cells = [cell for cell in notebook.cells if _INJECTED not in _tags(cell)]
    source = "\n".join(["# Parameters", *_assignments(parameters, job.known, job.shelf)])
    injected: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": f"parameters-{uuid4().hex[:8]}",
        "metadata": {"tags": [_INJECTED]},
        "outputs": [],
        "source": source,
    }
    tagged = (at for at, cell in enumerate(notebook.cells) if "parameters" in _tags(cell))
    notebook.cells.insert(next(tagged, -1) + 1, from_dict(injected))
    notebook.metadata["papermill"] = from_dict({"parameters": parameters})
    return notebook


def _assignments(parameters: dict[str, Json], known: Mapping[str, Artifact], shelf: Shelf) -> list[str]:
    """Python lines that bind each parameter: JSON as a literal, what holds references loaded from the shelf."""
    lines: list[str] = []
    used = {sha: known[sha] for sha in sorted(references(parameters)) if sha in known}
    if used:
        lines += [
            "from nbflow.artifacts.shelf import Artifact as _nbflow_Artifact, Shelf as _nbflow_Shelf",
            "from nbflow.artifacts.values import unpack as _nbflow_unpack",
            "_nbflow_known = {",
            *(f"    {sha!r}: {_artifact_call(artifact)}," for sha, artifact in used.items()),
            "}",
            f"_nbflow_shelf = _nbflow_Shelf({shelf.url!r})",
        ]
    for name, value in parameters.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            raise TypeError(
                f"{name!r} is no Python name, so it cannot be a parameter of a notebook; rename it in the state's "
                "Parameters or Arguments"
            )
        loaded = not used.keys().isdisjoint(references(value))
        lines.append(
            f"{name} = _nbflow_unpack({value!r}, _nbflow_known, _nbflow_shelf)"
            if loaded
            else f"{name} = {value!r}"
        )
    return lines


def _artifact_call(artifact: Artifact) -> str:
    """The artifact as an expression of the injected cell; the preview is not needed to load it."""
    fields = {
        name: getattr(artifact, name) for name in ("sha256", "kind", "bytes", "rows", "columns", "file")
    }
    return f"_nbflow_Artifact({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
