"""What is in a file, as items: one function per InputType, in :data:`PARSERS`.

Text is read line by line, and JSON element by element, so that a file of any size takes the memory of one item.
Compressed text is recognized by its first bytes: what AWS goes by, the name's ending, is often missing
(Athena's files) or lies (a server that unpacks on the way).
"""

import gzip
import io
import json
import math
import re
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from shutil import copyfileobj
from typing import IO, Any, Final, NamedTuple

import msgspec

from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.tasks.json_text import JsonText, finite
from nbflow.tasks.places import ItemsFailed, Unreadable

READER_FAILED: Final = "States.ItemReaderFailed"

LARGEST_ITEM: Final = 8 * 2**20
"""Bytes of a line or of a row of several lines, characters of an element (AWS guide, "ItemReader": up to 8 MB)."""

_BUFFER: Final = 2**18
_BOM: Final = b"\xef\xbb\xbf"


class Member(NamedTuple):
    """A member of an object, as an item."""

    key: str
    value: Json


def items_in(file: IO[bytes], config: dict[str, Json]) -> Iterator[Json]:
    """The items of an open file, by its ReaderConfig. Raises ItemsFailed, Unreadable and other OSErrors."""
    kind = config.get("InputType")
    parse = PARSERS.get(str(kind))
    if kind == "PARQUET":
        yield from parquet_items(file)
    elif parse is not None:
        with unpacked(file) as text:
            yield from parse(text, config)
    else:
        raise Unreadable(f"InputType {compact(kind)} is not one of {', '.join(PARSERS)}, PARQUET")


@contextmanager
def unpacked(file: IO[bytes]) -> Iterator[io.BufferedReader]:
    """The bytes themselves, if the file holds them in GZIP or ZSTD (AWS guide, "ItemReader": external compression).

    Closes the file at the end.
    """
    with _buffered(file) as packed:
        start = packed.peek(4)
        if start.startswith(b"\x1f\x8b"):
            with _buffered(gzip.GzipFile(fileobj=packed)) as text:
                yield text
        elif start.startswith(b"\x28\xb5\x2f\xfd"):
            import pyarrow

            with _buffered(pyarrow.CompressedInputStream(packed, "zstd")) as text:
                yield text
        else:
            yield packed


def _buffered(file: Any) -> io.BufferedReader:
    return io.BufferedReader(file, _BUFFER)


def lines(file: io.BufferedReader) -> Iterator[tuple[int, str]]:
    """The lines without their ends, and their numbers from 1. Raises Unreadable: too long, or not UTF-8."""
    for number in count(1):
        line = file.readline(LARGEST_ITEM + 1)
        if not line:
            return
        if len(line) > LARGEST_ITEM:
            raise Unreadable(f"line {number} is longer than {LARGEST_ITEM:,} bytes, the largest item")
        if number == 1:
            line = line.removeprefix(_BOM)
        try:
            yield number, line.rstrip(b"\r\n").decode()
        except UnicodeDecodeError as error:
            raise Unreadable(f"line {number} is not UTF-8: {error}") from error


# --- CSV

DELIMITERS: Final = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


def csv_items(file: io.BufferedReader, config: dict[str, Json]) -> Iterator[Json]:
    """A row is an object of strings by its header (AWS guide, "How Step Functions parses input CSV files").

    Missing fields are empty strings, additional ones are skipped, and so are empty lines.
    """
    delimiter = DELIMITERS.get(str(config.get("CSVDelimiter", "COMMA")))
    if delimiter is None:
        raise Unreadable(
            f"CSVDelimiter {compact(config['CSVDelimiter'])} is not one of {', '.join(DELIMITERS)}"
        )
    rows = _rows(lines(file), delimiter)
    given = config.get("CSVHeaderLocation", "FIRST_ROW") == "GIVEN"
    headers = config.get("CSVHeaders") if given else next(rows, [])
    if not isinstance(headers, list):
        raise Unreadable("CSVHeaderLocation is GIVEN, but CSVHeaders is not an array of names")
    for row in rows:
        row += [""] * (len(headers) - len(row))
        yield dict(zip(headers, row, strict=False))


