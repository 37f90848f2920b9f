"""``nbflow server``: the API of one connection on a socket, with the words that its user needs."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from nbflow.client.connection import Connection, say
from nbflow.errors import NbflowError
from nbflow.server.app import for_local_names, make_app, signed_with
from nbflow.server.environment import url_of
from nbflow.server.keys import file_beside, keys_in
from nbflow.server.serve import is_loopback, listen, serve
from nbflow.service.arns import names_of
from nbflow.service.resuming import Resumer

LOOK: Final = 1.0
"""Seconds between two looks for executions that were interrupted."""


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
    ended = threading.Event()
    resuming = threading.Thread(target=_resume, args=(connection, ended), name="nbflow-resume", daemon=True)

    def begun() -> None:
        say(words)
        resuming.start()

    def ending() -> None:
        ended.set()
        connection.engine.workers.close()

    serve(app, listener, begun, ending)
    resuming.join()
    say("the server has ended")


def _resume(connection: Connection, ended: threading.Event) -> None:
    """Go on with what other processes have left, this server's predecessor among them, until it is to end."""
    resumer = Resumer(connection.service.desk)
    trouble = ""
    while True:
        try:
            resumed, reasons = resumer.look()
        except Exception as error:  # noqa: BLE001  # nobody else would look
            told, trouble = trouble, f"{type(error).__name__}: {error}"
            if trouble != told:
                say(f"{trouble} What was interrupted is looked for again")
        else:
            trouble = ""
            for row in resumed:
                if row.status == "RUNNING":
                    say(f"goes on with the interrupted execution {row.name}")
                else:  # it has ended, and its process had no time to stop what it had under way
                    say(f"tidies up after the execution {row.name}, which is {row.status}")
            for arn, reason in reasons.items():
                say(f"the interrupted execution {names_of(arn)[1]} cannot go on in this server: {reason}")
        if ended.wait(LOOK):
            return


def banner(url: str, store: str, keys: str, env: str) -> str:
    """What a user needs to know of a server."""
    return f"""Step Functions at {url}
  store {store}, {keys}
  clients in a shell: eval "$({env})", then aws stepfunctions list-state-machines, or any program that uses an AWS SDK
    (SDKs put sync- before the host's name for StartSyncExecution and TestState; these variables keep them from it)
  clients in Python: nbflow.boto3_client({url!r})
  Ctrl-C ends the server; the next one on this store goes on with what runs"""
