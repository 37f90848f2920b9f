"""The forms of expression that are states by themselves.

A call of a task is a Task, ``nf.parallel(…)`` a Parallel, ``nf.wait(…)`` a Wait; a list comprehension of task calls,
and ``nf.map(…)``, is a Map. Where Python decides whether to call a task (``and``, ``or``, ``if``, chained comparisons),
there is a Choice. Each form has a rule in the table at the end.
"""

import ast
import functools
import inspect
from collections.abc import Iterable
from typing import Any, Final

from nbflow.authoring import catches, kinds, words
from nbflow.authoring.kinds import ANY, Kind
from nbflow.authoring.maps import comprehension, nf_map
from nbflow.authoring.names import MISSING
from nbflow.authoring.states import (
    ARN,
    NOWHERE,
    RESULT,
    Exit,
    Kinds,
    Rule,
    Scope,
    Sink,
    State,
    to,
)
from nbflow.authoring.survey import is_step
from nbflow.authoring.task import Notebook, Task
from nbflow.authoring.typed import fold, hole, render
from nbflow.authoring.values import deliver, finish, hoist, hoist_children, inline, materialise, temporary
from nbflow.language.values import Json

# --- calls


def _call(scope: Scope, node: ast.Call, sink: Sink, text: str) -> None:
    meaning = scope.meaning(node.func)
    if isinstance(meaning, Task | Notebook):
        _task(scope, node, meaning, sink)
    else:
        _WORDS[meaning](scope, node, sink, text)


def _task(scope: Scope, node: ast.Call, task: Task[..., Any] | Notebook, sink: Sink) -> None:
    machine = scope.machine
    call = hoist_children(scope, node)
    arguments = _bound(scope, call, task)
    name = "" if task.activity else machine.bind(task, task.name)
    state: State = {"Type": "Task"}
    if comment := _first_line(task):
        state["Comment"] = comment
    state["Resource"] = task.activity or ARN + name
    state["Arguments"] = {each: materialise(scope, value).value for each, value in arguments.items()}
    if task.timeout is not None:
        state["TimeoutSeconds"] = task.timeout
    if task.heartbeat is not None:
        state["HeartbeatSeconds"] = task.heartbeat
    if task.retry:
        state["Retry"] = catches.retry(machine, task)
    kind = ANY
    if isinstance(task, Task) and not task.activity:  # what a worker sends, nobody checks
        kind = kinds.of_result(task.function).promised("task", name)
    if any(sink.places.values()):  # it is taken apart, because its annotation says of how many parts it is
        machine.promises |= kind.promises
    finish(
        scope, machine.state_name(task.name, *_texts(scope, node, task.name, arguments)), state, sink, kind
    )


def _texts(scope: Scope, node: ast.Call, name: str, arguments: Iterable[str]) -> tuple[str, ...]:
    """Other names for a task's state: the text of the call, or, in ``nf.map(task, …)``, something like it."""
    text = scope.machine.source.text(node)
    return (text,) if text.endswith(")") else (f"{name}({', '.join(arguments)})",)


def _first_line(task: Task[..., Any] | Notebook) -> str:
    text = task.function.__doc__ if isinstance(task, Task) else None
    return (text or "").strip().partition("\n")[0].strip()


def _bound(scope: Scope, call: ast.Call, task: Task[..., Any] | Notebook) -> dict[str, ast.expr]:
    """The arguments by the names of the task's parameters, in the order of the call."""
    error = scope.machine.source.error
    for each in [*call.args, *call.keywords]:
        if isinstance(each, ast.Starred) or (isinstance(each, ast.keyword) and each.arg is None):
            raise error(each, "a task's state names its arguments: write each of them instead of * or **")
    keywords = {each.arg: each.value for each in call.keywords if each.arg is not None}
    if isinstance(task, Notebook):
        if call.args:
            raise error(call.args[0], f"a notebook's parameters are given by name: {task.name}(year=2013)")
        return keywords
    signature = inspect.signature(task.function)
    try:
        bound = signature.bind(*call.args, **keywords)
    except TypeError as wrong:
        raise error(call, f"{task.name}{signature}: {wrong}") from None
    arguments: dict[str, ast.expr] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise error(
                call,
                f"{task.name}{signature}: a state gives its task names and values, so that {name} needs a name",
            )
        arguments |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
    place = {id(value): index for index, value in enumerate([*call.args, *keywords.values()])}
    return dict(sorted(arguments.items(), key=lambda item: place[id(item[1])]))


