"""What several commands have: options, and how they print."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nbflow.language.values import Json

Store = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The store, such as sqlite:///PATH or postgresql+psycopg://USER@HOST/DB."
        " Default: $NBFLOW_URL, else .nbflow/ of this project.",
    ),
]
Dask = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="A Dask scheduler. Default: a LocalCluster on first need."),
]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="An execution's name, an unambiguous beginning of it, or its ARN."),
]


def console(stderr: bool = False) -> "Console":
    """Where commands print."""
    from rich.console import Console

    return Console(stderr=stderr)


def print_json(value: "Json") -> None:
    """Print a value as JSON, on standard output."""
    from nbflow.client.display import pretty

    typer.echo(pretty(value))
