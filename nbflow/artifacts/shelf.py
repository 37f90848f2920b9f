"""The shelf: files named by the SHA-256 of their content, in a folder or under any URL that fsspec knows.

A value is written to a draft first, and the draft takes its name only when it is whole: a reader sees the
file or does not. What has a name never changes, so that nothing is ever locked and every process may put
and get.

Live objects of this process are handed out again without reading (:data:`live`), each time as a fresh value:
what one task does to its frame, no other task sees.
"""

import json
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import file_digest
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final
from uuid import uuid4

from nbflow.artifacts.formats import FORMATS, LARGEST, Description, Unfit, describe, versions, versions_of
from nbflow.errors import NbflowError
from nbflow.language.values import Json


class ShelfError(NbflowError):
    """An artifact cannot be written or loaded: says which, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A value on the shelf."""

    sha256: str
    """Of the file's content, in hex."""
    kind: str
    """A key of :data:`~nbflow.artifacts.formats.FORMATS`, or a kind of file such as ``notebook``."""
    bytes: int
    """The size of the file."""
    rows: int | None
    """Of a DataFrame, Series or array (its first dimension), also where it had to be pickled."""
    columns: int | None
    """Of a DataFrame or two-dimensional array."""
    file: str
    """Relative to the shelf."""
    preview: Json = field(default=None, compare=False)
    """For people, see :mod:`nbflow.artifacts.preview`; lies beside the artifact, not in the reference."""


@dataclass(slots=True)
class _Kept:
    value: Any
    size: int
    asked: float
    """When it was last asked for, on the monotonic clock."""
    seal: int | None = None
    """Of what has been lent: what it was then."""


