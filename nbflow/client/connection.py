"""``nf.connect``: which store, which artifacts, which cluster; and the connection that everything uses by default."""

import asyncio
import atexit
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import Future
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import Final

from nbflow.artifacts.shelf import Shelf
from nbflow.client.presentation import in_shell, presenter
from nbflow.engine.clock import SystemClock
from nbflow.engine.engine import Engine
from nbflow.errors import NbflowError
from nbflow.pools.cluster import Cluster
from nbflow.pools.dask import DaskPool
from nbflow.pools.threads import ThreadPool
from nbflow.service.arns import names_of
from nbflow.service.desk import Limits
from nbflow.service.service import Service
from nbflow.store.opening import shown
from nbflow.store.rows import ExecutionRow
from nbflow.store.sql import open_store

STORE_FOLDER: Final = ".nbflow"
_PROJECT_MARKS: Final = (".git", "pyproject.toml")

_POLL: Final = 0.2
"""Seconds between looks at an execution that another process may end: there is nothing here to be told by."""

INTERRUPTED: Final = 128 + 2
"""The exit code of a process that Ctrl-C ended (the shells' convention for SIGINT)."""


class StoppedWaiting(KeyboardInterrupt):
    """Ctrl-C while waiting for an execution: the waiting has ended, the execution has not.

    Where nobody catches it, its message stands in place of a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it."""
        return [str(self)]


