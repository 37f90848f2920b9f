"""JSONata: ``{% $states.input.price * 1.2 %}`` (ASL, "JSONata Concepts"; AWS guide, "Transforming data").

Most expressions only name a value: ``$total`` or ``$states.input.order.id``. Plain look-ups read these,
without the library, and exactly, also where an integer exceeds 2**53. All others go to jsonata2py; why it, is
told in docs/decisions/0001-jsonata-library.md, and what bounds it, in :mod:`nbflow.language.bounds`.

AWS's dialect differs from JSONata in a few functions. What it adds is bound as functions; what it changes
(``$random`` takes a seed, ``$now`` is the state's time, there is no ``$eval``) is redefined in front of those
expressions that mention it, so that chance and time come only from :class:`~nbflow.language.values.Scope`.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from nbflow.language import functions, paths
from nbflow.language.values import ABSENT, Absent, Chance, Failure, Json, Scope

if TYPE_CHECKING:
    from jsonata2py import (
        CompiledExpression,
        JsonataBindings,
        JsonataError,
        JsonataFunctionArguments,
        ParseError,
    )

_ERROR: Final = "States.QueryEvaluationError"
_CACHED: Final = 1024
_MAX_RANGE: Final = 360_145  # elements of $range on AWS

_NAME: Final = re.compile(r"\$([^\W\d]\w*)")
_PATH: Final = re.compile(r"\$([^\W\d]\w*)((?:\.[^\W\d]\w*)*)")
_RESERVED: Final = frozenset({"and", "or", "in", "true", "false", "null", "function"})
"""Names that are more than a name to JSONata's parser."""
_NEEDS_CONTEXT: Final = re.compile(r"\$states\b(?!\s*\.\s*(?:input|result|errorOutput)\b)")
_REDEFINED: Final = {
    "now": "$now := function($picture, $zone){ $fromMillis($__millis, $picture, $zone) }",
    "millis": "$millis := function(){ $__millis }",
    "random": "$random := $__random",
    "shuffle": "$shuffle := $__shuffle",
    "eval": "$eval := null",  # AWS: T1006 when it is called
}
"""Built-ins that AWS changes, as JSONata definitions."""
_ENDINGS: Final = {
    "T1006": ". T1006: Attempted to invoke a non-function",
    "U1001": ": Stack overflow error: Check for non-terminating recursive function. "
    "Consider rewriting as tail-recursive.",
    "MEMORY": ": Expression evaluation memory limit exceeded: Check for excessive memory usage",
    "D2014": ": Expression evaluation memory limit exceeded: Check for excessive memory usage",
}
"""How AWS ends the sentence about an expression that threw, where it differs from the library."""
_TOKEN: Final = re.compile(r"^Expected ([A-Z]+) ")
_SYMBOLS: Final = {"RPAREN": ")", "RBRACKET": "]", "RBRACE": "}", "LPAREN": "(", "LBRACE": "{", "COLON": ":"}
"""The library's names of tokens in its syntax errors."""
_OTHER: Final = object()
"""Stands for a value that only the library can tell."""


@dataclass(frozen=True, slots=True)
class _Program:
    """A compiled expression and what it needs."""

    expression: "CompiledExpression"
    names: frozenset[str]
    """All ``$names`` that its text mentions."""
    changed: frozenset[str]
    """Those of them that stand for built-ins that AWS changes."""
    context: bool
    """Whether it may look at ``$states.context``, which costs something to make."""


def is_expression(value: Json) -> bool:
    """Whether a value is a JSONata string: ``{% … %}``, with nothing around it (ASL, "JSONata Strings")."""
    return isinstance(value, str) and len(value) >= 4 and value.startswith("{%") and value.endswith("%}")


def check(text: str) -> str | None:
    """What AWS would refuse in a JSONata string when the state machine is created, or None.

    A message that begins with "Reference to" belongs to AWS's UNSUPPORTED_JSONATA_EXPRESSION: an expression
    has no context item, so that a path must start with ``$states`` or a variable. All others are syntax
    errors, AWS's INVALID_JSONATA_EXPRESSION, with the position in the expression.
    """
    source, names = _parsed(text)
    if names is not None:
        return None
    program = _program(source)
    if isinstance(program, str):
        return program
    from nbflow.language import bounds

    name = next(_references(bounds.parse(source)), None)
    if name is None:
        return None
    return f"Reference to '{name}' {'' if name == '$$' else 'at the top level '}is not supported."


def evaluate(text: str, scope: Scope, *, location: str) -> Json | Failure:
    """The value of a JSONata string that stands at ``location``, such as ``Arguments/bucket``.

    Fails with ``States.QueryEvaluationError`` and the location when the expression throws, exceeds a limit,
    gives nothing, or gives what is no JSON.
    """
    source, names = _parsed(text)
    value = _OTHER if names is None else _look_up(names, scope)
    if value is _OTHER:
        value = _run(source, scope, location)
    return _failure(source, location, "returned nothing (undefined).") if value is ABSENT else value


