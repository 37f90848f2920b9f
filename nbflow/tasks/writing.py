"""The results of a Distributed Map (ASL, "Writing Results"; AWS guide, "ResultWriter (Map)").

They are exported to files by status, beside a manifest that lists them, or, where a ResultWriter names no place,
become the output of the state. Children that did not succeed are described in full in either case.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.machine.context import timestamp
from nbflow.tasks import places
from nbflow.tasks.columns import Columns
from nbflow.tasks.parsing import decoded
from nbflow.tasks.places import S3, Unreadable, failing

WRITER_FAILED: Final = "States.ResultWriterFailed"

LARGEST_FILE: Final = 5 * 2**30
"""Bytes of a result file, and of what S3 takes in one request (AWS guide, "ResultWriter")."""

GROUPS: Final = {
    "SUCCEEDED": "SUCCEEDED",
    "FAILED": "FAILED",
    "TIMED_OUT": "FAILED",
    "ABORTED": "FAILED",
    "PENDING": "PENDING",
}
"""Which files a child's status goes to."""


class ChildResult(NamedTuple):
    """How one child execution of a Map Run ended, or that it was never started (PENDING)."""

    execution_arn: str
    name: str
    state_machine_arn: str
    status: str
    """A key of :data:`GROUPS`."""
    input: str
    """JSON text."""
    output: str | None = None
    """JSON text; None unless it succeeded."""
    error: str | None = None
    cause: str | None = None
    start: float | None = None
    """Seconds since the epoch; None if it never started."""
    stop: float | None = None
    redrives: int = 0
    """How often it was redriven."""


# --- as the output of the state


def transformed(results: Iterable[ChildResult], config: Json) -> Json:
    """The output of a Map state whose ResultWriter names no place: an array, by ``config`` (WriterConfig, or None).

    COMPACT, the default, gives the outputs, FLATTEN the elements of outputs that are arrays, NONE the descriptions of
    the children. A child that did not succeed is described always. OutputType has no effect: an output is JSON.

    Raises ItemsFailed (States.ResultWriterFailed): there is no such Transformation.
    """
    with failing(WRITER_FAILED, "ResultWriter"):
        rows = _rows_of(_setting(config, "Transformation", "COMPACT", ROWS))
        return [row for child in results for row in rows(child)]


def description(child: ChildResult) -> dict[str, Json]:
    """A child as AWS exports it (AWS guide, "ResultWriter": Transformation NONE). What is unknown is left out."""
    succeeded = child.status == "SUCCEEDED"
    described = {
        "ExecutionArn": child.execution_arn,
        "Input": child.input,
        "InputDetails": {"Included": True},
        "Name": child.name,
        "Output": child.output,
        "OutputDetails": {"Included": True},
        "Error": child.error,
        "Cause": child.cause,
        "RedriveCount": child.redrives,
        "RedriveStatus": _redrive_status(child),
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven" if succeeded else None,
        "StartDate": None if child.start is None else timestamp(child.start),
        "StateMachineArn": child.state_machine_arn,
        "Status": child.status,
        "StopDate": None if child.stop is None else timestamp(child.stop),
    }
    return {name: member for name, member in described.items() if member is not None}


def _redrive_status(child: ChildResult) -> str | None:
    """AWS API reference, "DescribeExecution": an Express child is only started again by its Map Run."""
    if child.status == "PENDING":
        return None
    if child.status == "SUCCEEDED":
        return "NOT_REDRIVABLE"
    return "REDRIVABLE_BY_MAP_RUN" if ":express:" in child.execution_arn else "REDRIVABLE"


def _flat(child: ChildResult) -> list[Json]:
    output = _output(child)
    return output if isinstance(output, list) else [output]


def _output(child: ChildResult) -> Json:
    return (
        None if child.output is None else decoded(child.output.encode("utf-8", "surrogatepass"), child.name)
    )


