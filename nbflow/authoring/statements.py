"""Statements as states, one short function for each kind."""

import ast
from collections.abc import Callable
from typing import Any, Final

from nbflow.authoring import catches, kinds, words
from nbflow.authoring.forms import branch, condition_of
from nbflow.authoring.kinds import ANY, STRING
from nbflow.authoring.names import member, targets
from nbflow.authoring.pieces import piece
from nbflow.authoring.states import NOWHERE, RESULT, Exit, Handler, Kinds, Scope, Sink, State, to
from nbflow.authoring.task import Task
from nbflow.authoring.typed import Template, as_text, fold, hole, template
from nbflow.authoring.values import (
    assign,
    deliver,
    finish,
    hoist,
    leave,
    materialise,
    members,
    proven,
    settle,
)
from nbflow.errors import Fail


def block(scope: Scope, body: list[ast.stmt], handling: tuple[Handler, ...] = ()) -> None:
    """States for statements; what cannot be reached has none.

    ``handling`` are the except clauses that they stand in, the innermost last.
    """
    for node in body:
        if scope.dead:
            return
        if isinstance(node, ast.Raise):
            _raise(scope, node, handling)
        elif isinstance(node, ast.If):
            _if(scope, node, handling)
        elif isinstance(node, ast.Try):
            _try(scope, node, handling)
        else:
            _STATEMENTS[type(node)](scope, node)


def _text(scope: Scope, node: ast.AST) -> str:
    return scope.machine.source.text(node)


# --- values


def _return(scope: Scope, node: ast.Return) -> None:
    if node.value is None:
        leave(scope, "return", Template(None, ANY))
    else:
        deliver(scope, node.value, RESULT, _text(scope, node))


def _expression(scope: Scope, node: ast.Expr) -> None:
    if not isinstance(node.value, ast.Constant):
        deliver(scope, node.value, NOWHERE)


def _assign(scope: Scope, node: ast.Assign) -> None:
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    if len(names) == len(node.targets):
        deliver(scope, node.value, to(*names), _text(scope, node))
    elif len(node.targets) == 1:
        _unpack(scope, node, node.targets[0])
    else:
        raise scope.machine.source.error(
            node, "unpack on a line of its own: a flow assigns names here, or unpacks"
        )


def _annotated(scope: Scope, node: ast.AnnAssign) -> None:
    """``x: int = len(y)``: the annotation promises what the value of an inline task is, unless that is known.

    (Of a task, its own annotation does: a check is made of each of its results, and this is about one.)
    """
    if node.value is None or not isinstance(node.target, ast.Name):
        return
    name = node.target.id
    inline = scope.machine.form(scope, node.value) is None
    deliver(scope, node.value, to(name), _text(scope, node))
    [(state, _), *_] = scope.exits
    if inline and state["Type"] == "Task" and scope.kinds[name].name == "any":
        promised = kinds.of_annotation(ast.unparse(node.annotation), scope.machine.function.__globals__)
        scope.kinds[name] = promised.promised("task", state["Resource"].rpartition(":")[2])


def _augmented(scope: Scope, node: ast.AugAssign) -> None:
    """``x += y`` is ``x = x + y`` for texts; what else it may mean is Python's to say."""
    assert isinstance(node.target, ast.Name)
    name, text = node.target.id, _text(scope, node)
    before = ast.copy_location(ast.Name(name, ast.Load()), node.target)
    value = hoist(scope, node.value)
    scope.check(before)
    found = template(ast.copy_location(ast.BinOp(before, node.op, value), node), scope)
    if found is not None:
        scope.check(value)
        settle(scope, found, text, to(name))
        return
    changed = ast.copy_location(ast.AugAssign(node.target, node.op, value), node)
    body: list[ast.stmt] = [changed, ast.copy_location(ast.Return(before), node)]
    finish(scope, scope.machine.state_name(text), piece(scope, [before, value], body, text), to(name))


