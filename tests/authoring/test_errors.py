"""What cannot be a flow: each mistake has a caret under it, and words that say what to write instead."""

import linecache
import traceback

import pytest

import nbflow as nf
from nbflow.authoring.flow import compile_flow
from nbflow.authoring.source import FlowError
from nbflow.authoring.task import notebook, task
from nbflow.errors import NbflowError
from tests.authoring.making import code, defined


@task
def positional(x: int, /) -> int:
    return x


@task
def many(*xs: int) -> int:
    return len(xs)


WORLD = {"book": notebook("a/book.ipynb"), "positional": positional, "many": many}

# The body of a flow with the parameters x and xs; what the caret is under; and what the message says.
MISTAKES = [
    ("for x in xs: f(x)", "for x in xs: f(x)", "Write [task(x) for x in xs]"),
    ("while x: f(x)", "while x: f(x)", "no while loop"),
    ("with open(x) as y: pass", "with open(x) as y: pass", "within a task"),
    ("def h(): pass", "def h(): pass", "outside of the flow"),
    ("class C: pass", "class C: pass", "outside of the flow"),
    ("global z", "global z", "Return the value from a task"),
    ("import os", "import os", "import before the flow"),
    ("from os import path", "from os import path", "import before the flow"),
    ("del x", "del x", "Leave it out"),
    ("match x:\n        case 1: pass", "match x:", "write if and elif"),
    ("f(y := x)", "y := x", "assign on a line of its own"),
    ("yield x", "yield x", "cannot yield"),
    ("try: f(x)\n    finally: f(1)", "f(1)", "except clause"),
    ("try: f(x)\n    except* OSError: pass", "try: f(x)", "write except"),
    ("x['k'] = 1", "x['k']", "{**d, 'key': value}"),
    ("x.k = 1", "x.k", "not changed in place"),
    ("x['k'] += 1", "x['k']", "not changed in place"),
    ("a, x['k'] = xs", "x['k']", "not changed in place"),
    ("a = [y for x['k'] in xs]", "x['k']", "not changed in place"),
    ("h = sorted(xs, key=lambda v: f(v))", "f(v)", "cannot be called in a lambda"),
    ("h = sum(f(v) for v in xs)", "f(v)", "cannot be called in a generator expression"),
    ("h = {v: f(v) for v in xs}", "f(v)", "set or dict comprehension"),
    ("h = {f(v) for v in xs}", "f(v)", "set or dict comprehension"),
    ("h = [v for v in xs if f(v)]", "f(v)", "the condition or a later for"),
    ("h = [v for w in xs for v in f(w)]", "f(w)", "the condition or a later for"),
    ("return undefined + x", "undefined", "is not defined"),
    ("if x: y = 1\n    return y", "y", "set on some ways"),
    ("return y\n    y = 1", "y", "set on some ways"),
    ("try: y = f(x)\n    except OSError: return y", "y", "set on some ways"),
    ("try: f(x)\n    except OSError as e: pass\n    return e", "e", "set on some ways"),
    ("try: f(x)\n    except OSError as e: f(e)", "e", "write str(e), e.error or e.cause"),
    ("try: f(x)\n    except OSError as e: return e", "e", "write str(e)"),
    ("try: f(x)\n    except OSError as e: f([e])", "e", "write str(e)"),
    ("try: f(x)\n    except OSError as e: f(e.errno)", "e.errno", "write str(e)"),
    ("try: f(x)\n    except OSError as e: return repr(e)", "repr(e)", "write str(e)"),
    ("try: f(x)\n    except OSError as e: return f'{e!r}'", "e", "write str(e)"),
    ("try: f(x)\n    except OSError as e: return isinstance(e, KeyError)", "isinstance(e, KeyError)", "except clause for"),
    ("try: f(x)\n    except x: pass", "x", "names exception classes"),
    ("try: f(x)\n    except len: pass", "len", "names exception classes"),
    ("raise", "raise", "nothing to raise again"),
    ("raise nf.Fail()", "nf.Fail()", "missing 1 required positional argument"),
    ("assert x, f(x)", "f(x)", "before the assert"),
    ("f()", "f()", "missing a required argument: 'x'"),
    ("g(1, z=2)", "g(1, z=2)", "unexpected keyword argument 'z'"),
    ("f(*xs)", "*xs", "instead of * or **"),
    ("f(**x)", "**x", "instead of * or **"),
    ("positional(x)", "positional(x)", "needs a name"),
    ("many(1, 2)", "many(1, 2)", "needs a name"),
    ("book(1)", "1", "book(year=2013)"),
    ("nf.wait()", "nf.wait()", "nf.wait(60)"),
    ("nf.wait(0.5)", "0.5", "whole number of seconds"),
    ("nf.wait(-1)", "-1", "whole number of seconds"),
    ("nf.wait('abc')", "'abc'", "whole number of seconds"),
    ("nf.wait([1])", "[1]", "whole number of seconds"),
    ("y = nf.wait(1)", "nf.wait(1)", "line of its own"),
    ("nf.parallel()", "nf.parallel()", "one by one"),
    ("nf.parallel(*xs)", "nf.parallel(*xs)", "[a(x) for x in xs]"),
    ("a, b = nf.parallel(f(1), f(2), f(3))", "a, b", "3 values to unpack, but 2 names"),
    ("a, b = c, d = xs", "a, b = c, d = xs", "line of its own"),
    ("nf.map(f)", "nf.map(f)", "a task and a list"),
    ("nf.map(len, xs)", "len", "mark the function with @nf.task"),
    ("nf.map(f, xs, speed=1)", "speed=1", "concurrency, distributed"),
    ("nf.map(f, xs, concurrency=0)", "0", "at least 1"),
    ("nf.map(f, xs, concurrency=x)", "x", "written as such"),
    ("nf.map(f, xs, tolerate=1.5)", "1.5", "a share between"),
    ("nf.map(f, xs, express=True)", "nf.map(f, xs, express=True)", "distributed=True"),
    ("return eval('x')", "eval('x')", "write the expression itself"),
    ("return locals()", "locals()", "write the expression itself"),
    ("return x is xs", "x is xs", "compare with =="),
]  # fmt: skip