def mismatch(text: str, value: Json, *, location: str, expected: str) -> Failure:
    """The failure for an expression whose value has not the type that its field needs, such as ``array``."""
    what = f"Expected '{expected}', but was '{paths.kind(value)}' for value: {paths.compact(value)}"
    return _failure(_parsed(text)[0], location, f"returned an unexpected result type. {what}")


@lru_cache(4 * _CACHED)
def _parsed(text: str) -> tuple[str, tuple[str, ...] | None]:
    """The expression in a JSONata string; and its names, if it is no more than a ``$states.input.a.b``."""
    source = text[2:-2].strip()
    match = _PATH.fullmatch(source)
    names = match and (match[1], *match[2].split(".")[1:])
    return source, None if not names or _RESERVED.intersection(names) else names


def _failure(source: str, location: str, what: str) -> Failure:
    cause = f"The JSONata expression '{source}' specified for the field '{location}' {what}"
    return Failure("States.QueryEvaluationError", cause, location)


def _look_up(names: tuple[str, ...], scope: Scope) -> Json | Absent:
    """What such an expression gives: ABSENT for nothing, _OTHER where it takes JSONata to tell."""
    if names[0] != "states":
        value, at = scope.variables.get(names[0], _OTHER), 1  # it may still be a function of JSONata
    elif len(names) == 1:
        return {"input": scope.input, "context": scope.context(), **scope.extras}
    elif names[1] == "input":
        value, at = scope.input, 2
    elif names[1] == "context":
        value, at = scope.context(), 2
    else:
        value, at = scope.extras.get(names[1], ABSENT), 2
    for name in names[at:]:
        if value is _OTHER or isinstance(value, list):  # JSONata maps a step over an array, and flattens
            return _OTHER
        value = value.get(name, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def _run(source: str, scope: Scope, location: str) -> Json | Absent | Failure:
    """Evaluate an expression by the library."""
    program = _program(source)
    if not isinstance(program, str) and (shadowed := program.changed.intersection(scope.variables)):
        program = _program(source, shadowed)
    if isinstance(program, str):
        return _failure(source, location, f"threw an error during evaluation. {program}")
    from jsonata2py import MISSING, JsonataError

    from nbflow.language import bounds

    try:
        value = program.expression.evaluate(None, _bindings(program, scope))
        if value is MISSING:
            return ABSENT
        json, clean = bounds.survey(value)
    except JsonataError as error:
        while isinstance(error.__cause__, JsonataError):  # the library wraps what a bound function raises
            error = error.__cause__
        return _failure(source, location, f"threw an error during evaluation{_ending(error)}")
    if not json:
        return _failure(source, location, "returned an unsupported result type.")
    return value if clean else bounds.plain(value)


def _ending(error: "JsonataError") -> str:
    """How AWS goes on: ``. CODE: message`` for JSONata's own errors, ``: message`` for limits."""
    code = "MEMORY" if isinstance(error.__cause__, MemoryError) else error.error_code or ""
    if code == "U1001" and "timeout" in error.message:
        return ": Expression evaluation timeout: Check for infinite loop"
    return _ENDINGS.get(code) or (f". {code}: {error.message}" if code else f": {error.message}")


# The library


@lru_cache(_CACHED)
def _program(source: str, shadowed: frozenset[str] = frozenset()) -> _Program | str:
    """An expression, compiled with AWS's changes to JSONata in front of it; or why it cannot be.

    A built-in that a workflow variable of the same name shadows is left to the variable.
    """
    from jsonata2py import JsonataError, ParseError

    from nbflow.language import bounds

    names = frozenset(_NAME.findall(source))
    changed = names.intersection(_REDEFINED) - shadowed
    changes = "; ".join(_REDEFINED[name] for name in sorted(changed))
    try:
        bounds.parse(source)  # alone, so that what is put around it cannot mend it or shift positions
        expression = bounds.load(f"({changes}; {source}\n)" if changes else source)
    except ParseError as error:
        return _syntax_error(error, source)
    except JsonataError as error:
        return error.message
    return _Program(expression, names, changed, _NEEDS_CONTEXT.search(source) is not None)


def _syntax_error(error: "ParseError", source: str) -> str:
    """A syntax error in JSONata's own words where they are known, with its position."""
    found = source[error.position : error.position + 1]
    expected = _TOKEN.search(error.message)
    if expected is None:
        return error.message.replace("''", f"'{found}'")
    symbol = _SYMBOLS.get(expected[1], expected[1])
    ending = f', got "{found}"' if found else " before end of expression"
    return f'Expected "{symbol}"{ending} (position {error.position})'


def _bindings(program: _Program, scope: Scope) -> "JsonataBindings":
    """What the expression can see: of all that there is, what it mentions."""
    from jsonata2py import JsonataBindings

    bindings = JsonataBindings()
    for name in program.names:
        if name == "states":
            context = {"context": scope.context()} if program.context else {}
            bindings.bind_value(name, {"input": scope.input, **context, **scope.extras})
        elif name in scope.variables:
            bindings.bind_value(name, scope.variables[name])
        elif name in _FUNCTIONS:
            bindings.bind_function(f"__{name}" if name in _REDEFINED else name, _Bound(name, scope.chance))
        elif name in ("now", "millis"):
            bindings.bind_value("__millis", math.floor(scope.now * 1000))
    return bindings


def _references(node: Any) -> Iterator[str]:
    """What an expression looks up in the context item, which there is not: ``phone``, ``$`` or ``$$``.

    Only the first step of a path does so; later steps, predicates, sort keys and groups look at what the step
    before them gave. The body of a function keeps the context of where it stands.
    """
    from jsonata2py.parser import ast_nodes as ast

    match node:
        case ast.FieldRef(name):
            yield name
        case ast.ContextRef():
            yield "$"
        case ast.RootRef():
            yield "$$"
        case ast.PathExpr(steps):
            yield from _references(steps[0])
        case (
            ast.PredicateExpr()
            | ast.ArraySubscript()
            | ast.SortExpr()
            | ast.GroupByExpr()
            | ast.TransformExpr()
        ):
            yield from _references(node.source)
        case ast.TransformLambda():
            return
        case list():
            for item in node:
                yield from _references(item)
        case _ if dataclasses.is_dataclass(node):
            for field in dataclasses.fields(node):
                yield from _references(getattr(node, field.name))


# AWS's functions. Nothing is ABSENT here, in and out.


@dataclass(frozen=True, slots=True)
class _Bound:
    """One of AWS's functions as the library wants it."""

    name: str
    chance: Chance

    def get_function_signature(self) -> str:
        """How many arguments there are. Their types are left open: the library would convert them."""
        return f"<{'x?' * _FUNCTIONS[self.name][0]}:x>"

    def apply(self, arguments: "JsonataFunctionArguments") -> Any:
        from jsonata2py import MISSING, JsonataEvaluationError

        values = (ABSENT if value is MISSING else value for value in arguments.as_list())
        try:
            result = _FUNCTIONS[self.name][1](self.chance, *values)
        except functions.Invalid as error:
            raise JsonataEvaluationError(None, f"Invalid arguments in ${self.name}: {error}") from None
        return MISSING if result is ABSENT else result


def _partition(_: Chance, array: Json = ABSENT, size: Json = ABSENT) -> Json | Absent:
    if array is ABSENT or size is ABSENT:
        return ABSENT
    items, chunk = _items(array), functions.whole(size)
    if chunk < 0:
        raise functions.Invalid("the chunk size must not be negative")
    return [items[at : at + chunk] for at in range(0, len(items), chunk)] if items and chunk else ABSENT


def _range(_: Chance, first: Json = ABSENT, last: Json = ABSENT, step: Json = ABSENT) -> Json | Absent:
    if ABSENT in (first, last, step):
        return ABSENT
    start, end, stride = functions.whole(first), functions.whole(last), functions.whole(step)
    if stride == 0:
        raise functions.Invalid("the step must not be zero")
    size = (end - start) // stride + 1
    if size > _MAX_RANGE:
        from nbflow.language import bounds

        raise bounds.too_big()
    numbers = [start + index * stride for index in range(size)]
    return numbers if size > 1 else numbers[0] if numbers else ABSENT


def _items(array: Json) -> list[Json]:
    """An array as it is; to JSONata any other value is an array of one."""
    return array if isinstance(array, list) else [array]


def _hash(_: Chance, text: Json = ABSENT, algorithm: Json = ABSENT) -> Json | Absent:
    if text is ABSENT or algorithm is ABSENT:
        return ABSENT
    hashed = functions.digest(functions.string(text), algorithm)
    if hashed is None:
        raise functions.Invalid("the algorithm must be MD5, SHA-1, SHA-256, SHA-384 or SHA-512")
    return hashed


def _random(chance: Chance, seed: Json = ABSENT) -> float:
    return chance.random() if seed is ABSENT else functions.java_random(functions.whole(seed))


def _shuffle(chance: Chance, array: Json = ABSENT) -> Json | Absent:
    if array is ABSENT:
        return ABSENT
    shuffled = _items(array).copy()
    for at in range(len(shuffled) - 1, 0, -1):
        other = int(chance.random() * (at + 1))
        shuffled[at], shuffled[other] = shuffled[other], shuffled[at]
    return shuffled


def _parse(_: Chance, text: Json = ABSENT) -> Json | Absent:
    try:
        return text if text is ABSENT else functions.parse_json(functions.string(text))
    except ValueError as error:
        raise functions.Invalid(f"the string is not valid JSON: {error}") from error


_FUNCTIONS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "hash": (2, _hash),
    "parse": (1, _parse),
    "partition": (2, _partition),
    "random": (1, _random),
    "range": (3, _range),
    "shuffle": (1, _shuffle),
    "uuid": (0, functions.uuid4),
}
"""The functions that AWS adds or changes, and how many arguments they take (AWS guide)."""
