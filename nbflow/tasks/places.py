"""Where the items of a Map are read from and its results go: S3, or files under any URL that fsspec knows.

AWS has one front, S3, addressed by ``Bucket`` and ``Key`` or ``Prefix``. nbflow has a second one, ``Uri``: a local
path, a glob, or any fsspec URL. Both give the same :class:`Source`, so that parsers know neither.
"""

import io
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import cache, partial
from typing import IO, Any, Final, NamedTuple

from nbflow.errors import NbflowError
from nbflow.language.values import Json

S3: Final = "s3://"

_S3_PIECE: Final = 2**20
"""Bytes that one request brings, where an object is read at any place in it."""

NO_BOTO3: Final = "S3 needs boto3, which is not installed here: pip install nbflow[aws]"


class ItemsFailed(NbflowError):
    """Items cannot be read or batched, or results not written. For the engine: the Map state fails with it."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error, cause)
        self.error = error
        """The error name, such as ``States.ItemReaderFailed`` (ASL, "Appendix A: Predefined Error Codes")."""
        self.cause = cause
        """The sentence for people: what is wrong, and where."""

    def __str__(self) -> str:
        return f"{self.error}: {self.cause}"


class Unreadable(OSError):
    """There is content, or an address, but it is not what it should be. Becomes an ItemsFailed in :func:`failing`."""


class Source(NamedTuple):
    """One object or file, not yet opened."""

    name: str
    """Where it lies, for people: ``s3://bucket/key``, a path or a URL."""
    item: Json
    """What a listing says of it: the item itself, where a Map iterates over the listing."""
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    open_anywhere: Callable[[], AbstractContextManager[IO[bytes]]] | None = None
    """Opens it for reading at any place in it, where ``open`` gives a stream."""


def opened(source: Source) -> AbstractContextManager[IO[bytes]]:
    """The source, opened for reading from its begin to its end."""
    return source.open()


def opened_anywhere(source: Source) -> AbstractContextManager[IO[bytes]]:
    """The source, opened for reading at any place in it, if its file system can do that."""
    return source.open() if source.open_anywhere is None else source.open_anywhere()


@contextmanager
def failing(error: str, where: str) -> Iterator[None]:
    """Whatever a place can raise within becomes ItemsFailed, under this error name, with the place in its cause."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as raised:
        raise ItemsFailed(error, f"{where}: {_s3_says(raised.response)}") from raised
    except (BotoCoreError, OSError, EOFError, zlib.error, ImportError) as raised:
        raise ItemsFailed(error, f"{where}: {str(raised) or type(raised).__name__}") from raised


def _s3_says(response: Mapping[str, Json]) -> str:
    said, status = response.get("Error", {}), response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return f"{said.get('Message')} (Service: S3, Status Code: {status}, Error Code: {said.get('Code')})"


# --- S3


@contextmanager
def s3_access(given: Any = None) -> Iterator[Callable[[], Any]]:
    """A function that answers the boto3 client: the given one, or one of our own that is made when first asked for.

    Ours is configured by the usual ``AWS_*`` variables. Asking raises ImportError, which says what to install.
    """
    with ExitStack() as stack:

        @cache
        def client() -> Any:
            if given is not None:
                return given
            try:
                import boto3
            except ImportError as missing:
                raise ImportError(NO_BOTO3) from missing
            session = boto3.session.Session()  # the default session is not for threads
            return stack.enter_context(closing(session.client("s3")))

        yield client


def s3_address(uri: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``."""
    bucket, _, key = uri.removeprefix(S3).partition("/")
    return bucket, key


def s3_object(s3: Any, parameters: dict[str, Json]) -> Source:
    """An object; the parameters are those of S3's GetObject (Bucket, Key, VersionId, ExpectedBucketOwner, …)."""
    name = f"{S3}{parameters.get('Bucket')}/{parameters.get('Key', '')}"
    return Source(name, parameters, partial(_s3_body, s3, parameters), partial(_s3_file, s3, parameters))


def s3_listing(s3: Any, parameters: dict[str, Json]) -> Iterator[Source]:
    """The objects of a bucket, page by page; the parameters are those of ListObjectsV2 (Bucket, Prefix, …)."""
    bucket = parameters.get("Bucket")
    for page in s3.get_paginator("list_objects_v2").paginate(**parameters):
        for found in page.get("Contents", ()):
            yield s3_object(s3, {"Bucket": bucket, "Key": found["Key"]})._replace(item=_s3_item(found))


def s3_below(s3: Any, uri: str) -> Iterator[Source]:
    """The objects whose addresses begin so, or that a glob matches: items have the whole address as their Key."""
    from fsspec.utils import glob_translate  # what globs mean elsewhere

    bucket, key = s3_address(uri)
    prefix = re.split(r"[*?\[]", key, maxsplit=1)[0]
    matches = re.compile(glob_translate(key) if prefix != key else "").match
    for source in s3_listing(s3, {"Bucket": bucket, "Prefix": prefix}):
        found = s3_address(source.name)[1]
        if matches(found) or found == key:
            yield source._replace(item={**source.item, "Key": source.name})


