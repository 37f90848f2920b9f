"""Except clauses are Catch members, and mean what they mean in Python."""

from typing import Any

import pytest

import nbflow as nf
from nbflow.authoring.task import Retry, task
from nbflow.language.validate import diagnose
from tests.authoring.making import code
from tests.authoring.running import Ended, run


class Mine(Exception):
    """Of the user's."""


class Both(Mine, LookupError):
    """Of two families."""


@task
def fail(kind: Any) -> None:
    raise {
        "os": OSError("os"),
        "reset": ConnectionResetError("reset"),
        "key": KeyError("key"),
        "both": Both("both"),
        "fail": nf.Fail("NoData", "none"),
    }[kind]


@task(retry=Retry(ConnectionError, interval=0))
def retried(kind: Any) -> None:
    fail(kind)


WORLD = {"fail": fail, "retried": retried, "Mine": Mine, "Both": Both}


def caught(source: str) -> dict[str, list[list[str]]]:
    """By state, the names that the members of its Catch list."""
    made = code(source, WORLD)
    assert diagnose(made.definition) == []
    return {
        name: [member["ErrorEquals"] for member in state["Catch"]]
        for name, state in made.definition["States"].items()
        if "Catch" in state
    }


CLAUSES = [
    ("except OSError: pass", [["OSError"]]),
    ("except (OSError, KeyError): pass", [["OSError", "KeyError"]]),
    ("except ERRORS: pass", [["KeyError", "IndexError"]]),
    ("except Exception: pass", [["States.ALL"]]),
    ("except BaseException: pass", [["States.ALL"]]),
    ("except: pass", [["States.ALL"]]),
    ("except (OSError, Exception): pass", [["States.ALL"]]),
    ("except OSError: pass\n    except: pass", [["OSError"], ["States.ALL"]]),
    ("except nf.Fail: pass", [["nbflow.Fail"]]),
    ("except nf.NbflowError: pass", [["nbflow.NbflowError"]]),
    ("except TimeoutError: pass", [["TimeoutError", "States.Timeout"]]),
    ("except ConnectionError: pass\n    except OSError: pass", [["ConnectionError"], ["OSError"]]),
    ("except OSError: pass\n    except ConnectionError: pass", [["OSError"]]),
    ("except Exception: pass\n    except KeyError: pass", [["States.ALL"]]),
    ("except Mine: pass\n    except LookupError: pass", [["Mine", "Both"], ["LookupError"]]),
    ("except LookupError: pass\n    except Mine: pass", [["LookupError", "Both"], ["Mine"]]),
]


@pytest.mark.parametrize(("clauses", "listed"), CLAUSES)
def test_what_a_clause_lists(clauses: str, listed: list[list[str]]) -> None:
    made = f"ERRORS = (KeyError, IndexError)\ndef flow(x):\n    try: fail(x)\n    {clauses}\n"
    assert caught(made) == {"fail": listed}


def test_every_state_that_can_fail_has_the_catch() -> None:
    source = """
        def flow(x):
            f(0)
            try:
                a = f(x)
                b = a + 1
                c = [f(v) for v in b]
                nf.parallel(f(c), f(a))
                d = c
                if d is None:
                    nf.wait(1)
            except OSError:
                return f(9)
            else:
                f(8)
    """
    assert list(caught(source)) == ["f(x)", "a + 1", "list(b)", "[f(v) for v in b]", "parallel(f, f)"]


def test_a_member_that_earlier_ones_have_taken_is_left_out() -> None:
    source = """
        def flow(x):
            try:
                try: fail(x)
                except OSError: f(1)
                except Exception: raise
            except ConnectionError: f(2)
    """
    assert caught(source)["fail"] == [["OSError", "ConnectionError"], ["States.ALL"]]


def test_inner_clauses_come_before_outer_ones() -> None:
    source = """
        def flow(x):
            try:
                try:
                    fail(x)
                except ConnectionError:
                    f(1)
            except OSError:
                f(2)
    """
    assert caught(source) == {
        "fail": [["ConnectionError"], ["OSError"]],
        "f": [["OSError"]],
    }


def test_a_retry_of_a_subclass_does_not_hide_the_clause() -> None:
    """The worker reports ConnectionError, because the Retry lists it."""
    source = "def flow(x):\n    try: retried(x)\n    except OSError as e: return [str(e), e.error]\n"
    assert caught(source) == {"retried": [["OSError", "ConnectionError"]]}
    assert run(code(source, WORLD), {"x": "reset"}) == ["reset", "ConnectionResetError"]


def test_a_clause_around_a_map_knows_what_its_iterations_list() -> None:
    source = "def flow(x):\n    try: return [retried(v) for v in x]\n    except OSError as e: return str(e)\n"
    assert caught(source)["retried"] == [["OSError", "ConnectionError"]]
    assert run(code(source, WORLD), {"x": ["reset"]}) == "reset"