class Connection:
    """A store, its artifacts, and the engine that runs executions on them. ``nf.connect`` makes one."""

    def __init__(
        self,
        url: str,
        artifacts: str | None = None,
        dask: str | None = None,
        limits: Limits = "local",
    ) -> None:
        self.url = shown(url)
        """Of the store, without a password: it is for people."""
        self.store = open_store(url)
        self.shelf = Shelf(artifacts or artifacts_beside(url))
        self.engine = Engine(
            self.store,
            self.shelf,
            ordinary=ThreadPool(),
            scattered=DaskPool(Cluster(dask, self._say)),
            clock=SystemClock(),
            chance=random.SystemRandom(),
        )
        self.service = Service(self.store, self.engine)
        self.service.limits = limits
        self.leaving = False
        """Do not wait at exit: Ctrl-C has been pressed, or a notebook's kernel ends."""
        self.exit_code = INTERRUPTED
        """The process's, if it leaves executions that run."""
        self.context = copy_context()
        """Where words from the engine's threads belong: in a notebook, under the cell that has last started a run."""
        self._closed = False
        self._mentioned: set[tuple[str, str | None]] = set()

    def _say(self, text: str) -> None:
        self.context.copy().run(say, text)  # a context of its own: two threads cannot be in one

    def row(self, arn: str) -> ExecutionRow:
        """What the store says of an execution now. Raises NbflowError if it is not there."""
        row = self.store.execution(arn)
        if row is None:
            raise NbflowError(f"execution {arn} is not in the store {self.url}")
        return row

    def wait(self, arn: str, timeout: float | None = None) -> None:
        """Wait until the execution has ended. Raises TimeoutError after ``timeout`` seconds.

        If it does not run in this process, a word says so, once. It may be ended by another process in any case
        (:meth:`Service.stop_execution`); so the store is looked at every now and then.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.row(arn).status == "RUNNING":
            left = _POLL if deadline is None else min(_POLL, deadline - time.monotonic())
            if left <= 0:
                raise TimeoutError(f"execution {names_of(arn)[1]} has not ended within {timeout} s")
            self._wait_a_little(arn, left)

    def _wait_a_little(self, arn: str, seconds: float) -> None:
        ended = self._end_of(arn)
        if ended is None:
            time.sleep(seconds)
            return
        try:
            ended.result(seconds)
        except TimeoutError:
            return  # look at the store
        except NbflowError:
            if self.row(arn).status == "RUNNING":  # otherwise another process has ended it
                raise

    def _end_of(self, arn: str) -> Future[None] | None:
        """What tells of the execution's end; None, and a word, if it does not run in this process."""
        if self._closed:
            name = names_of(arn)[1]
            raise NbflowError(
                f"execution {name} was left as last recorded: its connection is closed; "
                f"nf.execution({name!r}) is the same execution on the present connection"
            )
        ended = self.engine.ended(arn)
        if ended is None:
            self._mention(arn)
        return ended

    async def ended(self, arn: str) -> None:
        """:meth:`wait` for coroutines: the event loop goes on meanwhile."""
        heard: asyncio.Future[None] | None = None
        while self.row(arn).status == "RUNNING":
            if heard is not None and heard.done():
                heard = None  # it had ended, and has been redriven since
            if heard is None and (ended := self._end_of(arn)) is not None:
                heard = asyncio.wrap_future(ended)
            if heard is None:
                await asyncio.sleep(_POLL)
                continue
            await asyncio.wait({heard}, timeout=_POLL)  # whoever is cancelled here leaves ``ended`` alone
            error = heard.exception() if heard.done() else None
            if error is not None and self.row(arn).status == "RUNNING":
                raise error

    def _mention(self, arn: str) -> None:
        """Say who goes on with an execution that is not here; again, if that has changed."""
        row = self.row(arn)
        if row.status != "RUNNING" or row.owner == self.engine.id:  # it has just ended; or it is asleep here
            return
        keeper = self.service.keeper(row)
        if (arn, keeper) in self._mentioned:
            return
        self._mentioned.add((arn, keeper))
        if keeper is None:
            say(f"execution {row.name} is interrupted: {self.how_to_resume(row)}. Ctrl-C stops waiting")
        else:
            say(
                f"execution {row.name} is run by {keeper}; waiting for what that one records (Ctrl-C stops waiting)"
            )

    def how_to_resume(self, row: ExecutionRow) -> str:
        """Of an interrupted execution: what goes on with it, or what is missing here for that."""
        missing = self.service.why_not_here(row)
        if missing is None:
            command, call = f"nbflow resume {row.name}", f"nf.resume({row.name!r})"
            if in_shell():
                return f"{command} goes on with it (in Python: {call})"
            return f"{call} goes on with it (in a shell: {command})"
        return f"it cannot go on in this process: {missing}"

    def offer_to_resume(self) -> None:
        """Say which executions are interrupted, if any are."""
        rows = [row for row in self.service.interrupted() if row.status == "RUNNING"]
        if rows:
            names = _names([row.arn for row in rows])
            said = "1 execution is" if len(rows) == 1 else f"{len(rows)} executions are"
            them, chosen = ("it", "") if len(rows) == 1 else ("them", ", nf.resume(NAME) with one")
            say(
                f"{said} interrupted (the process has ended): {names}. nf.resume() goes on with {them}{chosen}; "
                "nbflow stop NAME ends one"
            )

    @property
    def closed(self) -> bool:
        """Whether it has been closed: nothing more is recorded by it."""
        return self._closed

    @property
    def running(self) -> list[str]:
        """The ARNs of the executions that were started here and have not ended, here or by another process."""
        return self.store.owned(self.engine.id)

    def wait_for_all(self) -> None:
        """Wait until nothing that was started here runs any more, and say which executions did not succeed."""
        for arn in self.running:
            self.wait(arn)
            row = self.row(arn)
            if row.status != "SUCCEEDED":
                say(
                    f"execution {row.name} {row.status}: {row.error or 'no error name'} (nbflow show {row.name})"
                )

    def close(self) -> None:
        """Stop the engine and give the store back. What runs is left as it was last recorded; a word names it."""
        running = self.running
        self._closed = True
        self.engine.close()
        self.store.close()
        if running:
            say(
                f"left as last recorded: {_names(running)} (nbflow resume NAME goes on, nbflow stop NAME ends it)"
            )


def say(text: str) -> None:
    """A visible word, where progress belongs: on standard error."""
    print(f"nbflow: {text}", file=sys.stderr, flush=True)  # noqa: T201


def _names(arns: list[str]) -> str:
    names = [names_of(arn)[1] for arn in arns[:5]]
    return ", ".join(names) + (f" and {len(arns) - 5} more" if len(arns) > 5 else "")


# --- the default connection

_current: Connection | None = None
_lock: Final = threading.RLock()


