"""``nf.gc``: old executions go when it is asked for, and then what no history points to any more.

Why it is safe beside processes that run executions, in the order of what is done:

* An execution's row is looked at once more in the transaction that deletes it: nobody has redriven it meanwhile.
* An artifact's row goes only if no text of the store names it, and if it has not been touched for a day. Both are
  looked at in the transaction that deletes it; and who makes a value that exists touches its row in the transaction
  that records the result.
* Its file goes after the row, and only if it is a day old as well: who makes the value anew makes the file young
  before the result is recorded (:meth:`nbflow.artifacts.shelf.Shelf.discard`). If we are killed in between, a file
  without a row is left, and the next time takes it.
* What the items of a RUNNING Map Run make may be recorded only with its end: nothing that is younger than the oldest
  of these goes.

A reference that is nowhere but in a variable does not count as history: after a day it may lead nowhere.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Final

from nbflow.artifacts.shelf import Shelf
from nbflow.client.connection import Connection, artifacts_beside, current
from nbflow.errors import NbflowError
from nbflow.service.when import age
from nbflow.store.port import Store

SPARED: Final = 86400.0
"""Seconds: what is younger is not collected, whether it is used or not."""

_MAGIC: Final = b"SQLite format 3\0"
_SOME: Final = 200

Progress = Callable[[str, int], None]
"""Told of what is being deleted, and how many there were."""


@dataclass(frozen=True, slots=True)
class Freed:
    """What :func:`gc` has deleted, or would delete."""

    executions: int
    artifacts: int
    bytes: int
    """Of the artifacts' files. What is freed within the database is used again for what comes."""
    codes: int = 0
    kept: str | None = None
    """Why artifacts were left alone, if they were."""

    def __str__(self) -> str:
        counted = [
            f"{count:,} {name}{'' if count == 1 else 's'}"
            for count, name in ((self.executions, "execution"), (self.artifacts, "artifact"))
        ]
        return f"{' and '.join(counted)} ({_size(self.bytes)})"


def gc(
    older_than: str | timedelta | None = None,
    keep: int | None = None,
    *,
    dry_run: bool = False,
    artifacts: bool | None = None,
    vacuum: bool = False,
) -> Freed:
    """Delete old executions, then the artifacts and the code that no execution uses any more.

    ``older_than``: executions that ended longer ago go (``"30d"``). ``keep``: of each state machine so many of those
    that have ended stay, the newest. With both, what one of them says goes. Without either no execution goes.
    With an execution go its journal and logs, and the executions that it has started and waited for; whatever runs,
    or is waited for, stays.

    ``artifacts``: by default they are collected if the folder beside the store is surely its own. True says that no
    other store uses the folder that was given to ``connect``. They go when no execution names them, and nobody has
    made or passed them on for a day. ``vacuum``: make the database's file smaller; nobody else may use it meanwhile.
    ``dry_run``: only count; of the artifacts, those that are unused already.

    Raises NbflowError for what is no age or number, StoreError and ShelfError where something cannot be deleted: all
    that has been deleted before is gone, and the next time goes on.
    """
    return tidy(current(), older_than, keep, dry_run=dry_run, artifacts=artifacts, vacuum=vacuum)


def tidy(
    connection: Connection,
    older_than: str | timedelta | None,
    keep: int | None,
    *,
    dry_run: bool = False,
    artifacts: bool | None = None,
    vacuum: bool = False,
    progress: Progress = lambda what, count: None,
    rest: Callable[[float], None] = time.sleep,
    now: float | None = None,
) -> Freed:
    """:func:`gc` on a connection. ``rest`` is called between two transactions: others get their turn."""
    if keep is not None and keep < 0:
        raise NbflowError(f"keep={keep}: give how many executions of each state machine stay, 0 or more")
    now = time.time() if now is None else now
    before = None if older_than is None else now - age(older_than)
    store, shelf = connection.store, connection.shelf
    pages = store.disposable(before=before, keep=keep)
    if dry_run:
        executions = sum(map(store.family, chain(pages, store.orphans())))
    else:
        executions = sum(_disposed(store, pages, progress, rest, 0))
        while more := sum(_disposed(store, store.orphans(), progress, rest, executions)):
            executions += more
    kept = None if artifacts else _why_kept(connection)
    files = bytes = 0
    if kept is None and artifacts is not False:
        for size in _unused(store, shelf, now, forget=not dry_run):
            files, bytes = files + 1, bytes + size
            progress("artifacts", files)
    codes = 0 if dry_run else store.forget_codes()
    if vacuum and not dry_run:
        store.vacuum()
    return Freed(executions, files, bytes, codes, kept)


def _disposed(
    store: Store, pages: Iterable[list[int]], progress: Progress, rest: Callable[[float], None], count: int
) -> Iterator[int]:
    """How many executions each transaction has deleted. They take about half of the time; the other half is others'."""
    for ids in pages:
        while ids:
            begun = time.monotonic()
            done, deleted = store.dispose(ids)
            ids = ids[done:]
            count += deleted
            progress("executions", count)
            yield deleted
            rest(time.monotonic() - begun)


def _unused(store: Store, shelf: Shelf, now: float, *, forget: bool) -> Iterator[int]:
    """The bytes of each artifact that goes."""
    since = store.busy_since()
    before = now - SPARED if since is None else min(now - SPARED, since)
    for rows in store.unused_artifacts(before, forget=forget):
        back = store.artifacts([row.sha256 for row in rows]) if forget else {}
        for row in rows:
            if row.sha256 not in back:
                yield shelf.discard(row.file, before) if forget else row.bytes
    files = shelf.old_files(before)
    while some := list(islice(files, _SOME)):
        known = store.artifacts({sha256 for sha256, _, _ in some})
        for sha256, file, size in some:
            if sha256 not in known:
                yield shelf.discard(file, before) if forget else size


def _why_kept(connection: Connection) -> str | None:
    """Why the artifacts are not collected unless that is asked for; None: they are surely this store's alone."""
    if not connection.shelf.collectable:
        return f"{connection.shelf.url} is not a local folder"
    if connection.shelf != Shelf(artifacts_beside(connection.url)):
        return f"other stores may use {connection.shelf.url}, too"
    if not connection.url.startswith("sqlite:"):
        return f"other stores of this project may use {connection.shelf.url}, too"
    own = Path(connection.url.removeprefix("sqlite:///").partition("?")[0]).absolute()
    for path in own.parent.iterdir():
        if path != own and path.is_file() and not path.name.endswith(("-wal", "-shm")) and _is_database(path):
            return f"{path} may be a store that uses {connection.shelf.url}, too"
    return None


def _is_database(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
    return False


def _size(count: int) -> str:
    for unit, one in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= one:
            return f"{count / one:,.1f} {unit}"
    return f"{count} bytes"
