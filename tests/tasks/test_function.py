import functools
import linecache
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import cloudpickle
import pandas as pd
import pytest

import nbflow as nf
from nbflow.artifacts.shelf import Shelf
from nbflow.artifacts.values import Ref, pack
from nbflow.jupyter.body import Body, Cell
from nbflow.language.values import Json
from nbflow.tasks.function import NotPortable, call, load, pin
from nbflow.tasks.job import Code, Job
from nbflow.tasks.perform import perform

USERS = """
from __future__ import annotations

import functools
import threading

import nbflow as nf

RATE = 3
LOCK = threading.Lock()


class Price:
    def __init__(self, net):
        self.net = net

    def gross(self):
        return self.net * RATE


def helper(x):
    return x * RATE


def uses_helper(x):
    return helper(x) + 1


def uses_a_class(x):
    return Price(x).gross()


def calls_itself(x):
    return 1 if x <= 1 else x * calls_itself(x - 1)


def closure(by):
    def inner(x):
        return helper(x) + by
    return inner


square = lambda x: x * x


def doubled(function):
    @functools.wraps(function)
    def wrapper(x):
        return 2 * function(x)
    return wrapper


@doubled
def decorated(x):
    return x + RATE


@nf.task
def task(x):
    return helper(x)


def uses_a_task(x):
    return task(x) + task(x=x)


def uses_a_lock(x):
    with LOCK:
        return x


def takes_a_reference(frame: nf.Ref, other, maybe: nf.Ref | None = None):
    return type(frame).__name__, type(other).__name__


class Callable:
    def __call__(self, x):
        return helper(x)
"""


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module beside the user's notebook."""
    (tmp_path / "users_helpers.py").write_text(USERS)
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    yield import_module("users_helpers")
    sys.modules.pop("users_helpers", None)


@pytest.fixture
def elsewhere(users: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to be where the user's module cannot be imported."""

    def leave() -> None:
        monkeypatch.delitem(sys.modules, "users_helpers")
        monkeypatch.setattr(sys, "path", [p for p in sys.path if not (Path(p) / "users_helpers.py").exists()])

    return leave


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(str(tmp_path / "shelf"))


def job(code: Code, arguments: Json, shelf: Shelf, **more: Any) -> Job:
    return Job("execution", 1, code, arguments, shelf, **more)


@dataclass(frozen=True)
class Case:
    id: str
    function: Callable[[ModuleType], Callable[..., Any]]
    argument: Json
    result: Json


PORTABLE = [
    Case("helper and global", lambda m: m.uses_helper, 2, 7),
    Case("class", lambda m: m.uses_a_class, 2, 6),
    Case("recursion", lambda m: m.calls_itself, 4, 24),
    Case("closure", lambda m: m.closure(10), 2, 16),
    Case("lambda", lambda m: m.square, 5, 25),
    Case("decorated", lambda m: m.decorated, 1, 8),
    Case("partial", lambda m: functools.partial(m.uses_helper), 2, 7),
    Case("bound method", lambda m: m.Callable().__call__, 2, 6),
    Case("callable object", lambda m: m.Callable(), 2, 6),
    Case("function of an nf.task", lambda m: m.task.function, 2, 6),
    Case("function that uses an nf.task", lambda m: m.uses_a_task, 2, 12),
    Case("builtin", lambda m: len, [1, 2], 2),
    Case("of the standard library", lambda m: functools.partial(sorted, reverse=True), [1, 2], [2, 1]),
    Case("of an installed package", lambda m: pd.isna, None, True),
]


@pytest.mark.parametrize("case", PORTABLE, ids=lambda case: case.id)
def test_functions_of_a_users_module_run_where_it_cannot_be_imported(
    case: Case, users: ModuleType, elsewhere: Callable[[], None], shelf: Shelf
) -> None:
    code = pin(case.function(users), case.id, keywords=False)
    elsewhere()
    assert call(job(code, case.argument, shelf)) == case.result


def test_functions_of_main_with_their_globals(shelf: Shelf) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("rate = 4\ndef helper(x): return x * rate\ndef main(x): return helper(x) + 1", namespace)
    code = pin(namespace["main"], "main", keywords=False)
    namespace["rate"] = 0  # pinned: what it was then
    assert call(job(code, 2, shelf)) == 9


def test_an_installed_package_is_pinned_by_name() -> None:
    assert len(pin(pd.read_csv, "read", keywords=False).content) < 200


def test_what_a_code_says(users: ModuleType) -> None:
    code = pin(users.helper, "name", keywords=True)
    assert (code.kind, code.name, code.keywords, code.path) == ("function", "name", True, users.__file__)
    assert pin(len, "len", keywords=False).path == ""


def test_a_global_that_cannot_be_pickled(users: ModuleType) -> None:
    with pytest.raises(
        NotPortable, match=r"task 'locked' cannot be sent.*lock.*best made inside the function"
    ):
        pin(users.uses_a_lock, "locked", keywords=False)
    assert not cloudpickle.list_registry_pickle_by_value()


def test_the_global_that_cannot_be_pickled_is_named(users: ModuleType) -> None:
    with pytest.raises(NotPortable, match="its global 'LOCK'"):
        pin(users.uses_a_lock, "locked", keywords=False)


def weighed(size: int, **more: Any) -> Callable[..., Any]:
    """A function, one helper away from a global of so many bytes."""
    source = "def main(x):\n    return helper(x)\ndef helper(x):\n    return [data[0], x.unused]\n"
    namespace: dict[str, Any] = {"__name__": "__main__", "data": bytes(size), "unused": bytes(size), **more}
    exec(source, namespace)
    function: Callable[..., Any] = namespace["main"]
    return function


def test_a_large_global_is_warned_about() -> None:
    with pytest.warns(UserWarning, match=r"'big' uses the global 'data' \(2 MB\).*pass it as an argument"):
        pin(weighed(2_000_000), "big", keywords=False)


def test_a_global_that_is_too_large_is_refused_and_named() -> None:
    with pytest.raises(NotPortable, match=r"'big' uses the global 'data' \(20 MB\)"):
        pin(weighed(20_000_000), "big", keywords=False)


def test_a_large_value_that_a_cell_takes_along_is_named_too() -> None:
    code = compile("head = table[0]", "cell", "exec")
    cell = Cell("first", code, inputs=(), optional=(), outputs=("head",), carried=("table",))
    with pytest.raises(NotPortable, match="'first' uses the global 'table'"):
        pin(Body(cell, {"table": bytes(20_000_000)}), "first", keywords=True)


def test_a_large_value_of_a_function_around_it_is_named_too() -> None:
    def around() -> Callable[[], int]:
        table = bytes(20_000_000)
        return lambda: table[0]

    with pytest.raises(NotPortable, match="the global 'table'"):
        pin(around(), "inner", keywords=False)


def test_a_worker_shows_the_lines_of_a_cell(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = {
        "<cell 1>": "def helper(x):\n    return 1 / x  # the culprit\n",
        "<cell 2>": "@nf.task\ndef between(x):\n    return helper(x)\n",
        "<cell 3>": "def main(x):\n    return between(x) if x == 0 else odd\n",
    }
    namespace: dict[str, Any] = {"__name__": "__main__", "nf": nf, "odd": MagicMock()}
    for name, text in cells.items():
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), namespace)
    code = pin(namespace["main"], "main", keywords=False)
    assert dict(code.sources) == cells
    for name in cells:
        del linecache.cache[name]  # a worker has never seen them
    outcome = perform(job(code, 0, shelf))
    assert "return 1 / x  # the culprit" in (outcome.cause or "")
    assert "return helper(x)" in (outcome.cause or "")


