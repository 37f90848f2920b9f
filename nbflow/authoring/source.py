"""The text of a flow: its syntax tree with the positions of the file, and errors that point into it."""

import ast
import inspect
import linecache
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nbflow.errors import NbflowError


class FlowError(NbflowError, SyntaxError):
    """A function cannot become a flow: says where, why, and what to write instead."""

    def __str__(self) -> str:
        return f"{self.filename}:{self.lineno}: {self.msg}" if self.lineno else str(self.msg)


@dataclass(frozen=True, slots=True)
class Source:
    """The source of one function."""

    filename: str
    first: int
    """The number of its first line (of a decorator, if there is one)."""
    lines: tuple[str, ...]
    tree: ast.FunctionDef | ast.AsyncFunctionDef

    def error(self, node: ast.AST, message: str) -> FlowError:
        """A FlowError with a caret under the node."""
        start, end = getattr(node, "lineno", self.first), getattr(node, "end_lineno", self.first)
        line = self.line(start)
        begin = _characters(line, getattr(node, "col_offset", 0))
        stop = _characters(self.line(end), getattr(node, "end_col_offset", 0))
        return FlowError(message, (self.filename, start, begin + 1, line, end, stop + 1))

    def line(self, number: int) -> str:
        """The line of the file with this number."""
        at = number - self.first
        return self.lines[at] if 0 <= at < len(self.lines) else ""

    def text(self, node: ast.AST) -> str:
        """The node's text in one line."""
        start, end = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
        if start is None or end is None:
            return ast.unparse(node)
        rows = [self.line(number).encode() for number in range(start, end + 1)]
        rows[-1] = rows[-1][: getattr(node, "end_col_offset", 0)]
        rows[0] = rows[0][getattr(node, "col_offset", 0) :]
        text = b" ".join(rows).decode()
        return ast.unparse(node) if start != end and "#" in text else " ".join(text.split())


def _characters(line: str, offset: int) -> int:
    """An offset in the line's UTF-8 as one in its characters."""
    return offset if line.isascii() else len(line.encode()[:offset].decode(errors="replace"))


_read: Final[weakref.WeakKeyDictionary[Callable[..., Any], Source]] = weakref.WeakKeyDictionary()
"""What a function was compiled from stays its source, also when its file has been edited since."""


def read(function: Callable[..., Any]) -> Source:
    """The source of a function. Raises FlowError if there is none, or if it is not that of a ``def``."""
    source = _read.get(function)
    if source is None:
        source = _read[function] = _parsed(function)
    return source


def _parsed(function: Callable[..., Any]) -> Source:
    code = getattr(function, "__code__", None)
    if code is None:
        raise FlowError(f"a flow is a Python function, not {function!r}: write it as a def")
    if code.co_name == "<lambda>":
        raise FlowError("a lambda cannot be a flow: write it as a def")
    filename, first = code.co_filename, code.co_firstlineno
    linecache.checkcache(filename)
    lines = inspect.getblock(linecache.getlines(filename, function.__globals__)[first - 1 :])
    if not lines:
        raise FlowError(
            f"the source of {code.co_name}() cannot be found (it says that it is from {filename}). A flow is compiled "
            "from its text: define it in a file or in a cell"
        )
    tree = _tree("".join(lines), first)
    if not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef) or tree.name != code.co_name:
        raise FlowError(
            f"{filename}:{first} is not the text of {code.co_name}() any more: run its definition again"
        )
    return Source(filename, first, tuple(lines), tree)


def _tree(text: str, first: int) -> ast.stmt | None:
    """The statement that a block of lines is, with the line numbers and columns of the file."""
    indented = text[:1].isspace()
    try:
        module = ast.parse(f"if 1:\n{text}" if indented else text)
    except SyntaxError:
        return None  # the file has changed, and this is the middle of something else
    body = module.body[0].body if indented and isinstance(module.body[0], ast.If) else module.body
    ast.increment_lineno(module, first - (2 if indented else 1))
    return body[0] if body else None
