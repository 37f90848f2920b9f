"""``nf.connect``: which store, which artifacts, which cluster; and the connection that everything uses by default."""

import asyncio
import atexit
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, TypeAlias, TypeVar, get_args

from nbflow.artifacts.shelf import Shelf
from nbflow.client.presentation import in_shell, presenter
from nbflow.engine.clock import SystemClock
from nbflow.engine.engine import Engine
from nbflow.engine.hearing import Hearing
from nbflow.errors import NbflowError
from nbflow.pools.cluster import Cluster
from nbflow.pools.dask import DaskPool
from nbflow.pools.threads import ThreadPool
from nbflow.service.arns import names_of
from nbflow.service.desk import Limits
from nbflow.service.service import Service
from nbflow.store.opening import shown
from nbflow.store.port import StoreError
from nbflow.store.rows import ExecutionRow
from nbflow.store.sql import open_store

STORE_FOLDER: Final = ".nbflow"
_PROJECT_MARKS: Final = (".git", "pyproject.toml")

_POLL: Final = 0.2
"""Seconds between looks at an execution that another process may end: there is nothing here to be told by."""

INTERRUPTED: Final = 128 + 2
"""The exit code of a process that Ctrl-C ended (the shells' convention for SIGINT)."""

_MOST_NAMES: Final = 5
"""Executions that a word names; of the others it says how many they are."""

