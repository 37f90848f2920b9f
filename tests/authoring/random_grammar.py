"""The grammar of random flows: what their expressions and statements may be.

Each *kind* of value (``int``, ``ints``, ``table``, …) has leaves, plain expressions, and expressions that call tasks, with
`` | `` between the alternatives. In a template ``<int>`` stands for any expression of that kind, ``<int!>`` for one that
calls no task, ``<int?>`` for a variable of that kind or else a leaf. So most flows run to their end; and where two languages
disagree (True and 1, 1 and 1.0, ``[[]]``, integers beyond 2**53, text that looks like an expression), they meet in the leaves.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from tests.authoring.random_tasks import FAILURES, MIXED

_LEAVES: Final = {
    "int": "0 | 1 | 2 | 7 | -3 | 10 | 4 | 5 | 12 | LIMIT | BIG | LOW | 9007199254740993 | -9007199254740993",
    "float": "0.5 | 2.0 | -0.0 | 0.1 | 1e16 | RATE | 1e300 | 3.0",
    "bool": "True | False | FLAG",
    "str": r"""'' | 'a' | 'ab' | '7' | "{% 1 + 1 %}" | '{% $x %}' | "it's" | '"' | '\\' | 'ü😀' | '{%' | '{{x}}' | TEXT | 'null'""",
    "ints": "[] | [0] | [1, 2, 3] | NUMBERS | [7, -3, BIG] | [[], 1][1:]",
    "strs": "[] | ['a'] | ['', '{% x %}'] | ['b', 'a', 'ü']",
    "table": "[] | [[]] | [[1], [2, 3]] | [[], [0]] | TABLE",
    "dict": "{} | {'a': 1} | {'x.$': 1, '{% y %}': 2} | {'a': 0, 'b': 7} | COUNTS | {'': 3}",
    "maybe": "NOTHING | None",
    "pair": "(1, 'a') | (0, '') | (BIG, '{% x %}')",
    "any": "None | BIG | NOTHING | TEXT | FLAG | {'k': [], 'l': {}} | [None] | (1, 2)[0] | -0.0",
}  # fmt: skip

_PLAIN: Final = {
    "int": """(<int> + <int>) | (<int> - <int>) | (<int> * <int>) | (<int> // <int>) | (<int> % 7) | (-<int>) | abs(<int>)
        | len(<ints>) | len(<str>) | len(<dict>) | sum(<ints>) | max(<ints>) | max(<ints>, default=0) | min(<int>, <int>)
        | <ints>[0] | <ints>[-1] | <ints>[<int> % 2] | <dict>["a"] | <dict>.get("zz", 0) | <dict>.get(<str>, <int>)
        | int(<str>) | int(<float>) | int(<bool>) | (<int> if <bool> else <int>) | (<int> or <int>) | (<int> and <int>)
        | (<bool> + <int>) | <str>.count("a") | max(<ints>, key=lambda v: (v % 3, v)) | sum(v * <int!> for v in <ints>)
        | square(<int>) | (<int> & 255) | (<int> if <any> else <int>) | <ints>.index(<int>)
        | <pair>[0] | len(<pair> + (<int>,))""",
    "float": """(<float> + <float>) | (<float> * <float>) | (<int> / <int>) | float(<int>) | float(<str>) | (-<float>)
        | round(<float>, 2) | (<int> * <float>) | max(<float>, <float>) | (<float> if <bool> else <float>) | abs(<float>)""",
    "bool": """(<int> < <int>) | (<int> == <int>) | (<float> <= <int>) | (<str> == <str>) | (<str> < <str>) | (not <bool>)
        | (<any> == <any>) | (<any> != <any>) | (not <any>) | (<bool> and <bool>) | (<bool> or <bool>) | (<int> in <ints>)
        | (<str> in <str>) | (<str> in <strs>) | (<str> not in <dict>) | (<maybe> is None) | (<any?> is not None)
        | (0 < <int> < 10) | (<int> <= <int> != <int>) | bool(<any>) | isinstance(<any>, str) | <str>.startswith("a")
        | all(<ints>) | any(v > 1 for v in <ints>) | (<int> == <bool>) | (<ints> == <ints>) | (<str> != "{% 1 %}")
        | (<any> == 1) | (<any> == 1.0) | (<any> == "1") | (<any?> is True) | (<any> == None) | (<any> == []) | (<int> > 0.5)
        | (<int> == 1) | (<bool> == 1) | (<float> == 2) | (<bool> is False) | (<int> in (1, 7)) | (<table> == [[]])
        | (<pair> == <pair>) | (<pair> <= <pair>) | isinstance(<pair>, tuple)""",
    "str": """(<str> + <str>) | (<str> * 2) | str(<any>) | repr(<str>) | <str>.upper() | <str>.strip() | <str>.replace("a", "b")
        | ", ".join(<strs>) | <str>[1:] | <str>[0] | <strs>[0] | (<str> or <str>) | (<str> if <bool> else <str>) | str(<int>)
        | str(<float>) | str(<bool>) | max(<strs>, key=len, default="") | ("%d items" % <int>) | "{} of {}".format(<str>, <any>)
        | f"{<int?>}-{<str?>}" | f"{<any?>!r}|{<int?>:>5}" | f"{{% {<str?>} %}}" | f"{<int?> = }" | f"{<str?>}" "{% x %}"
        | str(<pair>) | f"{<pair?>}" | (<str?> + 'x' + <str?>) | f"{TEXT}: {<str?>!s}" | f"{<str?>}{<str?>}" """,
    "ints": """[<int>, <int>] | [<int>] | list(range(<int> % 5)) | (<ints> + <ints>) | <ints>[1:] | <ints>[:-1] | <ints>[::-1]
        | sorted(<ints>) | sorted(<ints>, key=lambda v: -v) | [v * 2 for v in <ints>] | [v for v in <ints> if v % 2]
        | list(<dict>.values()) | [*<ints>, <int>] | [len(w) for w in <strs>] | list(map(square, <ints>))
        | sorted({v % 3 for v in <ints>}) | (<ints> or <ints>) | <table>[0] | [v for r in <table> for v in r]
        | <ints>[<int!> % 3:<int>] | [v + <int!> for v in <ints>] | list(reversed(<ints>)) | (<ints> if <bool> else <ints>)""",
    "strs": """list(<str>) | <str>.split() | sorted(<dict>) | [w.upper() for w in <strs>] | [str(v) for v in <ints>] | [<str>, <str>]
        | (<strs> + <strs>) | list(<dict>) | sorted(<strs>, key=len) | <strs>[:2] | [<str>, *<strs>]""",
    "table": """[<ints>, <ints>] | [<ints>] | (<table> + <table>) | <table>[1:] | [r for r in <table> if r] | [[v, v] for v in <ints>]
        | sorted(<table>, key=len) | [r[1:] for r in <table>] | [[], <ints>]""",
    "dict": """{"a": <int>, "b": <int>} | {<str>: <int>} | {**<dict>, "a": <int>} | {w: len(w) for w in <strs>} | dict(a=<int>)
        | dict(zip(<strs>, <ints>)) | (<dict> or <dict>) | (<dict>|<dict>) | {"a": <int>, "a": <int>} | {"x.$": <int>, TEXT: <int>}""",
    "pair": "(<int>, <str>) | (<pair> if <bool> else <pair>) | (<pair?> or <pair>)",
    "maybe": """(<int> if <bool> else None) | <dict>.get("zz") | (<maybe> or <maybe>) | next(iter(<ints>), None)""",
    "any": """<int> | <float> | <bool> | <str> | <ints> | <strs> | <table> | <dict> | <maybe> | {"k": <any>, "l": [<any>, <int>]}
        | [<any>, <any>] | (<any> or <any>) | (<any> and <any>) | (<any> if <any> else <any>) | [<any>][0]
        | {"k": <any>}["k"] | [[<any>]] | [<any>][:<int>]""",
}  # fmt: skip

_CALLS: Final = {
    "int": """twice(<int>) | clamp(<int>) | clamp(<int>, <int>) | clamp(<int>, high=<int>) | clamp(high=<int>, n=<int>)
        | size(<any>) | (find(<int>) or <int>) | flaky(<int>) | risky(<int>) | pair(<int>)[0] | twice(n=twice(<int>))
        | (twice(<int>) if <bool> else <int>) | (<int> and clamp(<int>)) | (twice(<int>) - clamp(<int>, low=<int>))
        | stubborn(<int>) | max(numbers(<int>), default=clamp(<int>)) | aliased(<int>) | near(<int>)""",
    "float": "half(<float>) | half(<int>) | whole(<float>) | (half(<int>) * <float>) | (whole(<float>) + half(<int>))",
    "bool": """is_even(<int>) | is_empty(<any>) | (<int> < twice(<int>) <= clamp(<int>)) | (is_even(<int>) and is_empty(<any>))
        | (is_empty(<any>) or is_even(<int>)) | (not is_even(<int>)) | (find(<int>) is None) | (mixed(<int>) == mixed(<int>))
        | (mixed(<int>) == <any>) | (clamp(<int>) == 1) | (word(<int>) == "{% 1 + 1 %}") | (word(<int>) < word(<int>))
        | (<bool> and is_even(<int>)) | (twice(<int>) in <ints>) | (near(<int>) == near(<int>)) | (near(<int>) <= <int?>) | (0 <= <int> < clamp(<int>) < 9)""",
    "str": """word(<int>) | label(<str>) | label(<str>, <int>) | label(text=<str>, other=<any>) | pair(<int>)[1] | (word(<int>) + word(<int>))
        | (word(<int>) or label(<str>)) | f"{word(<int?>)}/{<str?>}/{twice(<int?>)!r}" | ", ".join(words(<int>)) | str(mixed(<int>))""",
    "ints": """numbers(<int>) | nf.map(twice, <ints>) | nf.map(clamp, <ints>, concurrency=2) | list(nf.parallel(twice(<int>), flaky(<int>)))
        | [twice(<int>), *numbers(<int>)] | nf.map(twice, numbers(<int>)) | numbers(<int>)[1:] | (numbers(<int>) or <ints>)
        | sorted(numbers(<int>), key=lambda v: v % 3) | (numbers(<int>) if is_even(<int>) else <ints>)""",
    "strs": "words(<int>) | nf.map(word, <ints>) | [word(<int>), <str>] | (words(<int>) + words(<int>))",
    "table": "matrix(<int>) | nf.map(numbers, <ints>) | [numbers(<int>), <ints>] | matrix(<int>)[1:]",
    "dict": """count(<str>) | {"a": twice(<int>), "b": <int>} | {word(<int>): clamp(<int>)} | {**count(<str>), "b": clamp(<int>)}""",
    "pair": """pair(<int>) | nf.parallel(<int>, word(<int>)) | (twice(<int>), <str>) | (pair(<int>) if <bool> else <pair>)
        | (<pair> and (clamp(<int>), word(<int>)))""",
    "maybe": "find(<int>) | (find(<int>) or find(<int>)) | (find(<int>) if <bool> else None)",
    "any": """mixed(<int>) | echo(<any>) | both(<any>) | both(<any>, b=<any>) | both(b=twice(<int>), a=clamp(<int>)) | echo([<any>, {"k": <any>}])
        | (mixed(<int>) or <any>) | (mixed(<int>) and mixed(<int>)) | (mixed(<int>) if mixed(<int>) else echo(<any>)) | [mixed(<int>)]
        | {"k": mixed(<int>), "l": echo(<any>)} | echo(echo(<any>)) | nf.map(mixed, <ints>) | nf.parallel(mixed(<int>), <any>)[0]
        | [mixed(<int>), mixed(<int>)][<int> % 2] | nf.map(echo, <table>) | {"{% k %}": mixed(<int>), "x.$": <any>}""",
}  # fmt: skip

_CONDITIONS: Final = {
    "int": "v % 2 == 0 | v | v > 1 | v == 1 | v != <int?>",
    "str": "v | len(v) > 1 | v != <str?> | v == '{% x %}'",
    "ints": "v | len(v) > 1 | v != []",
    "any": "v | v is not None | v == 1",
}
"""Of comprehensions, with ``v`` for the target. They do not fail: a Map's items are there before its first task."""

_TESTS: Final = """<int?> < 3 | <int?> == 9007199254740993 | <int?> >= 9007199254740991 | 0 < <int?> <= 10 | <float?> == 2 | <float?> < 0.5
    | <str?> == 'a' | <str?> < <str?> | <str?> != TEXT | <bool?> | not <bool?> | <bool?> and <bool?> | <bool?> or <str?> == ''
    | <maybe?> is None | <any?> is not None | <any?> == 1 | <any?> == '1' | <any?> != 0 | <ints?> | len(<ints?>) == 0 | <any?> == 0.0
    | <str?> >= 'b' and <int?> == 1 | <int?> == FLAG | <any?> | <any?> != LIMIT | -1 <= <float?> != RATE | <any?> == TEXT
    | <int?> == <int?> | <int?> < <int?> | <int?> <= 9007199254740992 | <float?> > <int?> | <bool?> == 1 | <any?> == 0 or <any?> == 'a'
    | <any?> | not <any?> | <bool?> or <bool?> | 1 == <any?>"""
"""Conditions of an ``if`` that may need no Python."""

ANNOTATIONS: Final[Mapping[str, str]] = {
    "int": "int", "float": "float", "bool": "bool", "str": "str", "ints": "list[int]", "strs": "'list[str]'",
    "table": "list[list[int]]", "dict": "dict[str, int]", "maybe": "int | None", "pair": "tuple[int, str]", "any": "object",
}  # fmt: skip

VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    "int": (0, 1, -7, 2**53, 2**53 + 1, 2**60, 5),
    "float": (0.5, 2.0, -0.0, 3, 1e16),
    "bool": (True, False),
    "str": ("", "a", "{% 1 %}", "ü", "7"),
    "ints": ([], [1], [3, 2, 2**60]),
    "strs": ([], ["a", ""], ["{% x %}"]),
    "table": ([], [[]], [[1, 2], []]),
    "dict": ({}, {"a": 2}, {"x.$": 5}),
    "maybe": (None, 0, 4),
    "any": MIXED,
}

