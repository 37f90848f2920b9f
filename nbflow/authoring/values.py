"""Expressions as states: what computes a value, and where the value goes.

:func:`deliver` makes the states for an expression and sends the result of the last one to a :class:`Sink`: variables,
or the end of the scope. A task call inside of an expression is *hoisted*: it becomes a state of its own before, and a
temporary variable takes its place. So that nothing changes its order, whatever Python evaluates before it is hoisted
too, unless it can neither fail nor do anything.
"""

import ast
import copy
import functools
from typing import Any, Final, TypeAlias, TypeVar

from nbflow.authoring import catches
from nbflow.authoring.inline import slug
from nbflow.authoring.kinds import ANY, ARRAY, BOOLEAN, COUNT, STRING, Kind, join
from nbflow.authoring.pieces import piece
from nbflow.authoring.states import NOWHERE, Scope, Sink, State, to
from nbflow.authoring.typed import Template, hole, template

Node = TypeVar("Node", bound=ast.expr)
_Place: TypeAlias = tuple[ast.AST, str, int | None]
"""Where an operand stands: a node, a field of it, and an index in that."""


_LONGEST_RETURN: Final = 60
"""Characters of a return statement that names its state."""

# --- states


def finish(scope: Scope, name: str, state: State, sink: Sink, kind: Kind = ANY) -> None:
    """Add a state that computes a value (a Task, Map or Parallel) and send the value to the sink."""
    catches.catch(scope, state)
    if sink.places:
        state["Assign"] = {hole(each): f"{{% $states.result{part} %}}" for each, part in sink.places.items()}
    scope.add(name, state)
    if sink.returns:
        state["End"] = True
        scope.results.append(kind)
        return
    scope.kinds.update({each: kind.part(part) for each, part in sink.places.items()})
    scope.exits = [(state, "Next")]


def inline(scope: Scope, node: ast.expr, sink: Sink, wrap: str = "") -> None:
    """A state that evaluates the expression as Python, or what one of :data:`_WRAPS` makes of it (``wrap``)."""
    text = scope.machine.source.text(node)
    text = f"list({text})" if wrap == "list" else text  # a condition is a boolean anyway
    value = _called(*_WRAPS[wrap][:2], node) if wrap else node
    # Nobody asks for the value of an expression statement: it may be what no payload can hold.
    statement = ast.Expr(value) if sink == NOWHERE and not wrap else ast.Return(value)
    state = piece(scope, [node], [ast.copy_location(statement, node)], text)
    kind = _WRAPS[wrap][2] if wrap else proven(scope, node)
    finish(scope, scope.machine.state_name(text), state, sink, kind)


_WRAPS: Final = {
    "bool": ("builtins", "bool", BOOLEAN),
    "list": ("builtins", "list", ARRAY),
    "items": ("nbflow.authoring.sources", "mappable", ANY),
}
"""A module, the name of a function in it, and what it gives."""

_DISPLAYS: Final[dict[type[ast.expr], Kind]] = {
    ast.Tuple: Kind("tuple"),
    ast.List: ARRAY,
    ast.ListComp: ARRAY,
    ast.JoinedStr: STRING,
}
_BUILTINS: Final[dict[Any, Kind]] = {
    tuple: Kind("tuple"),
    list: ARRAY,
    sorted: ARRAY,
    str: STRING,
    repr: STRING,
    bool: BOOLEAN,
    isinstance: BOOLEAN,
    len: COUNT,
}


def proven(scope: Scope, node: ast.expr) -> Kind:
    """What the text of an expression proves of its value."""
    if (found := template(node, scope)) is not None:
        return found.kind
    if isinstance(node, ast.IfExp | ast.BoolOp):
        parts = node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse]
        return functools.reduce(join, [proven(scope, each) for each in parts])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        meaning = scope.meaning(node.func)
        return next((kind for builtin, kind in _BUILTINS.items() if builtin is meaning), ANY)
    return _DISPLAYS.get(type(node), ANY)


def _called(module: str, function: str, node: ast.expr) -> ast.expr:
    """A call of a function of a module, whatever the names mean in the flow."""
    nothing = ast.Constant(None)
    found: list[ast.expr] = [
        ast.Constant(module),
        nothing,
        nothing,
        ast.List([ast.Constant("*")], ast.Load()),
    ]
    owner = ast.Call(ast.Name("__import__", ast.Load()), found, [])
    return ast.copy_location(ast.Call(ast.Attribute(owner, function, ast.Load()), [node], []), node)


def assign(scope: Scope, text: str, values: dict[str, Template]) -> None:
    """A Pass that sets variables, all at the same time."""
    state: State = {"Type": "Pass", "Assign": {hole(name): each.value for name, each in values.items()}}
    scope.add(scope.machine.state_name(text), state)
    scope.exits = [(state, "Next")]
    scope.kinds.update({name: each.kind for name, each in values.items()})


def leave(scope: Scope, text: str, result: Template) -> None:
    """A Succeed that ends the scope with this result."""
    short = text if len(text) <= _LONGEST_RETURN else "return"  # a long display says little as a name
    scope.add(scope.machine.state_name(short), {"Type": "Succeed", "Output": result.value})
    scope.results.append(result.kind)


def settle(scope: Scope, found: Template, text: str, sink: Sink) -> None:
    """Send a template to a sink."""
    scope.machine.promises |= found.promises
    if sink.returns:
        leave(scope, f"return {text.removeprefix('return ')}", found)
    elif sink.places:
        assign(scope, text, dict.fromkeys(sink.places, found))


# --- values


