"""The function of a cell's task: the cell's own code, run in a namespace of its own.

It is not wrapped in a ``def``: at the top level of a cell, ``global``, classes, closures and shadowed builtins mean
something else than in a function. The code that the notebook has compiled runs as it is, once a call, in a fresh
namespace with the inputs and with the code of the notebook that it uses; then the outputs are taken out of it.

A worker imports this module, so it needs nothing of Jupyter's.
"""

import builtins
from collections.abc import Mapping
from inspect import Parameter, Signature
from types import CodeType
from typing import Any, Final, NamedTuple

from nbflow.errors import NbflowError


class Cell(NamedTuple):
    """A cell as a task."""

    name: str
    code: CodeType
    inputs: tuple[str, ...]
    optional: tuple[str, ...]
    """Inputs that need not be given: the cell may set them itself before it reads them."""
    outputs: tuple[str, ...]
    carried: tuple[str, ...]
    """What it uses of the notebook, besides the inputs."""


class OutputMissing(NbflowError):
    """A cell has ended without setting one of its outputs."""


class Body:
    """A cell as a function: keyword parameters in; one output, a tuple of several, or None out.

    ``namespace`` is the notebook's: what is carried is looked up when the function is called, or pickled.
    """

    __slots__ = ("__dict__", "_cell", "_namespace")  # a wrapper of the function copies what is in __dict__

    def __init__(self, cell: Cell, namespace: Mapping[str, object]) -> None:
        self._cell = cell
        self._namespace = namespace
        self.__name__ = self.__qualname__ = cell.name
        self.__module__ = "__main__"
        self.__doc__ = cell.code.co_consts[0] if _has_docstring(cell.code) else None
        self.__code__ = cell.code
        self.__signature__ = _signature(cell)

    def __call__(self, /, *args: object, **kwargs: object) -> object:
        cell = self._cell
        try:
            given = self.__signature__.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{cell.name}() {error}") from None
        namespace: dict[str, Any] = {"__name__": "__main__", **_EVERYWHERE, **self.carried(), **given}
        exec(cell.code, namespace)
        missing = [name for name in cell.outputs if name not in namespace]
        if missing:
            raise OutputMissing(
                f"the cell {cell.name} has ended without setting {', '.join(missing)}: set it on every path, or leave "
                "it out with -o"
            )
        values = tuple(namespace[name] for name in cell.outputs)
        return (values or (None,))[0] if len(values) < 2 else values

    def carried(self) -> dict[str, object]:
        """What it takes along of the notebook, as far as it is there: perhaps the cell does without a deleted name."""
        return {name: self._namespace[name] for name in self._cell.carried if name in self._namespace}

    def __reduce__(self) -> tuple[type["Body"], tuple[Cell, dict[str, object]]]:
        return Body, (self._cell, self.carried())

    def __repr__(self) -> str:
        return f"<cell {self._cell.name}{self.__signature__}>"


def _display(*values: object, **_: object) -> None:
    """What ``display`` does where there is no IPython."""
    for value in values:
        print(value)  # noqa: T201  # into the step's log


_EVERYWHERE: Final = {} if hasattr(builtins, "display") else {"display": _display}


def _has_docstring(code: CodeType) -> bool:
    return "__doc__" in code.co_names and isinstance(code.co_consts[0], str)


def _signature(cell: Cell) -> Signature:
    """The default of an optional input is ``...``, and is never passed on."""
    kind = Parameter.POSITIONAL_OR_KEYWORD
    count = len(cell.outputs)
    returns: Any = tuple.__class_getitem__((Any,) * count) if count > 1 else Signature.empty
    return Signature(
        [
            *(Parameter(name, kind) for name in cell.inputs),
            *(Parameter(name, kind, default=...) for name in cell.optional),
        ],
        return_annotation=returns,
    )