NAMES: Final = (
    "x", "y", "total", "states", "input", "_x", "x_", "__x", "string", "substring", "keys", "lookup", "append",
    "exists", "merge", "boolean", "number", "now", "millis", "random", "uuid", "hash", "partition", "parse", "true",
    "null", "function", "größe", "context", "event", "result", "errorOutput", "name", "data", "self", "type_",
    "Total", "n", "m", "row", "states_", "and_", "t1", "x1", "item", "value",
)  # fmt: skip
"""For variables: ordinary ones, those that JSONata or ASL take for something else, and those that collide when renamed."""

HIDDEN: Final = ("find", "size", "count", "pair", "len", "str", "list", "LIMIT")
"""Names that mean something else where the target of a comprehension has them."""

HANDLED: Final = (
    "ValueError", "KeyError", "IndexError", "LookupError", "OSError", "ConnectionError", "ConnectionResetError",
    "ArithmeticError", "Exception", "OwnError", "OwnMissing", "nf.Fail", "FileNotFoundError", "UnicodeError",
    "ZeroDivisionError", "RuntimeError", "TypeError", "OwnError", "LookupError", "OSError",
)  # fmt: skip
"""What an ``except`` clause names."""

AUGMENTED: Final[Mapping[str, tuple[str, ...]]] = {
    "int": ("+= <int>", "-= <int>", "*= 2", "//= 3", "+= twice(<int>)", "%= 5"),
    "float": ("+= <float>", "*= 2", "/= 4"),
    "str": ("+= <str>", "*= 2", "+= word(<int>)"),
}

