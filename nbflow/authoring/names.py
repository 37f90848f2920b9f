"""What names mean: the Python values behind a flow's globals, the names that an expression takes from outside, and the
names that ASL has for variables."""

import ast
import builtins
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final

MISSING: Final = object()
"""No value."""


class Namespace:
    """A function's globals, closure and the builtins, as they are now."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.globals: dict[str, Any] = function.__globals__
        self.closure: dict[str, Any] = {}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.closure[name] = cell.cell_contents
            except ValueError:  # not set yet: such is the flow's own name, while it is being defined
                continue

    def value(self, name: str) -> Any:
        """The value of a name, or MISSING."""
        spaces: tuple[Mapping[str, Any], ...] = (self.closure, self.globals, vars(builtins))
        return next((space[name] for space in spaces if name in space), MISSING)

    def resolve(self, node: ast.expr, variables: Callable[[str], bool]) -> Any:
        """What ``clean`` or ``steps.clean`` names: attributes of modules and classes are followed. Else MISSING."""
        if isinstance(node, ast.Name):
            return MISSING if variables(node.id) else self.value(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value, variables)
            if isinstance(owner, ModuleType | type):
                return getattr(owner, node.attr, MISSING)
        return MISSING


def free(node: ast.AST) -> Iterator[ast.Name]:
    """The names that an expression or statement reads from outside, at each place where it does."""
    return _free(node, frozenset())


def _free(node: ast.AST, bound: frozenset[str]) -> Iterator[ast.Name]:
    match node:
        case ast.Name(ctx=ast.Load()):
            if node.id not in bound:
                yield node
        case ast.Lambda():
            arguments = node.args
            for default in [*arguments.defaults, *filter(None, arguments.kw_defaults)]:
                yield from _free(default, bound)
            yield from _free(node.body, bound | {each.arg for each in _arguments(arguments)})
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            inner = bound
            for index, generator in enumerate(node.generators):
                yield from _free(generator.iter, bound if index == 0 else inner)
                inner = inner | set(targets(generator.target))
                for condition in generator.ifs:
                    yield from _free(condition, inner)
            results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            for result in results:
                yield from _free(result, inner)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _free(child, bound)


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return named + [each for each in (arguments.vararg, arguments.kwarg) if each is not None]


def targets(node: ast.AST) -> list[str]:
    """The names that a target binds, in order."""
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]


def assigned(body: list[ast.stmt]) -> set[str]:
    """The names that statements bind: a function's local variables, without those of its comprehensions."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp | ast.Lambda):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        waiting.extend(ast.iter_child_nodes(node))
    return found


# --- ASL's names

_LONGEST: Final = 80

_WORDS: Final = frozenset({"and", "or", "in", "true", "false", "null", "function"})
"""What is more than a name to JSONata's parser."""

_RESERVED: Final = (
    _WORDS
    | {
        "states",
        "length",
        "string",
        "substring",
        "substringBefore",
        "substringAfter",
        "uppercase",
        "lowercase",
    }
    | {"trim", "pad", "contains", "split", "join", "match", "replace", "eval", "base64encode", "base64decode"}
    | {"encodeUrl", "encodeUrlComponent", "decodeUrl", "decodeUrlComponent", "number", "abs", "floor", "ceil"}
    | {
        "round",
        "power",
        "sqrt",
        "random",
        "formatNumber",
        "formatBase",
        "formatInteger",
        "parseInteger",
        "sum",
    }
    | {"max", "min", "average", "boolean", "not", "exists", "count", "append", "sort", "reverse", "shuffle"}
    | {
        "distinct",
        "zip",
        "keys",
        "lookup",
        "spread",
        "merge",
        "sift",
        "each",
        "error",
        "assert",
        "type",
        "now",
    }
    | {"millis", "fromMillis", "toMillis", "map", "filter", "single", "reduce", "clone"}
    | {"partition", "range", "hash", "uuid", "parse"}
)
"""What means something else after a dollar sign: JSONata's words and functions, and AWS's."""


def variable(name: str, taken: Callable[[str], bool]) -> str:
    """A name that ASL accepts for a Python variable (ASL, "Variables"): its own, if possible, else one like it."""
    stem = name.strip("_")[: _LONGEST - 4] or "value"
    if name == stem and name not in _RESERVED and not taken(name):
        return name
    candidate, number = f"{stem}_", 2
    while taken(candidate):
        candidate, number = f"{stem}_{number}", number + 1
    return candidate


def member(name: str) -> str:
    """The step of a path to the member that has a Python name: ``.year``."""
    return f".`{name}`" if name in _WORDS else f".{name}"