def _rows(numbered: Iterator[tuple[int, str]], delimiter: str) -> Iterator[list[str]]:
    end = re.escape(delimiter)
    shapes = _Shapes(re.compile(rf'"([^"\\]*)"(?={end}|$)'), re.compile(rf'[^"\\{end}]+'))
    for number, line in numbered:
        if '"' in line or "\\" in line:
            yield _row(number, line, numbered, delimiter, shapes)
        elif line:
            yield line.split(delimiter)


class _Shapes(NamedTuple):
    """What can be taken in one piece, which makes most rows with quotes twice as fast."""

    quoted: re.Pattern[str]
    """A field in quotes that holds neither a quote nor a backslash."""
    run: re.Pattern[str]
    """Characters that mean nothing."""


def _row(
    number: int, line: str, numbered: Iterator[tuple[int, str]], delimiter: str, shapes: _Shapes
) -> list[str]:
    """The fields of a row with quotes or backslashes, which may go on over further lines.

    Quoted or not, a quote is doubled or follows a backslash. A backslash before anything but a backslash, a quote or
    the delimiter vanishes. Quotes in the midst of a field are part of it.
    """
    fields: list[str] = []
    field, quoted, at, size = "", False, 0, len(line)
    while at < len(line) or quoted:
        if at >= len(line):
            line, at = _next_line(number, numbered), 0
            size += len(line)
            if size > LARGEST_ITEM:
                raise Unreadable(f"the quoted field in line {number} is longer than {LARGEST_ITEM:,} bytes")
            field += "\n"
            continue
        char, following = line[at], line[at + 1 : at + 2]
        if char == '"' and not quoted and not field and (whole := shapes.quoted.match(line, at)):
            field, at = whole[1], whole.end()
        elif char == "\\":
            escaped = following in ("\\", '"', delimiter)
            field += following if escaped else ""
            at += 1 + escaped
        elif char == '"' == following and (quoted or field):
            field += char
            at += 2
        elif char == '"':
            if not quoted:
                field = (
                    field and field.lstrip() and field + char
                )  # white space before a quoted field is dropped
            elif following not in ("", delimiter):
                field += char
            quoted, at = not quoted, at + 1
        elif char == delimiter and not quoted:
            fields.append(field)
            field, at = "", at + 1
        else:
            run = shapes.run.match(line, at)
            field += run[0] if run else char
            at = run.end() if run else at + 1
    return [*fields, field]


def _next_line(number: int, numbered: Iterator[tuple[int, str]]) -> str:
    following = next(numbered, None)
    if following is None:
        raise Unreadable(f"the quoted field that begins in line {number} never ends")
    return following[1]


# --- JSON and JSON Lines


def json_items(file: io.BufferedReader, config: dict[str, Json]) -> Iterator[Json]:
    """The elements of the array in the file, or at its ItemsPointer (RFC 6901).

    An ItemsPointer may also select an object: its members are the items, each a :class:`Member`. Without one an object
    is refused, as AWS is recorded to do. What is wrong behind an item is said after it.
    """
    text = JsonText(file)
    pointer = config.get("ItemsPointer")
    yield from _walked(text, pointer, None if pointer is None else _steps(pointer))
    text.end()


def _steps(pointer: Json) -> list[str]:
    if not isinstance(pointer, str) or not re.fullmatch(r"(/.*)?", pointer, re.DOTALL):
        raise Unreadable(
            f"ItemsPointer {compact(pointer)} is not a JSON pointer, such as /inventory/products"
        )
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _walked(text: JsonText, pointer: Json, steps: list[str] | None) -> Iterator[Json]:
    """The items in the next value, or in what these steps lead to from there; reads all of the value."""
    start = text.peek()
    if steps:
        yield from _stepped(text, pointer, steps)
    elif start == "[":
        for _ in text.children():
            yield text.value(LARGEST_ITEM)
    elif start == "{" and steps is not None:
        for name in text.children():
            yield Member(name, text.value(LARGEST_ITEM))
    else:
        text.skip()
        if steps is None:
            text.end()
        raise ItemsFailed(READER_FAILED, "Attempting to map over non-iterable node.")


