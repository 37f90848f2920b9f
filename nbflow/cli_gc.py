"""``nbflow gc``."""

from contextlib import nullcontext
from typing import Annotated

import typer

import nbflow as nf
from nbflow.cli_options import Store


def gc(
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Executions that ended longer ago go: 12h, 30d, 4w.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Of each state machine, the N newest that have ended stay."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    artifacts: Annotated[
        bool | None,
        typer.Option(
            help="Collect artifacts, or not. Default: if the folder beside the store is surely its own."
        ),
    ] = None,
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="Make the database's file smaller; nobody may use it meanwhile.")
    ] = False,
    store: Store = None,
) -> None:
    """Delete old executions, and what no execution uses any more.

    Without --older-than and --keep no execution goes, only artifacts and code that none points to.
    """
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from nbflow.client.housekeeping import tidy

    connection = nf.connect(store, create=False)
    console = Console(stderr=True)
    shown = Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True)
    line = shown.add_task("looking for what is old")
    with shown if console.is_terminal else nullcontext():
        freed = tidy(
            connection,
            older_than,
            keep,
            dry_run=dry_run,
            artifacts=artifacts,
            vacuum=vacuum,
            progress=lambda what, count: shown.update(line, description=f"{count:,} {what} deleted"),
        )
    typer.echo(f"{'would free' if dry_run else 'freed'} {freed}")
    if older_than is None and keep is None:
        typer.echo("nbflow: give --older-than or --keep to delete executions, too", err=True)
    if freed.kept is not None and artifacts is None:
        typer.echo(
            f"nbflow: artifacts were left alone: {freed.kept}; --artifacts says that none does", err=True
        )
