"""A cell as a function: which of its names go in, and which come out.

What the cell reads before it has set it comes in; what it assigns goes out, and so does an input that it changes in
place (``d["x"] = 1``). The byte code says which names are the cell's own and when they are set (:mod:`.bytecode`); the
syntax tree says what a statement looks like. The two meet at the position of a name in the text.

:func:`analyse` knows only the text. :func:`resolve` also knows the notebook: a name that means code there (a function,
a class, a module, a task) is no data, and is carried along with the cell.

Not seen is what goes through another name or a function: ``other = d; other["x"] = 1``, ``shuffle(xs)``.
"""

import ast
import builtins
import functools
import keyword
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import CO_COROUTINE
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Final

from nbflow.errors import NbflowError
from nbflow.jupyter.bytecode import Code
from nbflow.jupyter.celltext import Text, Touch


class CellError(NbflowError):
    """A cell cannot be made a task: the message says why, and what to write instead.

    ``shown`` is what IPython shows of it: the mistake is in the cell, not in what called whom.
    """

    def __init__(self, message: str, shown: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.shown = list(shown) or [f"{type(self).__name__}: {message}"]

    def _render_traceback_(self) -> list[str]:
        return self.shown


@dataclass(frozen=True, slots=True)
class CellNames:
    """The names of a cell, as its text has them."""

    inputs: tuple[str, ...]
    """Read before they are set, in the order of the text."""
    optional: tuple[str, ...]
    """Perhaps read before they are set: some paths through the cell set them, others do not."""
    written: tuple[str, ...]
    """Assigned, or changed in place, in the order in which that first happens. Not what begins with ``_``, and not what
    is only imported, defined (``def``, ``class``), or bound by ``for``, ``with`` or ``except``."""
    changed: frozenset[str]
    """Changed in place only: an output if it is an input."""
    touched: tuple[Touch, ...]
    """Method calls that may change what they are called on; of names that are not in ``changed``."""
    quoted: tuple[str, ...]
    """Named by ``@name`` in texts that pandas evaluates: an input, if the notebook has it."""
    bound: frozenset[str]
    """All that the cell may set, by whatever statement."""
    code: CodeType = field(repr=False, compare=False)


def analyse(source: str, filename: str = "<cell>", flags: int = 0) -> CellNames:
    """Read the names of a cell off its code. ``flags`` are those of ``compile``: futures that hold in the notebook.

    Raises SyntaxError, and CellError for Python that cannot be a task.
    """
    tree = ast.parse(source, filename)
    compiled = compile(tree, filename, "exec", flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    _refuse(tree, compiled)
    code = Code(compiled)
    text = Text(source, tree)
    loaded = {at for at, _ in code.loads}
    written = [(name, change) for at, name, change in sorted(text.written) if not change or at in loaded]
    data = {name for name, change in written if not change and name in code.left and not name.startswith("_")}
    changed = {name for name, change in written if change} - data
    touched = [touch for at, touch in text.touched if at in loaded and touch.name not in changed]
    in_order = list(dict.fromkeys(name for _, name in sorted(code.loads) if _is_plain(name)))
    return CellNames(
        inputs=tuple(name for name in in_order if name in code.reads.surely),
        optional=tuple(name for name in in_order if name in code.reads.perhaps),
        written=tuple(dict.fromkeys(name for name, _ in written if name in data | changed)),
        changed=frozenset(changed),
        touched=tuple(touched),
        quoted=tuple(dict.fromkeys(text.quoted)),
        bound=code.stored,
        code=compiled,
    )


def _is_plain(name: str) -> bool:
    """``__name__`` and the like are always there."""
    return not (name.startswith("__") and name.endswith("__"))


def _refuse(tree: ast.Module, code: CodeType) -> None:
    if code.co_flags & CO_COROUTINE:
        raise CellError(
            "a task's cell cannot await at its top level: it runs where there is no event loop. Await in another "
            "cell, and let this one take what came of it"
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            raise CellError(
                f"line {node.lineno}: `from {node.module or '.'} import *` hides which names are the cell's inputs; "
                "import the names that it uses"
            )


# --- what the notebook says


@dataclass(frozen=True, slots=True)
class CellTask:
    """What a cell takes and gives, in a certain notebook."""

    inputs: tuple[str, ...]
    optional: tuple[str, ...]
    outputs: tuple[str, ...]
    carried: tuple[str, ...]
    """Code of the notebook that it uses, and data that ``-i`` leaves out; taken as they are when a run starts."""
    notes: tuple[str, ...]
    """What its author should know."""

    def __str__(self) -> str:
        taken = ", ".join([*self.inputs, *(f"{name}=…" for name in self.optional)])
        return f"({taken}) → {', '.join(self.outputs) or 'None'}"


def resolve(
    names: CellNames,
    namespace: Mapping[str, object],
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
) -> CellTask:
    """Decide what the cell takes and gives. ``inputs``, ``outputs``: as its author has said it, instead.

    Raises CellError for names that do not fit the cell.
    """
    quoted = [name for name in names.quoted if name in namespace and name not in names.bound]
    read = tuple(dict.fromkeys([*names.inputs, *names.optional, *quoted]))
    code = [name for name in read if name in namespace and is_code(namespace[name])]
    data = [name for name in read if name not in code and not _is_builtin(name, namespace)]
    taken = data if inputs is None else _given(inputs, names)
    given = tuple(_inferred(names, taken) if outputs is None else _checked(outputs, names, taken))
    along = [name for name in data if name not in taken and name in namespace]
    _check_missing([name for name in names.inputs if name in data and name not in [*taken, *along]])
    _check_own(names.inputs)
    _check_helpers({*taken, *names.written, *given}, code, namespace)
    optional = [name for name in taken if name in names.optional]
    notes = [f"{', '.join(along)}: as it is when a run starts"] if along else []
    if outputs is None:
        notes += [
            f"line {touch.line}: {touch.call} may change {touch.name}; if the change is wanted, name it: "
            f"-o {','.join([*given, touch.name])}"
            for touch in {touch.name: touch for touch in reversed(names.touched)}.values()
            if touch.name in taken and touch.name not in given
        ]
    return CellTask(
        tuple(name for name in taken if name not in optional),
        tuple(optional),
        given,
        (*code, *along),
        tuple(notes),
    )


def is_code(value: object) -> bool:
    """Whether a value is rather code than data: a module, class, function, task, a partial of one, or a logger."""
    if isinstance(value, ModuleType | type | FunctionType | MethodType | functools.partial | logging.Logger):
        return True
    return callable(value) and hasattr(value, "__name__")  # a task, a ufunc, what a decorator has made


def _is_builtin(name: str, namespace: Mapping[str, object]) -> bool:
    return name not in namespace and (hasattr(builtins, name) or name == "display")


def _inferred(names: CellNames, taken: Sequence[str]) -> list[str]:
    return [name for name in names.written if name not in names.changed or name in taken]


def _given(inputs: Sequence[str], names: CellNames) -> list[str]:
    mentioned = {*names.inputs, *names.optional, *_mentioned(names.code)}
    for name in inputs:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise CellError(f"-i {name}: this is no name")
        if name not in mentioned:
            raise CellError(f"-i {name}: the cell does not read it{_hint(name, mentioned)}")
    return list(dict.fromkeys(inputs))


def _mentioned(code: CodeType) -> set[str]:
    """Names, and the words of texts: what ``eval("limit + 1")`` reads, no analysis sees."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _mentioned(constant)
        elif isinstance(constant, str):
            found |= {word for word in _words(constant) if word.isidentifier()}
    return found


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text).split()


def _checked(outputs: Sequence[str], names: CellNames, taken: Sequence[str]) -> list[str]:
    known = {*names.bound, *taken}
    for name in outputs:
        if name not in known:
            own = ", ".join(names.written) or "nothing"
            raise CellError(f"-o {name}: the cell does not set it{_hint(name, known)}; it sets {own}")
    return list(dict.fromkeys(outputs))


def _hint(name: str, known: Iterable[str]) -> str:
    from nbflow.language.sites import did_you_mean  # it takes a while to import, and is hardly ever needed

    hint = did_you_mean(name, sorted(known))
    return f" ({hint})" if hint else ""


def _check_missing(missing: Sequence[str]) -> None:
    if missing:
        raise CellError(f"the cell reads {', '.join(missing)} before it has set it; add it to -i")


_NOTEBOOKS: Final = {"In", "Out", "exit", "get_ipython", "quit", "_", "__", "___", "_dh", "_ih", "_oh"}


def _check_own(taken: Sequence[str]) -> None:
    own = [name for name in taken if name in _NOTEBOOKS]
    if own:
        raise CellError(
            f"the cell reads {', '.join(own)}, which only a notebook has; a task also runs elsewhere"
        )


def _check_helpers(own: set[str], code: Sequence[str], namespace: Mapping[str, object]) -> None:
    """A helper looks names up in the notebook, as they are when the run starts; not among those of the cell's run."""
    seen: set[int] = set()
    front = [(name, namespace[name]) for name in code]
    while front:
        name, value = front.pop()
        function = _function(value)
        if function is None or function.__globals__ is not namespace or id(function) in seen:
            continue
        seen.add(id(function))
        read = Code(function.__code__).global_loads
        if wrong := sorted(read & own):
            raise CellError(
                f"{name}() reads {', '.join(wrong)} as a global, and the cell takes or sets it: in a run, "
                f"{name}() would see the notebook's. Make it a parameter of {name}()"
            )
        front += [(each, namespace[each]) for each in read if each in namespace]


def _function(value: object) -> FunctionType | None:
    """The plain function in a task, a partial, a method or what a decorator has made."""
    while not isinstance(value, FunctionType):
        for inner in ("__wrapped__", "__func__", "func"):
            if hasattr(value, inner) and not isinstance(value, ModuleType | type):
                value = getattr(value, inner)
                break
        else:
            return None
    return value