def deliver(scope: Scope, node: ast.expr, sink: Sink, text: str = "") -> None:
    """Compute an expression and send its value to a sink. ``text`` is the whole statement's, for the name of a Pass."""
    text = text or " = ".join([*sink.places, scope.machine.source.text(node)])
    rule = scope.machine.form(scope, node)
    if rule is not None:
        rule(scope, node, sink, text)
        return
    node = hoist_children(scope, node)
    found = _template(scope, node)
    if found is None:
        inline(scope, node, sink)
    else:
        settle(scope, found, text, sink)


def materialise(scope: Scope, node: ast.expr) -> Template:
    """The value of an expression as a template, by way of a temporary variable if need be."""
    node = hoist(scope, node)
    found = _template(scope, node) or _read(scope, compute(scope, node))
    scope.machine.promises |= found.promises
    return found


def _template(scope: Scope, node: ast.expr) -> Template | None:
    scope.check(node)
    found = template(node, scope)
    if found is not None:
        return found
    if any(isinstance(each, ast.Name) and scope.kind(each.id) for each in members(node)):
        # A value that stands beside something to compute passes by: a DataFrame need not be loaded for it.
        changed, places = _slots(node)
        for holder, name, index in places:
            each = _get(holder, name, index)
            if template(each, scope) is None:
                _set(holder, name, index, _name(compute(scope, each), each))
        return template(changed, scope)
    return None


def members(node: ast.expr) -> list[ast.expr]:
    """The members of a display that can be an array or object."""
    if isinstance(node, ast.Dict):
        plain = all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in node.keys)
        return node.values if plain else []
    if isinstance(node, ast.List | ast.Tuple):
        return [] if any(isinstance(each, ast.Starred) for each in node.elts) else node.elts
    return []


def _read(scope: Scope, name: str) -> Template:
    return Template(f"{{% {hole(name)} %}}", scope.kinds[name])


def _name(name: str, like: ast.expr) -> ast.Name:
    return ast.copy_location(ast.Name(name, ast.Load()), like)


def temporary(scope: Scope, base: str) -> str:
    """A new variable, with a name like ``base``."""
    return scope.machine.identifier(f"{slug(base)[:24].rstrip('_')}_")


def compute(scope: Scope, node: ast.expr) -> str:
    """An inline task for an expression; answers with the temporary variable that holds its value."""
    name = temporary(scope, scope.machine.source.text(node))
    inline(scope, node, to(name))
    return name


# --- hoisting


def hoist(scope: Scope, node: ast.expr) -> ast.expr:
    """The expression without task calls, after the states for these: temporary variables take their place."""
    if scope.machine.form(scope, node) is None:
        return hoist_children(scope, node)
    name = temporary(scope, _word(scope, node))
    deliver(scope, node, to(name))
    return _name(name, node)


def _word(scope: Scope, node: ast.expr) -> str:
    """What a variable for the value of a form of expression may be called."""
    call = node.elt if isinstance(node, ast.ListComp) else node
    meaning = scope.meaning(call.func) if isinstance(call, ast.Call) else None
    return getattr(meaning, "name", None) or ("items" if isinstance(node, ast.ListComp) else "value")


def hoist_children(scope: Scope, node: Node) -> Node:
    """The expression with its operands hoisted, in Python's order of evaluation."""
    calling = scope.machine.calling
    if node not in calling:
        return node
    changed, places = _slots(node)
    operands = [_get(*each) for each in places]
    for index, (each, operand) in enumerate(zip(places, operands, strict=True)):
        later = any(other in calling for other in operands[index + 1 :])
        new = hoist(scope, operand)
        if later and not _simple(scope, new):
            new = _name(compute(scope, new), operand)
        _set(*each, new)
    return changed


def _simple(scope: Scope, node: ast.expr) -> bool:
    """Whether it does not matter when the expression is evaluated: it cannot fail, nor do anything."""
    plain = isinstance(node, ast.Name | ast.Constant | ast.Lambda)
    return plain or template(node, scope) is not None or callable(scope.meaning(node))


def _slots(node: Node) -> tuple[Node, list[_Place]]:
    """A copy of an expression, and where its operands stand, in the order in which Python evaluates them."""
    changed = _copied(node)
    places: list[_Place] = []
    _operands(changed, places)
    return changed, places


def _copied(node: Any) -> Any:
    changed = copy.copy(node)
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            setattr(changed, name, value.copy())
    return changed


def _operands(node: Any, places: list[_Place]) -> None:
    """Add the places in a node that is a copy; what is no expression by itself (an argument, a slice) is gone into."""
    if isinstance(node, ast.Dict):
        for at, key in enumerate(node.keys):
            places += [(node, "keys", at)] if key else []
            places.append((node, "values", at))
        return
    if isinstance(node, ast.SetComp | ast.GeneratorExp | ast.DictComp | ast.ListComp):
        node.generators[0] = copy.copy(node.generators[0])
        places.append((node.generators[0], "iter", None))
        return
    for name, value in ast.iter_fields(node):
        several = isinstance(value, list)
        for at, each in enumerate(value if several else [value]):
            index = at if several else None
            method = isinstance(node, ast.Call) and name == "func" and isinstance(each, ast.Attribute)
            if method or isinstance(each, _GONE_INTO):
                inner = _copied(each)
                _set(node, name, index, inner)
                _operands(inner, places)
            elif isinstance(each, ast.expr):
                places.append((node, name, index))


_GONE_INTO: Final = (ast.keyword, ast.Starred, ast.FormattedValue, ast.Slice, ast.JoinedStr)


def _get(holder: ast.AST, name: str, index: int | None) -> ast.expr:
    value = getattr(holder, name)
    found: ast.expr = value if index is None else value[index]
    return found


def _set(holder: ast.AST, name: str, index: int | None, value: ast.AST) -> None:
    if index is None:
        setattr(holder, name, value)
    else:
        getattr(holder, name)[index] = value