def _s3_item(found: Mapping[str, Any]) -> Json:
    """As AWS spells it: ``Etag``, and whole seconds (AWS guide, "ItemReader": a list of Amazon S3 objects)."""
    return {
        "Etag": found["ETag"],
        "Key": found["Key"],
        "LastModified": int(found["LastModified"].timestamp()),
        "Size": found["Size"],
        "StorageClass": found.get("StorageClass", "STANDARD"),
    }


def _s3_body(s3: Any, parameters: dict[str, Json]) -> AbstractContextManager[IO[bytes]]:
    return closing(s3.get_object(**parameters)["Body"])


def _s3_file(s3: Any, parameters: dict[str, Json]) -> AbstractContextManager[IO[bytes]]:
    return closing(io.BufferedReader(_S3File(s3, parameters), _S3_PIECE))


class _S3File(io.RawIOBase):
    """An object, read in pieces from any place; one that is replaced meanwhile is not mixed with its successor."""

    def __init__(self, s3: Any, parameters: dict[str, Json]) -> None:
        head = s3.head_object(**parameters)
        self._get = partial(s3.get_object, **{**parameters, "IfMatch": head["ETag"]})
        self._size: int = head["ContentLength"]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        with closing(self._get(Range=f"bytes={self._at}-{self._at + wanted - 1}")["Body"]) as body:
            content = body.read()
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


# --- files


def located(parameters: Json, directory: str) -> Json:
    """The parameters of a reader or writer; a path as their ``Uri`` is relative to ``directory``, if there is one.

    So is the path of an SQLite file in the URL of a database.
    """
    uri = parameters.get("Uri") if isinstance(parameters, dict) else None
    if not isinstance(uri, str) or not uri or not directory or uri.startswith("~"):
        return parameters
    if "://" not in uri:
        return {**parameters, "Uri": os.path.join(directory, uri)}
    if relative := _SQLITE_FILE.match(uri):
        return {**parameters, "Uri": relative[1] + os.path.join(directory, uri[relative.end() :])}
    return parameters


_SQLITE_FILE: Final = re.compile(r"(sqlite(?:\+\w+)?:///)(?=[^/:?])(?!file:|[A-Za-z]:)")
"""How SQLAlchemy's URL of an SQLite file begins whose path is relative."""


def files(uri: str) -> Iterator[Source]:
    """The file at a path or URL, or those that a glob matches, by name. Raises OSError or ImportError."""
    system, path = filesystem(uri)
    if not _is_glob(system, path):
        yield _file(system, {"name": path})
        return
    yield from some(_in_order(system, system.glob(path, detail=True)))


def some(sources: Iterator[Source]) -> Iterator[Source]:
    """The sources that a glob matches. Raises Unreadable if there is none."""
    first = next(sources, None)
    if first is None:
        raise Unreadable("no file matches")
    yield first
    yield from sources


def files_below(uri: str) -> Iterator[Source]:
    """All files in a folder and below it, or those that a glob matches, by name. Raises OSError or ImportError."""
    system, path = filesystem(uri)
    if not _is_glob(system, path) and not system.exists(path):
        raise Unreadable("there is no such folder")
    found = system.glob(path, detail=True) if _is_glob(system, path) else system.find(path, detail=True)
    yield from _in_order(system, found)


def filesystem(uri: str) -> tuple[Any, str]:
    """fsspec's file system and path of a URL. Raises Unreadable, or ImportError (s3fs and the like)."""
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(uri)
    except ValueError as error:  # "Protocol not known"
        raise Unreadable(str(error)) from error
    return system, path


def address(system: Any, path: str) -> str:
    """Where people find it: the path of a local file, else the URL."""
    protocols = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
    return path if "file" in protocols else str(system.unstrip_protocol(path))


def _is_glob(system: Any, path: str) -> bool:
    return has_glob(path) and not system.exists(path)  # a file may be called "a[1].csv"


def has_glob(path: str) -> bool:
    """Whether there is a sign in it by which it may be a glob."""
    return any(sign in path for sign in "*?[")


def _in_order(system: Any, found: dict[str, dict[str, Any]]) -> Iterator[Source]:
    for _, about in sorted(found.items()):
        if about.get("type") != "directory":
            yield _file(system, about)


def _file(system: Any, about: dict[str, Any]) -> Source:
    name = address(system, about["name"])
    item = {"Key": name, "Size": about.get("size")}
    changed = about.get("mtime", about.get("LastModified"))
    if changed is not None:
        item["LastModified"] = int(changed.timestamp() if hasattr(changed, "timestamp") else changed)
    return Source(name, item, partial(system.open, about["name"], "rb"))
