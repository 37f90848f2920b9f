"""A first look over a flow's text: what cannot be in a flow, and where tasks are called.

A task call is a state, so it can stand wherever a statement evaluates it once, or a list comprehension once an item.
Within a lambda or a generator expression it would be called by other code, at a time that only that code knows.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from nbflow.authoring import words
from nbflow.authoring.names import Namespace, targets
from nbflow.authoring.source import Source
from nbflow.authoring.task import Notebook, Task

WORDS: Final = (words.parallel, words.map, words.wait)

_LOOP: Final = (
    "Write [task(x) for x in xs]: a list comprehension of a task call is a Map, and its items run at the same time. "
    "A loop whose steps depend on each other belongs in a task"
)
_INSIDE: Final = "do it within a task"
_OUTSIDE: Final = "write it outside of the flow, or within a task"

_FORBIDDEN: Final[dict[type[ast.AST], str]] = {
    ast.For: f"a flow has no for loop. {_LOOP}",
    ast.While: f"a flow has no while loop. {_LOOP}",
    ast.With: "a flow has no with: what it opens would not outlive a restart. Open and close it within a task",
    ast.FunctionDef: f"a flow has no function in it: {_OUTSIDE}",
    ast.AsyncFunctionDef: f"a flow has no function in it: {_OUTSIDE}",
    ast.ClassDef: f"a flow has no class in it: {_OUTSIDE}",
    ast.Global: "a flow cannot set globals: its steps may run in other processes. Return the value from a task",
    ast.Nonlocal: "a flow cannot set nonlocals: its steps may run in other processes. Return the value from a task",
    ast.Import: "import before the flow, or within a task",
    ast.ImportFrom: "import before the flow, or within a task",
    ast.Delete: "a flow has no del: a variable is kept as it is until the run ends. Leave it out",
    ast.Match: "a flow has no match: write if and elif",
    ast.NamedExpr: "a flow has no walrus: assign on a line of its own",
    ast.Yield: "a flow returns its result: it cannot yield",
    ast.YieldFrom: "a flow returns its result: it cannot yield",
    ast.TryStar: "a flow has no except*: write except",
}
if hasattr(ast, "TypeAlias"):  # Python 3.12
    _FORBIDDEN[ast.TypeAlias] = f"a flow has no type statement: {_OUTSIDE}"


def look_over(source: Source, namespace: Namespace, locals: frozenset[str]) -> set[ast.AST]:
    """The nodes of the flow with a task call in them. Raises FlowError for what cannot be in a flow.

    (Python itself refuses await and its like in a plain def.)
    """
    survey = _Survey(source, namespace, locals)
    for statement in source.tree.body:
        survey.visit(statement, frozenset(), "")
    return survey.calling


@dataclass(slots=True)
class _Survey:
    source: Source
    namespace: Namespace
    locals: frozenset[str]
    calling: set[ast.AST] = field(default_factory=set)

    def visit(self, node: ast.AST, bound: frozenset[str], barred: str) -> bool:
        """Whether the node has a task call in it. ``barred``: where we are, if there must not be one."""
        if message := _FORBIDDEN.get(type(node)):
            raise self.source.error(node, message)
        match node:
            case ast.Call():
                found = self._call(node, bound, barred)
            case ast.Lambda():
                inner = bound | {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
                self.visit(node.args, bound, "a lambda")
                found = self.visit(node.body, inner, "a lambda")
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                found = self._comprehension(node, bound, barred)
            case ast.Try():
                if node.finalbody:
                    raise self.source.error(
                        node.finalbody[0],
                        "a flow has no finally: write what is to be done in an except clause, and after the try",
                    )
                found = self._children(node, bound, barred)
            case ast.Compare(ast.Name(), [ast.Is() | ast.IsNot(), *_], [ast.Name(), *_]):
                raise self.source.error(
                    node, "a flow's values are data, and not the same objects later: compare with =="
                )
            case ast.AnnAssign():  # its annotation is not evaluated
                self._target(node.target)
                found = node.value is not None and self.visit(node.value, bound, barred)
            case ast.Assign() | ast.AugAssign():
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    self._target(target)
                found = self._children(node, bound, barred)
            case _:
                found = self._children(node, bound, barred)
        if found:
            self.calling.add(node)
        return found

    def _children(self, node: ast.AST, bound: frozenset[str], barred: str) -> bool:
        found = [self.visit(child, bound, barred) for child in ast.iter_child_nodes(node)]
        return any(found)

    def _target(self, target: ast.expr) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Subscript | ast.Attribute):
                raise self.source.error(
                    node,
                    "a flow's values are not changed in place: between two steps they are data. Make a new value, such "
                    "as d = {**d, 'key': value}, or change it within a task that returns it",
                )

    def _call(self, node: ast.Call, bound: frozenset[str], barred: str) -> bool:
        meaning = self.namespace.resolve(node.func, lambda name: name in bound or name in self.locals)
        found = is_step(meaning)
        if found and barred:
            raise self.source.error(
                node,
                f"a task cannot be called in {barred}: it would be called by other code. Call it before, such as "
                f"results = [{self.source.text(node.func)}(x) for x in xs], and use the results here",
            )
        if is_machine(meaning):
            raise self.source.error(
                node, "a flow cannot call a flow yet: call its tasks here, or start it by itself"
            )
        if any(meaning is word for word in (eval, exec, locals)):
            raise self.source.error(
                node,
                "a flow's variables are where a step names them, and not in one place: write the expression itself",
            )
        return self._children(node, bound, barred) or found

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        bound: frozenset[str],
        barred: str,
    ) -> bool:
        inner, found = bound, False
        for index, generator in enumerate(node.generators):
            self._target(generator.target)
            later = "the condition or a later for of a comprehension"
            found |= self.visit(generator.iter, inner, later if index else barred)
            inner = inner | set(targets(generator.target))
            for condition in generator.ifs:
                self.visit(condition, inner, later)
        if isinstance(node, ast.ListComp):
            return self.visit(node.elt, inner, barred) or found
        kind = (
            "a generator expression" if isinstance(node, ast.GeneratorExp) else "a set or dict comprehension"
        )
        for result in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            self.visit(result, inner, kind)
        return found


def is_step(meaning: Any) -> bool:
    """Whether calling this value in a flow is a state."""
    return isinstance(meaning, Task | Notebook) or any(meaning is word for word in WORDS)


def is_machine(meaning: Any) -> bool:
    """Whether this is a flow or a state machine (which are made a floor above, and known by what they can do)."""
    kind: Callable[..., Any] = type(meaning)
    return hasattr(kind, "definition") and hasattr(kind, "start")
