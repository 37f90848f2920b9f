"""What is walked, what becomes a reference, what is refused and how the message names the place."""

import datetime
import decimal
import enum
import json
import math
import threading
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.artifacts.values import DEPTH, NotJson, Ref, pack, reference, references, unpack
from nbflow.language.values import Json

NOWHERE = Shelf("/nowhere/shelf")
"""For values that need no shelf."""


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Mixed(str, enum.Enum):  # noqa: UP042 (the older way, which people still write)
    """Whose str() is "Mixed.A", but whose value is "a"."""

    A = "a"


Point = namedtuple("Point", "x y")


def known(artifacts: list[Artifact]) -> dict[str, Artifact]:
    return {artifact.sha256: artifact for artifact in artifacts}


@dataclass(frozen=True)
class Case:
    id: str
    value: Any
    packed: Json


PLAIN = [
    Case("tuple", (1, (2, "x")), [1, [2, "x"]]),
    Case("named tuple", Point(1, 2), [1, 2]),
    Case("ordered dict", OrderedDict(a=1), {"a": 1}),
    Case("string enum", [Colour.RED, {Colour.RED: Mixed.A}], ["red", {"red": "a"}]),
    Case("integer enum", Level.HIGH, 3),
    Case("numpy integer", np.int64(5), 5),
    Case("numpy unsigned", np.uint64(2**64 - 1), 2**64 - 1),
    Case("numpy float", np.float64(0.1), 0.1),
    Case("numpy single", np.float32(0.5), 0.5),
    Case("numpy bool", np.True_, True),
    Case("numpy string", np.str_("x"), "x"),
    Case("largest", [2**64 - 1, -(2**63)], [2**64 - 1, -(2**63)]),
    Case("empty", [{}, [], (), ""], [{}, [], [], ""]),
]


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.id)
def test_what_json_can_hold(case: Case) -> None:
    packed, artifacts = pack(case.value, NOWHERE)
    assert repr(packed) == repr(case.packed)  # repr tells a subclass from its base
    assert artifacts == []


LEAVES = [
    pd.DataFrame({"a": [1]}),
    pd.Series([1], name="s"),
    pd.Timestamp(2013, 1, 1),
    np.arange(3),
    np.datetime64("2013-01-01", "ns"),
    np.longdouble(1.5),
    np.complex128(1j),
    datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC),
    datetime.date(2013, 1, 1),
    decimal.Decimal("1.10"),
    {1, 2},
    b"bytes",
    1j,
    {1: "a", "b": 2},
    {(1, 2): pd.DataFrame({"a": [1]})},
    math.sin,
]


@pytest.mark.parametrize("value", LEAVES, ids=lambda value: type(value).__name__)
def test_what_becomes_a_reference_comes_back(shelf: Shelf, value: object) -> None:
    packed, artifacts = pack({"before": 1, "value": [value]}, shelf)
    assert packed == {"before": 1, "value": [reference(artifacts[0])]}
    back: Any = unpack(packed, known(artifacts), shelf)
    assert type(back["value"][0]) is type(value)
    assert repr(back) == repr({"before": 1, "value": [value]})


