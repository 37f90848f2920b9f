"""``nbflow server``, and ``nbflow env``, which prints what clients need to find it."""

import os
import shlex
import signal
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import nbflow as nf
from nbflow import cli_files as files
from nbflow.cli_options import Dask, Pool, Store, connect

if TYPE_CHECKING:
    from nbflow.tasks.job import Code

HOST, PORT = "127.0.0.1", 8083
"""Where the server listens by default: on the port of AWS Step Functions Local."""

Host = Annotated[str, typer.Option(help="Where the server listens.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The server's port.")]


class Quotas(StrEnum):
    """Whose quotas hold for executions."""

    AWS = "aws"
    LOCAL = "local"


def server(
    host: Host = HOST,
    port: Port = PORT,
    tasks: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.py",
            help="A Python file with the functions that Lambda ARNs name; may be given several times.",
        ),
    ] = None,
    mock_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Scripted results: a MockConfigFile of Step Functions Local."),
    ] = None,
    limits: Annotated[
        Quotas,
        typer.Option(
            help="Whose quotas hold: AWS's (256 KiB for a payload, 25,000 events), or this machine's."
        ),
    ] = Quotas.AWS,
    s3_endpoint_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where S3 is, for the items of Distributed Maps; by default AWS's own."
        ),
    ] = None,
    no_auth: Annotated[
        bool,
        typer.Option("--no-auth", help="Ask nobody for keys; only for a server on this machine's loopback."),
    ] = False,
    retain: Annotated[
        str | None,
        typer.Option(
            metavar="AGE", help="Delete executions that ended longer ago, every hour: 90d (as AWS does)."
        ),
    ] = None,
    retain_count: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Of each state machine, keep the N newest that have ended."),
    ] = None,
    dask: Dask = None,
    pool: Pool = None,
    store: Store = None,
) -> None:
    """Serve the AWS Step Functions API over HTTP.

    Stock boto3, the AWS CLI and activity workers use it as they are, with what `nbflow env` prints. Ctrl-C ends it and
    leaves what runs as recorded.
    """
    from nbflow.client.connection import INTERRUPTED, end_process
    from nbflow.server import retention, start

    start.check_place(host, auth=not no_auth)
    retention.check(retain)
    functions = _functions(tasks or [])
    if s3_endpoint_url is not None:
        os.environ["AWS_ENDPOINT_URL_S3"] = s3_endpoint_url
    connection = connect(store, dask, pool, limits="aws" if limits is Quotas.AWS else "local")
    connection.service.functions = functions
    if mock_config is not None:
        from nbflow.testing.mock_config import read

        connection.service.mocks = read(mock_config)
    with retention.kept(connection, retain, retain_count):
        start.run(
            connection, host, port, auth=not no_auth, env=lambda bound: _env_command(host, bound, store)
        )
    left = bool(connection.running)
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # again: it ends what takes so long, too
    nf.disconnect()
    if left:
        end_process(0)


def env(host: Host = HOST, port: Port = PORT, store: Store = None) -> None:
    """Print the variables that lead AWS clients to the server: eval "$(nbflow env)"."""
    from nbflow.server.environment import exports, url_of
    from nbflow.server.keys import file_beside, keys_in

    typer.echo(exports(url_of(host, port), keys_in(file_beside(nf.connect(store).url))))


def _functions(paths: Sequence[Path]) -> "dict[str, Code]":
    """The code of all that these files offer as tasks, by name."""
    from nbflow.client.machines import pin
    from nbflow.tasks.function import NotPortable

    found: dict[str, Code] = {}
    for path in paths:
        for name, bound in files.functions_in(path).items():
            if name in found:
                raise typer.BadParameter(f"{path} defines {name!r} a second time", param_hint="--tasks")
            try:
                found[name] = pin(name, bound)
            except NotPortable as error:  # it may be a helper that no task names
                typer.echo(f"nbflow: {name} of {path} cannot be a task: {error}", err=True)
    return found


def _env_command(host: str, port: int, store: str | None) -> str:
    """The `nbflow env` for a server that was started with these options."""
    options = {"--host": (host, HOST), "--port": (str(port), str(PORT)), "--store": (store, None)}
    given = [part for name, (value, default) in options.items() if value != default for part in (name, value)]
    return shlex.join(["nbflow", "env", *(str(part) for part in given)])
