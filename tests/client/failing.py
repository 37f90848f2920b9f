"""A store that fails for a while."""

from collections.abc import Callable
from typing import Any

import nbflow as nf


class Failing:
    """A store's method that fails some times, and then works. ``met`` is called each time that it fails."""

    def __init__(
        self, really: Callable[..., Any], times: int, met: Callable[[], None] = lambda: None
    ) -> None:
        self.really = really
        self.left = times
        self.met = met

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            self.met()
            raise nf.StoreError("The store is away.")
        return self.really(*arguments, **named)