UNPACKED: Final = (
    *3 * (
        ("{}, {}", "pair(<int>)", "int str"),
        ("{}, {}, {}", "triple(<int>)", "int ints any"),
        ("{}, {}", "nf.parallel(twice(<int>), echo(<any>))", "int any"),
        ("{}, {}", "nf.parallel(matrix(<int>), <str>)", "table str"),
        ("{}, {}, {}", "nf.parallel(<int>, nf.map(twice, <ints>), word(twice(<int>)))", "int ints str"),
        ("[{}, {}]", "nf.parallel(flaky(<int>), numbers(clamp(<int>)))", "int ints"),
        ("{}, {}", "<int>, <str>", "int str"),
        ("{}, {}", "twice(<int>), <any>", "int any"),
        ("({}, {})", "[<ints>, is_even(<int>)]", "ints bool"),
        ("{}, *{}", "[<int>, *<ints>]", "int ints"),
        ("{}, ({}, {})", "<any>, pair(<int>)", "any int str"),
        ("{}, {}", "both(<int>, <strs>)", "int strs"),
        ("{}, {}", "<pair>", "int str"),
    ),
    ("*{}, {}", "numbers(<int>)", "ints int"),
    ("{}, {}", "<ints>", "int int"),
    ("{}, {}", "mixed(<int>)", "any any"),
    ("{}, {}", "<str>", "str str"),
)  # fmt: skip
"""Targets, value and the targets' kinds. The last ones fail, mostly."""