def test_a_function_of_a_file_brings_no_text(users: ModuleType) -> None:
    assert pin(users.helper, "helper", keywords=False).sources == ()


def test_two_threads_that_pin_at_once(users: ModuleType, elsewhere: Callable[[], None], shelf: Shelf) -> None:
    """cloudpickle's registry is the process's: whoever is done first must not spoil it for the other."""
    together = threading.Barrier(4, timeout=10)

    def pin_often(_: int) -> list[Code]:
        codes = []
        for by in range(20):
            together.wait()
            codes.append(pin(users.closure(by), "closure", keywords=False))
        return codes

    with ThreadPoolExecutor(4) as pool:
        codes = [code for pinned in pool.map(pin_often, range(4)) for code in pinned]
    assert not cloudpickle.list_registry_pickle_by_value()
    elsewhere()
    assert [call(job(code, 1, shelf)) for code in codes] == [3 + by for by in range(20)] * 4


def test_a_module_that_the_user_has_registered_stays_registered(users: ModuleType) -> None:
    cloudpickle.register_pickle_by_value(users)
    try:
        pin(users.helper, "helper", keywords=False)
        assert cloudpickle.list_registry_pickle_by_value() == {"users_helpers"}
    finally:
        cloudpickle.unregister_pickle_by_value(users)


def test_a_function_is_loaded_once(users: ModuleType) -> None:
    code = pin(users.helper, "helper", keywords=False)
    assert load(code) is load(code)


def test_a_function_that_this_process_cannot_load(
    users: ModuleType, elsewhere: Callable[[], None], shelf: Shelf
) -> None:
    code = pin(_by_name(users), "lost", keywords=False)
    elsewhere()
    with pytest.raises(
        NotPortable, match=r"task 'lost' cannot be loaded by this worker: .*users_helpers.*Install it"
    ):
        call(job(code, 1, shelf))


def _by_name(users: ModuleType) -> Callable[..., Any]:
    """A function of another module, such as a worker may lack."""
    helper = users.helper
    return lambda x: helper(x)


