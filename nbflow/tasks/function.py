"""Function tasks: a Python function, pinned by value, called with the state's input."""

import dis
import functools
import hashlib
import inspect
import linecache
import os
import re
import sys
import sysconfig
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, get_args

import cloudpickle

from nbflow.artifacts.values import Ref, unpack
from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.tasks.job import Code, Job


class NotPortable(NbflowError):
    """A function cannot be sent to a worker, or not be loaded there."""


# --- where the execution is started


def pin(function: Callable[..., Any], name: str, *, keywords: bool) -> Code:
    """The function's code by value, with the helpers and globals of its own module that it uses.

    Raises NotPortable if it, or a global that it uses, cannot be pickled.
    """
    target = function
    while isinstance(target, functools.partial):
        target = target.func
    with _by_value(inspect.getmodule(target)):
        try:
            content: bytes = cloudpickle.dumps(function)
        except Exception as error:  # pickling runs arbitrary __reduce__ methods
            culprit = _unpicklable(target)
            raise NotPortable(
                f"task {name!r} cannot be sent to a worker: {f'{culprit}: ' if culprit else ''}{error}. It may only "
                "use globals that can be pickled: open files, connections and locks are best made inside the function."
            ) from error
        if len(content) > LARGE:
            _weigh(target, name)
    code = getattr(inspect.unwrap(target), "__code__", None)  # a builtin or a callable object has none
    path = getattr(code, "co_filename", "")
    sha256 = hashlib.sha256(content).hexdigest()
    return Code(
        "function",
        name,
        sha256,
        content,
        keywords,
        path,
        sources=_sources(target),
        source="" if code is None else _source(code),
        python=PYTHON,
    )


PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""cloudpickle holds byte code, which each minor version has its own of."""


LARGE: Final = 1_000_000
TOO_LARGE: Final = 10_000_000
"""Bytes of a pickled global that travels with the code of a task: from here on it is warned about, or refused."""


def _weigh(target: Callable[..., Any], name: str) -> None:
    """Warn of a large global that the function takes along. Raises NotPortable if one is too large."""
    for variable, value in _captured(target):
        size = len(cloudpickle.dumps(value))
        if size <= LARGE:
            continue
        message = (
            f"task {name!r} uses the global {variable!r} ({size / 1e6:,.0f} MB), which travels with its code to every "
            "worker; pass it as an argument (it then travels by reference), or read it inside the function"
        )
        if size > TOO_LARGE:
            raise NotPortable(message)
        warnings.warn(message, stacklevel=2)


def _unpicklable(target: Callable[..., Any]) -> str | None:
    """The name of the first global that cannot be pickled, for the message."""
    for variable, value in _captured(target):
        try:
            cloudpickle.dumps(value)
        except Exception:  # noqa: BLE001  # pickling runs arbitrary __reduce__ methods
            return f"its global {variable!r}"
    return None


def _captured(target: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """The values that the function, and its helpers, take from around them, by name."""
    if hasattr(target, "carried"):  # a cell: it says itself what it takes along
        yield from target.carried().items()
    for function in _helpers(target):
        for name, value in _around(function):
            if not isinstance(value, FunctionType | ModuleType):
                yield name, value


def _helpers(target: Callable[..., Any]) -> Iterator[FunctionType]:
    """The function itself, and those of its module that it names, and those that they name."""
    todo = [target, *(target.carried().values() if hasattr(target, "carried") else ())]
    seen = set[int]()
    while todo:
        function = todo.pop()
        while not isinstance(function, FunctionType) and "__wrapped__" in getattr(function, "__dict__", ()):
            function = function.__dict__["__wrapped__"]  # an nf.task, say
        if id(function) not in seen and isinstance(function, FunctionType):
            seen.add(id(function))
            yield function
            todo += [value for _, value in _around(function) if _module(value) == function.__module__]


def _module(value: object) -> str | None:
    """The module that defines a function or a wrapper of one."""
    if isinstance(value, FunctionType):
        return value.__module__
    known: str | None = getattr(value, "__dict__", {}).get("__module__")
    return known


def _around(function: FunctionType) -> list[tuple[str, Any]]:
    """What the function reads that is not its own: globals, and variables of the functions around it."""
    used = _global_names(function.__code__) & function.__globals__.keys()
    return [*((name, function.__globals__[name]) for name in sorted(used)), *_closed_over(function)]


def _sources(target: Callable[..., Any]) -> tuple[tuple[str, str], ...]:
    """The text that the function and its helpers come from, by file name, where it is in no file.

    Cells of a notebook: tracebacks on a worker show their lines, too.
    """
    codes = [getattr(target, "__code__", None), *(function.__code__ for function in _helpers(target))]
    names = dict.fromkeys(code.co_filename for code in codes if isinstance(code, CodeType))
    texts = ((name, "".join(linecache.getlines(name))) for name in names if not os.path.exists(name))
    return tuple((name, text) for name, text in texts if text)


@functools.lru_cache(1000)
def _source(code: CodeType) -> str:
    """Of a function that was typed at a prompt there is none."""
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return ""


def _global_names(code: CodeType) -> set[str]:
    """The globals that the code, and the code within it, reads."""
    inner = (_global_names(const) for const in code.co_consts if isinstance(const, CodeType))
    read = (each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL")
    return set(read).union(*inner)


def _closed_over(function: FunctionType) -> list[tuple[str, Any]]:
    """The variables of the functions around it that it uses, but for those that have no value yet."""
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # the cell is empty
            found.append((name, cell.cell_contents))
    return found


_registry_lock: Final = threading.Lock()


@contextmanager
def _by_value(module: ModuleType | None) -> Iterator[None]:
    """Let cloudpickle take what the module defines by value; its registry is the process's, so one at a time."""
    if module is None or not _is_users(module):
        yield
        return
    with _registry_lock:
        registered = module.__name__ in cloudpickle.list_registry_pickle_by_value()
        if not registered:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            if not registered:
                cloudpickle.unregister_pickle_by_value(module)


