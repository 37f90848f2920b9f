"""The source of a flow, run as plain Python and as the state machine that it compiles to.

As plain Python, a task call does what a Task state does and no more: its arguments and its result pass through JSON
(a tuple that the annotation promises is one again), and it is tried again as its ``nf.Retry`` says. The machine does one thing at a time, in the order of the source: where
branches or iterations could go on, the first of them does. So both must call the same tasks with the same arguments in
the same order, and end with the same value or the same exception.
"""

import ast
import inspect
import json
import linecache
import math
import pickle
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import CodeType, SimpleNamespace
from typing import Any, NamedTuple, get_origin

import cloudpickle

from nbflow.authoring.flow import FlowCode, compile_flow
from nbflow.authoring.task import Notebook, Retry, Task
from nbflow.errors import Fail
from nbflow.language.values import Json
from nbflow.machine import facts, orders
from nbflow.machine.run import Frame, Run
from tests.authoring import random_tasks, running
from tests.machine.driver import CONTEXT

TASKS = {name: value for name, value in vars(random_tasks).items() if isinstance(value, Task)}
_NAMES = {task.function: name for name, task in TASKS.items()}


class Ran(NamedTuple):
    """How a run went."""

    output: str | None
    """JSON text, so that True is not 1, 1 is not 1.0, and the order of members counts; None if it failed."""
    errors: tuple[str, ...]
    """The names that the exception goes by, its own first. The machine has one."""
    message: str
    calls: list[str]
    """The task calls in their order, with their arguments, failed attempts among them."""
    code: FlowCode | None = None


def text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def load(source: str, filename: str, world: Mapping[str, Any]) -> Callable[..., Any]:
    """The function ``flow`` of the source, whose lines ``inspect`` can find."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return _defined(compile(source, filename, "exec"), world)


def _defined(code: CodeType, world: Mapping[str, Any]) -> Callable[..., Any]:
    namespace = dict(world)
    exec(code, namespace)
    function: Callable[..., Any] = namespace["flow"]
    return function


# --- as plain Python


def plain(function: Callable[..., Any], calls: list[str], input: Mapping[str, Json]) -> Ran:
    """Call the function, which was loaded in a world whose tasks write to ``calls``."""
    with random_tasks.fresh():
        try:
            return Ran(text(running.normal(function(**input))), (), "", calls)
        except BaseException as raised:  # noqa: BLE001  # whatever a flow raises is its result
            return Ran(None, tuple(running.error_names(raised)), str(raised), calls)


def plain_world(calls: list[str]) -> dict[str, Any]:
    """The names of a flow's source where nothing is recorded."""

    def map(task: Callable[[Any], Any], source: Any, *, concurrency: int | None = None) -> list[Any]:
        return [task(item) for item in source]

    words = SimpleNamespace(Fail=Fail, map=map, parallel=lambda *values: values, wait=lambda seconds: None)
    tasks = {name: _plain_task(task, calls) for name, task in TASKS.items()}
    return vars(random_tasks) | tasks | {"nf": words}


def _plain_task(task: Task[..., Any], calls: list[str]) -> Callable[..., Any]:
    signature = inspect.signature(task.function)
    restored = tuple if get_origin(signature.return_annotation) is tuple else _as_it_is

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        given = {name: running.normal(value) for name, value in bound.arguments.items() if name != "more"}
        given |= running.normal(bound.arguments.get("more", {}))
        tried: Counter[int] = Counter()
        while True:
            calls.append(_called(task, given))
            try:
                return restored(running.normal(task.function(**running.normal(given))))
            except Exception as raised:
                at = _retrier(task.retry, running.error_names(raised))
                if at is None or tried[at] >= task.retry[at].max_attempts:
                    raise
                tried[at] += 1

    return call


def _as_it_is(value: Any) -> Any:
    return value


def _called(task: Task[..., Any], arguments: Json) -> str:
    assert isinstance(arguments, dict)
    return f"{_NAMES[task.function]}({text(dict(sorted(arguments.items())))})"


def _retrier(retries: tuple[Retry, ...], names: list[str]) -> int | None:
    for at, retry in enumerate(retries):
        listed = {error if isinstance(error, str) else error.__name__ for error in retry.errors}
        if not listed or listed.intersection(names):
            return at
    return None


