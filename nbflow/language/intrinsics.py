"""Intrinsic functions: ``States.Format('Hello {}', $.name)`` (ASL, "Intrinsic Functions").

A call is parsed once per text into a small tree of literals, paths and calls. What the functions do is the
table of :mod:`nbflow.language.functions`; failures are worded as by AWS: the whole call, then the reason.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn, TypeAlias

from nbflow.language import paths
from nbflow.language.functions import FUNCTIONS, Invalid
from nbflow.language.values import Failure, Json, Scope

_MAX_NESTED: Final = 10  # "You can nest up to 10 intrinsic functions within a field" (AWS guide)
_WORDS: Final[dict[str, Json]] = {"true": True, "false": False, "null": None}

_CALL: Final = re.compile(r"\s*(States\.\w+)\s*\(")
_STRING: Final = re.compile(r"'((?:[^'\\]|\\['{}\\])*)'")
_NUMBER: Final = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,2})?(?![\w.])")
_WORD: Final = re.compile(r"(true|false|null)\b")
_ESCAPE: Final = re.compile(r"\\(['{}\\])")


class _Missing(Exception):
    """A path among the arguments finds nothing."""


class _Malformed(Exception):
    """The text is no call of an intrinsic function."""


@dataclass(frozen=True, slots=True)
class _Literal:
    value: Json


@dataclass(frozen=True, slots=True)
class _Path:
    text: str


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: tuple["_Node", ...]


_Node: TypeAlias = _Literal | _Path | _Call


def is_call(text: str) -> bool:
    """Whether a text means to call an intrinsic function, rather than to be a path."""
    return _CALL.match(text) is not None


def check(text: str) -> str | None:
    """What is wrong with the text of a call, or None if it parses. AWS finds wrong arguments at run time."""
    call = _parse(text)
    return call if isinstance(call, str) else None


def evaluate(text: str, scope: Scope, *, field: str) -> Json | Failure:
    """The value of a call of an intrinsic function that stands in ``field`` (such as ``greeting.$``).

    Fails with ``States.IntrinsicFailure`` when the arguments are wrong (ASL, Appendix A), and with
    ``States.Runtime`` when a path among them finds nothing or the text is no call.
    """
    call = _parse(text)
    if isinstance(call, str):
        must = (
            f"The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call"
        )
        return Failure("States.Runtime", f"{must}: {call}")
    try:
        return _value(call, scope)
    except _Missing as error:
        return Failure("States.Runtime", f"The function '{text}' had the following error: {error}")
    except Invalid as error:
        return Failure("States.IntrinsicFailure", f"The function '{text}' had the following error: {error}")
    except RecursionError:
        return Failure(
            "States.IntrinsicFailure", f"The function '{text}' got a value that is nested too deeply"
        )


def _value(node: _Node, scope: Scope) -> Json:
    if isinstance(node, _Literal):
        return node.value
    if isinstance(node, _Path):
        value = paths.read(node.text, scope)
        if isinstance(value, Failure):
            missing = f"The JsonPath argument for the field '{node.text}' could not be found in the input"
            raise _Missing(f"{missing} '{paths.compact(scope.input)}'")
        return value
    arguments = [_value(argument, scope) for argument in node.arguments]
    apply, least, most, draws = FUNCTIONS[node.name]
    try:
        if not least <= len(arguments) <= most:
            raise Invalid(f"the number of arguments is {len(arguments)}")
        return apply(scope.chance, *arguments) if draws else apply(*arguments)
    except Invalid as error:
        raise Invalid(f"Invalid arguments in {node.name}: {error}") from error


@lru_cache(4096)
def _parse(text: str) -> _Call | str:
    """The tree of a call, or what is wrong with the text."""
    try:
        call, end = _parse_call(text, 0, 1)
        if text[end:].strip():
            _malformed("the end", text, end)
    except _Malformed as error:
        return str(error)
    return call


def _parse_call(text: str, at: int, depth: int) -> tuple[_Call, int]:
    head = _CALL.match(text, at)
    if head is None:
        _malformed("a function such as States.Format(…)", text, at)
    name = head[1]
    if name not in FUNCTIONS:
        raise _Malformed(f"there is no intrinsic function {name}")
    if depth > _MAX_NESTED:
        raise _Malformed(f"intrinsic functions can be nested up to {_MAX_NESTED} deep")
    arguments: list[_Node] = []
    at = _skip(text, head.end())
    while text[at : at + 1] != ")":
        if arguments:
            if text[at : at + 1] != ",":
                _malformed("',' or ')'", text, at)
            at = _skip(text, at + 1)
        argument, at = _parse_argument(text, at, depth, template=name == "States.Format" and not arguments)
        arguments.append(argument)
        at = _skip(text, at)
    return _Call(name, tuple(arguments)), at + 1


def _parse_argument(text: str, at: int, depth: int, *, template: bool) -> tuple[_Node, int]:
    """One argument. A template keeps its escapes: ``\\{}`` is no place to fill in, which ``{}`` is."""
    if _CALL.match(text, at):
        return _parse_call(text, at, depth + 1)
    if text[at : at + 1] == "$":
        end = _path_end(text, at)
        path = text[at:end].rstrip()
        if wrong := paths.check(path):
            raise _Malformed(wrong)
        return _Path(path), end
    if match := _STRING.match(text, at):
        return _Literal(match[1] if template else _ESCAPE.sub(r"\1", match[1])), match.end()
    if match := _NUMBER.match(text, at):
        whole = not (match[1] or match[2]) and abs(int(match[0])) < 2**63
        return _Literal(int(match[0]) if whole else float(match[0])), match.end()
    if match := _WORD.match(text, at):
        return _Literal(_WORDS[match[1]]), match.end()
    return _malformed("a path, 'text', number, true, false, null or function", text, at)


def _path_end(text: str, at: int) -> int:
    """Where a path ends: at a comma or parenthesis that is in no bracket and in no quotes."""
    depth, quote = 0, ""
    for index in range(at, len(text)):
        char = text[index]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and depth:
            quote = char
        elif char in "[(":
            depth += 1
        elif depth == 0 and char in ",)":
            return index
        elif char in "])":
            depth -= 1
    return len(text)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _malformed(expected: str, text: str, at: int) -> NoReturn:
    found = f"'{text[at : at + 12]}'" if at < len(text) else "the end"
    raise _Malformed(f"expected {expected}, but found {found} at position {at} of '{text}'")
