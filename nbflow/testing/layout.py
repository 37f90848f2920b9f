"""JSON values and mocks as Python source, laid out as formatters do it."""

import re
from typing import Final

from nbflow.language.values import Json
from nbflow.testing.mocks import After, Never, Return, Throw

WIDTH: Final = 88
"""Characters of a line: what Black and Ruff allow by default."""

_LONG: Final = 100
"""Characters from which on a string of one line is taken apart. (An ARN is better seen whole.)"""

_STEP: Final = 4


def layout(value: Json, indent: int = 0, taken: int = 0) -> str:
    """The source of a value: in one line if it fits, else an item a line.

    ``indent``: of the line where it begins; ``taken``: characters of that line before and after it.
    """
    flat = _flat(value)
    if indent + taken + len(flat) <= WIDTH:
        return flat
    inner = indent + _STEP
    parts: list[str] = []
    opening, closing = "(", ")"
    match value:
        case dict() if value:
            opening, closing = "{", "}"
            for key, each in value.items():
                head = f"{string(key)}: "
                parts.append(f"{head}{layout(each, inner, len(head) + 1)},")
        case list() if value:
            opening, closing = "[", "]"
            parts = [f"{layout(each, inner, 1)}," for each in value]
        case str() if len(flat) > _LONG or "\n" in value:
            parts = [string(piece) for piece in _pieces(value, WIDTH - inner)]
        case Throw() | After() | Return():
            opening = f"{type(value).__name__}("
            parts = [f"{layout(each, inner, 1)}," for each in _arguments(value)]
        case _:
            return flat
    lines = "".join(f"{' ' * inner}{part}\n" for part in parts)
    return f"{opening}\n{lines}{' ' * indent}{closing}"


def _flat(value: Json) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{string(key)}: {_flat(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flat, value)) + "]"
        case str():
            return string(value)
        case Throw() | After() | Return():
            return f"{type(value).__name__}({', '.join(map(_flat, _arguments(value)))})"
        case _:
            return repr(value)


def _arguments(value: Throw | After | Return) -> list[Json]:
    match value:
        case Throw():
            return [value.error] if value.cause is None else [value.error, value.cause]
        case After():
            return [value.seconds, value.answer]
        case Return():
            return [value.value]


def string(text: str) -> str:
    """A string literal; in double quotes, unless more would have to be escaped in it than in single ones."""
    body = repr(f'"{text}')[2:-1]  # with a double quote in it, repr takes single ones
    if text.count('"') > text.count("'"):
        return f"'{body}'"
    turned = {"\\'": "'", '"': '\\"'}
    return '"' + re.sub(r'\\.|"', lambda match: turned.get(match[0], match[0]), body) + '"'


def _pieces(text: str, room: int) -> list[str]:
    """A long text in parts, each a literal of at most ``room`` characters; they end with lines or words if they can."""
    pieces: list[str] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        while line:
            end = min(len(line), room)
            while end > 1 and len(string(line[:end])) > room:
                end -= max(1, (len(string(line[:end])) - room) // 8)
            if end < len(line) and (space := line.rfind(" ", end // 2, end)) > 0:
                end = space + 1
            pieces.append(line[:end])
            line = line[end:]
    return pieces


def names(mocks: Json) -> set[str]:
    """What of :mod:`nbflow.testing` the source of these mocks uses."""
    match mocks:
        case dict():
            return set[str]().union(*map(names, mocks.values()))
        case list():
            return set[str]().union(*map(names, mocks))
        case Never():
            return {"NEVER"}
        case After():
            return {"After"} | names(mocks.answer)
        case Throw() | Return():
            return {type(mocks).__name__}
        case _:
            return set()
