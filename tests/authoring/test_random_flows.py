"""Random flows mean what Python means: each is run as plain Python and as the state machine that it compiles to.

A failure prints its seed, source and input. What once broke, and what a random flow comes across too seldom, stands in
small flows of its own below.
"""

import ast
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from nbflow.language.validate import diagnose
from nbflow.language.values import Json
from tests.authoring import random_tasks
from tests.authoring.both_ways import TASKS, Ran, compiled, load, plain, plain_world, unfit
from tests.authoring.random_flows import random_flow

FLOWS: Final = 2_000
BLOCKS: Final = 20


class Trial(NamedTuple):
    """A flow that ran both ways."""

    source: str
    input: Mapping[str, Json]
    expected: Ran
    got: Ran

    @property
    def difference(self) -> str:
        """How the machine's run differs from plain Python's, or nothing."""
        if self.expected.calls != self.got.calls:
            return _lines("the task calls differ", self.expected.calls, self.got.calls)
        if self.expected.output != self.got.output or self.expected.message != self.got.message:
            return _lines("the results differ", self.expected[:3], self.got[:3])
        if self.expected.errors and not self._named:
            return _lines("the errors' names differ", self.expected.errors, self.got.errors)
        return ""

    @property
    def _named(self) -> bool:
        """An exception ends a run under its own name, or that of a base class that the definition lists."""
        own, *bases = self.expected.errors
        (name,) = self.got.errors
        return name == own or (name in bases and name in listed(self.definition))

    @property
    def definition(self) -> dict[str, Json]:
        assert self.got.code is not None
        return self.got.code.definition


def _lines(what: str, expected: object, got: object) -> str:
    return f"{what}\n  expected {expected}\n  got      {got}"


def objects(json: Json) -> Iterator[dict[str, Json]]:
    """All objects in a definition."""
    if isinstance(json, dict):
        yield json
    for member in json.values() if isinstance(json, dict) else json if isinstance(json, list) else ():
        yield from objects(member)


def listed(definition: Json) -> set[str]:
    """The error names in all Retry and Catch fields."""
    return {name for item in objects(definition) for name in item.get("ErrorEquals", ())}


def both(source: str, input: Mapping[str, Json], filename: str) -> Trial:
    """Run a flow both ways."""
    calls: list[str] = []
    expected = plain(load(source, filename, plain_world(calls)), calls, input)
    return Trial(source, input, expected, compiled(load(source, filename, vars(random_tasks)), dict(input)))


class Tried(NamedTuple):
    """What is kept of a random flow that ran both ways."""

    source: str
    input: Mapping[str, Json]
    difference: str
    shown: frozenset[str]
    """What occurs in its source, its definition and its run."""


@functools.cache
def tried(seed: int) -> Tried:
    """The flow of this seed, run both ways."""
    trial = again(seed)
    assert "NameError" not in trial.expected.errors, f"seed {seed} is no proper flow:\n{trial.source}"
    shown = frozenset(in_source(trial.source) | in_run(trial))
    return Tried(trial.source, trial.input, trial.difference, shown)


def again(seed: int) -> Trial:
    return both(*random_flow(seed), f"<random flow {seed}>")


