"""The shell's door: ``nbflow run``, ``list``, ``show``, ``history``, ``stop``, ``validate``.

What was asked for goes to standard output, everything else to standard error. Exit codes: 0; 1, it did not succeed or
could not be done; 2, the command line is wrong; 130, interrupted. What a command needs is imported when it runs, so
that ``--help`` and mistakes are answered at once.
"""

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

import nbflow as nf

if TYPE_CHECKING:
    from rich.console import Console

    from nbflow.language.values import Json

app = typer.Typer(
    help="Step Functions for notebooks: run state machines, and look at what they did.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Store = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The store, such as sqlite:///PATH. Default: $NBFLOW_URL, else .nbflow/ of this project.",
    ),
]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="An execution's name, an unambiguous beginning of it, or its ARN."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, in the AWS API's shapes.")]

STEP_MEMBERS = ("name", "type", "status", "input", "output", "error", "cause", "attempts", "log")
"""What ``show RUN STEP --json`` prints of a step."""


class Status(StrEnum):
    """What ``list`` can be filtered by."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    TIMED_OUT = "TIMED_OUT"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (by default the process's) and exit.

    An error that nbflow explains is one message and exit code 1, never a traceback.
    """
    try:
        app(arguments)
    except nf.NbflowError as error:
        print(f"nbflow: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nbflow {nf.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass  # --version is all that the commands share


@app.command()
def run(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="FILE.asl.json, FILE.yaml or FILE.py; FILE.py:NAME picks one of its state machines.",
        ),
    ],
    input: Annotated[
        str, typer.Option("--input", "-i", metavar="JSON", help="The input as JSON text, or @FILE.")
    ] = "{}",
    name: Annotated[str | None, typer.Option(help="The execution's name. Default: a new one.")] = None,
    tasks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.py", help="A Python file with the functions that the definition's Lambda ARNs name."
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler. Default: a LocalCluster on first need."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the output only.")] = False,
    store: Store = None,
) -> None:
    """Run a state machine.

    Its progress is shown, then its output is printed as JSON. The exit code is 1 if it does not succeed. Ctrl-C ends
    the command and leaves the execution as last recorded.
    """
    value = _input(input)
    machine = _machine(file, tasks)
    if store is not None or dask is not None:  # otherwise what FILE.py has connected to stays
        nf.connect(store, dask=dask)
    started = machine.start(value, execution_name=name)
    from nbflow.client import display
    from nbflow.client.progress import watch

    err = _console(stderr=True)
    try:
        if not quiet:
            display.put(err, f"execution [bold]{started.name}[/] of {started.machine}")
            watch(started, err)
        started.wait()
    except KeyboardInterrupt:
        started.connection.leaving = True  # its word at the end names what is left
        raise typer.Exit(130) from None
    if started.status != "SUCCEEDED":
        display.show_error(err, started.explain())
        display.put(err, f"\nlook closer with: nbflow show {started.name}")
        raise typer.Exit(1)
    _print_json(started.output)


