"""Which names of a cell go in, and which come out."""

import math
import random
import sys
from dataclasses import dataclass
from functools import lru_cache, partial
from types import FunctionType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.authoring.task import Task
from nbflow.jupyter.body import Body, Cell
from nbflow.jupyter.cells import CellError, CellTask, analyse, is_code, resolve


@dataclass(frozen=True)
class Case:
    """A cell, its inputs (those that are only perhaps read with a ``?``), and its outputs."""

    source: str
    inputs: str = ""
    outputs: str = ""


CASES = [
    # reading and assigning
    Case("y = x", "x", "y"),
    Case("x = 1\ny = x", "", "x y"),
    Case("y = x\nx = 2", "x", "y x"),
    Case("x = x + 1", "x", "x"),
    Case("x += 1", "x", "x"),
    Case("x: int = y", "y", "x"),
    Case("x: int"),
    Case("a = b = c", "c", "a b"),
    Case("a, *b = c", "c", "a b"),
    Case("[a, (b, c)] = d", "d", "a b c"),
    Case("a, b = b, a", "b a", "a b"),
    Case("f'{x!r:>{width}}'", "x width"),
    Case("_hidden = x\ny = _hidden", "x", "y"),
    Case("import math\ny = math.sqrt(x)", "x", "y"),
    Case("import os.path\nfrom m import n as o\ny = o(os, n)", "n", "y"),
    Case("print(len(x), __name__)", "x"),
    # changes in place
    Case("d['k'] = 1", "d", "d"),
    Case("d['a']['b'].c = 1", "d", "d"),
    Case("d.name = 1", "d", "d"),
    Case("del d['k'], e.name", "d e", "d e"),
    Case("d['n'] += x", "d x", "d"),
    Case("df.loc[mask, 'c'] = 0\nn = len(df)", "df mask", "df n"),
    Case("for d['k'] in xs: pass", "xs d", "d"),
    Case("with a as d.x: pass", "a d", "d"),
    Case("(d['x'], y) = z", "z d", "d y"),
    Case("d = {}\nd['k'] = x", "x", "d"),
    Case("f()['k'] = 1", "f"),
    Case("def change():\n    d['k'] = 1\nchange()", "d", "d"),
    Case("def change():\n    d = {}\n    d['k'] = x\nchange()", "x"),
    Case("def change(d):\n    d['k'] = 1\nchange(e)", "e"),
    # deleting
    Case("del x", "x"),
    Case("y = x\ndel x, z", "x z", "y"),
    Case("x = 1\ndel x"),
    Case("x = 1\ndel x\nprint(x)", "x"),
    # branches
    Case("if c:\n    x = 1\ny = x", "c x?", "x y"),
    Case("if c:\n    x = 1\nelse:\n    x = 2\ny = x", "c", "x y"),
    Case("if c:\n    x = 1\n    y = x", "c", "x y"),
    Case("x = 1 if c else z", "c z", "x"),
    Case("c and (x := 1)\ny = x", "c x?", "x y"),
    Case("if (x := f()) > 1:\n    y = x", "f", "x y"),
    Case("assert (n := len(xs))\ny = n", "xs", "n y"),
    # loops
    Case("for i in xs:\n    y = i", "xs", "y"),
    Case("for i in xs:\n    loss = i\nz = loss", "xs loss?", "loss z"),
    Case("for i in xs:\n    total = total + i", "xs total", "total"),
    Case("for i in xs:\n    pass\nelse:\n    y = 1\nz = y", "xs", "y z"),
    Case("for i in xs:\n    y = i\n    break\nelse:\n    y = 0\nz = y", "xs", "y z"),
    Case("while True:\n    if c():\n        x = 1\n        break\ny = x", "c", "x y"),
    Case("while c:\n    c = f(c)", "c f", "c"),
    Case("for i in xs:\n    del y\n    y = i", "xs y", "y"),
    Case("y = 0\nfor i in xs:\n    y = y + 1\n    del y", "xs y?", "y"),
    Case("for i in xs: pass\nz = i", "xs i?", "z"),
    # exceptions
    Case("try:\n    x = f()\nexcept E:\n    x = None\ny = x", "f E", "x y"),
    Case("try:\n    x = f()\nexcept E:\n    pass\ny = x", "f E x?", "x y"),
    Case("try:\n    x = f()\nexcept E as e:\n    y = str(e)", "f E", "x y"),
    Case("try:\n    x = f()\nexcept E as e:\n    pass\nprint(e)", "f E e", "x"),
    Case("try:\n    x = f()\nfinally:\n    y = x", "f x?", "x y"),
    Case("try:\n    x = 1\n    f()\nexcept E:\n    y = x\nelse:\n    y = 0", "f E x?", "x y"),
    Case("with open(p) as h:\n    d = h.read()\nn = len(d)", "p", "d n"),
    Case("from contextlib import suppress\nwith suppress(E):\n    d = f()\nn = d", "E f d?", "d n"),
    Case(
        "match x:\n    case {'a': a, **rest}:\n        y = a\n    case [b, *c] | (b, c):\n        y = b\n    case _:\n        y = 0",
        "x",
        "rest a y b c",
    ),
    # comprehensions and generators
    Case("y = [x * k for x in xs if x > least]", "xs least k", "y"),
    Case("y = {x: n for n, x in enumerate(xs)}", "xs", "y"),
    Case("y = [[a * b for b in bs] for a in aas]", "aas bs", "y"),
    Case("x = 1\ny = [x for x in range(3)]", "", "x y"),
    Case("y = [last := x for x in xs]\nz = last", "xs last?", "y last z"),
    Case("y = sum(x * k for x in xs)", "xs k", "y"),
    Case("y = [x for x in xs]\nz = x", "xs x", "y z"),
    # functions
    Case("def f(a=d):\n    return a + g\ny = f()", "d g", "y"),
    Case("def f():\n    def inner():\n        return g\n    return inner\ny = f()()", "g", "y"),
    Case("def f():\n    return g", "g"),
    Case("def area(r):\n    return PI * r\nPI = 3\na = area(2)", "", "PI a"),
    Case("def area(r):\n    return PI * r\na = area(2)\nPI = 3", "PI", "a PI"),
    Case("def a():\n    return b()\ndef b():\n    return q\ny = a()", "q", "y"),
    Case("def f():\n    global n\n    n = 1\nf()\ny = n", "n?", "y"),
    Case("def f():\n    global n\n    n += 1\nf()", "n"),
    Case("def f():\n    global n\n    n = 0\n    n += 1"),
    Case("area = lambda r: PI * r\nPI = 3\na = area(2)", "", "area PI a"),
    Case("y = sorted(xs, key=lambda x: weights[x])", "xs weights", "y"),
    Case("@register\ndef f(x: Kind) -> Other:\n    return x", "register Kind Other"),
    Case("async def f():\n    return [y async for y in ys]", "ys"),
    Case("def f(xs):\n    for x in xs:\n        yield x + step\ny = list(f([1]))", "step", "y"),
    # classes
    Case(
        "class A(Base):\n    size = width\n    area = size * 2\n    def m(self):\n        return self.size * height\ny = A().m()",
        "width Base height",
        "y",
    ),
    Case("class A:\n    def m(self):\n        return late\nlate = 1\nA().m()", "", "late"),
    Case("class A:\n    first = late\nlate = 1", "late", "late"),
    # what ends early
    Case("raise ValueError(x)\ny = z", "x"),
    Case(""),
    Case("# nothing but a comment"),
]


