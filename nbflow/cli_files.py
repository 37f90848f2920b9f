"""What the shell runs: the flow or state machine that a file defines, be it ASL, Python or a notebook."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import typer

import nbflow as nf
from nbflow.tasks.importing import importable

Runnable: TypeAlias = "nf.StateMachine | nf.Flow[..., Any]"

CODE: Final = (".py", ".ipynb")
"""Files that define flows and state machines in Python."""


def function_in(text: str) -> Any:
    """The function or nf.task that ``MODULE:NAME`` or ``FILE.py:NAME`` names.

    Raises typer.BadParameter if there is none, and NbflowError if the module cannot be run.
    """
    place, _, name = text.rpartition(":")
    if not place:
        raise typer.BadParameter(f"{text!r} is written as MODULE:NAME or FILE.py:NAME", param_hint="FUNCTION")
    module = _load(Path(place), "FUNCTION") if place.endswith(".py") else _import(place)
    function = getattr(module, name, None)
    if not callable(function):
        what = "no function" if function is None else f"{name} as {function!r:.60}, and no function,"
        raise typer.BadParameter(f"{place} defines {what} {name!r}", param_hint="FUNCTION")
    return function


def _import(name: str) -> ModuleType:
    """Import a module, with the working directory importable, as ``python -m`` does."""
    importable(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except nf.NbflowError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
            raise typer.BadParameter(
                f"there is no module {name!r} here, nor installed; of a file, write FILE.py:NAME",
                param_hint="FUNCTION",
            ) from error
        raise nf.NbflowError(f"{name} cannot be imported:\n\n{_traceback(error)}") from error


def machine_in(file: str, tasks: Path | None, hint: str = "FILE") -> Runnable:
    """The flow or state machine of ``FILE`` or ``FILE:NAME``; ``tasks`` is a Python file with a definition's functions.

    ``hint``: where the command line has the file.

    Raises typer.BadParameter if the file has not exactly one, and NbflowError if it cannot be run.
    """
    path, _, wanted = file.partition(":")
    if not Path(path).is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint=hint)
    if path.endswith(CODE):
        if tasks is not None:
            raise typer.BadParameter("is for definitions; a Python file binds its own", param_hint="--tasks")
        return _chosen(_names_in(Path(path), wanted), path, wanted, hint)
    offered = {} if tasks is None else functions_in(tasks)
    from nbflow.client.machines import task_names

    named = task_names(Path(path))
    missing = sorted(named - offered.keys())
    if missing:
        lacks = f"{tasks} does not define" if tasks else "give a Python file that defines"
        raise typer.BadParameter(
            f"{path} names functions; {lacks} {', '.join(missing)}", param_hint="--tasks"
        )
    return nf.StateMachine(Path(path), tasks={name: offered[name] for name in named})


def _names_in(path: Path, wanted: str) -> dict[str, Any]:
    """What a Python file defines; of a notebook, what its cells define up to the machine that is wanted."""
    if path.suffix == ".py":
        return vars(_load(path))
    from nbflow.jupyter.notebooks import names_in

    return names_in(path, lambda names: bool(_machines(names, wanted)))


def _machines(names: Mapping[str, Any], wanted: str) -> dict[str, Runnable]:
    """The flows and state machines among the names; only the wanted one, by its variable or its name, if one is."""
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, nf.StateMachine | nf.Flow) and wanted in ("", name, value.name)
    }


def _chosen(names: Mapping[str, Any], path: str, wanted: str, hint: str) -> Runnable:
    """The one flow or state machine of a file, or the one that is wanted."""
    chosen = _machines(names, wanted)
    if len(set(map(id, chosen.values()))) == 1:
        return next(iter(chosen.values()))
    machines = _machines(names, "")
    what = f"no state machine {wanted!r}" if wanted else f"{len(machines) or 'no'} state machines"
    known = f": {', '.join(machines)}; pick one with {path}:NAME" if machines else ""
    raise typer.BadParameter(f"{path} defines {what}{known}", param_hint=hint)


def _load(path: Path, hint: str = "--tasks") -> ModuleType:
    """Run a Python file as a module, with its folder importable, as ``python FILE`` does."""
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint=hint)
    importable(str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise typer.BadParameter(f"{path} is no Python file", param_hint=hint)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except nf.NbflowError:
        raise
    except Exception as error:
        raise nf.NbflowError(f"{path} cannot be run:\n\n{_traceback(error)}") from error
    return module


def _traceback(error: Exception) -> str:
    """Without the frames of the import, which are ours."""
    formatted = traceback.TracebackException.from_exception(error)
    ours = (__file__, "<frozen importlib")
    formatted.stack = traceback.StackSummary.from_list(
        [frame for frame in formatted.stack if not frame.filename.startswith(ours)]
    )
    return "".join(formatted.format()).rstrip()


def functions_in(path: Path) -> dict[str, Any]:
    """What a Python file offers as tasks: its tasks, notebooks and functions, by name.

    Raises typer.BadParameter if there is no such file, and NbflowError if it cannot be run.
    """
    from nbflow.authoring.task import Notebook, Task

    module = _load(path)
    return {
        (value.name if isinstance(value, Task) else name): value
        for name, value in vars(module).items()
        if isinstance(value, Task | Notebook)
        or (
            callable(value)
            and getattr(value, "__module__", "") == module.__name__
            and not isinstance(value, type)
        )
    }