def connect(
    url: str | None = None,
    *,
    artifacts: str | Path | None = None,
    dask: str | None = None,
    limits: Limits = "local",
) -> Connection:
    """Choose where executions are remembered and where their tasks run; it becomes the default of this process.

    ``url``: ``sqlite:///PATH`` or ``postgresql+psycopg://USER:PASSWORD@HOST/DATABASE``; by default ``$NBFLOW_URL``,
    else ``.nbflow/nbflow.sqlite`` of this project.
    ``artifacts``: a folder or fsspec URL for DataFrames and other objects; by default ``artifacts`` beside SQLite's
    file, else in ``.nbflow`` of this project (machines that share a PostgreSQL store must share them, too).
    ``dask``: a scheduler's address; by default the active ``distributed.Client``, else a LocalCluster on first need.
    ``limits``: ``aws`` holds new executions to AWS's quotas (256 KiB for a payload, 25,000 events), with its errors.

    Raises StoreError if the store cannot be opened; the connection that there was stays.
    """
    global _current
    with _lock:
        url = url or os.environ.get("NBFLOW_URL") or _default_url()
        opened = Connection(url, None if artifacts is None else str(artifacts), dask, limits)
        disconnect()
        _current = opened
        _register_exit()
    presenter().connected(opened)
    return opened


def current() -> Connection:
    """The default connection, made on first need."""
    with _lock:
        return _current or connect()


def store_url() -> str:
    """The URL of the default connection's store; of the store that it would have, if there is none yet."""
    with _lock:
        present = _current
    return present.url if present else os.environ.get("NBFLOW_URL") or _url_in(store_folder(Path.cwd()))


def disconnect() -> None:
    """Close the default connection; the next use makes a new one."""
    global _current
    with _lock:
        closing, _current = _current, None
        if closing is not None:
            closing.close()


def store_folder(start: Path) -> Path:
    """Where the store lies: the nearest ``.nbflow`` upwards, else beside the nearest project mark, else here."""
    folders = (start, *start.parents)
    for folder in folders:
        if (folder / STORE_FOLDER).is_dir():
            return folder / STORE_FOLDER
    for folder in folders:
        if any((folder / mark).exists() for mark in _PROJECT_MARKS):
            return folder / STORE_FOLDER
    return start / STORE_FOLDER


def _default_url() -> str:
    return _url_in(made(store_folder(Path.cwd())))


def made(folder: Path) -> Path:
    """The folder; a ``.nbflow`` is made, and hidden from git, if it is not there."""
    if folder.name != STORE_FOLDER:
        return folder
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise NbflowError(
            f"the store's folder {folder} cannot be made: {error.strerror}; choose another with "
            "nf.connect('sqlite:///PATH'), --store or NBFLOW_URL"
        ) from error
    return folder


def _url_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'nbflow.sqlite'}"


def beside(url: str) -> Path:
    """The folder for what belongs to a store and is not in it: that of SQLite's file, or else the project's."""
    if not url.startswith("sqlite:"):
        return store_folder(Path.cwd())
    return Path(url.removeprefix("sqlite:///").partition("?")[0]).absolute().parent


def artifacts_beside(url: str) -> str:
    """Where the values lie that JSON cannot hold, if nobody says where."""
    return str(made(beside(url)) / "artifacts")


# --- the end of the process

_registered = False


def _register_exit() -> None:
    """At exit, wait for what was started here.

    Not ``atexit``: when its functions run, the thread pools have refused new work already. ``threading``'s own hooks
    run in reverse order, so that ours, registered after ``concurrent.futures`` has been imported, comes before that.
    """
    global _registered
    if _registered:
        return
    _registered = True
    import concurrent.futures.process  # noqa: F401  # registers a hook too, which it could not do any more at exit

    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, StoppedWaiting):
            say(str(error))
        else:
            before(kind, error, trace)
        if isinstance(error, KeyboardInterrupt) and _current is not None:  # wherever in the script it came
            _current.leaving = True

    sys.excepthook = hook


def _at_exit() -> None:
    connection = _current
    if connection is None:
        return
    running = connection.running
    try:
        if not presenter().waits_at_exit:
            connection.leaving = True
        if running and not connection.leaving:
            say(
                f"waiting for {len(running)} running execution(s): {_names(running)} (Ctrl-C leaves them as recorded)"
            )
            connection.wait_for_all()
    except KeyboardInterrupt:
        connection.leaving = True
    except NbflowError as error:
        say(str(error))
    # From now on, Ctrl-C is to end what takes so long, such as a cluster that closes.
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(connection.exit_code))
    try:
        disconnect()
        if running and connection.leaving:
            _end_now(connection.exit_code)
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def _end_now(code: int) -> None:
    end_process(code)


def end_process(code: int) -> None:
    """End this process without joining the threads of tasks that still run: they cannot be stopped."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