ROWS: Final[dict[str, Callable[[ChildResult], list[Json]]]] = {
    "NONE": lambda child: [description(child)],
    "COMPACT": lambda child: [_output(child)],
    "FLATTEN": _flat,
}
"""What a child that succeeded adds to the results, by Transformation."""


def _rows_of(transformation: str) -> Callable[[ChildResult], list[Json]]:
    rows = ROWS[transformation]
    return lambda child: rows(child) if child.status == "SUCCEEDED" else [description(child)]


def _setting(config: Json, field: str, default: str, known: Iterable[str]) -> str:
    value = config.get(field, default) if isinstance(config, dict) else default
    if not isinstance(value, str) or value not in known:
        raise Unreadable(f"{field} {compact(value)} is not one of {', '.join(known)}")
    return value


# --- as files


def write_results(
    parameters: Json,
    config: Json,
    map_run: str,
    results: Iterable[ChildResult],
    *,
    s3: Any = None,
    largest: int = LARGEST_FILE,
) -> Json:
    """Exports the results, and gives the output of the Map state: where its manifest lies.

    ``parameters`` (Parameters or Arguments) and ``config`` (WriterConfig, or None: NONE and JSON) are evaluated
    already. Instead of AWS's Bucket and Prefix, ``parameters`` may hold a ``Uri``: a local folder or any fsspec URL.
    ``map_run`` is the ARN of the Map Run, whose last part names the folder. ``s3`` is a boto3 client; by default one
    is made, by the ``AWS_*`` variables. ``largest`` is the size of a file in bytes, after which another begins.

    Results are taken one by one and written to the disk first; the manifest comes last. Raises ItemsFailed
    (States.ResultWriterFailed); then there may be files, and no manifest.
    """
    with failing(WRITER_FAILED, "ResultWriter"):
        rows = _rows_of(_setting(config, "Transformation", "NONE", ROWS))
        layout = LAYOUTS[_setting(config, "OutputType", "JSON", LAYOUTS)]
    target = target_of(parameters, map_run)
    with (
        failing(WRITER_FAILED, target.name),
        places.s3_access(s3) as client,
        tempfile.TemporaryDirectory(prefix="nbflow-results-") as drafts,
    ):
        groups = _drafted(Path(drafts), layout, largest, ((child.status, rows(child)) for child in results))
        manifest = Path(drafts, "manifest.json")
        manifest.write_text(compact(_manifest(target, map_run, groups)), encoding="utf-8")
        for draft in [*(path for group in groups.values() for path in group.paths), manifest]:
            target.put(draft, client)
    return exported(target, map_run)


def exported(target: "Target", map_run: str) -> Json:
    """The output of a Map state whose results lie there (AWS guide, "ResultWriter")."""
    return {"MapRunArn": map_run, "ResultWriterDetails": target.details("manifest.json")}


_CONTENT: Final = ("application/json", "application/vnd.apache.parquet")


class Target(NamedTuple):
    """The folder of one Map Run."""

    bucket: str | None
    """None: files under a path or URL."""
    folder: str
    """The prefix of the keys in the bucket, or the path or URL; no slash at its end."""

    @property
    def name(self) -> str:
        """For people."""
        return self.folder if self.bucket is None else f"{S3}{self.bucket}/{self.folder}"

    def place(self, name: str) -> str:
        """Where a file of this name lies: its key, or its path or URL."""
        return f"{self.folder}/{name}"

    def details(self, name: str) -> dict[str, Json]:
        """Where a file of this name lies, as AWS says it."""
        if self.bucket is None:
            return {"Uri": self.place(name)}
        return {"Bucket": self.bucket, "Key": self.place(name)}

    def put(self, draft: Path, s3: Callable[[], Any]) -> None:
        """Copies a file there, under its own name."""
        if self.bucket is not None:
            with draft.open("rb") as body:
                s3().put_object(
                    **self.details(draft.name), Body=body, ContentType=_CONTENT[draft.suffix == ".parquet"]
                )
            return
        system, root = places.filesystem(self.folder)
        system.makedirs(root, exist_ok=True)
        system.put_file(str(draft), f"{root}/{draft.name}")


