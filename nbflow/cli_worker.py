"""``nbflow worker``: a worker that runs until it is told to end."""

import signal
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

import nbflow as nf
from nbflow import cli_files as files

if TYPE_CHECKING:
    from nbflow.worker.worker import Worker


def worker(
    activity: Annotated[str, typer.Argument(metavar="ACTIVITY", help="The activity's name or ARN.")],
    function: Annotated[
        str, typer.Argument(metavar="FUNCTION", help="What does its tasks: MODULE:NAME, or FILE.py:NAME.")
    ],
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The server. Default: $AWS_ENDPOINT_URL_SFN, else the store itself."
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="How many tasks at once.")] = 1,
    create: Annotated[bool, typer.Option("--create", help="Make the activity if it is not there.")] = False,
    heartbeat: Annotated[
        float,
        typer.Option(min=0.1, metavar="SECONDS", help="At most a third of the state's HeartbeatSeconds."),
    ] = 5.0,
    name: Annotated[
        str | None, typer.Option(help="What histories call this worker. Default: host:pid.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Without a server: the store. Default: $NBFLOW_URL, else .nbflow/ of this project.",
        ),
    ] = None,
) -> None:
    """Do the tasks of an activity with a Python function.

    With a server, outbound HTTP is all that is needed: its URL, and the keys that `nbflow env` prints. Ctrl-C ends it
    when the tasks in hand are done.
    """
    from nbflow.worker.serve import open_worker

    called = files.function_in(function)
    if store is not None:
        nf.connect(store)
    made = open_worker(
        activity,
        called,
        url,
        create=create,
        concurrency=concurrency,
        heartbeat=heartbeat,
        name=name,
        verbose=True,
    )
    raise typer.Exit(run(made, function))


def run(worker: "Worker", function: str) -> int:
    """Work until SIGINT or SIGTERM, then finish what is in hand; a second signal leaves it. The exit code.

    ``function`` is what does the tasks, for people. Raises NbflowError if the work cannot begin. Only for the main
    thread, which hears the signals.
    """
    from nbflow.client.connection import INTERRUPTED, end_process, say

    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            worker.start()
            say(
                f"worker {worker.name} waits for tasks of {worker.activity or 'the activity'} {worker.place}\n"
                f"  {function} does them; Ctrl-C ends it when those in hand are done"
            )
            worker.wait()
        except KeyboardInterrupt:
            worker.stop(wait=False)
            if worker.busy:
                say(f"takes no more, and finishes {worker.busy} task(s); Ctrl-C again leaves them")
            worker.wait()
    except KeyboardInterrupt:
        say(
            f"leaves {worker.busy} task(s), which end by their timeouts or missed heartbeats; {worker.numbers}"
        )
        end_process(INTERRUPTED)
    except nf.NbflowError:
        if worker.error is None:
            raise
        return 1  # the worker has said why
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    say(f"the worker has ended: {worker.numbers}")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
