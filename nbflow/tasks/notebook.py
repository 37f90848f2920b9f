"""Notebook tasks: a notebook is run by papermill with the state's input as its parameters.

The executed copy is an artifact of the run, also when a cell fails. Parameters that are references arrive in the notebook
as live objects (a DataFrame as a DataFrame): the injected cell loads them from the shelf.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.artifacts.values import reference, references
from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.tasks.job import Code, Job


class CellFailed(Exception):
    """A cell of a notebook step raised an exception."""

    def __init__(self, error: str, message: str, traceback: list[str], executed: Artifact) -> None:
        super().__init__(message)
        self.error = error
        self.traceback = traceback
        self.executed = executed


def pin(path: Path, name: str) -> Code:
    """The notebook as it is now. Raises NbflowError if it is missing or is no notebook."""
    import nbformat

    try:
        content = path.read_bytes()
        nbformat.reads(content.decode(), as_version=4)
    except FileNotFoundError as error:
        raise NbflowError(f"task {name!r}: there is no notebook {path}") from error
    except (OSError, UnicodeDecodeError, nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise NbflowError(f"task {name!r}: {path} cannot be read as a notebook: {error}") from error
    return Code("notebook", name, hashlib.sha256(content).hexdigest(), content, path=str(path.resolve()))


def run(job: Job) -> tuple[dict[str, Json], list[Artifact]]:
    """Run the notebook; the result is ``{"notebook": reference of the executed copy}``.

    Raises CellFailed when a cell does.
    """
    import papermill

    parameters = job.arguments
    if not isinstance(parameters, dict):
        raise TypeError(f"notebook {job.code.name} takes its parameters from an object, not from {parameters!r:.60}")
    with tempfile.TemporaryDirectory(prefix="nbflow-") as folder:
        name = Path(job.code.path).name or f"{job.code.name}.ipynb"
        source, target = Path(folder) / "source.ipynb", Path(folder) / name
        source.write_text(json.dumps(_parametrised(job, parameters)), encoding="utf-8")
        try:
            papermill.execute_notebook(
                str(source),
                str(target),
                kernel_name="python3",
                cwd=_directory(job),
                progress_bar=False,
                log_output=False,
            )
        except papermill.PapermillExecutionError as error:
            executed = job.shelf.put_file(target, "notebook")
            message = (
                f"cell {error.cell_index + 1} of {name} raised {error.ename}: {error.evalue} — the executed copy, "
                f"up to that cell, is {job.shelf.path_of(executed)}"
            )
            raise CellFailed(error.ename, message, list(error.traceback), executed) from error
        executed = job.shelf.put_file(target, "notebook")
    return {"notebook": reference(executed)}, [executed]


def _directory(job: Job) -> str:
    """Beside the notebook, as in JupyterLab; in the starter's directory if that is gone."""
    beside = os.path.dirname(job.code.path)
    return beside if os.path.isdir(beside) else (job.directory or os.getcwd())


def _parametrised(job: Job, parameters: dict[str, Json]) -> dict[str, Any]:
    """The notebook with a cell of parameters after the one tagged ``parameters`` (papermill's convention)."""
    notebook: dict[str, Any] = json.loads(job.code.content)
    cells = notebook["cells"]
    tagged = [
        index for index, cell in enumerate(cells) if "parameters" in cell.get("metadata", {}).get("tags", [])
    ]
    source = "\n".join(["# Parameters", *_assignments(parameters, job.known, job.shelf)]) + "\n"
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "nbflow-parameters",
        "metadata": {"tags": ["injected-parameters"]},
        "outputs": [],
        "source": source,
    }
    if notebook.get("nbformat") == 4 and notebook.get("nbformat_minor", 0) < 5:
        del cell["id"]  # cells have ids since 4.5
    cells.insert(tagged[0] + 1 if tagged else 0, cell)
    return notebook


def _assignments(parameters: dict[str, Json], known: Mapping[str, Artifact], shelf: Shelf) -> list[str]:
    """Python lines that bind each parameter: JSON as a literal, what holds references loaded from the shelf."""
    lines: list[str] = []
    used = {sha: known[sha] for sha in sorted(references(parameters)) if sha in known}
    if used:
        lines += [
            "from nbflow.artifacts.shelf import Artifact as _Artifact, Shelf as _Shelf",
            "from nbflow.artifacts.values import unpack as _unpack",
            "_known = {",
            *(f"    {sha!r}: {_artifact_call(artifact)}," for sha, artifact in used.items()),
            "}",
            f"_shelf = _Shelf({shelf.url!r})",
        ]
    for name, value in parameters.items():
        if not name.isidentifier():
            raise TypeError(f"{name!r} is no Python name, so it cannot be a parameter of a notebook")
        loaded = any(sha in used for sha in references(value))
        lines.append(f"{name} = _unpack({value!r}, _known, _shelf)" if loaded else f"{name} = {value!r}")
    return lines


def _artifact_call(artifact: Artifact) -> str:
    """The artifact as an expression of the injected cell; the preview is not needed to load it."""
    fields = {
        name: getattr(artifact, name) for name in ("sha256", "kind", "bytes", "rows", "columns", "file")
    }
    return f"_Artifact({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
