"""Every trap between Python and JSONata that the design names, and small flows of each form: both ways give the same."""

import json
from typing import Any

import pytest

from tests.authoring.test_random_flows import both

# What a flow returns for the parameter x, and values of x. (The tasks are those of random_tasks.)
EXPRESSIONS: list[tuple[str, list[Any]]] = [
    ("[v for v in x if v == 1]", [[1, 2], [2], [1, 1], []]),
    ("x['zz']", [{}, {"zz": None}, {"zz": [1]}]),
    ("x[5]", [[], [1, 2, 3, 4, 5, [6]]]),
    ("[x.get('zz'), x.get('a')]", [{}, {"a": []}]),
    ("x[0]", [[{"k": 1}], ["text"], "text", [[1]], [[]], [None]]),
    ("x['k']", [{"k": {"k": [[]]}}, [{"k": 1}]]),
    ("x[LIMIT - 2]", [["a", ["b"]], {"1": 2}]),
    ("bool(x)", [[0], {}, [], [[]], "", "0", "false", 0, 0.0, -0.0, None, {"a": None}]),
    ("x or 'none'", [[], 0, "", "0", [0], None, {}]),
    ("x and x[0]", [[], [0], "ab"]),
    ("x == True", [1, True, 1.0, "1", "true", [True]]),
    ("x == 1", [1, True, 1.0, "1", 2]),
    ("x == 0", [0, False, 0.0, -0.0, "", None, []]),
    ("x != 1", [1, True, 2]),
    ("'x' in x", ["xyz", ["x"], {"x": 0}, "", []]),
    ("x % 3", [-7, 7, -0.5, 2**62]),
    ("x // 2", [-7, 7, 7.0, 2**62 + 1]),
    ("1 / x", [0, 0.0, 2, 3]),
    ("str(x)", [2.0, 2, True, None, 1e16, 1e-7, [1.0, "a"], {"a": None}, 2**63]),
    ("f'{x}'", [2.0, True, None, [1.0]]),
    ("round(x, 2)", [2.675, 1.005, 2, -0.004]),
    ("x + 1", [2**53, 2**53 + 1, 2**63 - 1, 0.1, True]),
    ("x * x", [2**31, 3037000499, 1e200]),
    ("max(x)", [[], [1], [1, 2.0], ["b", "a"]]),
    ("len(x)", [{"a": 1}, {}, [], [[]], "😀", 1]),
    ("x == 2 ** 53", [2**53, 2**53 + 1, float(2**53)]),
    ("x < 2 ** 53 + 1", [2**53, 2**53 + 1]),
    ("sorted(x)", [[2, 1.0, True], ["b", "B"], [1, "a"]]),
    ("x[::-1]", [[1, [2]], "ab"]),
    ("{**x, 'k': 1}", [{}, {"k": [], "a": 2}]),
    ("[*x, 1]", [[], {"a": 1}, "ab"]),
    ("x is None", [None, 0, False, "", []]),
    ("x is not None and x > 1", [None, 0, 2]),
    ("[x, [x], {'k': x}]", [[], None, {}, [[]], "{% $x %}", 2**60]),
    ("'{% $states.input %}'", [1]),
    ("['{%', {'{% k %}': '{% 1 %}x'}]", [1]),
]


@pytest.mark.parametrize(
    ("text", "x"),
    [(text, x) for text, values in EXPRESSIONS for x in values],
    ids=lambda value: repr(value)[:40],
)
def test_an_expression_means_its_python_value(text: str, x: Any) -> None:
    trial = both(f"def flow(x):\n    return {text}\n", {"x": x}, "<trap>")
    assert not trial.difference


CONDITIONS = ["x", "not x", "x == 1", "x == 'a'", "x and y", "x or not y", "x is None", "0 < LIMIT < 5 and x"]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("x", [0, 1, True, False, "", "a", [], [0], {}, None, 1.0], ids=repr)
def test_a_condition_is_true_where_it_is_in_python(condition: str, x: Any) -> None:
    source = f"""
def flow(x, y=[]):
    if {condition}:
        a = 'yes'
    else:
        a = 'no'
    return [a, 'yes' if {condition} else 'no', [v for v in [1] if {condition}]]
"""
    assert not both(source, {"x": x}, "<condition>").difference


@pytest.mark.parametrize(
    "annotation", ["int", "float", "str", "bool", "list", "object", "'int'", "nothing_known_here"]
)
@pytest.mark.parametrize("x", [1, 2.5, "a", True, [1]], ids=repr)
def test_an_annotation_is_checked_where_the_definition_relies_on_it(annotation: str, x: Any) -> None:
    """So a flow either answers as Python does, or says that the annotation is wrong."""
    source = (
        f"from __future__ import annotations\ndef flow(x: {annotation}):\n    return [x == 1, x == 'a', x]\n"
    )
    trial = both(source, {"x": x}, "<annotated>")
    if trial.difference:
        assert "x must be" in trial.difference