class Cache:
    """What is kept of the values put or got last, up to a number of bytes. Safe among threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._largest = min(limit, LARGEST)
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock = Lock()

    def get(self, artifact: Artifact) -> Any:
        """What is kept of this artifact, to be handed out, or None. It is dropped if somebody has written to it."""
        key = (artifact.sha256, artifact.kind)
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            return None
        seal = FORMATS[artifact.kind].seal(kept.value)
        with self._lock:
            if kept.seal not in (None, seal):
                if self._kept.get(key) is kept:
                    self._drop(key)
                return None
            kept.seal, kept.asked = seal, time.monotonic()
            if key in self._kept:
                self._kept.move_to_end(key)
            return kept.value

    def keep(self, artifact: Artifact, value: Any, *, lent: bool = False) -> None:
        """Keeps it, and drops the oldest. What is too large is not kept; an array beyond LARGEST is not ours alone.

        ``lent``: it is handed out at once.
        """
        key, size = (artifact.sha256, artifact.kind), FORMATS[artifact.kind].size(value)
        seal = FORMATS[artifact.kind].seal(value) if lent else None
        with self._lock:
            largest = min(self._largest, LARGEST) if artifact.kind == "ndarray" else self._largest
            if key in self._kept or size > largest:
                return
            self._kept[key] = _Kept(value, size, time.monotonic(), seal)
            self._size += size
            self._fit()

    def resize(self, limit: int) -> None:
        """From now on up to this number of bytes, which one value may take all."""
        with self._lock:
            self._limit = self._largest = limit
            self._fit()

    def forget(self, before: float) -> None:
        """Drops what was last asked for before then, on the monotonic clock."""
        with self._lock:
            while self._kept and next(iter(self._kept.values())).asked < before:
                self._drop(next(iter(self._kept)))

    @property
    def is_empty(self) -> bool:
        return not self._kept

    def _fit(self) -> None:
        while self._size > self._limit:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, str]) -> None:
        self._size -= self._kept.pop(key).size


_ASIDE: Final = ".aside"
"""What the name of a file ends in while it is decided whether it goes."""

live: Final = Cache(256 * 2**20)
"""Of this process, for all shelves: a hash stands for its content wherever it lies."""


@dataclass(frozen=True)
class Shelf:
    """A folder, or a URL such as ``s3://bucket/artifacts``. Can be pickled; holds nothing open."""

    url: str

    def __post_init__(self) -> None:
        if self._is_local:  # absolute: a worker may have another working directory
            path = Path(self.url.removeprefix("file://")).absolute()
            object.__setattr__(self, "url", str(path))

    @property
    def _is_local(self) -> bool:
        return "://" not in self.url or self.url.startswith("file://")

    def put(self, value: object) -> Artifact:
        """Stores a value and keeps it live. ShelfError: it cannot be written; Unpicklable: in no format."""
        about = describe(value)
        with self._draft() as draft:
            try:
                kept = FORMATS[about.kind].write(value, str(draft))
            except Unfit:
                about = replace(about, kind="pickle")
                kept = FORMATS[about.kind].write(value, str(draft))
            artifact = _named(draft, about, FORMATS[about.kind].suffix)
            if about.kind == "pickle":
                self._note(artifact, json.dumps(versions(value)))
            self._install(draft, artifact.file)
        live.keep(artifact, kept)
        return artifact

    def put_file(self, path: str | Path, kind: str) -> Artifact:
        """Stores a copy of a file, such as an executed notebook. To :meth:`get` it is to get its path.

        ValueError for a kind that stands for a Python value: a file that somebody made must not be unpickled.
        """
        if kind in FORMATS:
            raise ValueError(f"{kind!r} is the kind of a value, not of a file")
        about = Description(kind, None, None, {"type": kind, "text": Path(path).name})
        with open(path, "rb") as source, self._draft() as draft:
            with draft.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            artifact = _named(draft, about, Path(path).suffix)
            self._install(draft, artifact.file)
        return artifact

    def get(self, artifact: Artifact) -> object:
        """The value, as a fresh object; for a file the path of it. ShelfError where it cannot be loaded."""
        if artifact.kind not in FORMATS:
            return self.path_of(artifact)
        layout = FORMATS[artifact.kind]
        kept = live.get(artifact)
        try:
            if kept is None:
                with self._open(artifact.file) as file:
                    kept = layout.read(file)
                live.keep(artifact, kept, lent=True)
            return layout.fresh(kept)
        except ShelfError:
            raise
        except Exception as error:  # unpickling runs anybody's code; each reader has errors of its own
            raise ShelfError(
                f"{self.path_of(artifact)} cannot be loaded ({type(error).__name__}: {error})."
                f"{self._then(artifact)}"
            ) from error

    @property
    def collectable(self) -> bool:
        """Whether :meth:`discard` works here: only a local file is taken away and put back in one piece."""
        return self._is_local

    def discard(self, file: str, before: float) -> int:
        """Delete a file that was last written before then, and the text beside it; the bytes that were freed.

        The file is put aside before its age is looked at. So whoever stores the same content at this moment either
        makes it young first, and it is put back; or finds none, and writes it anew.
        """
        freed = 0
        for name in (file, f"{file}.json"):
            target = Path(self.url) / name
            aside = target.with_name(f"{target.name}{_ASIDE}")
            try:
                target.replace(aside)
                found = aside.stat()
                if found.st_mtime >= before:
                    aside.replace(target)  # whatever has been written there meanwhile is the same
                    return freed
                aside.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ShelfError(
                    f"{target} cannot be deleted ({error}). Make the shelf writable; try again."
                ) from error
            freed += found.st_size
        return freed

    def old_files(self, before: float) -> Iterator[tuple[str, str, int]]:
        """Files that were last written before then: the hash in the name, the file, its bytes.

        What a process that was killed has left unfinished has no hash; what it has put aside is put back.
        """
        root = Path(self.url)
        for aside in list(root.glob(f"??/*{_ASIDE}")):
            with suppress(FileNotFoundError):
                aside.replace(aside.with_name(aside.name.removesuffix(_ASIDE)))
        for path in [*root.glob(".draft-*"), *root.glob("??/*")]:
            with suppress(FileNotFoundError):
                found = path.stat()
                if path.suffix != ".json" and found.st_mtime < before:
                    yield path.name.partition(".")[0], path.relative_to(root).as_posix(), found.st_size

    def open(self, artifact: Artifact) -> IO[bytes]:
        """The artifact's file, to be read in pieces. Raises ShelfError where there is none."""
        return self._open(artifact.file)

    def path_of(self, artifact: Artifact) -> str:
        """Where it lies: an absolute path, or a URL."""
        return f"{self.url}/{artifact.file}"

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """A path for a file in the making: on the shelf's own file system, where a rename is atomic."""
        folder = Path(self.url if self._is_local else tempfile.gettempdir())
        draft = folder / f".draft-{uuid4().hex}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            yield draft
        except OSError as error:
            raise ShelfError(
                f"The shelf {self.url} cannot be written ({error}). Make room or make it writable; try again."
            ) from error
        finally:
            with suppress(OSError):  # it has been renamed, or could not be made, which has just been said
                draft.unlink()

    def _install(self, draft: Path, file: str) -> None:
        """Gives the draft its name, unless a file has it: that is the same content, and becomes young."""
        if self._is_local:
            target = Path(self.url) / file
            target.parent.mkdir(exist_ok=True)
            try:  # to rename over it would make some file systems write to the disk at once
                os.utime(target)
            except FileNotFoundError:
                draft.replace(target)
            return
        remote, path = self._remote(file)
        if not remote.exists(path):
            remote.makedirs(path.rpartition("/")[0], exist_ok=True)
            remote.put_file(str(draft), path)  # an object store shows an object when it is whole

    def _open(self, file: str) -> IO[bytes]:
        try:
            if self._is_local:
                return open(Path(self.url) / file, "rb")
            remote, path = self._remote(file)
            opened: IO[bytes] = remote.open(path, "rb")
            return opened
        except FileNotFoundError as error:
            raise ShelfError(
                f"There is no {self.url}/{file}. It was deleted, or this process does not share the folder"
                " with the one that wrote it: then give artifacts=URL, with a URL that all of them reach."
            ) from error

    def _remote(self, file: str) -> tuple[Any, str]:
        """The file system of fsspec, and its path of a file."""
        import fsspec

        remote, root = fsspec.url_to_fs(self.url)
        return remote, f"{root}/{file}"

    def _note(self, artifact: Artifact, text: str) -> None:
        """Writes a text beside an artifact (before it, so that whoever sees the one sees the other)."""
        with self._draft() as draft:
            draft.write_text(text)
            self._install(draft, f"{artifact.file}.json")

    def _then(self, artifact: Artifact) -> str:
        """For the message of a pickle that does not load: which of the versions have changed since."""
        if artifact.kind != "pickle":
            return ""
        try:
            with self._open(f"{artifact.file}.json") as file:
                then = json.load(file)
        except ShelfError:
            return " The versions with which it was written are not known."
        now = versions_of(then)
        changed = [
            f"{name} {then[name]} (here {now.get(name)})" for name in then if then[name] != now.get(name)
        ]
        return f" It was written with {', '.join(changed)}." if changed else ""


def _named(draft: Path, about: Description, suffix: str) -> Artifact:
    """The artifact that a finished draft will be."""
    with draft.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    path = f"{sha256[:2]}/{sha256}{suffix}"
    return Artifact(sha256, about.kind, draft.stat().st_size, about.rows, about.columns, path, about.preview)