def target_of(parameters: Json, map_run: str) -> Target:
    """Where a ResultWriter's parameters say that a run's results are to lie. Raises ItemsFailed."""
    with failing(WRITER_FAILED, "ResultWriter"):
        return _target(parameters if isinstance(parameters, dict) else {}, map_run.rpartition(":")[2])


def _target(parameters: dict[str, Json], run: str) -> Target:
    bucket, prefix, uri = (parameters.get(name) for name in ("Bucket", "Prefix", "Uri"))
    if bucket is None and isinstance(uri, str) and uri.startswith(S3):
        bucket, prefix = places.s3_address(uri)
    if bucket is not None:
        return Target(str(bucket), "/".join([str(prefix).rstrip("/"), run] if prefix else [run]))
    if not isinstance(uri, str) or not uri:
        raise Unreadable("the parameters name no place: give Bucket and Prefix, or Uri")
    return Target(None, f"{places.address(*places.filesystem(uri)).rstrip('/')}/{run}")


class Layout(NamedTuple):
    """How rows of JSON text make a file."""

    suffix: str
    start: bytes
    between: bytes
    end: bytes


LAYOUTS: Final[Mapping[str, Layout | None]] = {
    "JSON": Layout(".json", b"[", b",", b"]"),
    "JSONL": Layout(".jsonl", b"", b"\n", b"\n"),
    "PARQUET": None,
}
"""By OutputType; PARQUET is no text (:mod:`nbflow.tasks.columns`)."""


class _Group:
    """The result files of one status, on the disk, as text."""

    def __init__(self, name: str, folder: Path, layout: Layout, largest: int) -> None:
        self.paths: list[Path] = []
        self._name, self._folder, self._layout, self._largest = name, folder, layout, largest
        self._file: IO[bytes] | None = None
        self._size = 0

    def add(self, value: Json) -> None:
        """Appends a row, in another file if this one would become too large."""
        row = compact(value).encode("utf-8", "backslashreplace")
        if self._file and self._size + len(self._layout.between + row + self._layout.end) > self._largest:
            self.finish()
        if self._file is None:
            path = self._folder / f"{self._name}_{len(self.paths)}{self._layout.suffix}"
            self.paths.append(path)
            self._file = path.open("wb")
            self._size = self._file.write(self._layout.start + row)
        else:
            self._size += self._file.write(self._layout.between + row)

    def finish(self) -> None:
        """Ends the file, if one is open."""
        if self._file is not None:
            self._file.write(self._layout.end)
            self.close()

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _drafted(
    folder: Path, layout: Layout | None, largest: int, results: Iterable[tuple[str, list[Json]]]
) -> dict[str, _Group | Columns]:
    groups: dict[str, _Group | Columns] = {
        name: Columns(name, folder, largest) if layout is None else _Group(name, folder, layout, largest)
        for name in ("FAILED", "PENDING", "SUCCEEDED")
    }
    try:
        for status, rows in results:
            for row in rows:
                groups[GROUPS[status]].add(row)
        for group in groups.values():
            group.finish()
    finally:
        for group in groups.values():
            group.close()
    return groups


def _manifest(target: Target, map_run: str, groups: dict[str, _Group | Columns]) -> Json:
    """AWS guide, "ResultWriter": manifest.json."""
    where = (
        {"DestinationUri": target.folder} if target.bucket is None else {"DestinationBucket": target.bucket}
    )
    at = "Uri" if target.bucket is None else "Key"
    files = {
        name: [{at: target.place(path.name), "Size": path.stat().st_size} for path in group.paths]
        for name, group in groups.items()
    }
    return {**where, "MapRunArn": map_run, "ResultFiles": files}
