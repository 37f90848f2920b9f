"""Function tasks: a Python function, pinned by value, called with the state's input."""

import hashlib
import inspect
import sys
import sysconfig
import threading
from collections import OrderedDict
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import cloudpickle

from nbflow.artifacts.values import Ref, unpack
from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.tasks.job import Code, Job


class NotPortable(NbflowError):
    """A function cannot be sent to a worker."""


def pin(function: Callable[..., Any], name: str, *, keywords: bool) -> Code:
    """The function's code by value, with the helpers and globals of its own module that it uses.

    Raises NotPortable if it, or a global that it uses, cannot be pickled.
    """
    module = inspect.getmodule(function)
    by_value = module is not None and _is_users(module)
    try:
        if by_value:
            cloudpickle.register_pickle_by_value(module)
        content: bytes = cloudpickle.dumps(function)
    except Exception as error:  # noqa: BLE001  # pickling runs arbitrary __reduce__ methods
        raise NotPortable(
            f"task {name!r} cannot be sent to a worker: {error}. It may only use globals that can be pickled: "
            "open files, connections and locks are best made inside the function."
        ) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)
    path = inspect.getsourcefile(inspect.unwrap(function)) or ""
    return Code("function", name, hashlib.sha256(content).hexdigest(), content, keywords, path)


_INSTALLED: Final = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))


def _is_users(module: ModuleType) -> bool:
    """Whether the module is the user's own file, which a worker may not be able to import."""
    path = getattr(module, "__file__", None)
    if module.__name__ == "__main__" or path is None or module.__name__ not in sys.modules:
        return False  # cloudpickle takes __main__ by value anyway; built-in modules are everywhere
    return not path.startswith(_INSTALLED)


_MOST_LOADED: Final = 256
_loaded: OrderedDict[str, Callable[..., Any]] = OrderedDict()
_lock: Final = threading.Lock()


def load(code: Code) -> Callable[..., Any]:
    """The function, unpickled once per process."""
    with _lock:
        function = _loaded.get(code.sha256)
        if function is None:
            function = _loaded[code.sha256] = cloudpickle.loads(code.content)
            if len(_loaded) > _MOST_LOADED:
                _loaded.popitem(last=False)
        else:
            _loaded.move_to_end(code.sha256)
    return function


def call(job: Job) -> object:
    """Call the function with the job's arguments; references arrive as live objects."""
    function = load(job.code)
    if not job.code.keywords:
        return function(unpack(job.arguments, job.known, job.shelf))
    if not isinstance(job.arguments, dict):
        raise TypeError(
            f"{job.code.name}() takes keyword arguments, but the state's input is {_describe(job.arguments)}; "
            "give the state Parameters or Arguments that are an object with the function's parameter names"
        )
    keep = _unloaded(function) if job.known else ()
    arguments = unpack(job.arguments, job.known, job.shelf, keep=keep)
    if not isinstance(arguments, dict):
        raise TypeError(f"{job.code.name}() takes keyword arguments, but the state's input is a reference")
    return function(**arguments)


def _unloaded(function: Callable[..., Any]) -> frozenset[str]:
    """The parameters that are annotated nf.Ref: they get the reference, not the object."""
    annotations = getattr(inspect.unwrap(function), "__annotations__", {})
    return frozenset(
        name for name, kind in annotations.items() if kind is Ref or kind in ("Ref", "nf.Ref", "nbflow.Ref")
    )


def _describe(value: Json) -> str:
    return "null" if value is None else f"the {type(value).__name__} {value!r:.60}"