@pytest.mark.parametrize(("body", "under", "words"), MISTAKES, ids=[body for body, _, _ in MISTAKES])
def test_a_mistake_is_pointed_at(body: str, under: str, words: str) -> None:
    with pytest.raises(FlowError) as raised:
        code(f"def flow(x, xs):\n    {body}\n", WORLD)
    error = raised.value
    assert words in str(error)
    assert str(error).startswith(f"<cell>:{error.lineno}: ")
    assert marked(error) == under


def marked(error: FlowError) -> str:
    """What the caret is under; of several lines, the first."""
    assert error.text is not None
    assert error.offset is not None
    end = error.end_offset if error.end_lineno == error.lineno else None
    return error.text[error.offset - 1 : end and end - 1].rstrip("\n")


def test_python_draws_the_caret() -> None:
    with pytest.raises(FlowError) as raised:
        code("\n\ndef flow(ü):\n    return f('ü', ü, nothing)\n")
    drawn = "".join(traceback.format_exception_only(raised.value))
    assert 'File "<cell>", line 2' in drawn
    assert drawn.splitlines()[-2].strip(" ") == "^^^^^^^^^^^^^^^^^^"
    assert isinstance(raised.value, SyntaxError)
    assert isinstance(raised.value, NbflowError)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("flow = lambda x: x", "a lambda cannot be a flow"),
        ("async def flow(): pass", "without async"),
        ("def flow(*xs): pass", "name each parameter"),
        ("def flow(**xs): pass", "name each parameter"),
        ("def flow(x=object()): pass", "plain data"),
        ("def flow(x=float('inf')): pass", "plain data"),
    ],
)
def test_some_functions_cannot_be_flows(source: str, words: str) -> None:
    with pytest.raises(FlowError, match=words):
        code(source)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(FlowError, match="write it as a def"):
        compile_flow(int)


def test_a_flow_without_source_is_refused() -> None:
    flow = defined("def flow(): pass", filename="<gone>")
    del linecache.cache["<gone>"]
    with pytest.raises(FlowError, match=r"cannot be found .*<gone>.* define it in a file or in a cell"):
        compile_flow(flow)


def test_a_flow_whose_file_was_edited_before_it_was_read_is_refused() -> None:
    flow = defined("def flow(): pass", filename="<edited>")
    linecache.cache["<edited>"] = (1, None, ["def other(): pass\n"], "<edited>")
    with pytest.raises(FlowError, match="run its definition again"):
        compile_flow(flow)


def test_a_flow_stays_what_it_was_when_it_was_read() -> None:
    flow = defined("def flow(): return 1", filename="<kept>")
    first = compile_flow(flow)
    linecache.cache["<kept>"] = (1, None, ["def other(): pass\n"], "<kept>")
    assert compile_flow(flow).definition == first.definition


def test_a_flow_is_not_called_in_a_flow() -> None:
    class Flow:
        @property
        def definition(self) -> None: ...

        def start(self) -> None: ...

    with pytest.raises(FlowError, match="cannot call a flow"):
        code("def flow(): other()", {"other": Flow()})


def test_what_cannot_be_reached_is_still_looked_over() -> None:
    with pytest.raises(FlowError, match="no for loop"):
        code("def flow():\n    return 1\n    for x in []: pass")


def test_nf_is_resolved_by_value() -> None:
    with pytest.raises(FlowError, match="line of its own"):
        code("def flow(): return pause(1)", {"pause": nf.wait})
