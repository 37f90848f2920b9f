"""What names mean, and what ASL calls them."""

import ast
import math

import pytest

from nbflow.authoring.names import MISSING, Namespace, assigned, free, member, targets, variable


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a + b.c[d]", "a b d"),
        ("f(x, *y, k=z, **w)", "f x y z w"),
        ("lambda a, *b, c=d, **e: a + b + c + e + g", "d g"),
        ("[a for a in b if a > c]", "b c"),
        ("[a for a in a]", "a"),
        ("[a + b for a in x for b in a if b]", "x"),
        ("[a for b in x for a in [a]]", "x a"),
        ("{a: b for a, (b, *c) in x}", "x"),
        ("{a for a in (b for b in c)}", "c"),
        ("[lambda: a for a in x]", "x"),
        ("f'{a} {b:{c}}'", "a b c"),
        ("1 if a else b", "a b"),
    ],
)
def test_free_names(text: str, names: str) -> None:
    assert [name.id for name in free(ast.parse(text, mode="eval").body)] == names.split()


def test_the_names_that_statements_bind() -> None:
    body = ast.parse(
        "a = 1\nb, (c, *d) = x\ne += 1\nf: int = 2\n"
        "if x:\n    g = [h for h in x]\n"
        "try: pass\nexcept E as i: j = lambda k: k\n"
    ).body
    assert assigned(body) == set("abcdefgij")
    assert targets(ast.parse("(a, [b, *c])", mode="eval").body) == ["a", "b", "c"]


def test_values_are_found_in_the_closure_the_globals_and_the_builtins() -> None:
    here = 1

    def function() -> int:
        return here + later

    namespace = Namespace(function)
    assert namespace.value("here") == 1
    assert namespace.value("math") is math
    assert namespace.value("len") is len
    assert namespace.value("later") is MISSING, "it is not set yet"
    assert namespace.value("nowhere") is MISSING
    later = 2
    assert Namespace(function).value("later") == 2


def test_attributes_of_modules_and_classes_are_followed() -> None:
    namespace = Namespace(test_free_names)

    def resolve(text: str, *variables: str) -> object:
        return namespace.resolve(ast.parse(text, mode="eval").body, set(variables).__contains__)

    assert resolve("math.floor") is math.floor
    assert resolve("ast.Name.mro") == ast.Name.mro
    assert resolve("math.pi.real") is MISSING, "attributes of values may run code"
    assert resolve("math.floor", "math") is MISSING, "a variable hides a global"
    assert resolve("math.nothing") is MISSING
    assert resolve("f(x)") is MISSING


@pytest.mark.parametrize(
    ("name", "asl"),
    [
        ("total", "total"),
        ("_total", "total_"),
        ("__", "value_"),
        ("states", "states_"),
        ("sum", "sum_"),
        ("null", "null_"),
        ("Sum", "Sum"),
        ("taken", "taken_2"),
        ("x" * 80, "x" * 76 + "_"),
    ],
)
def test_the_names_of_variables(name: str, asl: str) -> None:
    assert variable(name, {"taken", "taken_"}.__contains__) == asl


def test_a_member_that_is_a_word_is_quoted() -> None:
    assert member("year") == ".year"
    assert member("true") == ".`true`"