def _unpack(scope: Scope, node: ast.Assign, target: ast.expr) -> None:
    """``a, b = …``: by index where the number of values is known, else by Python."""
    assert isinstance(target, ast.Tuple | ast.List)
    text = _text(scope, node)
    names = [each.id for each in target.elts if isinstance(each, ast.Name)]
    if len(set(names)) < len(target.elts):  # a star, a name within parentheses, or one that occurs twice
        _unpack_by_python(scope, node, hoist(scope, node.value), target)
        return
    values = [] if isinstance(node.value, ast.Dict) else members(node.value)
    if len(values) == len(names):
        parts = [materialise(scope, each) for each in members(hoist(scope, node.value))]
        assign(scope, text, dict(zip(names, parts, strict=True)))
        return
    size = _size_of_call(scope, node.value)
    if size is not None:
        if size != len(names):
            raise scope.machine.source.error(
                target, f"there are {size} values to unpack, but {len(names)} names"
            )
        deliver(scope, node.value, Sink({name: f"[{index}]" for index, name in enumerate(names)}), text)
        return
    value = hoist(scope, node.value)
    kind = scope.kind(value.id) if isinstance(value, ast.Name) else None
    if isinstance(value, ast.Name) and kind and kind.name == "tuple" and kind.size == len(names):
        scope.machine.promises |= kind.promises
        indices = {name: f"[{index}]" for index, name in enumerate(names)}
        read = {
            name: Template(f"{{% {hole(value.id)}{at} %}}", kind.part(at)) for name, at in indices.items()
        }
        assign(scope, text, read)
        return
    _unpack_by_python(scope, node, value, target)


def _size_of_call(scope: Scope, value: ast.expr) -> int | None:
    """How many values ``nf.parallel(…)`` gives, or a task that promises a number of them."""
    if not isinstance(value, ast.Call) or value not in scope.machine.calling:
        return None
    meaning = scope.meaning(value.func)
    if meaning is words.parallel:
        return len(value.args)
    kind = kinds.of_result(meaning.function) if isinstance(meaning, Task) else ANY
    return kind.size if kind.name == "tuple" else None


def _unpack_by_python(scope: Scope, node: ast.Assign, value: ast.expr, target: ast.expr) -> None:
    """An inline task that unpacks, and gives the values by their names."""
    names, text = targets(target), _text(scope, node)
    keys: list[ast.expr | None] = [ast.Constant(name) for name in names]
    result = ast.Dict(keys, [ast.Name(name, ast.Load()) for name in names])
    unpacked = ast.copy_location(ast.Assign([target], value), node)
    body: list[ast.stmt] = [unpacked, ast.copy_location(ast.Return(result), node)]
    sink = Sink({name: member(name) for name in names})
    finish(scope, scope.machine.state_name(text), piece(scope, [value], body, text), sink)


# --- control


def _if(scope: Scope, node: ast.If, handling: tuple[Handler, ...]) -> None:
    """An ``elif`` that needs no state of its own is a further rule of the same Choice."""
    yes, no = branch(scope, node.test)
    before = scope.kinds
    choice = next(reversed(scope.states.values()))
    arms = [(yes, node.body)]
    orelse = node.orelse
    while len(orelse) == 1 and isinstance(orelse[0], ast.If) and no == [(choice, "Default")]:
        other = orelse[0]
        condition = None if other.test in scope.machine.calling else condition_of(scope, other.test)
        if condition is None:
            break
        rule: State = {"Condition": condition}
        choice["Choices"].append(rule)
        arms.append(([(rule, "Next")], other.body))
        orelse = other.orelse
    ways: list[tuple[list[Exit], Kinds]] = []
    for exits, body in [*arms, (no, orelse)]:
        scope.exits, scope.kinds = exits, dict(before)
        block(scope, body, handling)
        ways.append((scope.exits, scope.kinds))
    scope.merge(ways)


