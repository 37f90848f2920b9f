"""Makes flows of source text, as a cell of a notebook would."""

import linecache
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import nbflow as nf
from nbflow.authoring.flow import FlowCode, compile_flow
from nbflow.authoring.task import task


@task
def f(x: Any) -> Any:
    """Its argument."""
    return x


@task
def g(x: Any, y: Any = 2) -> Any:
    return [x, y]


WORLD: dict[str, Any] = {"nf": nf, "f": f, "g": g}


def defined(
    source: str, world: Mapping[str, Any] | None = None, filename: str = "<cell>"
) -> Callable[..., Any]:
    """The last function that the source defines."""
    text = textwrap.dedent(source).lstrip("\n")
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace = {**WORLD, **(world or {}), "__name__": "cell"}
    before = set(namespace)
    exec(compile(text, filename, "exec"), namespace)
    made: Callable[..., Any] = namespace[[name for name in namespace if name not in before][-1]]
    return made


def code(source: str, world: Mapping[str, Any] | None = None) -> FlowCode:
    """The compiled flow that the source defines last."""
    return compile_flow(defined(source, world))
