"""Items in groups (ASL, "Batching Items"; AWS guide, "ItemBatcher (Map)"). Pure."""

import json
from collections.abc import Iterable, Iterator
from typing import Final

from nbflow.language.values import ABSENT, Json
from nbflow.tasks.places import ItemsFailed

LARGEST_BATCH: Final = 256 * 2**10
"""Bytes of the input of a child execution (AWS guide, "ItemBatcher": Max KiB per batch)."""


_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""As ``language.paths.compact``, in a quarter of the time: made once."""


def batches(
    items: Iterable[Json],
    *,
    max_items: int | None = None,
    max_bytes: int | None = None,
    batch_input: Json = None,
) -> Iterator[Json]:
    """The inputs of the children: ``{"BatchInput": …, "Items": […]}``, each with as many items as fit, in their order.

    ``max_items`` is MaxItemsPerBatch. ``max_bytes`` is MaxInputBytesPerBatch: of the whole input as compact JSON in
    UTF-8, with the BatchInput; never more than :data:`LARGEST_BATCH`. ``batch_input`` is left out when it is None (or
    ABSENT). Items are taken only as they are needed.

    Raises ItemsFailed (States.DataLimitExceeded, as for any input that is too large) when an item fits in no batch;
    the batches before it have been given.
    """
    head: dict[str, Json] = (
        {} if batch_input is None or batch_input is ABSENT else {"BatchInput": batch_input}
    )
    limit = LARGEST_BATCH if max_bytes is None else min(max_bytes, LARGEST_BATCH)
    empty = size_of({**head, "Items": []})
    batch: list[Json] = []
    size = empty
    for index, item in enumerate(items):
        more = size_of(item)
        if batch and (len(batch) == max_items or size + 1 + more > limit):  # 1 for the comma
            yield {**head, "Items": batch}
            batch, size = [], empty
        if empty + more > limit:
            raise _too_large(index, empty + more, limit)
        size += more + bool(batch)
        batch.append(item)
    if batch:
        yield {**head, "Items": batch}


def size_of(value: Json) -> int:
    """Bytes of the value as compact JSON in UTF-8; a lone surrogate counts as its escape."""
    return len(_encode(value).encode("utf-8", "backslashreplace"))


def _too_large(index: int, size: int, limit: int) -> ItemsFailed:
    return ItemsFailed(
        "States.DataLimitExceeded",
        f"The item at index {index} makes a batch of {size:,} bytes even by itself, and a batch may have {limit:,}. "
        "Reduce the item by an ItemSelector, or raise MaxInputBytesPerBatch.",
    )
