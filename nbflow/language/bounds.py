"""What keeps a JSONata expression within bounds: of depth, of memory and of time.

jsonata2py translates an expression to Python, which calls small runtime functions by name (``concat``,
``range_``, ``fn_pad``). It bounds by itself how deep functions call each other and, with a watchdog that it
consults between steps, how long an evaluation takes. What it lets grow (text that doubles, ranges, regular
expressions that backtrack) is bounded here: a translated module gets our version of a handful of functions.

One value may hold as much as on AWS, where ``[1..873782]`` and a text of 2²² characters are accepted, and one
element more or one doubling more is "Expression evaluation memory limit exceeded".
"""

import math
from collections.abc import Callable
from functools import lru_cache
from types import NoneType
from typing import Any, Final

import jsonata2py.runtime as runtime
from jsonata2py import (
    CompiledExpression,
    JsonataCompilationError,
    JsonataEvaluationError,
    JsonataExpressionFactory,
    ParseError,
)
from jsonata2py.loader.loader import ExpressionLoader
from jsonata2py.parser.ast_nodes import AstNode
from jsonata2py.parser.lexer import Lexer
from jsonata2py.parser.parser import Parser
from jsonata2py.parser.tokens import TokenType

MEMORY: Final = "MEMORY"
"""The code of the error for a value that is too big."""

_MAX_BYTES: Final = 6_990_256  # of one value: a character counts as 1, a number or reference as 8
_MAX_ELEMENTS: Final = _MAX_BYTES // 8
_MAX_SPREAD: Final = (
    2**29
)  # characters that $replace may make in the worst case: it cannot be stopped half-way
_MAX_NODES: Final = 10_000_000  # of a result; a value that contains another twice counts it twice
_MAX_DEPTH: Final = 200  # of a result, below the 254 levels that orjson writes
_MAX_SECONDS: Final = 5  # of one evaluation, about fifty times what the largest values above need
_MAX_SEARCH: Final = 1.0  # seconds of one search of a regular expression
_PLAIN: Final = frozenset({str, int, bool, NoneType})
_BINDINGS: Final = frozenset({TokenType.AT, TokenType.HASH})


def too_big() -> JsonataEvaluationError:
    """The error for a value that exceeds the memory limit."""
    return JsonataEvaluationError(MEMORY, "memory limit exceeded")


_MAX_SOURCE: Final = 32_768  # characters of an expression
_MAX_DOTS: Final = 2_000  # steps of an expression: the time to parse a path is quadratic in its length
_FACTORY: Final = JsonataExpressionFactory()


def parse(source: str) -> AstNode:
    """The syntax tree of an expression. Raises ParseError if it is none, or if it is too long or too deep."""
    if len(source) > _MAX_SOURCE:
        raise ParseError(None, f"The expression is longer than {_MAX_SOURCE} characters")
    tokens = Lexer.tokenize(source)
    kinds = [token.type for token in tokens]
    if kinds.count(TokenType.DOT) > _MAX_DOTS:
        raise ParseError(None, f"The expression has more than {_MAX_DOTS} path steps")
    # The parser of jsonata2py 0.1.3 does not return from the third of three bindings, as in a@$i#$j@$k.
    for at in range(len(kinds) - 4):
        if (
            _BINDINGS.issuperset(kinds[at : at + 5 : 2])
            and kinds[at + 1] == kinds[at + 3] == TokenType.VARIABLE
        ):
            raise ParseError("S0215", "Three bindings cannot follow each other", tokens[at + 4].position)
    try:
        return Parser.parse(source)
    except RecursionError as error:
        raise ParseError(None, "The expression is nested too deeply") from error


def load(source: str) -> CompiledExpression:
    """Translate an expression. Raises JsonataCompilationError if it does not parse or nests too deeply."""
    try:
        entry, _ = ExpressionLoader().load(_FACTORY.translate(source))
    except (MemoryError, RecursionError) as error:  # CPython's own compiler gives up so
        raise JsonataCompilationError(None, "expression is too deeply nested to compile", error) from error
    entry.__globals__.update(_bounded_runtime())
    expression = CompiledExpression(entry, source)
    expression.set_timeout(_MAX_SECONDS * 1000)
    return expression


