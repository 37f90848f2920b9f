"""Reading items, for tests that look at what children are given."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

from nbflow.language.values import Json
from nbflow.tasks.reading import read_items


def given(resource: str, parameters: Json, config: Json, **options: Any) -> Generator[Json, None, None]:
    """What the children of the items are given without an ItemSelector."""
    with closing(read_items(resource, parameters, config, **options)) as items:
        for item in items:
            yield item.given
