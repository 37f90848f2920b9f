"""The shell's door: ``nbflow run``, ``list``, ``show``, ``stop``, ``resume``, ``redrive``, ``server`` and others.

What was asked for goes to standard output, everything else to standard error. Exit codes: 0; 1, it did not succeed or
could not be done; 2, the command line is wrong; 130 and 143, interrupted by SIGINT or SIGTERM. What a command needs is
imported when it runs, so that ``--help`` and mistakes are answered at once.
"""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import nbflow as nf
from nbflow import cli_files as files
from nbflow.cli_gc import gc
from nbflow.cli_options import Run, Store, console, print_json
from nbflow.cli_run import fork, redrive, resume, run
from nbflow.cli_server import env, server
from nbflow.cli_worker import worker
from nbflow.client.presentation import Shell, use

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="Step Functions for notebooks: run state machines, and look at what they did.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

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


for _going_on in (run, redrive, resume, fork):
    app.command()(_going_on)


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
        print_json(connection.service.list_executions(arn, status, limit, search=search))
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
        display.put(console(), display.runs(found))
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
            print_json({member: getattr(looked_at, member) for member in STEP_MEMBERS})
        else:
            display.show_step(console(), looked_at)
    elif as_json:
        print_json(connection.service.describe_execution(found.arn))
    else:
        display.show_execution(console(), found)


@app.command()
def logs(
    run: Run,
    step: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only of this state, and of what is in it."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the execution ends; Ctrl-C stops looking.")
    ] = False,
    store: Store = None,
) -> None:
    """Print what the tasks of an execution have printed.

    That is their standard output and error, logging and warnings, an attempt after the other, and of a Map Run that of
    its children. An attempt's text is recorded when it has ended (of EXPRESS children, when their Map has); what one
    prints while it runs is seen only where it runs, in the panel of its notebook.
    """
    nf.connect(store, create=False)
    found = nf.execution(run)
    from nbflow.client import display
    from nbflow.client import logs as recorded
    from nbflow.client.connection import INTERRUPTED

    out, printed = console(), False
    try:
        for log in recorded.logs(found, step, follow=follow):
            if printed:
                display.put(out)
            display.show_log(out, *log)
            printed = True
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not printed:
        typer.echo(f"nothing is recorded that execution {found.name} has printed", err=True)


@app.command()
def history(run: Run, as_json: AsJson = False, store: Store = None) -> None:
    """Print the events of an execution."""
    nf.connect(store, create=False)
    events = nf.execution(run).history()
    if as_json:
        print_json({"events": events})
        return
    from nbflow.client import display

    display.put(console(), display.events(events))


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


def _step(run: "nf.Execution", text: str) -> "nf.Step":
    """``NAME`` or ``NAME[3]``; a state's own name may end in brackets, too."""
    name, bracket, number = text.removesuffix("]").rpartition("[")
    is_item = bracket and text.endswith("]") and number.lstrip("-").isdecimal()
    entered = {visit.name for visit in run.trace.walk()}
    try:
        return run[name][int(number)] if is_item and text not in entered else run[text]
    except (KeyError, IndexError) as error:
        raise nf.NbflowError(str(error.args[0])) from error


if __name__ == "__main__":
    main()
