"""What AWS's functions compute."""

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language.functions import FUNCTIONS, Invalid, digest, java_random, parse_json, uuid4
from nbflow.language.values import Json


def call(name: str, *arguments: Json) -> Any:
    row = FUNCTIONS[f"States.{name}"]
    return row.apply(Random(1), *arguments) if row.draws else row.apply(*arguments)


@dataclass(frozen=True)
class Case:
    name: str
    arguments: tuple[Json, ...]
    expected: Json = None

    @property
    def id(self) -> str:
        return f"{self.name}{self.arguments!r}"[:60]


VALUES = [
    Case("ArrayPartition", ([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]),
    Case("ArrayPartition", ([1, 2, 3], 2.9), [[1, 2], [3]]),
    Case("ArrayPartition", ([], 3), []),
    Case("ArrayContains", ([1, [2], {"a": None}], {"a": None}), True),
    Case("ArrayContains", ([0, 1, ""], False), False),
    Case("ArrayContains", ([1], 1.0), True),
    Case("ArrayRange", (1, 9, 2), [1, 3, 5, 7, 9]),
    Case("ArrayRange", (0, 10, 3), [0, 3, 6, 9]),
    Case("ArrayRange", (5, 1, -2), [5, 3, 1]),
    Case("ArrayRange", (5, 1, 1), []),
    Case("ArrayRange", (3, 3, -1), [3]),
    Case("ArrayRange", (5.4, -0.6, -2.4), [5, 3, 1]),
    Case("ArrayRange", (1, 1000, 1), list(range(1, 1001))),
    Case("ArrayGetItem", ([10, 20, 30], 1), 20),
    Case("ArrayGetItem", ([10, 20, 30], 1.9), 20),
    Case("ArrayLength", ([1, [2, 3]],), 2),
    Case("ArrayUnique", ([1, 1.0, True, "1", [1], [1], None, None],), [1, True, "1", [1], None]),
    Case("Base64Encode", ("Data to encode",), "RGF0YSB0byBlbmNvZGU="),
    Case("Base64Decode", ("RGF0YSB0byBlbmNvZGU=",), "Data to encode"),
    Case("Base64Decode", (" YWJj\nZA ",), "abcd"),
    Case("Base64Decode", ("ab==cd",), "i"),
    Case("Base64Decode", ("A",), ""),
    Case("Hash", ("input data", "SHA-1"), "aaff4a450a104cd177d28d18d74485e8cae074b7"),
    Case("Hash", (123, "MD5"), "202cb962ac59075b964b07152d234b70"),
    Case("JsonMerge", ({"a": {"x": 1}, "b": 1}, {"a": {"y": 2}}, False), {"a": {"y": 2}, "b": 1}),
    Case("JsonToString", ({"a": [1, "é"]},), '{"a":[1,"é"]}'),
    Case("MathAdd", (111, -1), 110),
    Case("MathAdd", (1.5, 1.51), 4),
    Case("MathAdd", (-0.5, 0), 0),
    Case("MathAdd", (-3.5, 0), -3),
    Case("MathAdd", (0.49999999999999994, 0), 0),
    Case("MathAdd", (2147483646, 1), 2147483647),
    Case("MathRandom", (1, 100, 42), 73),
    Case("StringSplit", ("1+2,3.4", ".+,"), ["1", "2", "3", "4"]),
    Case("StringSplit", (",a,,b,", ","), ["a", "b"]),
    Case("StringSplit", ("a]b^c", "^]"), ["a", "b", "c"]),
    Case("StringSplit", ("abc", ""), ["abc"]),
    Case("StringSplit", ("", ","), []),
    Case("StringToJson", (' {"a": [1, null]} ',), {"a": [1, None]}),
    Case("StringToJson", ("",), None),
    Case("Format", ("{} {} {}", None, True, "x"), "null true x"),
    Case("Format", ("{}", {"Id": "a", "n": [1, None, {"k": False}]}), "{Id=a, n=[1, null, {k=false}]}"),
    Case("Format", ("{} {} {} {}", 1.0, 1e10, 1.5e-7, -12345678.9), "1.0 1.0E10 1.5E-7 -1.23456789E7"),
    Case("Format", ("plain",), "plain"),
]

INVALID = [
    Case("ArrayPartition", ("abc", 2)),
    Case("ArrayPartition", ([1], 0.6)),
    Case("ArrayPartition", ([1], True)),
    Case("ArrayContains", ({}, 1)),
    Case("ArrayRange", (1, 10, 0.49)),
    Case("ArrayRange", (1, 1001, 1)),
    Case("ArrayRange", (1, 10**18, 1)),
    Case("ArrayGetItem", ([1], 1)),
    Case("ArrayGetItem", ([1], -1)),
    Case("ArrayGetItem", ([1], "0")),
    Case("ArrayUnique", (None,)),
    Case("Base64Encode", ("a" * 10_001,)),
    Case("Base64Encode", (1,)),
    Case("Base64Decode", ("A" * 10_001,)),
    Case("Hash", ("a", "sha-256")),
    Case("Hash", ("a", 5)),
    Case("Hash", ("a" * 10_001, "MD5")),
    Case("JsonMerge", ({}, {}, True)),
    Case("JsonMerge", ([], {}, False)),
    Case("MathAdd", (2147483647, 1)),
    Case("MathAdd", (3000000000, -3000000000)),
    Case("MathAdd", (False, 1)),
    Case("MathAdd", (float("inf"), 1)),
    Case("MathRandom", (1, 1)),
    Case("MathRandom", (1, 10, None)),
    Case("StringSplit", ("a", 1)),
    Case("StringToJson", ("{bad}",)),
    Case("StringToJson", ("NaN",)),
    Case("StringToJson", ("[" * 100_000,)),
    Case("StringToJson", (123,)),
    Case("Format", ("{} {}", 1)),
    Case("Format", ("{}", 1, 2)),
    Case("Format", ("Hello {", 1)),
    Case("Format", ("{{}}", 1)),
    Case("Format", ("}",)),
    Case("Format", (5, 1)),
]


@pytest.mark.parametrize("case", VALUES, ids=lambda case: case.id)
def test_value(case: Case) -> None:
    value = call(case.name, *case.arguments)
    assert value == case.expected
    assert type(value) is type(case.expected)


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case.id)
def test_invalid(case: Case) -> None:
    with pytest.raises(Invalid):
        call(case.name, *case.arguments)


