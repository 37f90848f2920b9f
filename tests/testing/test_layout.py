"""Source of JSON values: it means the value, and formatters leave it alone."""

import ast
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.testing import NEVER, After, Return, Throw
from nbflow.testing.layout import layout, names

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text() | st.text(alphabet="ab'\"\\\n {}", max_size=400)
VALUES = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=30
)


@given(VALUES, st.integers(0, 40), st.integers(0, 60))
def test_the_source_means_the_value(value: Json, indent: int, taken: int) -> None:
    source = layout(value, indent, taken)
    assert ast.literal_eval(source) == value
    source.encode()  # also of lone surrogates


MOCKS: list[Any] = [
    Throw("E"),
    Throw(None, "why\nand more"),
    Throw("Long", "word " * 100),
    After(1.5, NEVER),
    After(2.0, Throw("E", "x" * 300)),
    Return([1] * 60),
]


@pytest.mark.parametrize("mock", MOCKS, ids=lambda mock: type(mock).__name__)
def test_mocks_are_calls(mock: Any) -> None:
    known = {"Throw": Throw, "After": After, "Return": Return, "NEVER": NEVER}
    found = eval(layout([mock], 4), known)
    assert found == [mock]
    assert {type(mock).__name__} <= names({"T": [mock]}) <= known.keys()


def test_short_values_are_a_line_and_long_ones_an_item_a_line() -> None:
    assert layout({"a": [1, None], "it's": 'so "so"'}) == '{"a": [1, None], "it\'s": \'so "so"\'}'
    arn = "arn:aws:lambda:us-east-1:000000000000:function:" + "f" * 40
    assert layout({"Resource": arn, "End": True}, 4) == (
        f'{{\n        "Resource": "{arn}",\n        "End": True,\n    }}'
    )
    assert layout("word " * 20 + "\nand", 0) == (
        '(\n    "word word word word word word word word word word word word word word word word "\n'
        '    "word word word word \\n"\n    "and"\n)'
    )


def test_formatters_leave_it_alone(tmp_path: Any) -> None:
    value = {
        "mocks": MOCKS,
        "rows": [{"id": number, "text": "a 'b' \"c\" " * number} for number in range(14)],
    }
    path = tmp_path / "laid_out.py"
    path.write_text(f"VALUE = {layout(value, taken=8)}\n", encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