def found(source: str, namespace: dict[str, Any] | None = None, **given: Any) -> CellTask:
    return resolve(analyse(source), namespace or {}, **given)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.source.replace("\n", "⏎"))
def test_the_names_of_a_cell(case: Case) -> None:
    task = found(case.source)
    names = case.inputs.split()
    surely = {name for name in names if not name.endswith("?")}
    assert set(task.inputs) == surely
    assert set(task.optional) == {name[:-1] for name in names if name.endswith("?")}
    assert " ".join(task.outputs) == case.outputs


def test_inputs_are_in_the_order_of_the_text() -> None:
    assert found("try:\n    a = f(z, y)\nexcept E:\n    a = x\nb = [w, v]").inputs == (
        "f",
        "z",
        "y",
        "E",
        "x",
        "w",
        "v",
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of Python 3.12")
def test_generic_functions_and_aliases() -> None:
    task = found(
        "type Row = dict[str, Cell]\ndef first[T](xs: list[T]) -> T:\n    return xs[at]\ny = first(z)"
    )
    assert {*task.inputs} >= {"at", "z"}
    assert task.outputs == ("y",)


def test_long_cells_have_wide_jumps() -> None:
    body = "\n".join(f"    y{n} = x{n}" for n in range(400))
    task = found(f"if c:\n{body}\nelse:\n    y0 = 1\nz = y0")
    assert len(task.inputs) == 401
    assert not task.optional
    assert task.outputs[-1] == "z"


# --- what the notebook says


def helper(x: float) -> float:
    return x + 1


HELPERS: dict[str, Any] = {"helper": helper, "math": math, "Case": Case, "fast": lru_cache(helper), "less": partial(helper, 1), "task": Task(helper), "method": [].append, "builtin": len}  # fmt: skip


def test_code_is_carried_along_and_data_are_inputs() -> None:
    source = "y = [helper, math, Case, fast, less, task, method, builtin, data]"
    task = found(source, {**HELPERS, "data": 3})
    assert task.inputs == ("data",)
    assert set(task.carried) == set(HELPERS)
    assert str(task) == "(data) → y"


def test_a_callable_object_is_data() -> None:
    class Model:
        def __call__(self) -> None: ...

    assert not is_code(Model())
    assert is_code(Model)


def test_a_builtin_that_the_notebook_has_taken_for_data_is_an_input() -> None:
    assert found("y = sum(xs)").inputs == ("xs",)
    assert found("y = sum + 1", {"sum": 3}).inputs == ("sum",)


@dataclass(frozen=True)
class Note:
    source: str
    note: str | None


NOTES = [
    Note("xs.append(1)", "line 1: xs.append(…) may change xs; if the change is wanted, name it: -o xs"),
    Note("a = 1\nd['k'].items.update(x)", "line 2: d['k'].items.update(…) may change d; if the change is wanted, name it: -o a,d"),
    Note("df.drop(columns='a', inplace=True)\n1", "line 1: df.drop(…) may change df; if the change is wanted, name it: -o df"),
    Note("rng.shuffle(1)\ny = 1", "line 1: rng.shuffle(…) may change rng; if the change is wanted, name it: -o y,rng"),
    Note("last = xs.pop()", "line 1: xs.pop(…) may change xs; if the change is wanted, name it: -o last,xs"),
    Note("def f():\n    xs.append(1)\nf()", "line 2: xs.append(…) may change xs; if the change is wanted, name it: -o xs"),
    Note("df.drop(columns='a', inplace=False)", None),
    Note("df.head()", None),
    Note("df.info()\ndf.plot()\ndf.to_csv('x')\nlog.info('x')\nfile.close()", None),
    Note("xs = []\nxs.append(1)", None),
    Note("xs[0] = 1\nxs.append(1)", None),
    Note("y = xs.count(1)", None),
    Note("import logging\nlogging.append(1)", None),
]  # fmt: skip


@pytest.mark.parametrize("case", NOTES, ids=lambda case: case.source.replace("\n", "⏎"))
def test_a_call_that_may_change_an_input_is_said(case: Note) -> None:
    assert found(case.source).notes == (() if case.note is None else (case.note,))


def test_what_is_named_with_o_is_not_said() -> None:
    assert found("xs.append(1)", outputs=["xs"]).notes == ()
    assert found("xs.append(1)", outputs=["xs"]).outputs == ("xs",)
    assert found("xs.append(1)", outputs=[]).notes == ()


def test_outputs_as_their_author_has_said() -> None:
    source = "import m\ndef f(): pass\nfor i in xs: a = i\n_b = 1"
    assert found(source, outputs=["_b", "f", "i", "xs", "_b"]).outputs == ("_b", "f", "i", "xs")


def test_inputs_as_their_author_has_said() -> None:
    source = "if fresh:\n    limit = 3\ny = [x for x in xs if x < limit] + zs"
    namespace = {"zs": [1], "xs": [2]}
    task = found(source, namespace, inputs=["xs", "fresh", "limit"])
    assert (task.inputs, task.optional, task.carried) == (("xs", "fresh"), ("limit",), ("zs",))
    assert task.notes == ("zs: as it is when a run starts",)
    assert found("y = eval('x > limit')", inputs=["limit"]).inputs == ("limit",)


def test_what_pandas_reads_by_itself() -> None:
    source = "low = 1\ny = df.query(f'@low < x < @high and {z} < @high').eval('k = @k + @math.pi')\nmail = '@someone'"
    namespace = {"high": 3, "low": 2, "k": 1, "someone": 1, "math": math}
    task = found(source, namespace)
    assert sorted(task.inputs) == ["df", "high", "k", "z"]
    assert task.carried == ("math",)
    assert found(source).inputs == ("df", "z")


@dataclass(frozen=True)
class Wrong:
    source: str
    message: str
    given: dict[str, list[str]]
    namespace: dict[str, Any]


def reads_limit(x: int) -> bool:
    return bool(x < limit)  # type: ignore[name-defined]  # noqa: F821


def calls_reads_limit(x: int) -> bool:
    return bool(reads_limit_there(x))  # type: ignore[name-defined]  # noqa: F821


def there(function: Any, namespace: dict[str, Any]) -> Any:
    """The function as if the notebook had defined it."""
    return FunctionType(function.__code__, namespace)


SMALL: dict[str, Any] = {"limit": 2}
SMALL["small"] = Task(there(reads_limit, SMALL))
SMALL["reads_limit_there"] = there(reads_limit, SMALL)
SMALL["deep"] = partial(there(calls_reads_limit, SMALL), 1)

WRONG = [
    Wrong("y = await f()", "cannot await at its top level", {}, {}),
    Wrong("async with a as b: pass", "cannot await at its top level", {}, {}),
    Wrong("y = [x async for x in xs]", "cannot await at its top level", {}, {}),
    Wrong("y = 1\nfrom math import *", r"line 2: `from math import \*` hides", {}, {}),
    Wrong("y = Out[3]", "the cell reads Out, which only a notebook has", {}, {"Out": {}}),
    Wrong("get_ipython()", "the cell reads get_ipython", {}, {}),
    Wrong(
        "tidy = 1",
        r"-o tdy: the cell does not set it \(did you mean 'tidy'\?\); it sets tidy",
        {"outputs": ["tdy"]},
        {},
    ),
    Wrong("print(1)", "-o x: the cell does not set it; it sets nothing", {"outputs": ["x"]}, {}),
    Wrong("y = raw", r"-i rw: the cell does not read it \(did you mean 'raw'\?\)", {"inputs": ["rw"]}, {}),
    Wrong("y = raw", "-i 3x: this is no name", {"inputs": ["3x"]}, {}),
    Wrong("y = a + b", "the cell reads b before it has set it; add it to -i", {"inputs": ["a"]}, {"a": 1}),
    Wrong("y = small(limit)", r"small\(\) reads limit as a global, and the cell takes or sets it", {}, SMALL),
    Wrong("limit = 3\ny = deep()", r"reads_limit_there\(\) reads limit as a global", {}, SMALL),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.source.replace("\n", "⏎"))
def test_what_cannot_be_a_task_is_refused_in_words(case: Wrong) -> None:
    with pytest.raises(CellError, match=case.message) as refused:
        found(case.source, case.namespace, **case.given)
    assert refused.value._render_traceback_() == [f"CellError: {refused.value}"]


def test_a_helper_may_read_globals_that_are_not_the_cells() -> None:
    assert found("y = small(1)", SMALL).carried == ("small",)


# --- the analysis against Python itself

NAMES = ["a", "b", "c"]


def statements(depth: int) -> st.SearchStrategy[list[str]]:
    """Random statements over three names; whatever they do, they end."""
    name = st.sampled_from(NAMES)
    simple = st.one_of(
        st.builds("{} = 1".format, name),
        st.builds("{} = {}".format, name, name),
        st.builds("{} += 1".format, name),
        st.builds("del {}".format, name),
        st.builds("use({})".format, name),
        st.builds("use([{0} for {0} in range(2)])".format, name),
        st.builds("use([k + {} for k in range(2) if flip()])".format, name),
        st.builds("def f(): use({})".format, name),
        st.builds("def f():\n    global {0}\n    {0} += {1}".format, name, name),
        st.just("f()"),
        st.builds("f = lambda: use({})".format, name),
        st.builds("class K:\n    {} = {}\n    def m(self): use({})\nK().m()".format, name, name, name),
    ).map(lambda text: text.split("\n"))
    if not depth:
        return simple
    inner = st.lists(statements(depth - 1), min_size=1, max_size=3).map(
        lambda parts: [f"    {line}" for part in parts for line in part]
    )
    return st.one_of(
        simple,
        st.builds(lambda body: ["if flip():", *body], inner),
        st.builds(lambda body, other: ["if flip():", *body, "else:", *other], inner, inner),
        st.builds(lambda body: ["for _ in range(2):", *body, "    if flip(): break"], inner),
        st.builds(lambda n, body: [f"for {n} in range(2):", *body], name, inner),
        st.builds(lambda body, other: ["try:", *body, "    risk()", "except Risk:", *other], inner, inner),
        st.builds(lambda body, other: ["try:", *body, "finally:", *other], inner, inner),
        st.builds(lambda body: ["with quiet():", *body, "    risk()"], inner),
    )


class Risk(Exception):
    pass


class quiet:  # noqa: N801
    """A context manager that lets everything through."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Watched(dict[str, Any]):
    """A namespace that notes which names are looked up before they have been set."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.unset: set[str] = set()

    def __missing__(self, name: str) -> Any:
        if name in NAMES:
            self.unset.add(name)
            return 1
        raise KeyError(name)

    def __delitem__(self, name: str) -> None:
        if name in self:
            super().__delitem__(name)
        else:
            self.unset.add(name)


@given(st.lists(statements(2), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_whatever_a_run_reads_unset_is_an_input(parts: list[list[str]], chance: random.Random) -> None:
    source = "\n".join(line for part in parts for line in part)

    known = known_for(chance.random())
    names = analyse(source)
    task = resolve(names, known)
    namespace = Watched(known)
    try:
        exec(names.code, namespace)
    except NameError as error:  # the body of a class does not ask Watched
        namespace.unset.add(str(error.name))
    except Risk:
        pass
    else:
        left = {name for name in NAMES if name in namespace}
        assert left <= names.bound
    assert namespace.unset <= {*task.inputs, *task.optional}


@given(st.lists(statements(2), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_a_task_does_what_the_cell_does(parts: list[list[str]], chance: random.Random) -> None:
    source = "\n".join(line for part in parts for line in part)
    seed = chance.random()
    names = analyse(source)
    task = resolve(names, known_for(0.0))
    given = {name: index for index, name in enumerate([*task.inputs, *task.optional])}
    outputs = tuple(sorted(names.bound & {"a", "b", "c"}))

    def as_cell() -> Any:
        namespace = {**known_for(seed), **given}
        exec(names.code, namespace)
        return {name: namespace[name] for name in outputs if name in namespace}

    def as_task() -> Any:
        cell = Cell("t", names.code, task.inputs, task.optional, outputs, task.carried)
        value: Any = Body(cell, known_for(seed))(**given)
        return dict(zip(outputs, value if len(outputs) > 1 else [value], strict=True)) if outputs else {}

    try:
        expected = as_cell()
    except (Risk, NameError, TypeError) as error:
        with pytest.raises(type(error)):
            as_task()
    else:
        if expected.keys() == set(outputs):
            assert as_task() == expected


def known_for(seed: float) -> dict[str, Any]:
    chance = random.Random(seed)

    def risk() -> None:
        if chance.random() < 0.4:
            raise Risk

    return {"use": lambda _: None, "f": lambda: None, "flip": lambda: chance.random() < 0.5, "risk": risk, "Risk": Risk, "quiet": quiet}  # fmt: skip
