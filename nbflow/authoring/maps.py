"""List comprehensions of task calls, and ``nf.map``, as Map states.

The items are the array that the comprehension iterates over; where it takes Python to make it (a range, a dict, several
loops, a condition), an inline task before the Map does. The element is a scope of its own, which gets the variables of
the loop, and every other that it reads, by ItemSelector.
"""

import ast
from typing import Any, Final

from nbflow.authoring.kinds import ANY, ARRAY
from nbflow.authoring.names import member, targets
from nbflow.authoring.pieces import piece
from nbflow.authoring.states import NOWHERE, RESULT, Scope, Sink, State
from nbflow.authoring.task import Notebook, Task
from nbflow.authoring.typed import fold, hole, template
from nbflow.authoring.values import deliver, finish, hoist, inline
from nbflow.language.values import Json

_ITEM: Final = "$states.context.Map.Item.Value"


def comprehension(scope: Scope, node: ast.ListComp, sink: Sink, text: str) -> None:
    _map(scope, node, sink, {"ProcessorConfig": {"Mode": "INLINE"}}, {})


def nf_map(scope: Scope, node: ast.Call, sink: Sink, text: str) -> None:
    """``nf.map(task, source, …)`` is ``[task(item) for item in source]`` with options."""
    source = scope.machine.source
    if len(node.args) != 2 or any(isinstance(each, ast.Starred) for each in node.args):
        raise source.error(node, "nf.map takes a task and a list: nf.map(clean, files, concurrency=10)")
    task, items = node.args
    if not isinstance(scope.meaning(task), Task | Notebook):
        raise source.error(task, "nf.map takes a task: mark the function with @nf.task")
    config, fields = _map_options(scope, node)
    item = scope.machine.identifier("item")
    element = ast.copy_location(
        ast.Call(task, [ast.copy_location(ast.Name(item, ast.Load()), task)], []), task
    )
    loop = ast.comprehension(ast.copy_location(ast.Name(item, ast.Store()), task), items, [], 0)
    mapped = ast.copy_location(ast.ListComp(element, [loop]), node)
    scope.machine.calling |= {element, mapped}
    _map(scope, mapped, sink, config, fields)


def _map_options(scope: Scope, node: ast.Call) -> tuple[State, State]:
    """The processor's configuration and the Map's fields from the keywords of ``nf.map``."""
    source = scope.machine.source
    options: dict[str, Any] = {}
    for each in node.keywords:
        value = fold(each.value, scope)
        if each.arg not in _OPTIONS:
            raise source.error(each, f"nf.map has the options {', '.join(_OPTIONS)}")
        if not _OPTIONS[each.arg](value):
            raise source.error(
                each.value, f"nf.map({each.arg}=…) takes {_OPTION_WORDS[each.arg]}, written as such"
            )
        options[each.arg] = value
    if options.get("express") and not options.get("distributed"):
        raise source.error(
            node, "nf.map(express=True) is for distributed=True: child executions that are express"
        )
    config: State = {"Mode": "INLINE"}
    if options.get("distributed"):
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS" if options.get("express") else "STANDARD"}
    fields: State = {}
    if options.get("concurrency") is not None:
        fields["MaxConcurrency"] = options["concurrency"]
    tolerate = options.get("tolerate")
    if isinstance(tolerate, float):
        fields["ToleratedFailurePercentage"] = round(tolerate * 100, 9)
    elif tolerate is not None:
        fields["ToleratedFailureCount"] = tolerate
    return {"ProcessorConfig": config}, fields


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


_OPTIONS: Final = {
    "concurrency": lambda value: value is None or (type(value) is int and value >= 1),
    "distributed": lambda value: type(value) is bool,
    "express": lambda value: type(value) is bool,
    "tolerate": lambda value: _is_count(value) or (type(value) is float and 0 <= value <= 1),
}
_OPTION_WORDS: Final = {
    "concurrency": "a whole number of at least 1",
    "distributed": "True or False",
    "express": "True or False",
    "tolerate": "a number of items, or a share between 0.0 and 1.0",
}


def _map(scope: Scope, node: ast.ListComp, sink: Sink, processor: State, fields: State) -> None:
    machine, source = scope.machine, scope.machine.source
    meaning = scope.meaning(node.elt.func) if isinstance(node.elt, ast.Call) else None
    name = machine.state_name(getattr(meaning, "name", ""), source.text(node))
    loop = node.generators[0]
    variables = list(dict.fromkeys(each for loop in node.generators for each in targets(loop.target)))
    alone = len(node.generators) == 1 and isinstance(loop.target, ast.Name)
    items = _items(scope, node, variables, alone)
    inner = Scope(machine, scope.kinds | dict.fromkeys(variables, ANY), inner=True)
    deliver(inner, node.elt, RESULT)
    taken = inner.close(f"for {source.text(loop.target)} in {source.text(loop.iter)}")
    from_item = {each: f"{{% {_ITEM}{'' if alone else member(each)} %}}" for each in variables}
    state: State = {
        "Type": "Map",
        "Items": items,
        "ItemSelector": {each: from_item.get(each, f"{{% {hole(each)} %}}") for each in taken},
        "ItemProcessor": {**processor, **inner.definition},
        **fields,
    }
    finish(scope, name, state, sink, ARRAY)


def _items(scope: Scope, node: ast.ListComp, variables: list[str], alone: bool) -> Json:
    """The array to map over; if it takes Python to make it, the output of a state before."""
    first = node.generators[0]
    iterated = hoist(scope, first.iter)
    if alone and not first.ifs:
        found = template(iterated, scope)
        if found is not None and found.kind.name in ("array", "tuple"):
            scope.check(iterated)
            scope.machine.promises |= found.promises | found.kind.promises
            return found.value
        inline(scope, iterated, NOWHERE, wrap="list")
        return "{% $states.input %}"
    element: ast.expr = ast.Name(variables[0], ast.Load())
    if not alone:
        keys: list[ast.expr | None] = [ast.Constant(each) for each in variables]
        element = ast.Dict(keys, [ast.Name(each, ast.Load()) for each in variables])
    loops = [ast.comprehension(first.target, iterated, first.ifs, 0), *node.generators[1:]]
    made = ast.copy_location(ast.ListComp(element, loops), first.iter)
    ast.fix_missing_locations(made)
    text = " ".join(_loop_text(scope, each) for each in node.generators)
    state = piece(scope, [made], [ast.copy_location(ast.Return(made), made)], text)
    finish(scope, scope.machine.state_name(text), state, NOWHERE)
    return "{% $states.input %}"


def _loop_text(scope: Scope, loop: ast.comprehension) -> str:
    text = scope.machine.source.text
    conditions = "".join(f" if {text(each)}" for each in loop.ifs)
    return f"for {text(loop.target)} in {text(loop.iter)}{conditions}"