DONE: Final = (
    "echo(<any>)", "echo(<any>)", "nf.wait(0)", "nf.wait(1)", "nf.map(echo, <strs>)", "nf.parallel(echo(<any>), twice(<int>))", "pass",
    "assert <bool!> or True, <str!>", "assert <any!> == <any?> or <int!> >= 0", "len(<ints>)", "risky(2 * <int>)", "[echo(<any>) for _ in <ints>]",
    "...", "label(<str>, 2, end=<any>)", "twice(<int>) and echo(<str>)",
)  # fmt: skip

TRIED: Final = (
    "echo(risky(<int>))", "stubborn(<int>)", "echo(<dict>['a'])", "raising(<str>)",
    *(f"risky({2 * at + 1})" for at in range(len(FAILURES))), *(f"stubborn({2 * at + 1})" for at in range(len(FAILURES))),
)  # fmt: skip
"""What a ``try`` begins with."""

RAISED: Final = (
    "raise ValueError(<str>)", "raise nf.Fail('NoData', <str>)", "raise nf.Fail('Bare')", "raise KeyError", "raise OwnMissing(<str>)", "raise AssertionError",
    'raise OwnError(f"{<str?>}", <int>)', "raise ConnectionError(word(<int>))", "raise FileNotFoundError(2, <str>)",
)  # fmt: skip


def _split(text: str) -> list[str]:
    return re.split(r"\s+\|\s+", text.strip())


def _table(alternatives: Mapping[str, str]) -> dict[str, list[str]]:
    return {kind: _split(text) for kind, text in alternatives.items()}


LEAVES: Final = _table(_LEAVES)
PLAIN: Final = _table(_PLAIN)
CALLS: Final = _table(_CALLS)
CONDITIONS: Final = _table(_CONDITIONS)
TESTS: Final = _split(_TESTS)
