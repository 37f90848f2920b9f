"""The text of a JSON file, read value by value, so that an array of any size takes the memory of one element.

Values are decoded by Python's own ``json``, so that they are what ``json.loads`` gives, and so are the words for what
is wrong. (ijson takes half of the time, which is little beside what an item costs. It has either Decimals for floats or
no whole numbers beyond 64 bits, no lone surrogates, and words of its own.)
"""

import codecs
import io
import json
import math
import re
from collections.abc import Iterator
from json.decoder import JSONDecodeError
from typing import Final

from nbflow.language.values import Json
from nbflow.tasks.places import Unreadable

_BUFFER: Final = 2**18
_TOKEN: Final = 16
"""More characters than there are in any token beside texts and digits: an error before the last ones is one."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")


def finite(text: str) -> float:
    """The number; raises ValueError where JSON has none for it."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no JSON number")
    return number


_decode: Final = json.JSONDecoder(parse_constant=finite, parse_float=finite).raw_decode


class JsonText:
    """A window on the text: what is before it has been read. Its methods raise Unreadable, which says where."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(json.detect_encoding(file.peek(4)[:4]))()
        self._window = ""
        self._at = 0
        """Where to read on in the window."""
        self._last = False
        """Whether the window reaches to the end of the file."""
        self._bytes = 0
        self._chars = self._lines = self._column = 0
        """Of the text before the window: characters, line ends, characters after the last one."""

    def peek(self) -> str:
        """The sign at which the next value, or whatever comes, begins; "" at the end."""
        while True:
            self._at = _SPACE.match(self._window, self._at).end()  # type: ignore[union-attr]  # it always matches
            if self._at < len(self._window):
                return self._window[self._at]
            if self._last:
                return ""
            self._more()

    def value(self, most: int | None = None) -> Json:
        """The next value, if it has not more than so many characters."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._window, self._at)
            except JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self._window) - _TOKEN
                if self._last or not cut:
                    raise self._wrong(error.msg, error.pos) from None
            except ValueError as error:
                raise Unreadable(f"the file is not JSON: {error}") from error
            except RecursionError as error:
                raise Unreadable("the file is nested too deeply") from error
            else:
                cut = type(value) in (int, float) and end > len(self._window) - _TOKEN
                if self._last or not cut:
                    self._at = end
                    return value
            if most is not None and len(self._window) - self._at > most:
                raise Unreadable(
                    f"the item at {self._place(self._at)} is longer than {most:,} characters, the most"
                )
            self._more()

    def children(self) -> Iterator[str]:
        """Through an array or object: stops at each element by its number, or member by its name.

        Its value has to be read then. Any other value has none, and is read.
        """
        start = self.peek()
        if start == "[":
            yield from (str(number) for number, _ in enumerate(self._elements()))
        elif start == "{":
            yield from self._members()
        else:
            self.value()

    def skip(self) -> None:
        """Over the next value: of an array or object, one element after the other."""
        for _ in self.children():
            self.value()

    def end(self) -> None:
        """There must be nothing more."""
        if self.peek():
            raise self._wrong("Extra data", self._at)

    def _elements(self) -> Iterator[None]:
        self._at += 1
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield
            if self._ended("]"):
                return

    def _members(self) -> Iterator[str]:
        self._at += 1
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self._wrong("Expecting property name enclosed in double quotes", self._at)
            name = self.value()
            if self.peek() != ":":
                raise self._wrong("Expecting ':' delimiter", self._at)
            self._at += 1
            yield name
            if self._ended("}"):
                return

    def _ended(self, sign: str) -> bool:
        found = self.peek()
        if found not in (",", sign):
            raise self._wrong("Expecting ',' delimiter", self._at)
        self._at += 1
        return found == sign

    def _more(self) -> None:
        """Moves the window on: as much again as is in it, so that a long value is not decoded many times."""
        wanted = max(_BUFFER, len(self._window) - self._at)
        read = self._file.read(wanted)
        try:
            text = self._decoder.decode(read, final=not read)
        except UnicodeDecodeError as error:
            where = self._bytes - (len(error.object) - len(read)) + error.start
            raise Unreadable(f"the file is not UTF-8: {error.reason}, byte {where:,}") from error
        self._bytes += len(read)
        self._last = not read
        gone = self._window[: self._at]
        self._chars += len(gone)
        self._lines += gone.count("\n")
        self._column = self._column + len(gone) if "\n" not in gone else len(gone) - gone.rindex("\n") - 1
        self._window, self._at = self._window[self._at :] + text, 0

    def _place(self, at: int) -> str:
        before = self._window[:at]
        line = self._lines + before.count("\n") + 1
        column = len(before) - before.rindex("\n") if "\n" in before else self._column + at + 1
        return f"line {line} column {column} (char {self._chars + at})"

    def _wrong(self, what: str, at: int) -> Unreadable:
        return Unreadable(f"the file is not JSON: {what}: {self._place(at)}")