def test_a_retry_in_a_map_knows_what_a_clause_around_it_lists() -> None:
    careful = task(name="careful", retry=Retry(OSError))(fail.function)
    source = "def flow(x):\n    try: return [careful(v) for v in x]\n    except ConnectionError: return 1\n"
    made = code(source, {**WORLD, "careful": careful})
    [inner] = made.definition["States"]["careful"]["ItemProcessor"]["States"].values()
    assert inner["Retry"][0]["ErrorEquals"] == ["OSError", "ConnectionError"]
    assert run(made, {"x": ["reset"]}) == 1


def test_a_class_of_two_families_goes_to_the_first_clause() -> None:
    for first, second, answer in (
        ("Mine", "LookupError", 1),
        ("LookupError", "Mine", 1),
        ("OSError", "Mine", 2),
    ):
        source = (
            f"def flow(x):\n    try: fail(x)\n    except {first}: return 1\n    except {second}: return 2\n"
        )
        assert run(code(source, WORLD), {"x": "both"}) == answer


@pytest.mark.parametrize(
    ("kind", "ended"),
    [("reset", "C reset"), ("os", "O os"), ("key", "KeyError"), ("fail", "NoData"), ("both", "Both")],
)
def test_what_is_raised_again_goes_to_the_outer_clause_that_knows_it(kind: str, ended: str) -> None:
    source = """
        def flow(x):
            try:
                try:
                    fail(x)
                except Exception as e:
                    f(str(e))
                    raise
            except ConnectionError as inner:
                return "C " + str(inner)
            except OSError as inner:
                return f"O {inner}"
    """
    made = code(source, WORLD)
    if " " in ended:
        assert run(made, {"x": kind}) == ended
        return
    with pytest.raises(Ended) as raised:
        run(made, {"x": kind})
    assert raised.value.error == ended


def test_a_class_of_two_families_that_is_raised_again_goes_to_the_outer_clause() -> None:
    source = """
        def flow(x):
            try:
                try: fail(x)
                except Exception: raise
            except (Mine, LookupError): return 1
            except: return 2
    """
    assert run(code(source, WORLD), {"x": "both"}) == 1


@pytest.mark.parametrize(("kind", "clause"), [("reset", "os"), ("os", "os"), ("key", "any")])
@pytest.mark.parametrize("first", ["except:", "except Exception:", "except (OSError, LookupError):"])
def test_what_is_raised_again_in_a_try_of_the_handler_goes_to_its_clause(
    first: str, kind: str, clause: str
) -> None:
    source = f"""
        def flow(x):
            try:
                fail(x)
            {first}
                try: raise
                except OSError: return "os"
                except Exception: return "any"
    """
    assert run(code(source, WORLD), {"x": kind}) == clause


def test_a_class_of_two_families_that_is_raised_again_in_the_handler_goes_to_its_clause() -> None:
    source = """
        def flow(x):
            try: fail(x)
            except Mine:
                try: raise
                except LookupError: return 1
                except Exception: return 2
    """
    assert run(code(source, WORLD), {"x": "both"}) == 1


@pytest.mark.parametrize("kind", ["reset", "fail"])
@pytest.mark.parametrize("clause", ["(OSError, nf.Fail)", "Exception"])
def test_what_is_raised_again_fails_under_its_own_name(clause: str, kind: str) -> None:
    source = f"def flow(x):\n    try: retried(x)\n    except {clause}:\n        f(1)\n        raise\n"
    with pytest.raises(Ended) as raised:
        run(code(source, WORLD), {"x": kind})
    expected = {"reset": ("ConnectionResetError", "reset"), "fail": ("NoData", "none")}
    assert (raised.value.error, raised.value.message) == expected[kind]


def test_an_nf_fail_is_a_jump_to_the_clause_that_takes_it() -> None:
    source = """
        def flow(x):
            try:
                if x == "a":
                    raise nf.Fail("Bad", "so bad")
            except KeyError:
                return 0
            except nf.Fail as e:
                return [e.error, e.cause, str(e)]
            raise nf.Fail("{% Worse %}", "{%")
    """
    made = code(source)
    assert made.definition["States"]['raise nf.Fail("Bad", "so bad")']["Type"] == "Pass"
    assert run(made, {"x": "a"}) == ["Bad", "so bad", "so bad"]
    with pytest.raises(Ended) as raised:
        run(made, {"x": "b"})
    assert (raised.value.error, raised.value.cause) == ("{% Worse %}", "{%")


def test_an_nf_fail_of_the_flow_is_raised_again_under_its_own_name() -> None:
    source = """
        def flow(x):
            try:
                raise nf.Fail("Bare")
            except Exception:
                raise
    """
    with pytest.raises(Ended) as raised:
        run(code(source), {"x": 1})
    assert (raised.value.error, raised.value.message) == ("Bare", "Bare")


def test_an_nf_fail_that_is_computed_is_raised_by_python() -> None:
    source = "def flow(x):\n    raise nf.Fail(x, f'no {x}')\n"
    with pytest.raises(Ended) as raised:
        run(code(source), {"x": "Data"})
    assert (raised.value.error, raised.value.message) == ("Data", "no Data")


def test_a_clause_that_nothing_reaches_has_no_states() -> None:
    made = code("def flow():\n    try: a = 1\n    except OSError: f(1)\n    return a\n")
    assert list(made.definition["States"]) == ["a = 1", "return a"]
