"""What several commands have: options, and how they print."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

import nbflow as nf

if TYPE_CHECKING:
    from rich.console import Console

    from nbflow.client.connection import Connection
    from nbflow.language.values import Json

Given = TypeVar("Given")


class Scattered(StrEnum):
    """Where tasks run that have siblings: what is inside Map and Parallel."""

    DASK = "dask"
    THREADS = "threads"


def _one_of_both(context: typer.Context, option: typer.CallbackParam, value: Given) -> Given:
    """Of --dask and --pool, in the order in which they stand: the second one finds what the first one said."""
    given = {**context.params, option.name: value}
    if given.get("pool") == Scattered.THREADS and given.get("dask") is not None:
        raise typer.BadParameter(f"--pool threads uses no Dask: leave it out, or --dask {given['dask']}")
    return value


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
    typer.Option(
        metavar="ADDRESS",
        help="A Dask scheduler. Default: a LocalCluster on first need.",
        callback=_one_of_both,
    ),
]
Pool = Annotated[
    Scattered | None,
    typer.Option(
        help="Where tasks inside of Map and Parallel run: on Dask (the default), or, as all the others, on threads of"
        " this process, without Dask, whatever their on= says.",
        callback=_one_of_both,
    ),
]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="An execution's name, an unambiguous beginning of it, or its ARN."),
]


def connect(
    store: str | None,
    dask: str | None,
    pool: Scattered | None,
    *,
    limits: Literal["local", "aws"] = "local",
    create: bool = True,
) -> "Connection":
    """What these options mean, as :func:`nf.connect` takes it."""
    scattered: Literal["dask", "threads"] = "threads" if pool is Scattered.THREADS else "dask"
    return nf.connect(store, dask=dask, pool=scattered, limits=limits, create=create)


def console(stderr: bool = False) -> "Console":
    """Where commands print."""
    from rich.console import Console

    return Console(stderr=stderr)


def print_json(value: "Json") -> None:
    """Print a value as JSON, on standard output."""
    from nbflow.client.display import pretty

    typer.echo(pretty(value))