def _wait(scope: Scope, node: ast.Call, sink: Sink, text: str) -> None:
    source = scope.machine.source
    if sink != NOWHERE:
        raise source.error(node, "nf.wait(…) has no value: write it on a line of its own")
    if len(node.args) != 1 or node.keywords:
        raise source.error(node, "nf.wait takes the seconds: nf.wait(60)")
    written = fold(node.args[0], scope)
    seconds = materialise(scope, node.args[0])
    whole = type(written) is int and 0 <= written <= 99_999_999
    if not whole and (written is not MISSING or not isinstance(seconds.value, str)):
        raise source.error(node.args[0], "nf.wait takes a whole number of seconds from 0 to 99999999")
    scope.machine.promises |= seconds.kind.promises
    state: State = {"Type": "Wait", "Seconds": seconds.value}
    scope.add(scope.machine.state_name(source.text(node)), state)
    scope.exits = [(state, "Next")]


# --- Parallel


def _parallel(scope: Scope, node: ast.Call, sink: Sink, text: str) -> None:
    machine, source = scope.machine, scope.machine.source
    if node.keywords or not node.args or any(isinstance(each, ast.Starred) for each in node.args):
        raise source.error(
            node,
            "nf.parallel takes what is to be done at the same time, one by one: nf.parallel(a(x), b(x)). "
            "For each item of a list, write [a(x) for x in xs]",
        )
    called = [scope.meaning(each.func) if isinstance(each, ast.Call) else None for each in node.args]
    short = ", ".join(
        getattr(meaning, "name", source.text(each)) for meaning, each in zip(called, node.args, strict=True)
    )
    name = machine.state_name(f"parallel({short})", source.text(node))
    arguments: dict[str, Json] = {}
    branches, results = [], []
    for part in node.args:
        branch = Scope(machine, dict(scope.kinds), inner=True)
        deliver(branch, part, RESULT)
        taken = branch.close(f"begin {source.text(part)}")
        arguments |= {each: f"{{% {hole(each)} %}}" for each in taken}
        branches.append(branch.definition)
        results.append(functools.reduce(kinds.join, branch.results))
    state: State = {"Type": "Parallel", "Arguments": arguments, "Branches": branches}
    finish(scope, name, state, sink, Kind("tuple", len(branches), tuple(results)))


# --- Choice


def branch(scope: Scope, test: ast.expr) -> tuple[list[Exit], list[Exit]]:
    """Decide: the exits where the expression is true, and those where it is not."""
    if test in scope.machine.calling:
        if isinstance(test, ast.BoolOp):
            return _branches(scope, test)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            yes, no = branch(scope, test.operand)
            return no, yes
    text = f"if {scope.machine.source.text(test)}"
    test = hoist(scope, test)
    condition = condition_of(scope, test)
    if condition is None:
        inline(scope, test, NOWHERE, wrap="bool")
        condition = "{% $states.input %}"
    rule: State = {"Condition": condition}
    choice: State = {"Type": "Choice", "Choices": [rule]}
    scope.add(scope.machine.state_name(text), choice)
    return [(rule, "Next")], [(choice, "Default")]


def condition_of(scope: Scope, test: ast.expr) -> str | None:
    """The expression as a Condition, if it is proven to be a boolean."""
    scope.check(test)
    found = render(test, scope)
    if found is None or found.kind.name != "boolean":
        return None
    scope.machine.promises |= found.promises | found.kind.promises
    return f"{{% {found.text} %}}"


