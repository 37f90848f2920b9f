"""Batches: their shape, their limits, and that nothing is lost."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language.values import ABSENT, Json
from nbflow.tasks.batching import LARGEST_BATCH, batches, size_of
from nbflow.tasks.places import ItemsFailed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def test_items_are_grouped_by_number() -> None:
    assert list(batches(range(5), max_items=2)) == [{"Items": [0, 1]}, {"Items": [2, 3]}, {"Items": [4]}]


def test_no_items_are_no_batches() -> None:
    assert list(batches([], max_items=2, batch_input={"a": 1})) == []


def test_the_batch_input_comes_with_every_batch() -> None:
    given = list(batches(["a", "b"], max_items=1, batch_input={"date": "2022-12"}))
    assert given == [{"BatchInput": {"date": "2022-12"}, "Items": [each]} for each in ("a", "b")]
    assert list(given[0]) == ["BatchInput", "Items"]


def test_an_absent_batch_input_is_none() -> None:
    assert list(batches([1], max_items=1, batch_input=ABSENT)) == [{"Items": [1]}]


def test_the_size_is_that_of_the_whole_input_in_utf8() -> None:
    two = len('{"BatchInput":1,"Items":["é","é"]}'.encode())
    assert [len(each["Items"]) for each in batches("é" * 4, max_bytes=two, batch_input=1)] == [2, 2]
    assert [len(each["Items"]) for each in batches("é" * 4, max_bytes=two - 1, batch_input=1)] == [1] * 4


def test_the_smaller_of_number_and_size_counts() -> None:
    five = size_of({"Items": [1] * 5})
    assert [len(each["Items"]) for each in batches([1] * 10, max_items=3, max_bytes=five)] == [3, 3, 3, 1]
    assert [len(each["Items"]) for each in batches([1] * 10, max_items=7, max_bytes=five)] == [5, 5]


@pytest.mark.parametrize(
    "limits", [{"max_items": 1000}, {"max_items": 1000, "max_bytes": 10 * LARGEST_BATCH}]
)
def test_no_batch_is_larger_than_an_input_may_be(limits: dict[str, int]) -> None:
    made = list(batches(["x" * 100_000] * 5, **limits))
    assert [len(each["Items"]) for each in made] == [2, 2, 1]


def test_an_item_that_fits_in_no_batch_fails_after_the_batches_before_it() -> None:
    made = batches(["ok", "x" * 100], max_items=10, max_bytes=50)
    assert next(made) == {"Items": ["ok"]}
    with pytest.raises(
        ItemsFailed, match=r"^States.DataLimitExceeded: The item at index 1 .* 114 bytes .* 50"
    ) as failed:
        next(made)
    assert failed.value.error == "States.DataLimitExceeded"


def test_an_item_as_large_as_the_limit_fits() -> None:
    item = "x" * (LARGEST_BATCH - len('{"Items":[""]}'))
    assert list(batches([item, item], max_items=2)) == [{"Items": [item]}] * 2
    with pytest.raises(ItemsFailed, match="262,145 bytes"):
        list(batches([item + "x"], max_items=2))


def test_items_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        for number in iter(int, 1):
            taken.append(number)
            yield number

    made = batches(endless(), max_items=3)
    next(made)
    assert len(taken) == 4  # the fourth tells that the batch is full


@given(st.lists(JSON, max_size=20), st.integers(1, 6), st.integers(150, 400), st.none() | JSON)
def test_every_item_comes_once_and_in_order_and_no_limit_is_passed(
    items: list[Json], max_items: int, max_bytes: int, batch_input: Json
) -> None:
    try:
        made = list(batches(items, max_items=max_items, max_bytes=max_bytes, batch_input=batch_input))
    except ItemsFailed:
        head = {} if batch_input is None else {"BatchInput": batch_input}
        assert max(size_of({**head, "Items": [item]}) for item in items) > max_bytes
        return
    assert [item for each in made for item in each["Items"]] == items
    assert all(1 <= len(each["Items"]) <= max_items and size_of(each) <= max_bytes for each in made)
    for one, other in pairwise(made):  # each is as full as it can be
        fuller = {**one, "Items": [*one["Items"], other["Items"][0]]}
        assert len(one["Items"]) == max_items or size_of(fuller) > max_bytes
