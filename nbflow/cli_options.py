"""Options that several commands have."""

from typing import Annotated

import typer

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