def monthly(month: int, year: int = 2013) -> str:
    return f"{year}-{month}"


def fails_inside(month: int) -> int:
    return month + "x"  # type: ignore[operator]


@dataclass(frozen=True)
class Call:
    id: str
    function: Callable[..., Any]
    keywords: bool
    input: Json
    message: str


WRONG = [
    Call(
        "missing",
        monthly,
        True,
        {"year": 1},
        r"missing 1 .*'month'; the state's input gives it the names year$",
    ),
    Call("nothing", monthly, True, {}, r"missing 1 .*the names \(none\)$"),
    Call("unexpected", monthly, True, {"month": 1, "day": 2}, r"unexpected .*'day'; .*the names month, day$"),
    Call(
        "no object",
        monthly,
        True,
        7,
        r"^task\(\) takes keyword .* is the int 7; give the state Parameters or Arg",
    ),
    Call("null", monthly, True, None, "the state's input is null"),
    Call("two needed", lambda a, b: a, False, 7, "missing 1 .*'b'; the state's input gives it the int 7$"),
    Call(
        "none taken", lambda: 1, False, None, "takes 0 .* but 1 was given; the state's input gives it null$"
    ),
    Call(
        "its own",
        fails_inside,
        True,
        {"month": 1},
        r"^unsupported operand type\(s\) for \+: 'int' and 'str'$",
    ),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_wrong_arguments(case: Call, shelf: Shelf) -> None:
    code = pin(case.function, "task", keywords=case.keywords)
    with pytest.raises(TypeError, match=case.message):
        call(job(code, case.input, shelf))


def test_a_task_gets_keywords_and_a_bare_callable_one_value(shelf: Shelf) -> None:
    assert call(job(pin(monthly, "task", keywords=True), {"month": 2}, shelf)) == "2013-2"
    assert call(job(pin(lambda x: x, "bare", keywords=False), {"month": 2}, shelf)) == {"month": 2}


# --- references


def plain(frame: Any, other: Any = None) -> tuple[type, type]:
    return type(frame), type(other)


def annotated(frame: nf.Ref, other: Any = None) -> tuple[type, type]:
    return type(frame), type(other)


def optional(frame: nf.Ref | None, other: Any = None) -> tuple[type, type]:
    return type(frame), type(other)


def several(frame: list[nf.Ref]) -> list[type]:
    return [type(one) for one in frame]


@dataclass(frozen=True)
class Given:
    id: str
    function: Callable[..., Any]
    keywords: bool
    input: Callable[[Json], Json]
    result: Any


GIVEN = [
    Given("live", plain, True, lambda ref: {"frame": ref}, (pd.DataFrame, type(None))),
    Given("live, bare", plain, False, lambda ref: ref, (pd.DataFrame, type(None))),
    Given("nf.Ref", annotated, True, lambda ref: {"frame": ref, "other": ref}, (Ref, pd.DataFrame)),
    Given("nf.Ref, bare", annotated, False, lambda ref: ref, (Ref, type(None))),
    Given("nf.Ref | None", optional, True, lambda ref: {"frame": ref, "other": ref}, (Ref, pd.DataFrame)),
    Given("list of nf.Ref", several, True, lambda ref: {"frame": [ref, ref]}, [Ref, Ref]),
    Given("the callable of a type", type, False, lambda ref: ref, pd.DataFrame),
]


@pytest.mark.parametrize("case", GIVEN, ids=lambda case: case.id)
def test_references_are_loaded_unless_the_parameter_says_nf_ref(case: Given, shelf: Shelf) -> None:
    value, artifacts = pack(pd.DataFrame({"a": [1, 2]}), shelf)
    code = pin(case.function, "task", keywords=case.keywords)
    known = {artifact.sha256: artifact for artifact in artifacts}
    assert call(job(code, case.input(value), shelf, known=known)) == case.result


@pytest.mark.parametrize("names", [("frame", "other"), ("frame", "other", "maybe")])
def test_annotations_that_are_text(
    names: tuple[str, ...], users: ModuleType, elsewhere: Callable[[], None], shelf: Shelf
) -> None:
    value, artifacts = pack(pd.DataFrame({"a": [1, 2]}), shelf)
    code = pin(users.takes_a_reference, "task", keywords=True)
    elsewhere()
    known = {artifact.sha256: artifact for artifact in artifacts}
    assert call(job(code, dict.fromkeys(names, value), shelf, known=known)) == ("Ref", "DataFrame")


def test_the_input_itself_is_a_reference(shelf: Shelf) -> None:
    value, (artifact,) = pack(pd.DataFrame({"a": [1]}), shelf)
    code = pin(monthly, "task", keywords=True)
    with pytest.raises(TypeError, match="takes keyword arguments, but the state's input is the dict"):
        call(job(code, value, shelf, known={artifact.sha256: artifact}))