def test_all_functions_of_the_specification_are_there() -> None:
    assert len(FUNCTIONS) == 18


def test_a_seed_gives_the_numbers_of_java_util_random() -> None:
    assert java_random(42) == 0.7275636800328681
    assert java_random(0) == 0.730967787376657
    assert java_random(-1) == java_random(2**64 - 1)


@given(seed=st.integers())
def test_a_seeded_number_is_a_fraction(seed: int) -> None:
    assert 0 <= java_random(seed) < 1


@given(start=st.integers(-(2**40), 2**40), size=st.integers(1, 2**60), seed=st.integers())
def test_random_numbers_are_in_their_range(start: int, size: int, seed: int) -> None:
    assert start <= call("MathRandom", start, start + size, seed) < start + size


def test_chance_is_what_it_is_given() -> None:
    assert uuid4(Random(5)) == uuid4(Random(5)) != uuid4(Random(6))
    assert uuid4(Random(5))[14] == "4"
    assert call("MathRandom", 0, 1000) == call("MathRandom", 0, 1000)


@given(text=st.text(max_size=50))
def test_base64_comes_back(text: str) -> None:
    assert call("Base64Decode", call("Base64Encode", text)) == text


def test_half_a_character_does_not_stop_them() -> None:
    assert call("Base64Encode", "\ud800") == "Pw=="
    assert digest("\ud800", "MD5") == digest("?", "MD5")
    assert digest("x", "MD4") is None


@given(
    items=st.lists(
        st.integers() | st.booleans() | st.text(max_size=2) | st.lists(st.integers(0, 1)), max_size=8
    )
)
def test_unique_items_are_contained_and_unique(items: list[Json]) -> None:
    unique = call("ArrayUnique", items)
    assert all(call("ArrayContains", unique, item) for item in items)
    assert call("ArrayUnique", unique) == unique


def test_parse_json_raises_value_error() -> None:
    assert parse_json(" ") is None
    with pytest.raises(ValueError, match="Infinity is not JSON"):
        parse_json("[Infinity]")