def _stepped(text: JsonText, pointer: Json, steps: list[str]) -> Iterator[Json]:
    found = False
    for name in text.children():
        if name == steps[0] and not found:
            found = True
            yield from _walked(text, pointer, steps[1:])
        else:
            text.skip()
    if not found:
        raise Unreadable(f"ItemsPointer {compact(pointer)} leads nowhere: there is no {compact(steps[0])}")


def jsonl_items(file: io.BufferedReader, config: dict[str, Json]) -> Iterator[Json]:
    """The value of each line (AWS guide, "ItemReader": JSON Lines file); blank lines are skipped."""
    return (decoded(line.encode(), f"line {number}") for number, line in lines(file) if line.strip())


def decoded(text: bytes, where: str) -> Json:
    """The value of a JSON text. Raises Unreadable, which says where and what is wrong."""
    try:
        return msgspec.json.decode(text.removeprefix(_BOM))
    except (
        msgspec.DecodeError
    ):  # a lone surrogate, or an error: json takes the one, and says the other better
        return _decoded_slowly(text, where)
    except UnicodeDecodeError as error:
        raise Unreadable(f"{where} is not UTF-8: {error}") from error
    except RecursionError as error:
        raise Unreadable(f"{where} is nested too deeply") from error


def _decoded_slowly(text: bytes, where: str) -> Json:
    try:
        return json.loads(text, parse_constant=finite, parse_float=finite)
    except RecursionError as error:
        raise Unreadable(f"{where} is nested too deeply") from error
    except ValueError as error:
        raise Unreadable(f"{where} is not JSON: {error}") from error


# --- Parquet


def parquet_items(file: IO[bytes]) -> Iterator[Json]:
    """A row is an object by its column names (AWS guide, "ItemReader": Parquet file).

    What JSON does not have is written out: dates and times in ISO 8601, decimals as numbers, bytes as text if they
    are UTF-8 and else in base 64, NaN and infinity as null.
    """
    import pyarrow
    import pyarrow.parquet

    with _seekable(file) as content:
        try:
            # With a buffer, a column of a row group is read piece by piece, however large the group is.
            table = pyarrow.parquet.ParquetFile(content, buffer_size=_BUFFER, pre_buffer=False)
            for group in range(table.num_row_groups):
                for batch in table.iter_batches(batch_size=1024, row_groups=[group]):
                    yield from map(plain, batch.to_pylist())
        except pyarrow.ArrowException as error:
            raise Unreadable(f"not a Parquet file that can be read: {error}") from error


@contextmanager
def _seekable(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Parquet begins at the end of a file: what comes as a stream is put on the disk first."""
    if file.seekable():
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        copyfileobj(file, copy, _BUFFER)
        copy.seek(0)
        yield copy


def plain(value: Any) -> Json:
    """The JSON of a value of a table, as :func:`parquet_items` says."""
    for kinds, convert in _PLAIN:
        if isinstance(value, kinds):
            return convert(value)
    return str(value)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return b64encode(value).decode()


_PLAIN: Final[list[tuple[Any, Callable[[Any], Json]]]] = [
    ((str, bool, int, type(None)), lambda value: value),
    (float, lambda value: value if math.isfinite(value) else None),
    (dict, lambda value: {str(key): plain(member) for key, member in value.items()}),
    ((list, tuple), lambda value: [plain(member) for member in value]),
    (
        datetime,
        lambda value: value.isoformat().replace("+00:00", "Z") if value == value else None,
    ),  # NaT is one
    ((date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    (Decimal, lambda value: _number(value) if value.is_finite() else None),
    (bytes, _bytes_text),
]
"""What pyarrow makes of Parquet's types, the frequent ones first; a datetime is a date too."""

PARSERS: Final[Mapping[str, Callable[[io.BufferedReader, dict[str, Json]], Iterator[Json]]]] = {
    "CSV": csv_items,
    "JSON": json_items,
    "JSONL": jsonl_items,
}
"""The text formats by InputType."""