@app.command("list")
def list_(
    machine: Annotated[str | None, typer.Option(metavar="NAME", help="Only this state machine's.")] = None,
    status: Annotated[
        Status | None, typer.Option(help="Only those in this status.", case_sensitive=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
    store: Store = None,
) -> None:
    """List executions, newest first."""
    connection = nf.connect(store)
    if as_json:
        from nbflow.service.arns import machine_arn

        arn = None if machine is None else machine_arn(machine)
        _print_json(connection.service.list_executions(arn, status, limit))
        return
    from nbflow.client import display

    found = nf.executions(machine, status, limit)
    if found:
        display.put(_console(), display.runs(found))
    else:
        which = f" in status {status.value}" if status else ""
        typer.echo(f"no executions{which} in {connection.url}", err=True)


@app.command()
def show(
    run: Run,
    step: Annotated[
        str | None, typer.Argument(metavar="STEP", help="A state's name, or NAME[3] for one item of a Map.")
    ] = None,
    as_json: AsJson = False,
    store: Store = None,
) -> None:
    """Show an execution, or one of its steps.

    Of an execution: its steps, input and output, or how it ended. Of a step: attempts, input, output, error, and what
    it printed.
    """
    connection = nf.connect(store)
    found = nf.execution(run)
    from nbflow.client import display

    if step is not None:
        looked_at = _step(found, step)
        if as_json:
            _print_json({member: getattr(looked_at, member) for member in STEP_MEMBERS})
        else:
            display.show_step(_console(), looked_at)
    elif as_json:
        _print_json(connection.service.describe_execution(found.arn))
    else:
        display.show_execution(_console(), found)


@app.command()
def history(run: Run, as_json: AsJson = False, store: Store = None) -> None:
    """Print the events of an execution."""
    nf.connect(store)
    events = nf.execution(run).history()
    if as_json:
        _print_json({"events": events})
        return
    from nbflow.client import display

    display.put(_console(), display.events(events))


@app.command()
def stop(
    run: Run,
    error: Annotated[str | None, typer.Option(help="The error name to record.")] = None,
    cause: Annotated[str | None, typer.Option(help="Why, in words.")] = None,
    store: Store = None,
) -> None:
    """End an execution that is RUNNING.

    It is ABORTED. So is one whose process was killed, and which therefore stays RUNNING for ever.
    """
    nf.connect(store)
    found = nf.execution(run)
    before = found.status
    found.stop(error, cause)
    typer.echo(f"{found.name} is {found.status}" + ("" if before == "RUNNING" else ", as before"), err=True)


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A definition: FILE.asl.json or FILE.yaml.")],
) -> None:
    """Check a definition.

    Every mistake is listed at once; the exit code is 1 if there is one.
    """
    from nbflow.client.machines import read_definition
    from nbflow.language.validate import diagnose

    found = diagnose(read_definition(file)[0])
    for diagnostic in found:
        typer.echo(f"{diagnostic.severity} {diagnostic}")
    errors = sum(diagnostic.severity == "ERROR" for diagnostic in found)
    typer.echo(f"{file}: {errors} error(s), {len(found) - errors} warning(s)")
    if errors:
        raise typer.Exit(1)


# --- reading


def _input(text: str) -> "Json":
    from nbflow.service.parameters import check_input

    if text.startswith("@"):
        path = Path(text[1:])
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise typer.BadParameter(f"{path}: {reason}", param_hint="--input") from error
    try:
        return check_input(text)
    except nf.ApiError as error:
        raise typer.BadParameter(str(error), param_hint="--input") from error


def _machine(file: str, tasks: Path | None) -> "nf.StateMachine":
    path, _, wanted = file.partition(":")
    if path.endswith(".ipynb"):
        raise typer.BadParameter(
            f"{path}: a notebook is no state machine; bind it as a task, nf.notebook({path!r}), or run its cells",
            param_hint="FILE",
        )
    if not Path(path).is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint="FILE")
    if path.endswith(".py"):
        if tasks is not None:
            raise typer.BadParameter("is for definitions; a Python file binds its own", param_hint="--tasks")
        return _defined_in(_load(Path(path)), path, wanted)
    offered = {} if tasks is None else _functions(_load(tasks))
    from nbflow.client.machines import task_names

    named = task_names(Path(path))
    missing = sorted(named - offered.keys())
    if missing:
        lacks = f"{tasks} does not define" if tasks else "give a Python file that defines"
        raise typer.BadParameter(
            f"{path} names functions; {lacks} {', '.join(missing)}", param_hint="--tasks"
        )
    return nf.StateMachine(Path(path), tasks={name: offered[name] for name in named})


def _defined_in(module: ModuleType, path: str, wanted: str) -> "nf.StateMachine":
    """The one state machine of a Python file, or the one that is wanted, by its variable or its name."""
    machines = {name: value for name, value in vars(module).items() if isinstance(value, nf.StateMachine)}
    chosen = {name: value for name, value in machines.items() if wanted in ("", name, value.name)}
    if len(set(map(id, chosen.values()))) == 1:
        return next(iter(chosen.values()))
    what = f"no state machine {wanted!r}" if wanted else f"{len(machines) or 'no'} state machines"
    known = f": {', '.join(machines)}; pick one with {path}:NAME" if machines else ""
    raise typer.BadParameter(f"{path} defines {what}{known}", param_hint="FILE")


def _load(path: Path) -> ModuleType:
    """Run a Python file as a module, with its folder importable, as ``python FILE`` does."""
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint="--tasks")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise typer.BadParameter(f"{path} is no Python file", param_hint="--tasks")
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


def _functions(module: ModuleType) -> dict[str, Any]:
    """What a file offers as tasks: its tasks, notebooks and functions, by name."""
    from nbflow.authoring.task import Notebook, Task

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


def _step(run: "nf.Execution", text: str) -> "nf.Step":
    """``NAME`` or ``NAME[3]``; a state's own name may end in brackets, too."""
    name, bracket, number = text.removesuffix("]").rpartition("[")
    is_item = bracket and text.endswith("]") and number.lstrip("-").isdecimal()
    entered = {visit.name for visit in run.trace.walk()}
    try:
        return run[name][int(number)] if is_item and text not in entered else run[text]
    except (KeyError, IndexError) as error:
        raise nf.NbflowError(str(error.args[0])) from error


# --- printing


def _console(stderr: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr)


def _print_json(value: "Json") -> None:
    from nbflow.client.display import pretty

    typer.echo(pretty(value))


if __name__ == "__main__":
    main()
