"""JSON read value by value: what json.loads says of the whole, with a small window and any text."""

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.tasks import json_text, parsing
from nbflow.tasks.parsing import Member, json_items
from nbflow.tasks.places import ItemsFailed, Unreadable

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)


def opened(content: bytes) -> io.BufferedReader:
    raw: Any = io.BytesIO(content)
    return io.BufferedReader(raw)


def read(text: str, **config: Json) -> list[Json]:
    file = opened(text.encode("utf-8", "surrogatepass"))
    return list(json_items(file, config))


def outcome(text: str) -> Any:
    """What json.loads says of the text."""
    try:
        value = json.loads(text, parse_constant=json_text.finite, parse_float=json_text.finite)
    except ValueError as error:
        return f"the file is not JSON: {error}"
    return value if isinstance(value, list) else "Attempting to map over non-iterable node."


def ours(text: str) -> Any:
    try:
        return read(text)
    except Unreadable as error:
        return str(error)
    except ItemsFailed as failed:
        return failed.cause


@pytest.fixture(autouse=True, params=[1, 7, 2**18])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "_BUFFER", request.param)


anything = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@anything
@given(st.lists(VALUES, max_size=5), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_any_array(values: list[Json], plain: bool, indent: Any) -> None:
    text = json.dumps(values, ensure_ascii=plain or "\\ud" in json.dumps(values), indent=indent)
    found = read(text)
    assert found == values == json.loads(text)
    assert repr(found) == repr(values)  # 1 is not 1.0


@anything
@given(VALUES, st.data())
@example([1, 2], None)
def test_any_mistake(value: Json, data: Any) -> None:
    text = json.dumps([value], indent=1)
    if data is None:
        text = "[1,\n 2x]"
    else:
        at = data.draw(st.integers(0, len(text)))
        taken = data.draw(st.integers(0, 3))
        put = data.draw(st.text(' \n"\\[]{},:-+.e0127untrfalsN', max_size=3))
        text = text[:at] + put + text[at + taken :]
    expected = outcome(text)
    if "Illegal trailing comma" not in str(expected):  # so says Python 3.13
        assert ours(text) == expected


@anything
@given(st.lists(VALUES, max_size=3), VALUES, VALUES)
def test_any_place(values: list[Json], before: Json, after: Json) -> None:
    document = {"before": before, "in": [before, {"here": values, "other": after}], "after": after}
    assert read(json.dumps(document), ItemsPointer="/in/1/here") == values
    named = {str(number): value for number, value in enumerate(values)}
    document = {"before": before, "here": named}
    members = [Member(name, value) for name, value in named.items()]
    assert read(json.dumps(document), ItemsPointer="/here") == members


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32-le"])
def test_other_encodings(encoding: str) -> None:
    file = opened('["é", 1]'.encode(encoding))
    assert list(json_items(file, {})) == ["é", 1]


@pytest.mark.parametrize("start", ["", "é" * 5, "x" * 600_000])
def test_what_is_not_utf_8_has_a_place(start: str) -> None:
    content = f'["{start}'.encode()
    file = opened(content + b'\xff"]')
    with pytest.raises(Unreadable, match=f"not UTF-8: invalid start byte, byte {len(content):,}$"):
        list(json_items(file, {}))


def test_what_is_wrong_is_said_after_the_items_before_it() -> None:
    file = opened(b'{"a": [1, 2], "b": x}')
    items = json_items(file, {"ItemsPointer": "/a"})
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(Unreadable, match=r"Expecting value: line 1 column 20 \(char 19\)"):
        next(items)


def test_no_item_grows_without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "LARGEST_ITEM", 50)
    monkeypatch.setattr(json_text, "_BUFFER", 7)
    assert read(json.dumps(["x" * 30] * 9)) == ["x" * 30] * 9
    assert read(json.dumps({"a": "x" * 1000, "b": [1]}), ItemsPointer="/b") == [1]
    with pytest.raises(
        Unreadable, match=r"the item at line 1 column 5 \(char 4\) is longer than 50 characters"
    ):
        read(json.dumps([1, "x" * 1000]))
