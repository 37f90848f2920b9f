"""Rows of JSON as Parquet files: OutputType PARQUET, which is nbflow's own (AWS writes JSON and JSONL).

The schema of a file comes before its rows, and is known after the last one. So rows go to the disk as text first, while
their shape is taken in; then they are written, a bounded number at a time.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.tasks.parsing import decoded
from nbflow.tasks.places import Unreadable

_ROWS: Final = 10_000
"""Rows in a row group at most …"""
_TEXT: Final = 8 * 2**20
"""… and bytes of their JSON, unless a single one has more."""

_EXACT: Final = 2**53
"""Up to this, a double holds every whole number."""

_JSON: Final = "return values of one shape, or write JSONL"


class Columns:
    """The rows of one status, which become files of Parquet."""

    def __init__(self, name: str, folder: Path, largest: int) -> None:
        self.paths: list[Path] = []
        self._name, self._folder, self._largest = name, folder, largest
        self._shape = _Shape()
        self._rows = 0
        self._text: IO[bytes] | None = None

    def add(self, row: Json) -> None:
        """Takes a row in. Raises Unreadable, which says what is wrong with which row."""
        self._rows += 1
        if not isinstance(row, dict):
            found = _WORDS[_KINDS[type(row)]]
            raise Unreadable(
                f"row {self._rows} is {found}, and Parquet has columns: return objects, or write JSONL"
            )
        try:
            self._shape.take(row)
            text = compact(row).encode()
        except _Unfit as unfit:
            raise Unreadable(f"row {self._rows}: {unfit}: {_JSON}") from None
        except UnicodeEncodeError as error:
            raise Unreadable(f"row {self._rows} holds a text that is no Unicode: {error.reason}") from error
        if self._text is None:
            path = self._folder / f"{self._name}.rows"
            self._text = path.open("w+b")
        self._text.write(text + b"\n")

    def finish(self) -> None:
        """Writes the files. Raises Unreadable."""
        if self._text is None:
            return
        import pyarrow
        import pyarrow.parquet

        try:
            row_type = self._shape.arrow()
        except _Unfit as unfit:
            raise Unreadable(f"{unfit}: {_JSON}") from None
        schema = pyarrow.schema(row_type)
        self._text.seek(0)
        writer: Any = None
        try:
            for texts, size in _grouped(self._text, min(_TEXT, self._largest)):
                if writer is not None and self.paths[-1].stat().st_size + size > self._largest:
                    writer.close()
                    writer = None
                if writer is None:
                    self.paths.append(self._folder / f"{self._name}_{len(self.paths)}.parquet")
                    writer = pyarrow.parquet.ParquetWriter(str(self.paths[-1]), schema)
                rows = pyarrow.array([decoded(text, "a row") for text in texts], row_type)
                writer.write_table(pyarrow.Table.from_struct_array(rows))
        finally:
            if writer is not None:
                writer.close()

    def close(self) -> None:
        """Lets go of what is on the disk."""
        if self._text is not None:
            self._text.close()
            self._text = None


def _grouped(lines: IO[bytes], most: int) -> Iterator[tuple[list[bytes], int]]:
    """The lines, as many at a time as make a row group, and how long they are."""
    group: list[bytes] = []
    size = 0
    for line in lines:
        if group and (len(group) == _ROWS or size + len(line) > most):
            yield group, size
            group, size = [], 0
        group.append(line)
        size += len(line)
    yield group, size


# --- the shape of rows

_KINDS: Final[dict[type, str]] = {
    bool: "boolean",
    int: "int",
    float: "float",
    str: "string",
    list: "list",
    dict: "object",
    type(None): "null",
}
_WORDS: Final = {
    "boolean": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "list": "a list",
    "object": "an object",
    "null": "null",
}


class _Unfit(Exception):
    """There is no type for what is at a place in a row."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why
        self.path: list[str] = []
        """The names on the way to it, the last one first."""

    def __str__(self) -> str:
        return f"column {'.'.join(reversed(self.path))} {self.why}" if self.path else f"the row {self.why}"


class _Shape:
    """What is known of the values at one place in the rows."""

    __slots__ = ("item", "kind", "least", "members", "most")

    def __init__(self) -> None:
        self.kind = "null"
        self.item: _Shape | None = None
        """Of the items of lists."""
        self.members: dict[str, _Shape] = {}
        """Of objects."""
        self.least = self.most = 0
        """Of whole numbers."""

    def take(self, value: Json) -> None:
        """Takes a value in. Raises _Unfit."""
        kind = _KINDS[type(value)]
        if kind == "null":
            return
        if kind != self.kind:
            self._widen(kind)
        if kind == "int":
            self.least, self.most = min(self.least, value), max(self.most, value)
        if self.kind in ("int", "float"):
            self._check()
        elif kind == "list":
            self.item = self.item or _Shape()
            self._at("[]", self.item, value)
        elif kind == "object":
            for name, member in value.items():
                shape = self.members.get(name)
                if shape is None:
                    shape = self.members[name] = _Shape()
                self._at(name, shape, (member,))

    def _at(self, name: str, shape: "_Shape", values: Any) -> None:
        try:
            for value in values:
                shape.take(value)
        except _Unfit as unfit:
            unfit.path.append(name)
            raise

    def _widen(self, kind: str) -> None:
        if self.kind == "null":
            self.kind = kind
        elif {self.kind, kind} == {"int", "float"}:
            self.kind = "float"
        else:
            raise _Unfit(f"is {_WORDS[kind]}, and {_WORDS[self.kind]} in rows before it")

    def _check(self) -> None:
        if self.kind == "float" and not -_EXACT <= self.least <= self.most <= _EXACT:
            raise _Unfit("has both fractions and whole numbers that are too large to stand among them")
        if not -(2**63) <= self.least <= self.most < (2**63 if self.least else 2**64):
            raise _Unfit("has whole numbers of more than 64 bits")

    def arrow(self) -> Any:
        """pyarrow's type for it. Raises _Unfit."""
        import pyarrow

        if self.kind == "int":
            return pyarrow.uint64() if self.most >= 2**63 else pyarrow.int64()
        if self.kind == "list":
            assert self.item is not None
            return pyarrow.list_(self._inner("[]", self.item))
        if self.kind == "object":
            if not self.members:
                raise _Unfit("has empty objects only, and Parquet has no type for them")
            return pyarrow.struct([(name, self._inner(name, each)) for name, each in self.members.items()])
        return {
            "null": pyarrow.null,
            "boolean": pyarrow.bool_,
            "float": pyarrow.float64,
            "string": pyarrow.string,
        }[self.kind]()

    def _inner(self, name: str, shape: "_Shape") -> Any:
        try:
            return shape.arrow()
        except _Unfit as unfit:
            unfit.path.append(name)
            raise