def _branches(scope: Scope, test: ast.BoolOp) -> tuple[list[Exit], list[Exit]]:
    decided: list[Exit] = []
    kinds_before = scope.kinds
    for operand in test.values[:-1]:
        yes, no = branch(scope, operand)
        go_on, done = (yes, no) if isinstance(test.op, ast.And) else (no, yes)
        decided += done
        scope.exits = go_on
    yes, no = branch(scope, test.values[-1])
    scope.kinds = kinds_before
    return (yes, no + decided) if isinstance(test.op, ast.And) else (yes + decided, no)


def _and_or(scope: Scope, node: ast.BoolOp, sink: Sink, text: str) -> None:
    """The value of the operand that decides."""
    name = temporary(scope, "value")
    variable = ast.copy_location(ast.Name(name, ast.Load()), node)
    ways: list[tuple[list[Exit], Kinds]] = []
    decided: list[tuple[list[Exit], Kinds]] = []
    for operand in node.values[:-1]:
        deliver(scope, operand, to(name))
        yes, no = branch(scope, ast.copy_location(variable, operand))
        go_on, done = (yes, no) if isinstance(node.op, ast.And) else (no, yes)
        decided.append((done, dict(scope.kinds)))
        scope.exits = go_on
    deliver(scope, node.values[-1], sink)
    ways.append((scope.exits, scope.kinds))
    scope.merge(decided)
    deliver(scope, variable, sink, text)
    ways.append((scope.exits, scope.kinds))
    scope.merge(ways)


def _if_else(scope: Scope, node: ast.IfExp, sink: Sink, text: str) -> None:
    yes, no = branch(scope, node.test)
    before = scope.kinds
    ways: list[tuple[list[Exit], Kinds]] = []
    for exits, part in ((yes, node.body), (no, node.orelse)):
        scope.exits, scope.kinds = exits, dict(before)
        deliver(scope, part, sink)
        ways.append((scope.exits, scope.kinds))
    scope.merge(ways)


def _chain(scope: Scope, node: ast.Compare, sink: Sink, text: str) -> None:
    """``a < f(x) < g(y)`` is ``a < t and t < g(y)``, with t = f(x)."""
    left, middle = (
        each if isinstance(each, ast.Name | ast.Constant) else _named(scope, each)
        for each in (node.left, node.comparators[0])
    )
    calling = scope.machine.calling
    rest = ast.copy_location(ast.Compare(middle, node.ops[1:], node.comparators[1:]), node)
    if not any(each in calling for each in node.comparators[1:]):
        whole = ast.copy_location(ast.Compare(left, node.ops, [middle, *node.comparators[1:]]), node)
        deliver(scope, whole, sink, text)
        return
    first = ast.copy_location(ast.Compare(left, node.ops[:1], [middle]), node)
    both = ast.copy_location(ast.BoolOp(ast.And(), [first, rest]), node)
    calling |= {rest, both}
    deliver(scope, both, sink, text)


def _named(scope: Scope, node: ast.expr) -> ast.expr:
    """A variable for the value of an expression."""
    name = temporary(scope, "value")
    deliver(scope, node, to(name))
    return ast.copy_location(ast.Name(name, ast.Load()), node)


# --- the table


_WORDS: Final[dict[Any, Rule]] = {words.parallel: _parallel, words.map: nf_map, words.wait: _wait}


def form(scope: Scope, node: ast.expr) -> Rule | None:
    """The rule for an expression with a task call in it that is one of these forms."""
    if node not in scope.machine.calling:
        return None
    match node:
        case ast.Call():
            return _call if is_step(scope.meaning(node.func)) else None
        case ast.ListComp():
            return comprehension if node.elt in scope.machine.calling else None
        case ast.BoolOp():
            return _and_or
        case ast.IfExp():
            return _if_else
        case ast.Compare():
            return _chain if len(node.ops) > 1 else None
    return None