Seen = TypeVar("Seen")
Scattered: TypeAlias = Literal["dask", "threads"]
"""Where tasks run that have siblings: what is inside Map and Parallel."""


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
        *,
        pool: Scattered = "dask",
        create: bool = True,
    ) -> None:
        self.url = shown(url)
        """Of the store, without a password: it is for people."""
        self.store = open_store(url, create=create)
        self.shelf = Shelf(artifacts or artifacts_beside(url))
        hearing = Hearing()
        threads = ThreadPool(hear=hearing.hear)
        on_dask = pool == "dask"
        self.engine = Engine(
            self.store,
            self.shelf,
            ordinary=threads,
            scattered=DaskPool(Cluster(dask, self._say), self._say, hearing.hear) if on_dask else threads,
            clock=SystemClock(),
            chance=random.SystemRandom(),
            hearing=hearing,
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
        self._troubled = False
        """Somebody who waits has been told that the store fails, and it has not answered since."""
        self._said = False
        """Whether it has been said what is left."""

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
        (:meth:`Service.stop_execution`); so the store is looked at every now and then. While the store fails, it is
        waited for too, with a word.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _POLL if deadline is None else min(_POLL, deadline - time.monotonic())
            try:
                if self.row(arn).status != "RUNNING":
                    return
                if left > 0:
                    self._wait_a_little(arn, left)
                self._troubled = False
            except StoreError as error:
                self._bear(error)
                time.sleep(max(left, 0))
            if left <= 0:
                raise TimeoutError(f"execution {names_of(arn)[1]} has not ended within {timeout} s")

    def patiently(self, look: Callable[[], Seen]) -> Seen:
        """What the store says to somebody who waits: while it fails, it is asked again, with one word."""
        while True:
            try:
                seen = look()
            except StoreError as error:
                self._bear(error)
                time.sleep(_POLL)
            else:
                self._troubled = False
                return seen

    def _bear(self, error: StoreError) -> None:
        """The store fails while somebody waits: say so, once. Raises the error if the connection is closed."""
        if self._closed:
            raise error
        if not self._troubled:
            self._troubled = True
            say(f"{error} It is waited for (Ctrl-C stops waiting)")

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
        while True:
            try:
                if self.row(arn).status != "RUNNING":
                    return
                if heard is not None and heard.done():
                    heard.result()  # raises why it does not go on here
                    heard = None  # it had ended, and has been redriven since
                if heard is None and (ended := self._end_of(arn)) is not None:
                    heard = asyncio.wrap_future(ended)
                self._troubled = False
            except StoreError as error:
                self._bear(error)
                await asyncio.sleep(_POLL)
                continue
            if heard is None:
                await asyncio.sleep(_POLL)
            else:
                await asyncio.wait({heard}, timeout=_POLL)  # whoever is cancelled here leaves ``ended`` alone

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
        """Say which executions are interrupted, if any are. A store that cannot tell now is no reason to fail."""
        try:
            count, arns = self.store.forsaken(self.engine.alive(), _MOST_NAMES)
        except StoreError as error:
            say(f"{error} Whether executions are interrupted is not known")
            return
        if count:
            said = "1 execution is" if count == 1 else f"{count:,} executions are"
            them, chosen = ("it", "") if count == 1 else ("them", ", nf.resume(NAME) with one")
            say(
                f"{said} interrupted (the process has ended): {_names(arns, count)}. nf.resume() goes on with "
                f"{them}{chosen}; nbflow stop NAME ends one"
            )

    @property
    def closed(self) -> bool:
        """Whether it has been closed: nothing more is recorded by it."""
        return self._closed

    @property
    def running(self) -> list[str]:
        """The ARNs of the executions that were started here and have not ended, here or by another process."""
        return self.store.owned(self.engine.id)

    @property
    def left(self) -> list[str]:
        """As ``running``; where the store cannot say that now, those of them that this process has in memory."""
        try:
            return self.running
        except StoreError:
            return self.engine.running

    def wait_for_all(self) -> None:
        """Wait until nothing that was started here runs any more, and say which executions did not succeed."""
        for arn in self.patiently(lambda: self.running):
            self.wait(arn)
            row = self.patiently(partial(self.row, arn))
            if row.status != "SUCCEEDED":
                say(
                    f"execution {row.name} {row.status}: {row.error or 'no error name'} (nbflow show {row.name})"
                )

    def say_what_is_left(self, left: list[str]) -> None:
        """A word about what runs and is left as it is: once."""
        if left and not self._said:
            self._said = True
            say(
                f"left as last recorded: {_names(left)} (nbflow resume NAME goes on, nbflow stop NAME ends it)"
            )

    def close(self) -> None:
        """Stop the engine and give the store back. What runs is left as it was last recorded; a word names it."""
        self.say_what_is_left(
            self.left
        )  # first: it may take long to end what runs, and Ctrl-C may cut that short
        self._closed = True
        try:
            self.engine.close()
        finally:
            self.store.close()


def say(text: str) -> None:
    """A visible word, where progress belongs: on standard error."""
    print(f"nbflow: {text}", file=sys.stderr, flush=True)  # noqa: T201


def _names(arns: list[str], count: int | None = None) -> str:
    """The first names, and how many more there are: of ``count``, if these are not all."""
    names = [names_of(arn)[1] for arn in arns[:_MOST_NAMES]]
    more = (len(arns) if count is None else count) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


# --- the default connection

_current: Connection | None = None
_lock: Final = threading.RLock()


def connect(
    url: str | None = None,
    *,
    artifacts: str | Path | None = None,
    dask: str | None = None,
    pool: Scattered = "dask",
    limits: Limits = "local",
    create: bool = True,
) -> Connection:
    """Choose where executions are remembered and where their tasks run; it becomes the default of this process.

    ``url``: ``sqlite:///PATH`` or ``postgresql+psycopg://USER:PASSWORD@HOST/DATABASE``; by default ``$NBFLOW_URL``,
    else ``.nbflow/nbflow.sqlite`` of this project.
    ``artifacts``: a folder or fsspec URL for DataFrames and other objects; by default ``artifacts`` beside SQLite's
    file, else in ``.nbflow`` of this project (machines that share a PostgreSQL store must share them, too).
    ``dask``: a scheduler's address; by default the active ``distributed.Client``, else a LocalCluster on first need.
    ``pool``: "dask", or "threads" for all tasks on threads of this process, whatever their ``on=`` says.
    ``limits``: ``aws`` holds new executions to AWS's quotas (256 KiB for a payload, 25,000 events), with its errors.
    ``create``: make the store if there is none; False is for whoever only looks for what is there.

    Raises NbflowError for another pool, or for a scheduler's address beside threads, and StoreError if the store cannot
    be opened; the connection that there was stays.
    """
    global _current
    _check_pool(pool, dask)
    with _lock:
        folder = store_folder(Path.cwd())
        url = url or os.environ.get("NBFLOW_URL") or _url_in(made(folder) if create else folder)
        shelf = None if artifacts is None else str(artifacts)
        opened = Connection(url, shelf, dask, limits, pool=pool, create=create)
        disconnect()
        _current = opened
        _register_exit()
    presenter().connected(opened)
    return opened


def _check_pool(pool: str, dask: str | None) -> None:
    if pool not in get_args(Scattered):
        raise NbflowError(f"nf.connect(pool=…) is 'dask' or 'threads', not {pool!r}")
    if pool == "threads" and dask is not None:
        raise NbflowError(f"nf.connect(pool='threads') uses no Dask: leave out dask={dask!r}, or the pool")


def current(*, create: bool = True) -> Connection:
    """The default connection, made on first need; ``create`` as of :func:`connect`."""
    with _lock:
        return _current or connect(create=create)


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
        ) from None
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
    try:
        if not presenter().waits_at_exit:
            connection.leaving = True
        if not connection.leaving and (running := connection.left):
            say(
                f"waiting for {len(running)} running execution(s): {_names(running)} (Ctrl-C leaves them as recorded)"
            )
            connection.wait_for_all()
    except KeyboardInterrupt:
        connection.leaving = True
    except NbflowError as error:
        say(str(error))

    def cut_short(*_: object) -> None:
        connection.say_what_is_left(connection.engine.running)
        os._exit(connection.exit_code)

    # From now on, Ctrl-C is to end what takes so long, such as a cluster that closes.
    before = signal.signal(signal.SIGINT, cut_short)
    try:
        ends_now = connection.leaving and bool(connection.left)
        disconnect()
        if ends_now:
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