_STDLIB: Final = Path(sysconfig.get_path("stdlib"))


def _is_users(module: ModuleType) -> bool:
    """Whether the module is the user's own file, which a worker may not be able to import."""
    path = getattr(module, "__file__", None)
    if path is None or module.__name__ == "__main__" or module.__name__ not in sys.modules:
        return False  # built-in modules are everywhere; cloudpickle takes the others by value anyway
    if module.__name__.partition(".")[0] == "nbflow":
        return False  # also where it runs from its sources
    installed = {"site-packages", "dist-packages"} & set(Path(path).parts)
    return not installed and not Path(path).is_relative_to(_STDLIB)


# --- where it is called

_MOST_LOADED: Final = 256
_loaded: OrderedDict[str, Callable[..., Any]] = OrderedDict()
_loaded_lock: Final = threading.Lock()


def load(code: Code) -> Callable[..., Any]:
    """The function, unpickled once per process. Raises NotPortable if this process lacks what it needs."""
    if code.python not in ("", PYTHON):
        raise NotPortable(
            f"task {code.name!r} was pickled by Python {code.python}, and this is Python {PYTHON}, which cannot read "
            f"it: use Python {code.python} here, or define the task again under this one"
        )
    with _loaded_lock:
        function = _loaded.get(code.sha256)
        if function is not None:
            _loaded.move_to_end(code.sha256)
            return function
    try:
        unpickled = cloudpickle.loads(code.content)  # not under the lock: it may import for seconds
    except Exception as error:  # unpickling imports modules and runs anybody's code
        raise NotPortable(
            f"task {code.name!r} cannot be loaded by this worker: {type(error).__name__}: {error}. {_remedy(error)}: "
            "of your own modules, only the one that defines the function travels with it."
        ) from error
    for name, text in code.sources:
        linecache.cache.setdefault(name, (len(text), None, text.splitlines(keepends=True), name))
    with _loaded_lock:
        function = _loaded.setdefault(code.sha256, unpickled)
        if len(_loaded) > _MOST_LOADED:
            _loaded.popitem(last=False)
    return function


def _remedy(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "Install it, or start this where it can be imported (PYTHONPATH=FOLDER)"
    return "What it imports must be there too, in the same version"


def call(job: Job) -> object:
    """Call the function with the job's arguments; references arrive as live objects, or as nf.Ref where it says so."""
    function, code = load(job.code), job.code
    keep: bool | set[str] = False
    if job.known and code.keywords:
        keep = {name for name, kind in _annotations(function) if _means_ref(kind)}
    elif job.known:
        keep = _first_is_ref(function)
    arguments = unpack(job.arguments, job.known, job.shelf, keep=keep)
    return invoke(function, arguments, name=code.name, keywords=code.keywords, given=job.arguments)


def invoke(
    function: Callable[..., Any], arguments: object, *, name: str, keywords: bool, given: Json
) -> object:
    """Call a task's function: with the members of its arguments as keywords, or with them as one value.

    ``given`` are the arguments as the state gives them, for messages. Raises TypeError if they do not fit, and whatever
    the function raises.
    """
    if not keywords:
        return _called(function, (arguments,), {}, given)
    if not isinstance(arguments, dict):
        raise TypeError(
            f"{name}() takes keyword arguments, but the state's input is {_describe(given)}; "
            "give the state Parameters or Arguments that are an object with the function's parameter names"
        )
    return _called(function, (), arguments, given)


def _called(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], given: Json
) -> object:
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise  # from inside the function; without a frame of its own, it has not been entered
        gives = _describe(given) if args else f"the names {', '.join(kwargs) or '(none)'}"
        raise TypeError(f"{error}; the state's input gives it {gives}") from None


def _annotations(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """The parameters' names and annotations, which are strings under ``from __future__ import annotations``."""
    try:
        return [(name, p.annotation) for name, p in inspect.signature(function).parameters.items()]
    except (ValueError, TypeError):
        return []  # a builtin may have no signature


def _first_is_ref(function: Callable[..., Any]) -> bool:
    return any(_means_ref(kind) for _, kind in _annotations(function)[:1])


def _means_ref(kind: Any) -> bool:
    """``nf.Ref``, also within ``list[nf.Ref]`` or ``nf.Ref | None``.

    Text is read, not evaluated: names that only annotations use do not travel with the function.
    """
    if isinstance(kind, str):
        return re.search(r"\bRef\b", kind) is not None
    return kind is Ref or any(_means_ref(part) for part in get_args(kind))


def _describe(value: Json) -> str:
    return "null" if value is None else f"the {type(value).__name__} {value!r:.60}"
