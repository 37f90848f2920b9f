"""The shell's door: ``nbflow run``, ``list``, ``show``, ``stop``, ``resume``, ``redrive``, ``server`` and others.

What was asked for goes to standard output, everything else to standard error. Exit codes: 0; 1, it did not succeed or
could not be done; 2, the command line is wrong; 130 and 143, interrupted by SIGINT or SIGTERM. What a command needs is
imported when it runs, so that ``--help`` and mistakes are answered at once.
"""

import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

import nbflow as nf
from nbflow import files
from nbflow.cli_gc import gc
from nbflow.cli_options import Dask, Store
from nbflow.cli_server import env, server
from nbflow.cli_worker import worker
from nbflow.client.presentation import Shell, use

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

Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="An execution's name, an unambiguous beginning of it, or its ARN."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, in the AWS API's shapes.")]

TERMINATED = 128 + 15
"""The exit code of a process that SIGTERM ended (the shells' convention)."""

MOST_SHOWN = 80
"""Characters of a wrong JSON text that are repeated."""

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
    use(Shell())
    try:
        app(arguments)
    except nf.NbflowError as error:
        print(f"nbflow: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except SystemExit as ended:
        _leave_threads(ended)
        raise


def _leave_threads(ended: SystemExit) -> None:
    """End the process now if threads would hold it whose tasks were stopped, and which cannot be."""
    stopping = sys.modules.get("nbflow.tasks.stopping")  # not imported: then nothing has run
    if stopping is not None and stopping.some_linger():
        from nbflow.client.connection import end_process

        nf.disconnect()
        end_process(ended.code if isinstance(ended.code, int) else 0)


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
    if store is not None or dask is not None:  # otherwise what FILE.py has connected to stays
        nf.connect(store, dask=dask)
    try:
        started = machine.start(value, execution_name=name)
    except TypeError as error:  # the input is not what a flow's function takes
        raise typer.BadParameter(str(error), param_hint="--input") from error
    _see_through(started, quiet)


@app.command()
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
    _existing(store, dask)
    _see_through(nf.execution(run).redrive(machine, tasks=functions), quiet)


@app.command()
def resume(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...", help="Names of executions, or ARNs. Default: all that are interrupted."
        ),
    ] = None,
    dask: Dask = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the outputs only.")] = False,
    store: Store = None,
) -> None:
    """Go on with executions that were interrupted: whose process was killed, or ended before they had.

    They go on in this process, with the code of their tasks as recorded, and are shown and end as with run.
    """
    connection = nf.connect(store, dask=dask, create=False)
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


@app.command()
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
    _existing(store, dask)
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

    err = _console(stderr=True)
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
    _print_json(started.output)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: it ends what Ctrl-C ends."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _status(text: str) -> Status:
    try:
        return Status(text.upper())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(Status)}") from None


@app.command("list")
def list_(
    machine: Annotated[str | None, typer.Option(metavar="NAME", help="Only this state machine's.")] = None,
    status: Annotated[
        Status | None,
        typer.Option(help="Only those in this status.", metavar="|".join(Status), parser=_status),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Only those whose data is so, such as \"$.input.region = 'eu' and $.output.total > 10\".",
        ),
    ] = None,
    name_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Only those whose name begins with this.")
    ] = "",
    started_after: Annotated[
        str | None, typer.Option(metavar="TIME", help="2026-01-31, 2026-01-31T12:00 (UTC), or an age: 2h.")
    ] = None,
    started_before: Annotated[
        str | None, typer.Option(metavar="TIME", help="The same; these have started earlier.")
    ] = None,
    as_json: AsJson = False,
    store: Store = None,
) -> None:
    """List executions, newest first."""
    connection = nf.connect(store, create=False)
    if as_json:
        from nbflow.client.listing import searched
        from nbflow.service.arns import machine_arn

        arn = None if machine is None else machine_arn(machine)
        search = searched(where, name_prefix, started_after, started_before)
        _print_json(connection.service.list_executions(arn, status, limit, search=search))
        return
    from nbflow.client import display

    found = nf.executions(
        machine,
        status,
        limit,
        where=where,
        name_prefix=name_prefix,
        started_after=started_after,
        started_before=started_before,
    )
    if found:
        display.put(_console(), display.runs(found))
    else:
        none = "no executions" + (f" in status {status.value}" if status else "")
        if where or name_prefix or started_after or started_before:
            none = "no execution fits these filters"
        typer.echo(f"{none} in {connection.url}", err=True)


@app.command()
def show(
    run: Run,
    step: Annotated[
        str | None, typer.Argument(metavar="STEP", help="A state's name, or NAME[3] for one item of a Map.")
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Of a step: print the function that does it, as it was then.")
    ] = False,
    as_json: AsJson = False,
    store: Store = None,
) -> None:
    """Show an execution, or one of its steps.

    Of an execution: its steps, input and output, or how it ended. Of a step: attempts, input, output, error, and what
    it printed.
    """
    connection = nf.connect(store, create=False)
    found = nf.execution(run)
    from nbflow.client import display

    if step is not None:
        looked_at = _step(found, step)
        if source:
            if looked_at.source is None:
                raise nf.NbflowError(f"step {looked_at.label} has no function whose text is known")
            typer.echo(looked_at.source, nl=False)
        elif as_json:
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
    nf.connect(store, create=False)
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

    It is ABORTED, and what it has under way, in whichever process, is told to stop. So is one whose process was killed.
    redrive goes on with it nevertheless.
    """
    nf.connect(store, create=False)
    found = nf.execution(run)
    before = found.status
    found.stop(error, cause)
    typer.echo(f"{found.name} is {found.status}" + ("" if before == "RUNNING" else ", as before"), err=True)


@app.command()
def validate(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="As for run: FILE.asl.json, .yaml, .py[:NAME] or .ipynb[:NAME]."),
    ],
) -> None:
    """Check a definition.

    Every mistake is listed at once; the exit code is 1 if there is one.
    """
    from nbflow.client.machines import read_definition
    from nbflow.language.validate import diagnose

    is_code = file.partition(":")[0].endswith(files.CODE)
    found = diagnose(files.machine_in(file, None).definition if is_code else read_definition(Path(file))[0])
    for diagnostic in found:
        typer.echo(f"{diagnostic.severity} {diagnostic}")
    errors = sum(diagnostic.severity == "ERROR" for diagnostic in found)
    typer.echo(f"{file}: {errors} error(s), {len(found) - errors} warning(s)")
    if errors:
        raise typer.Exit(1)


for command in (server, env, worker, gc):
    app.command()(command)


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


def _existing(store: str | None, dask: str | None) -> None:
    """Connect to a store that is there. Without these options, what a FILE.py has connected to stays."""
    from nbflow.client.connection import current

    if store is not None or dask is not None:
        nf.connect(store, dask=dask, create=False)
    else:
        current(create=False)


def _absolute(store: str | None) -> str | None:
    """A store's URL that does not depend on the working directory."""
    path = (store or "").removeprefix("sqlite:///")
    return store if path in ("", store) else f"sqlite:///{Path(path).absolute()}"


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
