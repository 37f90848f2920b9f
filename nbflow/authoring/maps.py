"""List comprehensions of task calls, and ``nf.map``, as Map states.

The items are the array that the comprehension iterates over; where it takes Python to make it (a range, a dict, several
loops, a condition), an inline task before the Map does. Those of a source (``nf.csv(…)``) are read by an ItemReader,
and those of a Distributed Map may be whatever the machine finds items in. The element is a scope of its own, which gets
the variables of the loop, and every other that it reads, by ItemSelector.
"""

import ast
from dataclasses import replace
from typing import Final

from nbflow.authoring.kinds import ANY, ARRAY, Kind
from nbflow.authoring.map_options import Options, options, reader, source_word, writer
from nbflow.authoring.names import member, targets
from nbflow.authoring.pieces import piece
from nbflow.authoring.states import NOWHERE, RESULT, Scope, Sink, State, to
from nbflow.authoring.task import Notebook, Task
from nbflow.authoring.typed import hole, template
from nbflow.authoring.values import deliver, finish, hoist, inline, temporary
from nbflow.language.values import Json

_ITEM: Final = "$states.context.Map.Item.Value"


def comprehension(scope: Scope, node: ast.ListComp, sink: Sink, text: str) -> None:
    _map(scope, node, sink, Options())


def nf_map(scope: Scope, node: ast.Call, sink: Sink, text: str) -> None:
    """``nf.map(task, source, …)`` is ``[task(item) for item in source]`` with options."""
    source = scope.machine.source
    if len(node.args) != 2 or any(isinstance(each, ast.Starred) for each in node.args):
        raise source.error(node, "nf.map takes a task and a list: nf.map(clean, files, concurrency=10)")
    task, items = node.args
    if not isinstance(scope.meaning(task), Task | Notebook):
        raise source.error(task, "nf.map takes a task: mark the function with @nf.task")
    item = scope.machine.identifier("item")
    element = ast.copy_location(
        ast.Call(task, [ast.copy_location(ast.Name(item, ast.Load()), task)], []), task
    )
    loop = ast.comprehension(ast.copy_location(ast.Name(item, ast.Store()), task), items, [], 0)
    mapped = ast.copy_location(ast.ListComp(element, [loop]), node)
    scope.machine.calling |= {element, mapped}
    _map(scope, mapped, sink, options(scope, node))


def _map(scope: Scope, node: ast.ListComp, sink: Sink, options: Options) -> None:
    machine, source = scope.machine, scope.machine.source
    meaning = scope.meaning(node.elt.func) if isinstance(node.elt, ast.Call) else None
    name = machine.state_name(getattr(meaning, "name", ""), source.text(node))
    loop = node.generators[0]
    variables = list(dict.fromkeys(each for loop in node.generators for each in targets(loop.target)))
    alone = len(node.generators) == 1 and isinstance(loop.target, ast.Name)
    item = _ITEM
    if source_word(scope, loop.iter) is not None and isinstance(loop.iter, ast.Call):
        if not alone or loop.ifs:
            raise source.error(
                loop.iter,
                "of a source, each item goes to a task by one name, without a condition: write "
                f"[task(row) for row in {source.text(loop.iter)}], and let the task decide",
            )
        options = replace(options, distributed=True)
        read = reader(scope, loop.iter)
        state: State = {"Type": "Map", "ItemReader": read.reader}
        item += read.member and member(read.member)
    else:
        state = {"Type": "Map", "Items": _items(scope, node, variables, alone, options)}
    if options.write_to is not None:
        state["ResultWriter"] = writer(scope, options.write_to, flat=options.batch is not None)
    inner = Scope(machine, scope.kinds | dict.fromkeys(variables, ANY), inner=True)
    if options.batch is not None:  # of nf.map, which reads no other variable
        inner.members[variables[0]] = "Items"
    deliver(inner, node.elt, RESULT)
    taken = inner.close(f"for {source.text(loop.target)} in {source.text(loop.iter)}")
    from_item = {each: f"{{% {item}{'' if alone else member(each)} %}}" for each in variables}
    given = {each: from_item.get(each, f"{{% {hole(each)} %}}") for each in taken}
    state |= {
        "ItemSelector": given if options.batch is None else from_item[variables[0]],
        "ItemProcessor": {**options.processor, **inner.definition},
        **options.fields,
    }
    finish(scope, name, state, sink, ARRAY if options.write_to is None else Kind("object"))


_MAPPABLE: Final = ("array", "tuple")
_DISTRIBUTED: Final = (*_MAPPABLE, "any", "object", "frame")
"""The kinds of values that a Distributed Map takes as they are; rows are read from where a DataFrame is stored."""


def _items(scope: Scope, node: ast.ListComp, variables: list[str], alone: bool, options: Options) -> Json:
    """The array to map over; if it takes Python to make it, the output of a state before."""
    first = node.generators[0]
    iterated = hoist(scope, first.iter)
    if alone and not first.ifs:
        found = template(iterated, scope)
        if found is not None and found.kind.name in (_DISTRIBUTED if options.distributed else _MAPPABLE):
            scope.check(iterated)
            scope.machine.promises |= found.promises | found.kind.promises
            return found.value
        wrap = "items" if options.distributed else "list"
        if options.write_to is not None:  # there may be states between this one and the Map
            items = temporary(scope, "items")
            inline(scope, iterated, to(items), wrap)
            return f"{{% {hole(items)} %}}"
        inline(scope, iterated, NOWHERE, wrap)
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
