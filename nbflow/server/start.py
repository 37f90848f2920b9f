"""``nbflow server``: the API of one connection on a socket, with the words that its user needs."""

import logging
from collections.abc import Callable
from typing import Final

from nbflow.client.connection import Connection, say
from nbflow.errors import NbflowError
from nbflow.server.app import for_local_names, make_app, signed_with
from nbflow.server.environment import url_of
from nbflow.server.keys import file_beside, keys_in
from nbflow.server.serve import is_loopback, listen, serve

MOST_COUNTED: Final = 1000
"""More executions than these are not counted when a server starts."""


def check_place(host: str, *, auth: bool) -> None:
    """Raises NbflowError if a server without keys could be reached from other machines, or there is no such host."""
    if not auth and not is_loopback(host):
        raise NbflowError(
            f"--no-auth is for this machine alone, and {host} can be reached from others: leave out --no-auth, or "
            "listen on 127.0.0.1"
        )


def run(connection: Connection, host: str, port: int, *, auth: bool, env: Callable[[int], str]) -> None:
    """Answer for the connection's service until SIGINT or SIGTERM.

    ``env`` gives the command that prints the variables for clients, by the port. Raises NbflowError if the socket or
    the keys cannot be had.
    """
    check_place(host, auth=auth)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.WARNING)  # Dask's loggers have a level of their own
    file = file_beside(connection.url)
    gate = signed_with(keys_in(file)) if auth else for_local_names
    listener = listen(host, port)
    app = make_app(connection.service.call, gate)
    port = listener.getsockname()[1]  # port 0 is any free one
    asked = f"keys in {file}" if auth else "nobody is asked for keys (--no-auth)"
    words = banner(url_of(host, port), connection.url, asked, env(port))
    if not is_loopback(host):
        words += "\n  other machines can reach it; what is sent is signed, but not encrypted"
    waiting = connection.store.executions(status="RUNNING", limit=MOST_COUNTED, children=False)
    if waiting:
        words += f"\n  {left_over(len(waiting))}"
    serve(app, listener, begun=lambda: say(words), ending=connection.engine.workers.close)
    say("the server has ended")


def left_over(count: int) -> str:
    """What is said of executions that are RUNNING when a server starts: it does not run them."""
    some = f"{count} executions are" if count > 1 else "1 execution is"
    some = f"{count} or more executions are" if count == MOST_COUNTED else some
    return (
        f"{some} RUNNING in the store, and not by this server: if the process that ran them is gone, "
        "nbflow stop and nbflow redrive go on with one (nbflow list --status RUNNING)"
    )


def banner(url: str, store: str, keys: str, env: str) -> str:
    """What a user needs to know of a server."""
    return f"""Step Functions at {url}
  store {store}, {keys}
  clients in a shell: eval "$({env})", then aws stepfunctions list-state-machines, or any program that uses an AWS SDK
    (SDKs put sync- before the host's name for StartSyncExecution and TestState; these variables keep them from it)
  clients in Python: nbflow.boto3_client({url!r})
  Ctrl-C ends the server, and leaves what runs as recorded"""