@dataclass(frozen=True)
class Refusal:
    id: str
    value: Any
    message: str


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
LOCK = threading.Lock()
REFUSALS = [
    Refusal(
        "NaN", {"a": [1, 2, 3, math.nan]}, "result['a'][3] is nan, which JSON does not have. Return None"
    ),
    Refusal("infinity", [math.inf], "result[0] is inf, which"),
    Refusal("numpy NaN", np.float32("nan"), "result is nan, which"),
    Refusal("too large", {"x y": 2**64}, "result['x y'] is an integer of more than 64 bits"),
    Refusal("too small", -(2**63) - 1, "result is an integer of more than 64 bits"),
    Refusal("surrogate", ["ok", "\ud800"], "result[1] is a string with a lone surrogate"),
    Refusal("surrogate key", {"\ud800": 1}, "result is a string with a lone surrogate"),
    Refusal(
        "itself", CIRCLE, "result[0][0][0][0][0] is nested more than 200 levels deep, or contains itself"
    ),
    Refusal("lock", {"a": {"lock": LOCK}}, "result['a']['lock'] is a _thread.lock, which cannot be pickled"),
    Refusal("generator", [(x for x in "ab")], "result[0] is a generator, which cannot be pickled"),
    Refusal("lock in an opaque dict", {1: LOCK}, "result is a dict, which cannot be pickled"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_what_is_refused(shelf: Shelf, case: Refusal) -> None:
    with pytest.raises(NotJson) as caught:
        pack(case.value, shelf)
    assert str(caught.value).startswith(case.message)
    assert str(caught.value).endswith(".")


def test_the_message_names_the_value_as_the_caller_does(shelf: Shelf) -> None:
    with pytest.raises(NotJson, match=r"^input\['x'\] is nan"):
        pack({"x": math.nan}, shelf, name="input")


def test_depth(shelf: Shelf) -> None:
    deep: list[Any] = []
    for _ in range(DEPTH - 1):
        deep = [deep]
    assert pack(deep, shelf)[0] == deep
    with pytest.raises(NotJson, match="nested"):
        pack([deep], shelf)


def test_a_reference_is_small_and_can_be_looked_into(shelf: Shelf) -> None:
    frame = pd.DataFrame({f"a long column name {n}": range(1000) for n in range(100)})
    packed, artifacts = pack({"auc": 0.9, "table": frame}, shelf)
    assert packed["auc"] == 0.9
    assert packed["table"] == {
        "nbflow": "dataframe",
        "sha256": artifacts[0].sha256,
        "rows": 1000,
        "columns": 100,
        "bytes": artifacts[0].bytes,
    }
    assert len(json.dumps(packed["table"])) < 500
    assert reference(Artifact("ab", "pickle", 5, None, None, "f")) == {
        "nbflow": "pickle",
        "sha256": "ab",
        "bytes": 5,
    }


def test_a_leaf_that_occurs_twice_is_stored_once(shelf: Shelf) -> None:
    leaf = {1, 2}
    packed, artifacts = pack([leaf, leaf, {1, 2}, {3}], shelf)
    assert len(artifacts) == 2
    assert packed[0] == packed[1] == packed[2] != packed[3]


class Lazy(list[Any]):
    """Whose items are made when they are asked for, and gone when the next one is."""

    def __iter__(self) -> Any:
        return (frozenset([number]) for number in range(50))


def test_leaves_that_are_made_on_the_way_are_told_apart(shelf: Shelf) -> None:
    packed, artifacts = pack(Lazy([0]), shelf)
    assert unpack(packed, known(artifacts), shelf) == [frozenset([number]) for number in range(50)]


def test_only_what_is_known_is_loaded(shelf: Shelf) -> None:
    packed, _ = pack({"a": {1, 2}}, shelf)
    assert unpack(packed, {}, shelf) == packed


def test_the_kind_in_the_payload_is_not_believed(shelf: Shelf, tmp_path: Path) -> None:
    notebook = tmp_path / "n.ipynb"
    notebook.write_text("{}")
    artifact = shelf.put_file(notebook, "notebook")
    forged = {**reference(artifact), "nbflow": "pickle"}
    assert unpack(forged, known([artifact]), shelf) == shelf.path_of(artifact)


def test_an_object_with_other_members_is_no_reference(shelf: Shelf) -> None:
    artifact = shelf.put({1, 2})
    value = {**reference(artifact), "note": "mine", "inner": reference(artifact)}
    assert references(value) == {artifact.sha256}
    back: Any = unpack(value, known([artifact]), shelf)
    assert back == {**value, "inner": {1, 2}}


def test_unpack_shares_nothing(shelf: Shelf) -> None:
    value = {"a": [{"b": [1]}]}
    back: Any = unpack(value, {}, shelf)
    back["a"][0]["b"].append(2)
    assert value == {"a": [{"b": [1]}]}


@dataclass(frozen=True)
class Keep:
    id: str
    keep: bool | set[str]
    types: list[type]


KEEPS = [
    Keep("none", False, [set, set, list]),
    Keep("all", True, [Ref, Ref, list]),
    Keep("one", {"a"}, [Ref, set, list]),
    Keep("unknown", {"z"}, [set, set, list]),
]


@pytest.mark.parametrize("case", KEEPS, ids=lambda case: case.id)
def test_references_are_kept_where_the_caller_says(shelf: Shelf, case: Keep) -> None:
    packed, artifacts = pack({"a": {1}, "b": {2}, "c": [{3}]}, shelf)
    back: Any = unpack(packed, known(artifacts), shelf, keep=case.keep)
    assert [type(value) for value in back.values()] == case.types
    assert isinstance(back["c"][0], Ref) == (case.keep is True)


def test_a_value_that_is_one_reference(shelf: Shelf) -> None:
    packed, artifacts = pack(pd.DataFrame({"a": [1, 2]}), shelf)
    whole = unpack(packed, known(artifacts), shelf, keep={"rows"})
    assert isinstance(whole, pd.DataFrame)
    ref = unpack(packed, known(artifacts), shelf, keep=True)
    assert isinstance(ref, Ref)
    assert (ref.rows, ref.columns, ref.artifact) == (2, 1, artifacts[0])
    assert isinstance(ref.load(), pd.DataFrame)


def test_a_ref_that_is_returned_is_the_same_reference(shelf: Shelf) -> None:
    packed, artifacts = pack({1, 2}, shelf)
    assert pack([Ref(artifacts[0], shelf)], NOWHERE) == ([packed], artifacts)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
jsons = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.just("nbflow"), inner, max_size=4),
)


@given(jsons)
def test_json_is_its_own_image(value: Json) -> None:
    packed, artifacts = pack(value, NOWHERE)
    assert repr(packed) == repr(value)
    assert artifacts == []
    assert references(packed) == set()
    assert repr(unpack(packed, {}, NOWHERE)) == repr(value)


@given(
    st.recursive(
        st.integers(0, 9).map(lambda n: f"{n:064x}"),
        lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    )
)
def test_references_finds_every_hash(tree: Any) -> None:
    hashes = set()

    def planted(node: Any) -> Json:
        if isinstance(node, str):
            hashes.add(node)
            return reference(Artifact(node, "pickle", 1, None, None, node))
        return (
            [*map(planted, node)]
            if isinstance(node, list)
            else {key: planted(item) for key, item in node.items()}
        )

    assert references(planted(tree)) == hashes
