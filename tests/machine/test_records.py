"""The journal's text: what is written can be read, by this version and by the next."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.machine import records as r

PAYLOADS: list[Json] = [
    None,
    0,
    False,
    "",
    {},
    [],
    2**70,
    -0.5,
    "ünï",
    "\ud800",
    {"a": [1, {"b": None}]},
    "{% x %}",
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=repr)
def test_every_payload_survives(payload: Json) -> None:
    written: list[r.Record] = [
        r.StateExited(1.5, 0, "A", "B", payload),
        r.TaskSucceeded(1.5, 0, payload),
        r.BranchStarted(1.5, 0, 3, payload),
        r.ExecutionStarted(1.5, payload, {"Execution": {"Name": "n"}}),
        r.ExecutionStarted(1.5, 1, {}, r.Entry("S", payload, {"v": payload})),
    ]
    read = r.decode(r.join(map(r.encode, written)))
    assert read == written
    assert [type(record) for record in read] == [type(record) for record in written]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_any_json_survives(payload: Json) -> None:
    assert r.decode(r.join([r.encode(r.TaskSucceeded(0.0, 0, payload))])) == [
        r.TaskSucceeded(0.0, 0, payload)
    ]


def test_the_text_is_plain_json_without_what_is_default() -> None:
    written: list[r.Record] = [r.StateEntered(1.0, 0, "A"), r.StateExited(2.0, 0, "A", origin="input")]
    text = r.join(map(r.encode, written))
    assert json.loads(text) == [
        {"type": "StateEntered", "at": 1.0, "frame": 0, "name": "A"},
        {"type": "StateExited", "at": 2.0, "frame": 0, "name": "A", "origin": "input"},
    ]


def test_what_tells_of_a_task_that_others_end_survives() -> None:
    written: list[r.Record] = [
        r.TaskScheduled(1.0, 0, "arn:x", {"a": 1}, timeout=9, heartbeat=3, token="t"),
        r.TaskStarted(2.0, 0, "worker"),
        r.TaskSubmitted(2.0, 0, {"MessageId": "1"}),
        r.TaskTimedOut(3.0, 0, "States.Timeout"),
    ]
    assert r.decode(r.join(map(r.encode, written))) == written


def test_a_record_from_before_there_were_tokens_has_none() -> None:
    text = b'[{"type":"TaskScheduled","at":1.0,"frame":0,"resource":"arn:x"},{"type":"TaskStarted","at":1.0,"frame":0}]'
    assert r.decode(text) == [r.TaskScheduled(1.0, 0, "arn:x"), r.TaskStarted(1.0, 0)]


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(ValueError, match="newer nbflow"):
        r.decode(b"[]", r.FORMAT + 1)


@pytest.mark.parametrize(
    "text", [b"{}", b'[{"type":"Nope"}]', b'[{"type":"StateEntered","at":1.0,"frame":0}]']
)
def test_what_is_no_record_is_an_error_that_says_where(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        r.decode(text)


def test_data_that_is_nested_too_deeply_cannot_be_written() -> None:
    payload: Json = 0
    for _ in range(100_000):
        payload = [payload]
    with pytest.raises(r.TooMuchData, match="nested too deeply"):
        r.encode(r.TaskSucceeded(0.0, 0, payload))