def _try(scope: Scope, node: ast.Try, handling: tuple[Handler, ...]) -> None:
    handlers = [catches.handler(scope, each) for each in node.handlers]
    scope.tries.append(handlers)
    block(scope, node.body, handling)
    scope.tries.pop()
    block(scope, node.orelse, handling)
    ways: list[tuple[list[Exit], Kinds]] = [(scope.exits, scope.kinds)]
    for each in handlers:
        if not each.exits:
            continue  # nothing in the body can raise it
        catches.begin(scope, each)
        block(scope, each.node.body, (*handling, each))
        if each.variable:
            scope.kinds.pop(each.variable, None)  # Python unsets it, too
        ways.append((scope.exits, scope.kinds))
    scope.merge(ways)


def _raise(scope: Scope, node: ast.Raise, handling: tuple[Handler, ...]) -> None:
    again = next((each for each in reversed(handling) if catches.is_again(node, each.variable)), None)
    if again is not None:
        catches.again(scope, node, again)
        return
    if node.exc is None:
        raise scope.machine.source.error(node, "there is nothing to raise again here: name an exception")
    failed = _literal_fail(scope, node)
    if failed is None:
        worded = _worded_fail(scope, node)
        if worded is None:
            _raise_by_python(scope, node)
        else:
            error, cause = worded
            wording = materialise(scope, cause).value
            scope.add(
                scope.machine.state_name(error), {"Type": "Fail", "Error": as_text(error), "Cause": wording}
            )
        return
    taker = catches.taker(scope, Fail)
    if taker is not None:
        catches.caught_fail(scope, node, taker, failed)
        return
    state: State = {"Type": "Fail", "Error": as_text(failed.error)}
    if failed.cause:
        state["Cause"] = as_text(failed.cause)
    scope.add(scope.machine.state_name(failed.error), state)


def _literal_fail(scope: Scope, node: ast.Raise) -> Fail | None:
    """The failure of ``raise nf.Fail("NoData", "nothing to report")``, if its arguments are constants."""
    call = node.exc
    if not isinstance(call, ast.Call) or scope.meaning(call.func) is not Fail:
        return None
    given = [fold(each, scope) for each in call.args]
    named = {each.arg: fold(each.value, scope) for each in call.keywords}
    if not all(isinstance(value, str) for value in [*given, *named.values()]) or None in named:
        return None
    try:
        return Fail(*given, **{str(name): value for name, value in named.items()})
    except TypeError as wrong:
        raise scope.machine.source.error(call, f"nf.Fail(error, cause): {wrong}") from None


def _worded_fail(scope: Scope, node: ast.Raise) -> tuple[str, ast.expr] | None:
    """The error name and the cause of ``raise nf.Fail("NoData", f"…")``, if the cause is surely a text, and nobody
    catches it."""
    match node.exc:
        case ast.Call(func, [error, cause], []) if scope.meaning(func) is Fail and node.cause is None:
            name = fold(error, scope)
            sure = isinstance(name, str) and name and proven(scope, cause) == STRING
            return (name, cause) if sure and catches.taker(scope, Fail) is None else None
    return None


def _raise_by_python(scope: Scope, node: ast.Raise) -> None:
    assert node.exc is not None
    reads = [hoist(scope, node.exc), *([hoist(scope, node.cause)] if node.cause else [])]
    _as_it_is(scope, ast.copy_location(ast.Raise(*reads), node), reads, RESULT)


def _assert(scope: Scope, node: ast.Assert) -> None:
    if node.msg in scope.machine.calling:
        raise scope.machine.source.error(node.msg, "call the task before the assert")
    test = hoist(scope, node.test)
    reads = [test, node.msg] if node.msg else [test]
    _as_it_is(scope, ast.copy_location(ast.Assert(*reads), node), reads, NOWHERE)


def _as_it_is(scope: Scope, node: ast.stmt, reads: list[ast.expr], sink: Sink) -> None:
    """An inline task that is the statement."""
    text = _text(scope, node)
    finish(scope, scope.machine.state_name(text), piece(scope, reads, [node], text), sink)


def _nothing(scope: Scope, node: ast.stmt) -> None:
    """``pass`` is no state."""


_STATEMENTS: Final[dict[type[ast.stmt], Callable[[Scope, Any], None]]] = {
    ast.Return: _return,
    ast.Expr: _expression,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Assert: _assert,
    ast.Pass: _nothing,
}
