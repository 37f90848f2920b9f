"""``%%task``: a cell as a task.

The magic defines, then runs the cell here, as if the first line were not there. The cell's code is compiled under the
name by which the kernel knows the cell, with its lines where they are: a traceback, here or in a run, shows them.
"""

import ast
import keyword
from argparse import Namespace
from collections.abc import Callable
from types import CodeType
from typing import Any, Final, TypeVar

from IPython.core import magic_arguments
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand

from nbflow.authoring.task import Retry, Task
from nbflow.errors import NbflowError
from nbflow.jupyter.body import Body, Cell
from nbflow.jupyter.cells import CellError, CellNames, CellTask, analyse, resolve

LONGEST_NAME: Final = 64
"""Characters of a Lambda function's name (AWS Lambda API reference, "CreateFunction")."""


_arguments: Final[Any] = magic_arguments  # half typed

_OPTIONS: Final = [
    _arguments.magic_arguments(),
    _arguments.argument("name", help="the task's name, which becomes a name of the notebook"),
    _arguments.argument(
        *("-i", "--inputs"),
        action="append",
        metavar="NAMES",
        help="the inputs, with commas between them; by default the data that the cell reads before it sets it",
    ),
    _arguments.argument(
        *("-o", "--outputs"),
        action="append",
        metavar="NAMES",
        help='what the task returns; by default all data that the cell sets. -o "" is: nothing',
    ),
    _arguments.argument("--retry", type=int, metavar="N", help="try again at most N times when it fails"),
    _arguments.argument("--timeout", type=int, metavar="SECONDS", help="how long one attempt may take"),
    _arguments.argument(
        "--on", choices=["dask", "local"], help="where to run it; by default on Dask in a Map or Parallel"
    ),
    _arguments.argument(
        "--resources",
        action="append",
        metavar="NAME=AMOUNT",
        help="what a Dask worker must have for it, such as GPU=1",
    ),
    _arguments.argument("--concurrency", type=int, metavar="N", help="at most N attempts at once"),
]

Method = TypeVar("Method", bound=Callable[..., object])


def _with_options(magic: Method) -> Method:
    for decorate in reversed(_OPTIONS):
        magic = decorate(magic)
    return magic


@magics_class
class TaskMagics(Magics):
    """The magics that ``import nbflow`` brings."""

    @_with_options
    @no_var_expand
    @cell_magic
    def task(self, line: str, cell: str) -> None:
        """Make this cell a task, a function from its inputs to its outputs, and run it here.

        If an input has no value yet, the task is defined, and the cell does not run.
        """
        options = _arguments.parse_argstring(TaskMagics.task, line)
        shell: Any = self.shell
        source, filename = _place(shell, line, cell)
        names = _analyse(shell, source, filename, cell)
        found = resolve(
            names, shell.user_ns, _split(options.inputs), _split(options.outputs)
        )  # the author's, else the cell's
        _check_name(options.name, names, found)
        shell.user_ns[options.name] = _task(options, names.code, found, shell.user_ns)
        print(f"task {options.name}{found}")  # noqa: T201
        for note in found.notes:
            print(f"  {note}")  # noqa: T201
        missing = [name for name in found.inputs if name not in shell.user_ns]
        if missing:
            verb = "has" if len(missing) == 1 else "have"
            print(f"defined, not run: {', '.join(missing)} {verb} no value yet")  # noqa: T201
            return
        _run(shell, source, filename)


def _split(given: list[str] | None) -> list[str] | None:
    """``["a,b", "c"]`` → a, b, c."""
    if given is None:
        return None
    return [name.strip() for part in given for name in part.strip("\"'").split(",") if name.strip()]


def _amounts(given: list[str] | None) -> dict[str, float] | None:
    """``["GPU=1"]`` → how much of what. Raises NbflowError."""
    if given is None:
        return None
    amounts: dict[str, float] = {}
    for each in given:
        name, _, amount = each.partition("=")
        try:
            amounts[name] = float(amount)
        except ValueError:
            raise NbflowError(f"--resources takes NAME=AMOUNT, such as GPU=1, not {each!r}") from None
    return amounts