SMALL = {
    "a variable that is swapped": "a, b = 1, 2\n    a, b = b, a\n    return [a, b]",
    "a star takes the rest": "a, *b = x\n    return [a, b]",
    "nested targets": "(a, b), c = [x, x]\n    return [a, b, c]",
    "too many values": "a, b = [*x, 1]\n    return a",
    "several targets": "a = b = twice(2)\n    return [a, b]",
    "a call within a call": "return twice(twice(twice(1)))",
    "calls in the order of evaluation": "return [twice(1), len(x) + twice(2), {'k': twice(3), **{'l': twice(4)}}]",
    "calls under and, or, if": "return [twice(0) or twice(1) and twice(2), twice(3) if twice(0) else not twice(4)]",
    "calls in a chain": "return 0 < twice(1) < twice(5) < twice(2) < twice(9)",
    "a map in a map": "return [[twice(a + b) for b in x] for a in x]",
    "a map of several loops": "return [twice(a + b) for a in x for b in [1, a] if a != b]",
    "a map over a dict": "return [twice(k) for k in {'a': 1, 'b': 2}]",
    "a map over a text": "return [twice(k) for k in 'abc']",
    "a map with a choice inside": "return [twice(a) if a > 1 else a for a in x]",
    "a map over nothing": "return [twice(a) for a in []]",
    "branches that compute": "a, b = nf.parallel(twice(len(x)), x + [1])\n    return [a, b]",
    "a conditional unpacking": "a, b = pair(1) if x else pair(2)\n    return [a, b]",
    "an early return": "if len(x) > 1:\n        return 1\n    twice(2)",
    "an elif": "if x == 'a':\n        return 1\n    elif x == 'b':\n        return 2\n    elif twice(3) == 6:\n        return 3",
    "raise in a handler": "try:\n        risky(1)\n    except Exception as e:\n        raise KeyError(str(e))",
    "raise from": "try:\n        risky(1)\n    except Exception as e:\n        raise KeyError('k') from e",
    "an outer failure raised again": (
        "try:\n        risky(1)\n    except Exception as e:\n        try:\n            risky(2)\n"
        "        except Exception as f:\n            raise e"
    ),
    "else is not covered": "try:\n        twice(1)\n    except Exception:\n        return 1\n    else:\n        risky(1)",
    "a handler that is not reached": "try:\n        a = 1\n    except OSError:\n        a = 2\n    return a",
    "assert": "assert len(x) > 5, f'only {x}'",
    "raise": "raise ValueError(f'not {x}')",
    "tuples are tuples": "t = (1, 2)\n    u = t + (3,)\n    return [u, t == (1, 2), isinstance(t, tuple)]",
    "what parallel gives is a tuple": "t = nf.parallel(twice(1), twice(2))\n    return [t + (3,), t[0]]",
    "a hoisted tuple is a tuple": "return [(1,) + (twice(1),), () <= (twice(2),), (1, len(x)) + (twice(1),)]",
    "a computed tuple is a tuple": "t = tuple(x)\n    u = (1, 2) if x else (3, len(x))\n    return [t + (1,), u + (1,)]",
    "alternatives that are tuples": (
        "t = (1, 'a') if twice(1) == x else (2, 'b') if x else (3, 'c')\n"
        "    return [t + (5,), isinstance(pair(1) if x else pair(2), tuple)]"
    ),
    "alternatives of and, or that are tuples": (
        "t = (1, 'a') or (2, 'b')\n    u = pair(1) or pair(2)\n    return [t + u, isinstance(u, tuple)]"
    ),
    "constant conditions": (
        "a = 0\n    if True:\n        a += 1\n    if None:\n        a += 2\n    if FLAG and NUMBERS:\n        a += 4\n"
        "    return a"
    ),
    "a helper's name is that of a piece": "return [NUMBERS, square(2), twice(len(NUMBERS))]",
    "a bare name as a statement": "x\n    NUMBERS\n    {1, 2}\n    return 1",
    "a handler's text that grows": (
        "s = 'a'\n    try:\n        risky(1)\n    except Exception as e:\n        s += str(e)\n    return s"
    ),
    "augmented": "a = 1\n    a += 2\n    a *= 2.0\n    s = 'a'\n    s += 'b'\n    return [a, s]",
    "names that ASL has not": "_a = states = sum = true = 1\n    return [_a, [twice(sum + true) for _ in x], states]",
    "shadowed names": "a = 5\n    b = [twice(a) for a in x]\n    return [a, b]",
    "a variable of a map and of the flow": "b = [[twice(a), a] for a in x]\n    a = 7\n    return [a, b]",
    "a name of a builtin": "list = 3\n    bool = 0\n    return [[twice(a) for a in 'ab'], 1 if list else 2, bool]",
    "statements after the end": "return 1\n    twice(2)",
    "nothing": "pass",
}


@pytest.mark.parametrize("title", SMALL)
def test_a_small_flow_does_what_python_does(title: str) -> None:
    trial = both(f"def flow(x=[1, 2, 3]):\n    {SMALL[title]}\n", {}, "<small>")
    assert not trial.difference
    json.dumps(trial.definition)