def survey(value: Any) -> tuple[bool, bool]:
    """Look through a value: is it JSON but for details, and is it JSON as it stands?

    Details are what :func:`plain` replaces. A function or an undefined value inside makes the first answer
    False. Raises the error of :func:`too_big` for a value that is too big or too deep to be written.
    """
    nodes, clean, level = 0, True, [value]
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        for node in level:
            kind = node.__class__
            if kind is dict:
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
                clean = clean and kind is list
            elif kind is float:
                clean = clean and math.isfinite(node)
            elif kind not in _PLAIN:
                return False, False
        nodes += len(below)
        if nodes > _MAX_NODES:
            raise too_big()
        if not below:
            return True, clean
        level = below
    raise too_big()


def plain(value: Any) -> Any:
    """The value with plain lists, and with numbers that JSON cannot write named as AWS names them."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _capped(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, but its result may not be too big. Its arguments were not, so that it ends."""

    def capped(*args: Any) -> Any:
        result = function(*args)
        if isinstance(result, str):
            _require(len(result) <= _MAX_BYTES)
        elif isinstance(result, list):
            _require(len(result) <= _MAX_ELEMENTS)
        return result

    return capped


def _require(fits: bool) -> None:
    if not fits:
        raise too_big()


def _numbers(*values: Any) -> bool:
    return all(runtime.is_number(value) for value in values)


def _range(first: Any, last: Any) -> Any:
    _require(not _numbers(first, last) or last - first < _MAX_ELEMENTS)
    return runtime.range_(first, last)


def _range_flatten(first: int, last: int) -> Any:
    _require(last - first < _MAX_ELEMENTS)
    return runtime.range_flatten(first, last)


def _pad(text: Any, width: Any, *rest: Any) -> Any:
    _require(not _numbers(width) or abs(width) <= _MAX_BYTES)
    return runtime.fn_pad(text, width, *rest)


def _string(value: Any, *rest: Any) -> Any:
    survey(value)
    return runtime.fn_string(value, *rest)


def _concat(left: Any, right: Any) -> Any:
    if left.__class__ is not str or right.__class__ is not str:
        survey(left)
        survey(right)
    return runtime.concat(left, right)


def _join(texts: Any, *rest: Any) -> Any:
    if isinstance(texts, list):
        between = len(rest[0]) if rest and isinstance(rest[0], str) else 0
        _require(sum(between + len(text) for text in texts if isinstance(text, str)) <= _MAX_BYTES)
    return runtime.fn_join(texts, *rest)


def _replace(text: Any, pattern: Any, replacement: Any, *rest: Any) -> Any:
    if isinstance(text, str) and isinstance(replacement, str):
        _require(len(text) * len(replacement) <= _MAX_SPREAD)
    return runtime.fn_replace(text, pattern, replacement, *rest)


class _Regex:
    """A compiled regular expression whose every search is bounded in time."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def search(self, text: str, at: int = 0) -> Any:
        try:
            return self._compiled.search(text, at, timeout=_MAX_SEARCH)
        except TimeoutError:
            raise JsonataEvaluationError("U1001", "Expression evaluation timeout") from None


def _regex_value(pattern: str, flags: str) -> Any:
    value = runtime.regex_value(pattern, flags)
    return runtime.JRegex(pattern, flags, _Regex(value.compiled))


@lru_cache(1)
def _bounded_runtime() -> dict[str, Callable[..., Any]]:
    """Our versions of runtime functions, by the names that translated modules call."""
    return {
        "array_of": _capped(runtime.array_of),
        "concat": _capped(_concat),
        "fn_append": _capped(runtime.fn_append),
        "fn_join": _join,
        "fn_pad": _pad,
        "fn_replace": _capped(_replace),
        "fn_string": _capped(_string),
        "range_": _range,
        "range_flatten": _range_flatten,
        "regex_value": _regex_value,
    }