def _check_name(name: str, names: CellNames, found: CellTask) -> None:
    if not (name.isidentifier() and name.isascii()) or keyword.iskeyword(name) or len(name) > LONGEST_NAME:
        raise CellError(
            f"%%task {name}: a task's name is a Python name of ASCII letters, digits and _, at most {LONGEST_NAME}"
        )
    if name in {*names.bound, *found.inputs, *found.optional}:
        raise CellError(f"%%task {name}: the cell itself uses {name}; give the task another name")


def _task(
    options: Namespace, code: CodeType, found: CellTask, namespace: dict[str, Any]
) -> Task[..., object]:
    cell = Cell(options.name, code, found.inputs, found.optional, found.outputs, found.carried)
    try:
        retry = () if options.retry is None else (Retry(max_attempts=options.retry),)
        return Task(
            Body(cell, namespace),
            options.name,
            retry=retry,
            timeout=options.timeout,
            on=options.on,
            resources=_amounts(options.resources),
            concurrency=options.concurrency,
        )
    except NbflowError as error:
        raise CellError(f"%%task {options.name}: {error}") from None


# --- the cell's text


def _place(shell: Any, line: str, cell: str) -> tuple[str, str]:
    """The cell's code with its lines where they are in the cell, and the name by which the kernel knows the cell."""
    if not cell.strip():
        raise CellError("%%task: the cell is empty")
    body = cell.rstrip("\n")
    present = shell.displayhook.exec_result  # of the cell that runs now
    raw = "" if present is None else present.info.raw_cell
    if not raw.rstrip("\n").endswith(f"\n{body}"):  # run by other code than a cell's own
        raw = f"%%task {line}\n{body}"
    number = getattr(present, "execution_count", None) or shell.execution_count
    before = raw.rstrip("\n").removesuffix(body)
    readable = "".join(f"# {each}" if each.strip() else each for each in before.splitlines(keepends=True))
    filename = shell.compile.cache(readable + body, number, raw_code=raw)  # what shows tracebacks parses it
    return "\n" * before.count("\n") + cell, filename


def _analyse(shell: Any, source: str, filename: str, cell: str) -> CellNames:
    try:
        return analyse(source, filename, shell.compile.flags)
    except SyntaxError as error:
        _refuse_magics(shell, source)
        shown = shell.SyntaxTB.structured_traceback(type(error), error, [])
        raise CellError(str(error), shown) from None


def _refuse_magics(shell: Any, source: str) -> None:
    """Raises CellError if IPython's own syntax is what makes the cell no Python."""
    lines = source.split("\n")
    body = source.lstrip("\n")
    first = len(source) - len(body)
    for number, (before, after) in enumerate(
        zip(lines[first:], shell.transform_cell(body).split("\n"), strict=False), first + 1
    ):
        if "get_ipython()" in after and before != after:
            raise CellError(
                f"line {number}: `{before.strip()}` is IPython's, not Python's, and a task also runs where there is no "
                "IPython. Put it into a cell of its own, or write it in Python (subprocess.run for !)"
            )


# --- running it here


def _run(shell: Any, source: str, filename: str) -> None:
    """Run the code in the notebook's namespace, and show the value of an expression at its end, as of any cell."""
    body = ast.parse(source, filename).body
    silent = shell.displayhook.semicolon_at_end_of_expression(source)
    last = body.pop() if body and isinstance(body[-1], ast.Expr) and not silent else None
    parts: list[tuple[Any, str]] = [(ast.Module(body, []), "exec")]
    if last is not None:
        parts.append((ast.Interactive([last]), "single"))
    try:
        for tree, mode in parts:
            exec(
                compile(tree, filename, mode, shell.compile.flags, True), shell.user_global_ns, shell.user_ns
            )
    except BaseException as error:
        _show_from_the_cell_on(shell, error)
        raise


def _show_from_the_cell_on(shell: Any, error: BaseException) -> None:
    """Let IPython show the traceback as if no magic were in between."""
    if error.__traceback__ is None or hasattr(error, "_render_traceback_"):
        return
    inner = error.__traceback__.tb_next  # the first frame is the one that ran the code
    shown = shell.InteractiveTB.structured_traceback(type(error), error, inner, tb_offset=0)
    error._render_traceback_ = lambda: shown  # type: ignore[attr-defined]