@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_random_flow_means_what_python_means(block: int) -> None:
    for seed in range(block * FLOWS // BLOCKS, (block + 1) * FLOWS // BLOCKS):
        flow = tried(seed)
        if flow.difference and not unfit(flow.source, flow.input):
            pytest.fail(f"seed {seed}: {flow.difference}\ninput {flow.input}\n{flow.source}")


def test_few_flows_fail_for_what_a_payload_cannot_hold() -> None:
    """There, a machine need not fail at the same place, and nothing is compared."""
    assert sum(bool(tried(seed).difference) for seed in range(FLOWS)) < 0.03 * FLOWS


def test_a_random_flow_compiles_to_a_valid_definition_and_always_to_the_same_one() -> None:
    for seed in range(0, FLOWS, 40):
        trial = again(seed)
        assert diagnose(trial.definition) == []
        twin = again(seed).definition
        assert list(objects(twin)) == list(objects(trial.definition))
        assert json.loads(json.dumps(twin)) == trial.definition


def test_the_pieces_of_a_random_flow_travel() -> None:
    """Pickled by value, they do the same elsewhere."""
    for seed in range(0, FLOWS, 40):
        trial = again(seed)
        function = load(trial.source, f"<random flow {seed}>", vars(random_tasks))
        travelled = compiled(function, dict(trial.input), pickled=True)
        assert travelled[:4] == trial.got[:4], f"seed {seed}:\n{trial.source}"


# --- small flows


def small_flows() -> list[Any]:
    """The cases in nasty_flows.txt: title, source and input."""
    _, *sections = Path(__file__).with_name("nasty_flows.txt").read_text(encoding="utf-8").split("\n# ")
    found = []
    for section in sections:
        head, source = section.split("\n", 1)
        title, brace, members = head.partition(" {")
        found.append(pytest.param(source, ast.literal_eval("{" + members) if brace else {}, id=title))
    return found


@pytest.mark.parametrize(("source", "input"), small_flows())
def test_a_small_flow_means_what_python_means(source: str, input: dict[str, Json]) -> None:
    trial = both(source, input, f"<small flow {hash(source)}>")
    assert not trial.difference
    assert diagnose(trial.definition) == []


# --- what the random flows consist of

Finder = tuple[type[ast.AST], Callable[[Any], bool]]
"""The class of a node, and what else must be true of it."""


def _mark(node: ast.AST) -> bool:
    """Note at each node whether a task is called in it."""
    found = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TASKS
    for child in ast.iter_child_nodes(node):
        found |= _mark(child)
    node.calls_task = found  # type: ignore[attr-defined]
    return found


def _calls_task(*nodes: ast.AST | None) -> bool:
    return any(getattr(node, "calls_task", False) for node in nodes)


def _within(outer: type[ast.AST], inner: type[ast.AST]) -> Finder:
    return outer, lambda node: any(isinstance(n, inner) for n in ast.walk(node) if n is not node)


def _is_map(node: ast.AST) -> bool:
    return isinstance(node, ast.ListComp) and _calls_task(node.elt)


def _word(name: str) -> Finder:
    return ast.Call, lambda node: ast.unparse(node.func) == f"nf.{name}"


def _pairs(node: ast.AST) -> bool:
    return isinstance(node, ast.Tuple | ast.List)


IN_SOURCE: Final[dict[str, Finder]] = {
    **{kind.__name__: (kind, bool) for kind in (
        ast.AnnAssign, ast.Assert, ast.Assign, ast.Attribute, ast.AugAssign, ast.BinOp, ast.BoolOp, ast.Compare, ast.Dict,
        ast.DictComp, ast.GeneratorExp, ast.If, ast.IfExp, ast.JoinedStr, ast.Lambda, ast.ListComp, ast.Pass, ast.Return,
        ast.SetComp, ast.Slice, ast.Starred, ast.Subscript, ast.Try, ast.UnaryOp,
    )},
    "call under and/or": (ast.BoolOp, lambda node: _calls_task(*node.values[1:])),
    "call under if-else": (ast.IfExp, lambda node: _calls_task(node.body, node.orelse)),
    "call in a chain": (ast.Compare, lambda node: _calls_task(*node.comparators[1:])),
    "call in a call": (ast.Call, lambda node: ast.unparse(node.func) in TASKS and _calls_task(*node.args)),
    "call in an f-string": (ast.JoinedStr, _calls_task),
    "call in a dict": (ast.Dict, lambda node: _calls_task(*node.values)),
    "call in a dict's key": (ast.Dict, lambda node: _calls_task(*node.keys)),
    "call in a condition": (ast.If, lambda node: _calls_task(node.test)),
    "call in an augmented assignment": (ast.AugAssign, lambda node: _calls_task(node.value)),
    "Map": (ast.ListComp, _is_map),
    "nested Maps": (ast.ListComp, lambda node: any(map(_is_map, ast.walk(node.elt)))),
    "Map of what tasks give": (ast.ListComp, lambda node: _is_map(node) and _calls_task(node.generators[0].iter)),
    "Map with a condition": (ast.ListComp, lambda node: _is_map(node) and any(g.ifs for g in node.generators)),
    "Map with several for": (ast.ListComp, lambda node: _is_map(node) and len(node.generators) > 1),
    "Map with tuple targets": (ast.ListComp, lambda node: _is_map(node) and _pairs(node.generators[0].target)),
    "chained assignment": (ast.Assign, lambda node: len(node.targets) > 1),
    "unpacking": (ast.Assign, lambda node: _pairs(node.targets[0])),
    "swapping": (ast.Assign, lambda node: _pairs(node.targets[0]) and _pairs(node.value)),
    "nested targets": (ast.Assign, lambda node: any(map(_pairs, ast.iter_child_nodes(node.targets[0])))),
    "nf.map": _word("map"),
    "nf.parallel": _word("parallel"),
    "nf.wait": _word("wait"),
    "raise nf.Fail": (ast.Raise, lambda node: node.exc is not None and "nf.Fail" in ast.unparse(node.exc)),
    "raise another": (ast.Raise, lambda node: node.exc is not None and "nf.Fail" not in ast.unparse(node.exc)),
    "raise again": (ast.Raise, lambda node: node.exc is None),
    "raise in try": _within(ast.Try, ast.Raise),
    "return in try": _within(ast.Try, ast.Return),
    "return in if": _within(ast.If, ast.Return),
    "try in try": _within(ast.Try, ast.Try),
    "try in handler": _within(ast.ExceptHandler, ast.Try),
    "if in try": _within(ast.Try, ast.If),
    "Map in try": _within(ast.Try, ast.ListComp),
    "several handlers": (ast.Try, lambda node: len(node.handlers) > 1),
    "else of try": (ast.Try, lambda node: bool(node.orelse)),
    "except of several": (ast.ExceptHandler, lambda node: isinstance(node.type, ast.Tuple)),
    "except as": (ast.ExceptHandler, lambda node: node.name is not None),
    "bare except": (ast.ExceptHandler, lambda node: node.type is None),
    "default": (ast.arguments, lambda node: bool(node.defaults)),
    "keyword only": (ast.arguments, lambda node: bool(node.kwonlyargs)),
}  # fmt: skip


def in_source(source: str) -> set[str]:
    nodes: dict[type[ast.AST], list[ast.AST]] = {}
    tree = ast.parse(source)
    _mark(tree)
    for node in ast.walk(tree):
        nodes.setdefault(type(node), []).append(node)
    return {name for name, (kind, test) in IN_SOURCE.items() if any(map(test, nodes.get(kind, ())))}


def in_run(trial: Trial) -> set[str]:
    """What the definition and the run show."""
    states = [item for item in objects(trial.definition) if isinstance(item.get("Type"), str)]
    shown = {f"a {state['Type']} state" for state in states}
    shown |= {
        f"a state with {field}"
        for state in states
        for field in ("Catch", "Retry", "Assign")
        if field in state
    }
    conditions = {str(item["Condition"]) for item in objects(trial.definition) if "Condition" in item}
    if any("=" in condition or "<" in condition for condition in conditions):
        shown.add("a typed condition")
    shown.add("ends with a value" if trial.got.output is not None else "ends with an exception")
    if trial.got.errors == ("nbflow.NotJson",):
        shown.add("ends with NotJson")
    return shown


IN_RUNS: Final = (
    "a Choice state", "a Fail state", "a Map state", "a Parallel state", "a Pass state", "a Task state", "a Wait state",
    "a state with Assign", "a state with Catch", "a state with Retry", "a typed condition",
    "ends with a value", "ends with an exception", "ends with NotJson",
)  # fmt: skip


def test_the_random_flows_show_every_feature() -> None:
    seen = Counter(name for seed in range(FLOWS) for name in tried(seed).shown)
    assert not {name: seen[name] for name in (*IN_SOURCE, *IN_RUNS) if seen[name] < FLOWS / 200}
    assert seen["ends with a value"] > 0.6 * FLOWS
