"""``nbflow run``, ``redrive``, ``resume``, ``fork``: executions that go on in this process, seen to their ends."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

import nbflow as nf
from nbflow import cli_files as files
from nbflow.cli_options import Dask, Pool, Run, Scattered, Store, connect, console, print_json

if TYPE_CHECKING:
    from nbflow.language.values import Json

TERMINATED = 128 + 15
"""The exit code of a process that SIGTERM ended (the shells' convention)."""

MOST_SHOWN = 80
"""Characters of a wrong JSON text that are repeated."""


def run(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="FILE.asl.json, .yaml, .py or .ipynb; FILE.py:NAME picks one of its flows and state machines.",
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
    dask: Dask = None,
    pool: Pool = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the output only.")] = False,
    store: Store = None,
) -> None:
    """Run a state machine.

    Its progress is shown, then its output is printed as JSON. The exit code is 1 if it does not succeed. Ctrl-C ends
    the command and leaves the execution as last recorded; resume goes on with it.
    """
    value = _input(input, "--input")
    store = _absolute(store)  # a notebook's folder becomes the working directory
    machine = files.machine_in(file, tasks)
    if _says_where(store, dask, pool):  # otherwise what FILE.py has connected to stays
        connect(store, dask, pool)
    try:
        started = machine.start(value, execution_name=name)
    except TypeError as error:  # the input is not what a flow's function takes
        raise typer.BadParameter(str(error), param_hint="--input") from error
    _see_through(started, quiet)


def redrive(
    run: Run,
    flow: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="As for run: the FILE[:NAME] with its flow or state machine."
        ),
    ] = None,
    tasks: Annotated[
        Path | None, typer.Option(metavar="FILE.py", help="A Python file with the functions of its tasks.")
    ] = None,
    dask: Dask = None,
    pool: Pool = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the output only.")] = False,
    store: Store = None,
) -> None:
    """Go on with an execution that FAILED, TIMED_OUT or was ABORTED.

    What succeeded is not done again. It goes on in this process, with the functions of the files that are given, and is
    shown and ends as with run.
    """
    store = _absolute(store)
    machine = None if flow is None else files.machine_in(flow, tasks, "--from")
    functions = files.functions_in(tasks) if tasks is not None and machine is None else None
    _existing(store, dask, pool)
    _see_through(nf.execution(run).redrive(machine, tasks=functions), quiet)


def resume(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...", help="Names of executions, or ARNs. Default: all that are interrupted."
        ),
    ] = None,
    dask: Dask = None,
    pool: Pool = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the outputs only.")] = False,
    store: Store = None,
) -> None:
    """Go on with executions that were interrupted: whose process was killed, or ended before they had.

    They go on in this process, with the code of their tasks as recorded, and are shown and end as with run.
    """
    connection = connect(store, dask, pool, create=False)
    found = nf.resume(*(runs or []))
    if not found:
        typer.echo(f"no executions are interrupted in {connection.url}", err=True)
    failed = False
    for each in found:
        try:
            _see_through(each, quiet)
        except typer.Exit as ended:  # the others go on
            if ended.exit_code != 1:
                raise
            failed = True
    if failed:
        raise typer.Exit(1)


def fork(
    run: Run,
    at: Annotated[str, typer.Option(metavar="STATE", help="The state of the top level that it begins at.")],
    input: Annotated[
        str | None,
        typer.Option("--input", "-i", metavar="JSON", help="The state's input as JSON text, or @FILE."),
    ] = None,
    variables: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="An object: variables in place of the recorded ones, or @FILE."),
    ] = None,
    visit: Annotated[
        int, typer.Option(help="Which entry of the state, from 0; negative, from the last one.")
    ] = -1,
    flow: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="As for run: the FILE[:NAME] with what it is to go on with."
        ),
    ] = None,
    tasks: Annotated[
        Path | None, typer.Option(metavar="FILE.py", help="A Python file with the functions of its tasks.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The new execution's name. Default: a new one.")] = None,
    dask: Dask = None,
    pool: Pool = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the output only.")] = False,
    store: Store = None,
) -> None:
    """Start an execution that goes on from the middle of another one.

    It begins at a state that the other one has entered, with the input and the variables of then; on the definition of
    the file that is given, or the other's own. It is shown and ends as with run.
    """
    given: dict[str, Json] = {} if input is None else {"input": _input(input, "--input")}
    named = {} if variables is None else _input(variables, "--variables")
    if not isinstance(named, dict):
        raise typer.BadParameter("it is no JSON object", param_hint="--variables")
    store = _absolute(store)
    machine = None if flow is None else files.machine_in(flow, tasks, "--from")
    functions = files.functions_in(tasks) if tasks is not None and machine is None else None
    _existing(store, dask, pool)
    forked = nf.execution(run).fork(
        at,
        variables=named,
        definition=machine,
        tasks=functions,
        visit=visit,
        execution_name=name,
        **given,
    )
    _see_through(forked, quiet)


def _see_through(started: "nf.Execution", quiet: bool) -> None:
    """Show an execution to its end, and print its output."""
    from rich.markup import escape

    from nbflow.client import display
    from nbflow.client.progress import watch

    err = console(stderr=True)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if not quiet:
            origin = escape(f", {started.origin}" if started.origin else "")
            display.put(err, f"execution [bold]{started.name}[/] of {started.machine}{origin}")
            watch(started, err, redrive=started.redrives)
        started.wait()
    except KeyboardInterrupt as interrupt:
        connection = started.connection
        connection.leaving = True  # its word at the end names what is left
        if isinstance(interrupt, _Terminated):
            connection.exit_code = TERMINATED
        raise typer.Exit(connection.exit_code) from None
    if started.status != "SUCCEEDED":
        display.show_error(err, started.explain())
        display.put(err, f"\nlook closer with: nbflow show {started.name}")
        raise typer.Exit(1)
    print_json(started.output)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: it ends what Ctrl-C ends."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


# --- reading


def _input(text: str, option: str) -> "Json":
    from nbflow.service.parameters import read_json

    if text.startswith("@"):
        path = Path(text[1:])
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise typer.BadParameter(f"{path}: {reason}", param_hint=option) from error
    value, wrong = read_json(text)
    if wrong is not None:
        shown = text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
        raise typer.BadParameter(f"this is no JSON: {wrong} (it is {shown})", param_hint=option)
    return value


def _says_where(*options: str | None) -> bool:
    """Whether any of the options was given that make a connection."""
    return any(option is not None for option in options)


def _existing(store: str | None, dask: str | None, pool: Scattered | None) -> None:
    """Connect to a store that is there. Without these options, what a FILE.py has connected to stays."""
    from nbflow.client.connection import current

    if _says_where(store, dask, pool):
        connect(store, dask, pool, create=False)
    else:
        current(create=False)


def _absolute(store: str | None) -> str | None:
    """A store's URL that does not depend on the working directory."""
    path = (store or "").removeprefix("sqlite:///")
    return store if path in ("", store) else f"sqlite:///{Path(path).absolute()}"
