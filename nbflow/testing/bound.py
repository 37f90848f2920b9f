"""Functions as the code of tasks, without a copy of them: what a test's function changes, the test sees."""

import pickle
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from nbflow.authoring.task import Notebook, Task
from nbflow.tasks import notebook
from nbflow.tasks.job import Code

_HERE: Final[dict[str, Callable[..., Any]]] = {}
"""The functions of the runs under way, by the name that their pickles have."""


class _Here:
    """Pickles as a word to look up in this very process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return _look_up, (self.name,)


def _look_up(name: str) -> Callable[..., Any]:
    return _HERE[name]


@contextmanager
def bound(tasks: Mapping[str, Any], checks: Mapping[str, str]) -> Iterator[dict[str, Code]]:
    """The code of each task while the block runs: the function itself, and of a notebook its content.

    An ``nf.task`` takes its arguments as keywords. ``checks`` says what results have to be (as of a StateMachine).
    """
    codes: dict[str, Code] = {}
    try:
        for name, task in tasks.items():
            codes[name] = _code(name, task, checks.get(name, ""))
        yield codes
    finally:
        for code in codes.values():
            _HERE.pop(code.sha256, None)


def _code(name: str, task: Any, returns: str) -> Code:
    if isinstance(task, Notebook):
        return replace(notebook.pin(task.path, name), **task.placing)
    keywords = isinstance(task, Task)
    key = uuid.uuid4().hex  # in place of a hash of the content: workers' caches go by it
    _HERE[key] = task.function if keywords else task
    return Code("function", name, key, pickle.dumps(_Here(key)), keywords, returns=returns)