def unfit(source: str, input: Mapping[str, Json]) -> bool:
    """Whether plain Python comes across a number that no payload can hold. A machine fails there, or a little earlier."""
    found = False

    def seen(value: Any) -> Any:
        nonlocal found
        found = found or not _fits(value)
        return value

    tree = ast.fix_missing_locations(_Watched().visit(ast.parse(source)))
    function = _defined(compile(tree, "<watched>", "exec"), plain_world([]) | {"_seen": seen})
    plain(function, [], input)
    return found


def _fits(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):
        return all(map(_fits, value.values() if isinstance(value, dict) else value))
    return (
        math.isfinite(value)
        if isinstance(value, float)
        else not isinstance(value, int) or -(2**63) <= value < 2**64
    )


class _Watched(ast.NodeTransformer):
    """Shows ``_seen`` the value of every operation and call."""

    def _watch(self, node: ast.expr) -> ast.expr:
        self.generic_visit(node)
        return ast.Call(ast.Name("_seen", ast.Load()), [node], [])

    visit_BinOp = visit_Call = _watch  # noqa: N815  # named by ast

    def visit_AugAssign(self, node: ast.AugAssign) -> list[ast.stmt]:
        self.generic_visit(node)
        assert isinstance(node.target, ast.Name)
        seen = ast.Call(ast.Name("_seen", ast.Load()), [ast.Name(node.target.id, ast.Load())], [])
        return [node, ast.Expr(seen)]


# --- as a state machine


def compiled(function: Callable[..., Any], input: Json, *, pickled: bool = False) -> Ran:
    """Compile the function and run it, one task after the other in the order of the source.

    ``pickled``: run copies of its pieces, as a worker in another process would.
    """
    code = compile_flow(function)
    if pickled:
        code = replace(code, tasks={name: _copied(task) for name, task in code.tasks.items()})
    driver = _Driver(code)
    with random_tasks.fresh():
        run = play(driver, input)
    if run.status == "SUCCEEDED":
        return Ran(text(run.output), (), "", driver.log, code)
    failed = running.Ended(run.error, run.cause)
    message = run.error if failed.message is None else failed.message
    return Ran(None, (run.error or "",), message or "", driver.log, code)


def _copied(task: Task[..., Any] | Notebook) -> Task[..., Any] | Notebook:
    """A piece of the flow after a journey; a task of the world as it is."""
    if isinstance(task, Notebook) or task.function in _NAMES:
        return task
    return Task(pickle.loads(cloudpickle.dumps(task.function)), task.name)


class _Driver(running._Driver):
    """Notes the calls of the world's tasks."""

    def __init__(self, code: FlowCode) -> None:
        super().__init__(code)
        self.log: list[str] = []

    def answer(self, order: orders.RunTask) -> facts.Fact:
        task = self.code.tasks[order.resource.rpartition(":")[2]]
        if isinstance(task, Task) and task.function in _NAMES:
            self.log.append(_called(task, order.arguments))
        return super().answer(order)


def play(driver: _Driver, input: Json) -> Run:
    """Run the machine to its end; of all frames that wait for something, the first in the source goes on."""
    machine, now = driver.machine, 0.0
    run = machine.run
    machine.step(facts.Start(input, CONTEXT), now)
    while not run.ended:
        if run.ready:
            machine.step(facts.Continue(), now)
            continue
        waiting = [
            frame for frame in run.frames.values() if frame.attempt is not None or frame.due is not None
        ]
        frame = min(waiting, key=lambda frame: _path(run, frame))
        if frame.attempt is None:
            assert run.next_due is not None
            now = max(now, run.next_due)
            machine.step(facts.Tick(), now)
        else:
            order = next(
                o
                for o in machine.outstanding()
                if isinstance(o, orders.RunTask) and o.attempt == frame.attempt
            )
            machine.step(driver.answer(order), now)
    return run


def _path(run: Run, frame: Frame) -> tuple[int, ...]:
    """Where a frame stands: the number of its branch or iteration, after those of its parents."""
    return () if frame.parent is None else (*_path(run, run.frames[frame.parent]), frame.index)
